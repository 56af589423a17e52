/**
 * Anthropic Messages, also inside Vertex AI (`rawPredict`) and Bedrock (`InvokeModel`).
 * Source: Anthropic API reference, "Streaming messages". Usage comes in `message_start` and again,
 * cumulative, in `message_delta`: later members that are not null win. A stream ends with
 * `message_stop`.
 */
import type { SseEvent } from '../../wire/sse.ts';
import type { Usage } from '../usage.ts';
import { keyNeedle } from './byte-search.ts';
import { eventType, parseEvent } from './event-type.ts';
import {
  asArray,
  asCount,
  asRecord,
  get,
  sumCounts,
  textLength,
  usageOf,
  type Findings,
  type JsonRecord,
} from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { KeyScan } from './key-scan.ts';

const TEXT = new KeyScan({ watched: [], counted: ['text', 'partial_json', 'thinking'] });
/** Results of the provider's own code execution name the files that it made; other results are strangers' text. */
const CODE_RESULT = /^(?:bash_|text_editor_)?code_execution_tool_result$/;
const TOOL_BLOCK = /^(?:tool_use|server_tool_use|mcp_tool_use)$/;

export const anthropicMessages: FormatReader = {
  answerKeys: ['id', 'type', 'model', 'content', 'stop_reason', 'usage', 'error', 'container'],
  usageKey: keyNeedle('usage'),
  largeEnd: null,

  event(event: SseEvent, seen: Findings): void {
    switch (eventType(event)) {
      case 'content_block_delta':
        seen.outputChars += TEXT.scan(event.data).chars;
        return;
      case 'message_start': {
        const message = asRecord(parseEvent(event)?.['message']);
        seen.setIdentity(message?.['id'], message?.['model']);
        seen.addUsage(message?.['usage']);
        seen.addObject('container', get(message?.['container'], 'id'));
        return;
      }
      case 'content_block_start':
        readBlock(parseEvent(event)?.['content_block'], seen);
        return;
      case 'message_delta': {
        const change = parseEvent(event);
        seen.setStopReason(get(change?.['delta'], 'stop_reason'));
        seen.addUsage(change?.['usage']);
        seen.addObject('container', get(get(change?.['delta'], 'container'), 'id'));
        return;
      }
      case 'message_stop':
        seen.complete = true;
        return;
      case 'error':
        setError(parseEvent(event)?.['error'], seen);
        return;
      default:
        return;
    }
  },

  answer(answer: JsonRecord, seen: Findings): void {
    seen.setIdentity(answer['id'], answer['model']);
    seen.setStopReason(answer['stop_reason']);
    seen.addUsage(answer['usage']);
    seen.addObject('container', get(answer['container'], 'id'));
    if (answer['type'] === 'error' || answer['error'] !== undefined) setError(answer['error'], seen);
    for (const block of asArray(answer['content'])) {
      readBlock(block, seen);
      seen.outputChars += textLength(get(block, 'text')) + textLength(get(block, 'thinking'));
      const input = get(block, 'input');
      if (input !== undefined) seen.outputChars += JSON.stringify(input).length;
    }
  },

  readUsage: readAnthropicUsage,
};

function readBlock(block: unknown, seen: Findings): void {
  const type = get(block, 'type');
  if (typeof type !== 'string') return;
  if (TOOL_BLOCK.test(type)) seen.addToolCall(get(block, 'name'));
  if (!CODE_RESULT.test(type)) return;
  for (const output of asArray(get(get(block, 'content'), 'content'))) {
    seen.addObject('file', get(output, 'file_id'));
  }
}

/** Anthropic's errors have a `type` and no code. */
function setError(error: unknown, seen: Findings): void {
  seen.setError(get(error, 'type'), get(error, 'message'));
}

/**
 * `input_tokens` counts fresh tokens only; what was read from and written to the cache is added.
 * Rounds of compaction are listed in `iterations` and not part of the top level, but billed.
 */
function readAnthropicUsage(usage: JsonRecord): Usage | null {
  const rounds = asArray(usage['iterations']).filter((round) => get(round, 'type') === 'compaction');
  const total = (key: string): number | undefined =>
    sumCounts(asCount(usage[key]), ...rounds.map((round) => asCount(get(round, key))));
  const fresh = total('input_tokens');
  const cacheRead = total('cache_read_input_tokens');
  const cacheWritten = total('cache_creation_input_tokens');
  const terms = asRecord(usage['cache_creation']);
  const oneHour = asCount(terms?.['ephemeral_1h_input_tokens']);
  const fiveMinutes = asCount(terms?.['ephemeral_5m_input_tokens']);
  return usageOf({
    inputTokens: sumCounts(fresh, cacheRead, cacheWritten ?? sumCounts(fiveMinutes, oneHour)),
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWritten === undefined ? fiveMinutes : Math.max(0, cacheWritten - (oneHour ?? 0)),
    cacheWrite1hTokens: oneHour,
    outputTokens: total('output_tokens'),
    reasoningTokens: asCount(get(usage['output_tokens_details'], 'thinking_tokens')),
    webSearches: asCount(get(usage['server_tool_use'], 'web_search_requests')),
  });
}

/** `count_tokens`: a count, which uses nothing; only errors and completeness are of interest. */
export const anthropicCountTokens: FormatReader = {
  ...anthropicMessages,
  answerKeys: ['error', 'type'],
  readUsage: () => null,
};
