/**
 * How far a match of a custom pattern can reach, read from its source (RE2 syntax): so that a stream is held
 * back no longer than a match could still be coming. What is not understood counts as unbounded.
 */

export interface PatternReach {
  /** Most UTF-16 units of a match that is caught across the pieces of a stream, at most `REACH_MAX`. */
  readonly maxLength: number;
  /** False where matches may be longer: those are caught only within `REACH_MAX`. */
  readonly isBounded: boolean;
  /** Letters that every match begins with, with their case; may be ''. */
  readonly prefix: string;
}

/** Window of a stream in which matches of a pattern without a bound are caught. */
export const REACH_MAX = 512;

/** The reach of a pattern; total. */
export function patternReach(source: string): PatternReach {
  const length = measure(source);
  const isBounded = length !== null && length <= REACH_MAX;
  return { maxLength: isBounded ? Math.max(1, length) : REACH_MAX, isBounded, prefix: literalPrefix(source) };
}

/** Letters at the beginning that no operator concerns. */
function literalPrefix(source: string): string {
  if (hasTopLevelChoice(source)) return '';
  const literal = /^[A-Za-z0-9 _:@/#-]*/.exec(source)?.[0] ?? '';
  // An operator behind the last letter makes that letter optional or repeated.
  return /^[?*+{]/.test(source.slice(literal.length)) ? literal.slice(0, -1) : literal;
}

function hasTopLevelChoice(source: string): boolean {
  let depth = 0;
  for (let at = 0; at < source.length; at += 1) {
    switch (source.charAt(at)) {
      case '\\':
        // `\Q…\E` quotes anything.
        if (source.charAt(at + 1) === 'Q') return true;
        at += 1;
        break;
      case '[':
        at = classEnd(source, at) - 1;
        break;
      case '(':
        depth += 1;
        break;
      case ')':
        depth -= 1;
        break;
      case '|':
        if (depth === 0) return true;
        break;
      default:
    }
  }
  return false;
}

/** Offset after a character class that begins at `start`. */
function classEnd(source: string, start: number): number {
  let at = source.charAt(start + 1) === '^' ? start + 2 : start + 1;
  if (source.charAt(at) === ']') at += 1;
  for (; at < source.length; at += 1) {
    const sign = source.charAt(at);
    if (sign === '\\') at += 1;
    else if (sign === '[' && source.charAt(at + 1) === ':')
      at = Math.max(at, source.indexOf(':]', at + 2) + 1);
    else if (sign === ']') return at + 1;
  }
  return source.length;
}

interface Reader {
  at: number;
}

/** Longest match in UTF-16 units; null if unbounded or not understood. */
function measure(source: string): number | null {
  if (source.includes('\\Q') || source.includes('\\C')) return null;
  const reader: Reader = { at: 0 };
  const length = readChoice(source, reader, 0);
  return reader.at === source.length ? length : null;
}

const DEPTH_MAX = 50;

function readChoice(source: string, reader: Reader, depth: number): number | null {
  let longest = 0;
  for (;;) {
    const branch = readSequence(source, reader, depth);
    if (branch === null) return null;
    longest = Math.max(longest, branch);
    if (source.charAt(reader.at) !== '|') return longest;
    reader.at += 1;
  }
}

function readSequence(source: string, reader: Reader, depth: number): number | null {
  let total = 0;
  while (reader.at < source.length && source.charAt(reader.at) !== '|' && source.charAt(reader.at) !== ')') {
    const atom = readAtom(source, reader, depth);
    if (atom === null) return null;
    const times = readTimes(source, reader);
    if (times === null && atom > 0) return null;
    total += atom * (times ?? 0);
    if (total > REACH_MAX) return null;
  }
  return total;
}

function readAtom(source: string, reader: Reader, depth: number): number | null {
  const sign = source.charAt(reader.at);
  if (sign === '(') return depth >= DEPTH_MAX ? null : readGroup(source, reader, depth);
  if (sign === '[') {
    reader.at = classEnd(source, reader.at);
    return 2;
  }
  if (sign === '\\') return readEscape(source, reader);
  reader.at += 1;
  if (sign === '^' || sign === '$') return 0;
  // A point or a letter beyond ASCII may take two units.
  return sign === '.' || sign > '\u007f' ? 2 : 1;
}

function readGroup(source: string, reader: Reader, depth: number): number | null {
  const head = /^\((?:\?(?:P?<\w+>|[imsU-]*:|[imsU-]+(?=\))))?/.exec(source.slice(reader.at, reader.at + 80));
  if (head === null) return null;
  reader.at += head[0].length;
  const inner = readChoice(source, reader, depth + 1);
  if (inner === null || source.charAt(reader.at) !== ')') return null;
  reader.at += 1;
  return inner;
}

function readEscape(source: string, reader: Reader): number {
  const escape =
    /^\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[pP]\{\^?\w+\}|[pP]\w|[0-7]{1,3}|[\s\S])/.exec(
      source.slice(reader.at, reader.at + 80),
    )?.[0] ?? '\\';
  reader.at += escape.length;
  if (/^\\[bBAzZ]$/.test(escape)) return 0;
  return /^\\[dws]$|^\\[^\w]$/.test(escape) ? 1 : 2;
}

/** How often an atom may come; null for without end. */
function readTimes(source: string, reader: Reader): number | null {
  const operator = /^(?:[*+?]|\{(\d{1,4})(,(\d{0,4}))?\})\??/.exec(source.slice(reader.at, reader.at + 16));
  if (operator === null) return 1;
  reader.at += operator[0].length;
  const [whole, least, range, most] = operator;
  if (whole.startsWith('?')) return 1;
  if (least === undefined) return null;
  if (range === undefined) return Number(least);
  return most === undefined || most === '' ? null : Number(most);
}
