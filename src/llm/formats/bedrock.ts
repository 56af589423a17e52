/**
 * Bedrock Runtime: Converse and InvokeModel, whole answers and event streams. Source: Amazon
 * Bedrock API reference, "ConverseStream" and "InvokeModelWithResponseStream". A Converse stream
 * ends with the `metadata` event, which has the usage; an InvokeModel stream wraps the model's own
 * events, base64-coded, and adds invocation metrics to the last one.
 */
import type { Usage } from '../usage.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { keyNeedle } from './byte-search.ts';
import { parseEvent } from './event-type.ts';
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

/** One message of an AWS event stream, as far as a meter needs it. */
export interface Frame {
  /** `event`, `exception` or `error` (header `:message-type`). */
  readonly messageType: string;
  /** Header `:event-type`, or of an exception `:exception-type`. */
  readonly type: string;
  readonly payload: Buffer;
}

/** A format that comes in frames. */
export interface FrameReader extends FormatReader {
  frame(frame: Frame, seen: Findings): void;
}

const TEXT = new KeyScan({ watched: [], counted: ['text', 'input'] });
const METRICS = 'amazon-bedrock-invocationMetrics';

function parsePayload(payload: Buffer): JsonRecord | null {
  return parseEvent({ name: '', data: payload });
}

/** An exception or error frame; whether the frame was one. */
function readException(frame: Frame, seen: Findings): boolean {
  if (frame.messageType === 'event') return false;
  seen.setError(frame.type, get(parsePayload(frame.payload), 'message'));
  return true;
}

export const bedrockConverse: FrameReader = {
  answerKeys: ['output', 'stopReason', 'usage', 'message'],
  usageKey: keyNeedle('usage'),
  largeEnd: null,

  frame(frame: Frame, seen: Findings): void {
    if (readException(frame, seen)) return;
    switch (frame.type) {
      case 'contentBlockDelta':
        seen.outputChars += TEXT.scan(frame.payload).chars;
        return;
      case 'contentBlockStart':
        seen.addToolCall(get(get(get(parsePayload(frame.payload), 'start'), 'toolUse'), 'name'));
        return;
      case 'messageStop':
        seen.setStopReason(get(parsePayload(frame.payload), 'stopReason'));
        return;
      case 'metadata':
        seen.complete = true;
        seen.addUsage(get(parsePayload(frame.payload), 'usage'));
        return;
      default:
        return;
    }
  },

  event(): void {
    // Converse never answers with server-sent events.
  },

  answer(answer: JsonRecord, seen: Findings): void {
    seen.setStopReason(answer['stopReason']);
    seen.addUsage(answer['usage']);
    if (answer['output'] === undefined && answer['message'] !== undefined)
      seen.setError(null, answer['message']);
    for (const block of asArray(get(get(answer['output'], 'message'), 'content'))) {
      seen.addToolCall(get(get(block, 'toolUse'), 'name'));
      seen.outputChars += textLength(get(block, 'text'));
      const input = get(get(block, 'toolUse'), 'input');
      if (input !== undefined) seen.outputChars += JSON.stringify(input).length;
    }
  },

  readUsage: readConverseUsage,
};

/** As with Anthropic, `inputTokens` counts neither cache reads nor writes. */
function readConverseUsage(usage: JsonRecord): Usage | null {
  const read = asCount(usage['cacheReadInputTokens']) ?? asCount(usage['cacheReadInputTokenCount']);
  const written = asCount(usage['cacheWriteInputTokens']) ?? asCount(usage['cacheWriteInputTokenCount']);
  const longTerm = asArray(usage['cacheDetails']).filter((detail) => get(detail, 'ttl') === '1h');
  const oneHour = sumCounts(...longTerm.map((detail) => asCount(get(detail, 'inputTokens'))));
  return usageOf({
    inputTokens: sumCounts(asCount(usage['inputTokens']), read, written),
    cacheReadTokens: read,
    cacheWriteTokens: written === undefined ? undefined : Math.max(0, written - (oneHour ?? 0)),
    cacheWrite1hTokens: oneHour,
    outputTokens: asCount(usage['outputTokens']),
  });
}

/** InvokeModel: the body is the model's own format, in practice Anthropic's or Nova's. */
export const bedrockInvoke: FrameReader = {
  ...anthropicMessages,
  answerKeys: [...anthropicMessages.answerKeys, 'output', 'stopReason', 'message'],

  frame(frame: Frame, seen: Findings): void {
    if (readException(frame, seen)) return;
    const encoded = get(parsePayload(frame.payload), 'bytes');
    if (typeof encoded !== 'string') return;
    const data = Buffer.from(encoded, 'base64');
    const event = { name: '', data };
    anthropicMessages.event(event, seen);
    if (!data.includes(METRICS)) return;
    // The last event of every model; for Anthropic's the usage is already known in more detail.
    seen.complete = true;
    const metrics = asRecord(parseEvent(event)?.[METRICS]);
    seen.addUsage({
      metricsInput: metrics?.['inputTokenCount'],
      metricsOutput: metrics?.['outputTokenCount'],
      cacheReadInputTokens: metrics?.['cacheReadInputTokenCount'],
      cacheWriteInputTokens: metrics?.['cacheWriteInputTokenCount'],
    });
  },

  answer(answer: JsonRecord, seen: Findings): void {
    const output = asRecord(answer['output']);
    if (output !== null || typeof answer['message'] === 'string') bedrockConverse.answer(answer, seen);
    else anthropicMessages.answer(answer, seen);
  },

  readUsage: readInvokeUsage,
};

function readInvokeUsage(usage: JsonRecord): Usage | null {
  if (asCount(usage['input_tokens']) !== undefined) return anthropicMessages.readUsage(usage);
  return readConverseUsage({
    ...usage,
    inputTokens: usage['inputTokens'] ?? usage['metricsInput'],
    outputTokens: usage['outputTokens'] ?? usage['metricsOutput'],
  });
}
