/**
 * OpenRouter (https://openrouter.ai/docs/api-reference): OpenAI's and Anthropic's routes under
 * `/api/v1`. `HTTP-Referer` and `X-Title`, by which it names an application, pass as the caller sent
 * them. Its answers bear a `usage.cost`; costs are counted by our own prices all the same, so that
 * one request costs the same in every report.
 */
import { prepareAnthropic } from './anthropic.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import { prepareOpenai } from './openai.ts';
import { unsupportedFormat, withoutEnding } from './paths.ts';

export function prepareOpenrouter(input: UpstreamInput): UpstreamRequest {
  // A bare host is understood: nothing but pages lies at its root.
  const bare = withoutEnding(input.provider.baseUrl.pathPrefix, '/v1') === '';
  const request = bare ? { ...input, path: `/api${input.path}` } : input;
  const { dialect } = input.match;
  if (dialect === 'openai') return prepareOpenai(request);
  return dialect === 'anthropic' ? prepareAnthropic(request) : unsupportedFormat(input);
}
