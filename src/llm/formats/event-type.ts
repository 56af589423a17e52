import { JsonScanError, scanJsonDocument } from '../../wire/json-scan.ts';
import type { SseEvent } from '../../wire/sse.ts';
import { asRecord, type JsonRecord } from './findings.ts';

const LEADING_TYPE = Buffer.from('{"type":"');
const QUOTE = 0x22;
/** Longer values are no event type. */
const TYPE_MAX_BYTES = 128;

/**
 * The type of an event of Anthropic's or the Responses API: the `type` at the start of its data,
 * where both put it, else the event's name, else a `type` elsewhere in the data.
 */
export function eventType({ name, data }: SseEvent): string {
  const start = LEADING_TYPE.length;
  if (data.subarray(0, start).equals(LEADING_TYPE)) {
    const end = data.indexOf(QUOTE, start);
    if (end > 0 && end - start <= TYPE_MAX_BYTES) return data.toString('latin1', start, end);
  }
  if (name !== '') return name;
  try {
    const member = scanJsonDocument(data).find(({ key }) => key === 'type');
    const value: unknown =
      member === undefined ? '' : JSON.parse(data.toString('utf8', member.valueStart, member.valueEnd));
    return typeof value === 'string' ? value : '';
  } catch (error) {
    if (error instanceof JsonScanError) return '';
    throw error;
  }
}

/** An event's data as an object; null if it is not one. */
export function parseEvent({ data }: SseEvent): JsonRecord | null {
  try {
    return asRecord(JSON.parse(data.toString('utf8')));
  } catch {
    return null;
  }
}
