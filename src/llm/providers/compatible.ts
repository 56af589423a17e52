/**
 * A server that speaks OpenAI's or Anthropic's format, and Google's where it says so: vLLM, Ollama,
 * llama.cpp, LM Studio, and hosted ones. No key is normal here.
 */
import { prepareAnthropic } from './anthropic.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import { prepareGemini } from './gemini.ts';
import { prepareOpenai } from './openai.ts';
import { unsupportedFormat } from './paths.ts';

export function prepareCompatible(input: UpstreamInput): UpstreamRequest {
  const { dialect } = input.match;
  if (dialect === 'openai') return prepareOpenai(input);
  if (dialect === 'anthropic') return prepareAnthropic(input);
  return dialect === 'google' ? prepareGemini(input) : unsupportedFormat(input);
}
