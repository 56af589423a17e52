/** Strings of JSON that stands inside a string. */
import type { JsonSpan } from '../../wire/json-scan.ts';

/** More strings in one nested text are not told apart: it is then one text. */
const NESTED_MAX = 10_000;

/** A string begins, or a number that is long enough to be an account. */
const NEXT = /"|-?\d[\d.eE+-]{6,}/g;

/**
 * The spans of all strings, keys and quotes included, and of numbers with 7 digits and more, in
 * characters; null where the text is no JSON object or list.
 */
export function nestedStrings(text: string): readonly JsonSpan[] | null {
  if (!isJson(text)) return null;
  const spans: JsonSpan[] = [];
  NEXT.lastIndex = 0;
  for (let found = NEXT.exec(text); found !== null; found = NEXT.exec(text)) {
    if (spans.length >= NESTED_MAX) return null;
    const start = found.index;
    const end = found[0] === '"' ? stringEnd(text, start) : start + found[0].length;
    if (end - start > 2) spans.push({ start, end });
    NEXT.lastIndex = end;
  }
  return spans;
}

function isJson(text: string): boolean {
  if (!/^\s{0,64}[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const sign = text.charCodeAt(at);
    if (sign === 0x22) return at + 1;
    if (sign === 0x5c) at += 1;
  }
  return text.length;
}
