/** Changes single values in JSON text and leaves every other byte. */
import { scanJsonArray, scanJsonObject, type JsonSpan } from '../../../wire/json-scan.ts';

/** Bytes from `start` to `end`, exclusive, become `text`. */
export interface SpanEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The bytes with all edits made. They must not overlap; of several at one place the first given stands first. */
export function applyEdits(bytes: Buffer, edits: readonly SpanEdit[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(bytes.subarray(at, edit.start), Buffer.from(edit.text, 'utf8'));
    at = edit.end;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

/**
 * Where the value at a path lies; null if there is none. For JSON without repeated keys. Throws
 * `JsonScanError` for what is no JSON.
 */
export function findSpan(bytes: Buffer, path: readonly (string | number)[]): JsonSpan | null {
  let span: JsonSpan = { start: 0, end: bytes.length };
  for (const step of path) {
    const next = typeof step === 'number' ? elementSpan(bytes, span, step) : memberSpan(bytes, span, step);
    if (next === null) return null;
    span = next;
  }
  return span;
}

function elementSpan(bytes: Buffer, span: JsonSpan, index: number): JsonSpan | null {
  return firstByte(bytes, span) === 0x5b ? (scanJsonArray(bytes, span.start)[index] ?? null) : null;
}

function memberSpan(bytes: Buffer, span: JsonSpan, key: string): JsonSpan | null {
  if (firstByte(bytes, span) !== 0x7b) return null;
  const member = scanJsonObject(bytes, span.start).find((candidate) => candidate.key === key);
  return member === undefined ? null : { start: member.valueStart, end: member.valueEnd };
}

function firstByte(bytes: Buffer, { start, end }: JsonSpan): number | undefined {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte > 0x20) return byte;
  }
  return undefined;
}

/** The JSON text at a span. */
export function textAt(bytes: Buffer, { start, end }: JsonSpan): string {
  return bytes.toString('utf8', start, end);
}
