/**
 * OpenAI Responses. Source: OpenAI API reference, "Streaming events" of Responses. A stream ends
 * with `response.completed`, `response.incomplete` or `response.failed`, each with the whole
 * response and its usage.
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
  textLength,
  usageOf,
  type Findings,
  type JsonRecord,
} from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import { KeyScan } from './key-scan.ts';

const DELTA = new KeyScan({ watched: [], counted: ['delta'] });
const FINAL_EVENTS: ReadonlySet<string> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
]);
/** Output items that are calls of tools, by the provider or the caller. */
const CALL_TYPE = /^[a-z_]{1,64}_call$/;

export const openaiResponses: FormatReader = {
  answerKeys: ['id', 'object', 'model', 'status', 'output', 'usage', 'error', 'incomplete_details'],
  usageKey: keyNeedle('usage'),
  largeEnd: /"type"\s*:\s*"response\.(?:completed|incomplete|failed|cancelled)"/,

  event(event: SseEvent, seen: Findings): void {
    const type = eventType(event);
    if (type.endsWith('.delta')) {
      seen.outputChars += DELTA.scan(event.data).chars;
      return;
    }
    if (FINAL_EVENTS.has(type)) {
      seen.complete = true;
      readResponse(get(parseEvent(event), 'response'), seen);
    } else if (type === 'response.created') {
      const response = get(parseEvent(event), 'response');
      seen.setIdentity(get(response, 'id'), get(response, 'model'));
    } else if (type === 'response.output_item.added') {
      readCall(get(parseEvent(event), 'item'), seen);
    } else if (type === 'error') {
      const failure = parseEvent(event);
      if (asRecord(failure?.['error']) === null) seen.setError(failure?.['code'], failure?.['message']);
      else seen.setErrorFrom(failure?.['error']);
    }
  },

  answer(answer: JsonRecord, seen: Findings): void {
    readResponse(answer, seen);
    for (const item of asArray(answer['output'])) {
      readCall(item, seen);
      seen.outputChars += textLength(get(item, 'arguments')) + textLength(get(item, 'input'));
      for (const part of asArray(get(item, 'content'))) seen.outputChars += textLength(get(part, 'text'));
    }
  },

  readUsage: readResponsesUsage,
};

function readResponse(response: unknown, seen: Findings): void {
  const found = asRecord(response);
  if (found === null) return;
  seen.setIdentity(found['id'], found['model']);
  seen.addUsage(found['usage']);
  seen.setErrorFrom(found['error']);
  seen.setStopReason(get(found['incomplete_details'], 'reason') ?? found['status']);
  // Searches are billed by count and stand in the output, not in `usage`.
  readKept(found, seen);
  const searches = asArray(found['output']).filter(isWebSearch).length;
  if (searches > 0) seen.addUsage({ web_searches: searches });
}

/** Items are kept with their response and can be taken up by id; tools of the provider run in containers. */
function readKept(response: JsonRecord, seen: Findings): void {
  const { object } = response;
  if (object === 'response' || object === 'conversation' || object === 'container')
    seen.addObject(object, response['id']);
  for (const item of asArray(response['output'])) {
    seen.addObject('item', get(item, 'id'));
    const type = get(item, 'type');
    if (type === 'code_interpreter_call' || type === 'shell_call') {
      seen.addObject('container', get(item, 'container_id'));
      seen.addObject('container', get(get(item, 'environment'), 'container_id'));
    }
  }
}

/** `open_page` and `find_in_page` are steps of a search that are not billed. */
function isWebSearch(item: unknown): boolean {
  const action = get(get(item, 'action'), 'type');
  return get(item, 'type') === 'web_search_call' && (action === undefined || action === 'search');
}

function readCall(item: unknown, seen: Findings): void {
  const type = get(item, 'type');
  if (typeof type !== 'string' || !CALL_TYPE.test(type)) return;
  seen.addToolCall(get(item, 'name') ?? type.replace(/_call$/, ''));
}

function readResponsesUsage(usage: JsonRecord): Usage | null {
  const input = asRecord(usage['input_tokens_details']);
  const output = asRecord(usage['output_tokens_details']);
  return usageOf({
    inputTokens: asCount(usage['input_tokens']),
    cacheReadTokens: asCount(input?.['cached_tokens']),
    cacheWriteTokens: asCount(input?.['cache_write_tokens']),
    outputTokens: asCount(usage['output_tokens']),
    reasoningTokens: asCount(output?.['reasoning_tokens']),
    inputAudioTokens: asCount(input?.['audio_tokens']),
    outputAudioTokens: asCount(output?.['audio_tokens']),
    inputImageTokens: asCount(input?.['image_tokens']),
    outputImageTokens: asCount(output?.['image_tokens']),
    webSearches: asCount(usage['web_searches']),
  });
}
