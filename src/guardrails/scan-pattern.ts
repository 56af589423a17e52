/**
 * Custom patterns in long texts, stretch by stretch: exactly what the engine finds in the whole, for patterns
 * whose matches have a bound. Of others, in texts of more than one stretch, what is longer than `UNBOUNDED_REACH`
 * may be missed.
 *
 * A stretch may end where no match is under way and where the pattern cannot tell its beginning from that of a
 * text: anywhere, unless it looks at what stands before a place (`\b`, `^`). Where there is no such place the stretch
 * grows, to the whole text if need be.
 */
import { SCAN_STEP_CHARS, type Scan } from '../llm/scan.ts';
import type { Pattern } from '../policy/pattern.ts';
import type { Detection } from './detection.ts';
import type { PatternReach } from './pattern-reach.ts';

/** Spans of one text that one pattern may find: by then the whole text is to be changed. */
const FOUND_MAX = 1_000;
/** What a stretch sees beyond its own end, for patterns whose matches have no bound. */
export const UNBOUNDED_REACH = 16_384;
/** The engine takes some 80 ns for a character, four times and more what a detector takes. */
const ENGINE_FACTOR = 4;
/** Units behind a match that its end may look at. */
const BORDER = 2;

export interface PatternLook {
  readonly kind: string;
  readonly pattern: Pattern;
  readonly reach: PatternReach;
}

type Span = readonly [start: number, end: number];

/** All finds in a text, in order. */
export function* scanPattern(text: string, look: PatternLook): Scan<readonly Detection[]> {
  const { kind, pattern, reach } = look;
  // The engine is slow; most texts lack even the letters that every match begins with.
  if (reach.prefix !== '' && !text.includes(reach.prefix)) return [];
  const ahead = (reach.isBounded ? reach.maxLength : UNBOUNDED_REACH) + BORDER;
  const mayBegin = beginnings(pattern.source);
  const found: Detection[] = [];
  let at = 0;
  let size = mayBegin === null ? text.length : SCAN_STEP_CHARS;
  while (at < text.length && found.length < FOUND_MAX) {
    const isLast = text.length - at <= size + ahead;
    const end = isLast ? text.length : at + size + ahead;
    const spans = pattern
      .find(text.slice(at, end), FOUND_MAX - found.length)
      .map(([from, to]): Span => [at + from, at + to]);
    const cut =
      isLast || mayBegin === null ? text.length : cutBefore(text, { at, ownEnd: at + size, spans, mayBegin });
    if (cut === null) {
      size *= 2;
      yield (end - at) * ENGINE_FACTOR;
      continue;
    }
    for (const [start, stop] of spans)
      if (start < cut) found.push({ start, end: stop, kind, confidence: 'format' });
    if (isLast) return found;
    at = cut;
    size = SCAN_STEP_CHARS;
    yield (end - at) * ENGINE_FACTOR;
  }
  return found;
}

/** Whether a stretch may begin at a place of a text. */
type MayBegin = (text: string, at: number) => boolean;

/** Null where a beginning within the text would be taken for the text's own. */
function beginnings(source: string): MayBegin | null {
  // Escapes and classes first: what is left of the signs are operators.
  const looksBack = /\\[bB]/.test(source.replace(/\\[^bB]/g, ''));
  const bare = source.replace(/\\[^A]/g, '').replace(/\[\^?\]?[^\]]*\]/g, '');
  if (source.includes('\\Q') || /\\A/.test(bare)) return null;
  if (bare.includes('^')) return /^\(\?[a-z]*m[a-z]*\)/.test(source) ? isLineStart : null;
  return looksBack ? isAfterNoWord : isNoPair;
}

function isNoPair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc_00) !== 0xdc_00;
}

function isAfterNoWord(text: string, at: number): boolean {
  return isNoPair(text, at) && !/\w/.test(text.charAt(at - 1));
}

function isLineStart(text: string, at: number): boolean {
  return text.charAt(at - 1) === '\n';
}

interface CutQuestion {
  readonly at: number;
  readonly ownEnd: number;
  readonly spans: readonly Span[];
  readonly mayBegin: MayBegin;
}

/** The last place at or before `ownEnd` that no match reaches over; null if there is none. */
function cutBefore(text: string, { at, ownEnd, spans, mayBegin }: CutQuestion): number | null {
  let under = spans.length - 1;
  for (let cut = ownEnd; cut > at; cut -= 1) {
    while (under >= 0 && (spans[under]?.[0] ?? 0) >= cut) under -= 1;
    const [, end = 0] = spans[under] ?? [];
    if (end <= cut && mayBegin(text, cut)) return cut;
  }
  return null;
}
