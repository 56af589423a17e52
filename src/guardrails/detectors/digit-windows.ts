/**
 * Where a text has numbers: all detectors of accounts and ids look only there, so that text without
 * numbers costs one pass.
 */
import { SCAN_STEP_CHARS, type Scan } from '../../llm/scan.ts';

export interface DigitWindow {
  readonly start: number;
  readonly end: number;
  /** Matches that begin from here on belong to the next window, which overlaps this one. */
  readonly ownEnd: number;
}

/** Digits of the shortest number that a detector knows: a national insurance number has six. */
const DIGITS_MIN = 6;
/** Signs between two digits of one account: `GB82 WEST 1234` has six, Maltese accounts eight. */
const GAP_MAX = 8;
/** Letters of an account before its first digit and behind its last: `RSSMRA85…` has six. */
const MARGIN = 8;

/** Longer stretches are cut, so that no look at one takes long. */
const WINDOW_MAX = 16_384;
/** What a cut stretch sees of the next one: more than the longest way of writing any number. */
const OVERLAP = 256;

/** Stretches with six digits or more, no two of them further apart than an account has them, with a margin. */
export function* scanDigitWindows(text: string): Scan<readonly DigitWindow[]> {
  const windows: DigitWindow[] = [];
  let first = -1;
  let last = -1;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (at % PASS_STEP_CHARS === PASS_STEP_CHARS - 1) yield;
    const code = text.charCodeAt(at);
    if (code > 0x39 || code < 0x30) continue;
    if (first >= 0 && at - last > GAP_MAX + 1) {
      if (count >= DIGITS_MIN) addWindows(windows, text, first, last);
      first = -1;
      count = 0;
    }
    if (first < 0) first = at;
    last = at;
    count += 1;
  }
  if (first >= 0 && count >= DIGITS_MIN) addWindows(windows, text, first, last);
  return windows;
}

/** Characters between two pauses of the pass that only looks for digits. */
const PASS_STEP_CHARS = 65_536;

function addWindows(windows: DigitWindow[], text: string, first: number, last: number): void {
  const end = Math.min(text.length, last + 1 + MARGIN);
  let start = Math.max(0, first - MARGIN);
  for (; end - start > WINDOW_MAX + OVERLAP; start += WINDOW_MAX) {
    const ownEnd = start + WINDOW_MAX;
    windows.push({ start, end: ownEnd + OVERLAP, ownEnd });
  }
  windows.push({ start, end, ownEnd: end });
}

/** A match of a pattern in a text. */
export interface WindowMatch {
  readonly start: number;
  readonly value: string;
}

/**
 * All matches of a sticky-free global pattern within the windows of a text. Look-behind and look-ahead see
 * the text around a window. Every quantifier of the pattern must be bounded.
 */
export function* scanMatches(
  text: string,
  windows: readonly DigitWindow[],
  pattern: RegExp,
): Scan<WindowMatch[]> {
  const found: WindowMatch[] = [];
  let looked = 0;
  for (const { start, end, ownEnd } of windows) {
    looked += end - start;
    if (looked > SCAN_STEP_CHARS) {
      yield;
      looked = 0;
    }
    const from = Math.max(0, start - 1);
    const slice = text.slice(from, end + 1);
    // What stands before a window is only looked back at.
    pattern.lastIndex = start - from;
    for (let match = pattern.exec(slice); match !== null; match = pattern.exec(slice)) {
      if (from + match.index < ownEnd || ownEnd === end)
        found.push({ start: from + match.index, value: match[0] });
      if (match[0] === '') pattern.lastIndex += 1;
    }
  }
  return found;
}

/** Matches between two pauses where each is looked at. */
const MATCHES_STEP = 512;

/** What becomes of each match. */
export function* scanEach<Found>(
  matches: readonly WindowMatch[],
  find: (match: WindowMatch) => readonly Found[],
): Scan<Found[]> {
  const found: Found[] = [];
  for (const [at, match] of matches.entries()) {
    if (at % MATCHES_STEP === MATCHES_STEP - 1) yield;
    for (const one of find(match)) found.push(one);
  }
  return found;
}
