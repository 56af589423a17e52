import { findLastObject, findValue, keyNeedle, parseValueAt } from './byte-search.ts';
import type { Findings } from './findings.ts';
import type { FormatReader } from './format-reader.ts';
import type { HeadAndTail, HeadAndTailLimits } from './head-and-tail.ts';

/**
 * What is kept of an answer, event or element: up to 1 MiB whole (scanned in about 2 ms), else
 * where ids, and where usage stand.
 */
export const KEPT: HeadAndTailLimits = { wholeMaxBytes: 1 << 20, headBytes: 4_096, tailBytes: 64 << 10 };

const IDS = ['id', 'responseId'].map(keyNeedle);
const MODELS = ['model', 'modelVersion'].map(keyNeedle);

/** Looks for id, model, usage and the end of a stream in the ends of JSON that was too large to keep. */
export function searchEnds(kept: HeadAndTail, reader: FormatReader, seen: Findings): void {
  const head = kept.head();
  const tail = kept.tail();
  for (const bytes of [head, tail]) seen.setIdentity(firstOf(bytes, IDS), firstOf(bytes, MODELS));
  const usageAt = findLastObject(tail, reader.usageKey);
  if (usageAt >= 0) seen.addUsage(parseValueAt(tail, usageAt));
  const ends = reader.largeEnd;
  if (ends !== null && (ends.test(head.toString('latin1')) || ends.test(tail.toString('latin1'))))
    seen.complete = true;
}

function firstOf(json: Buffer, needles: readonly Buffer[]): unknown {
  for (const needle of needles) {
    const at = findValue(json, needle);
    if (at >= 0) return parseValueAt(json, at);
  }
  return null;
}
