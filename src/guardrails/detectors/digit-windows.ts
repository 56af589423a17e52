/**
 * Where a text has numbers: all detectors of accounts and ids look only there, so that text without
 * numbers costs one pass.
 */

export interface DigitWindow {
  readonly start: number;
  readonly end: number;
}

/** Digits of the shortest number that a detector knows: a national insurance number has six. */
const DIGITS_MIN = 6;
/** Signs between two digits of one account: `GB82 WEST 1234` has six, Maltese accounts eight. */
const GAP_MAX = 8;
/** Letters of an account before its first digit and behind its last: `RSSMRA85…` has six. */
const MARGIN = 8;

/** Stretches with six digits or more, no two of them further apart than an account has them, with a margin. */
export function digitWindows(text: string): readonly DigitWindow[] {
  const windows: DigitWindow[] = [];
  let first = -1;
  let last = -1;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0x39 || code < 0x30) continue;
    if (first >= 0 && at - last > GAP_MAX + 1) {
      if (count >= DIGITS_MIN) windows.push(withMargin(text, first, last));
      first = -1;
      count = 0;
    }
    if (first < 0) first = at;
    last = at;
    count += 1;
  }
  if (first >= 0 && count >= DIGITS_MIN) windows.push(withMargin(text, first, last));
  return windows;
}

function withMargin(text: string, first: number, last: number): DigitWindow {
  return { start: Math.max(0, first - MARGIN), end: Math.min(text.length, last + 1 + MARGIN) };
}

/**
 * All matches of a sticky-free global pattern within the windows of a text. Look-behind and look-ahead see
 * the text around a window. Every quantifier of the pattern must be bounded.
 */
export function matchesIn(
  text: string,
  windows: readonly DigitWindow[],
  pattern: RegExp,
): { readonly start: number; readonly value: string }[] {
  const found: { start: number; value: string }[] = [];
  for (const { start, end } of windows) {
    const from = Math.max(0, start - 1);
    const slice = text.slice(from, end + 1);
    pattern.lastIndex = 0;
    for (let match = pattern.exec(slice); match !== null; match = pattern.exec(slice)) {
      found.push({ start: from + match.index, value: match[0] });
      if (match[0] === '') pattern.lastIndex += 1;
    }
  }
  return found;
}
