/**
 * OpenAI Chat Completions, legacy Completions, Embeddings and Moderations, as OpenAI and the many
 * compatible servers speak them. Source: OpenAI API reference, "Chat completion chunk object".
 */
import type { SseEvent } from '../../wire/sse.ts';
import type { Usage } from '../usage.ts';
import { keyNeedle } from './byte-search.ts';
import { parseEvent } from './event-type.ts';
import {
  asArray,
  asCount,
  asRecord,
  get,
  textLength,
  usageOf,
  type Findings,
  type JsonRecord,
} from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { KeyScan } from './key-scan.ts';

const DONE = Buffer.from('[DONE]');
/**
 * Members for which a chunk is parsed, and those whose text a stream shows: text, reasoning where
 * it is shown, refusals, arguments of tools.
 */
const KEYS = new KeyScan({
  watched: ['usage', 'error', 'finish_reason', 'name', 'expires_at'],
  counted: ['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text'],
});

export const openaiChat: FormatReader = {
  answerKeys: ['id', 'model', 'choices', 'usage', 'error', 'x_groq'],
  usageKey: keyNeedle('usage'),
  largeEnd: null,

  event(event: SseEvent, seen: Findings): void {
    const { data } = event;
    if (data.length <= DONE.length + 2 && data.includes(DONE)) {
      seen.complete = true;
      return;
    }
    const { found, chars } = KEYS.scan(data);
    seen.outputChars += chars;
    // The first chunk is parsed for id and model; most others hold nothing that is looked for.
    const chunk = found || !seen.hasIdentity ? parseEvent(event) : null;
    if (chunk !== null) readChunk(chunk, seen);
  },

  answer(answer: JsonRecord, seen: Findings): void {
    readChunk(answer, seen);
    for (const choice of asArray(answer['choices'])) {
      const message = get(choice, 'message');
      seen.outputChars += textLength(get(choice, 'text')) + textLength(get(message, 'content'));
      seen.outputChars += textLength(get(message, 'reasoning_content')) + textLength(get(message, 'refusal'));
      for (const call of asArray(get(message, 'tool_calls'))) {
        seen.outputChars += textLength(get(get(call, 'function'), 'arguments'));
      }
    }
  },

  readUsage: readChatUsage,
};

/** What a chunk and a whole answer have in common. */
function readChunk(chunk: JsonRecord, seen: Findings): void {
  seen.setIdentity(chunk['id'], chunk['model']);
  if (chunk['error'] !== undefined && chunk['error'] !== null) seen.setErrorFrom(chunk['error']);
  // Usage may come in any chunk, with or without choices; Groq and Moonshot have places of their own.
  seen.addUsage(get(chunk['x_groq'], 'usage'));
  for (const choice of asArray(chunk['choices'])) {
    seen.addUsage(get(choice, 'usage'));
    seen.setStopReason(get(choice, 'finish_reason'));
    const message = get(choice, 'delta') ?? get(choice, 'message');
    for (const call of asArray(get(message, 'tool_calls'))) {
      seen.addToolCall(get(get(call, 'function'), 'name') ?? get(get(call, 'custom'), 'name'));
    }
    seen.addToolCall(get(get(message, 'function_call'), 'name'));
    // Spoken answers are kept for an hour and taken up by id; the chunk with the term names it.
    seen.addObject('audio', get(get(message, 'audio'), 'id'));
  }
  seen.addUsage(chunk['usage']);
}

/**
 * `prompt_tokens` includes cached ones. `completion_tokens` includes reasoning at OpenAI; at xAI
 * and Gemini's compatible endpoint it does not, which shows in `total_tokens`: the difference is
 * reasoning that is billed as output.
 */
function readChatUsage(usage: JsonRecord): Usage | null {
  const input = asCount(usage['prompt_tokens']) ?? asCount(usage['input_tokens']);
  const completion = asCount(usage['completion_tokens']) ?? asCount(usage['output_tokens']);
  const total = asCount(usage['total_tokens']);
  const inputDetails = asRecord(usage['prompt_tokens_details']);
  const outputDetails = asRecord(usage['completion_tokens_details']);
  const reasoning = asCount(outputDetails?.['reasoning_tokens']);
  const beyond =
    total === undefined || input === undefined || completion === undefined ? 0 : total - input - completion;
  const hidden =
    beyond > 0 && (reasoning === undefined || reasoning === 0 || reasoning === beyond) ? beyond : 0;
  return usageOf({
    inputTokens: input,
    cacheReadTokens:
      asCount(inputDetails?.['cached_tokens']) ??
      asCount(usage['prompt_cache_hit_tokens']) ??
      asCount(usage['cached_tokens']) ??
      asCount(usage['cache_read_input_tokens']),
    cacheWriteTokens:
      asCount(inputDetails?.['cache_write_tokens']) ?? asCount(usage['cache_creation_input_tokens']),
    outputTokens: completion === undefined ? undefined : completion + hidden,
    reasoningTokens: hidden > 0 ? hidden : reasoning,
    inputAudioTokens: asCount(inputDetails?.['audio_tokens']),
    outputAudioTokens: asCount(outputDetails?.['audio_tokens']),
    inputImageTokens: asCount(inputDetails?.['image_tokens']),
    outputImageTokens: asCount(outputDetails?.['image_tokens']),
    webSearches:
      asCount(get(usage['server_tool_use'], 'web_search_requests')) ?? asCount(usage['num_search_queries']),
  });
}

/** Embeddings and moderations: usage only, never the vectors. */
export const openaiVectors: FormatReader = {
  ...openaiChat,
  answerKeys: ['id', 'model', 'usage', 'error'],
};
