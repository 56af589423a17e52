/**
 * Patterns over `provider/model` (and over connector names): `*` stands for any characters within one
 * segment, `**` for any characters at all; everything else is itself. Matching takes time in
 * proportion to pattern times text, whatever both are: patterns come from tokens, texts from callers.
 */

export interface Glob {
  readonly pattern: string;
  /** Without a wildcard: it matches exactly itself. */
  readonly literal: boolean;
  /** It matches everything (`**`). */
  readonly any: boolean;
  test(text: string): boolean;
}

/** Longer patterns are refused; model ids have under 200 characters. */
export const PATTERN_MAX_LENGTH = 256;
/** Longer texts match nothing but `**`. */
const TEXT_MAX_LENGTH = 1024;
/** Wildcards of other dialects; a pattern with one of them would silently match nothing. */
const FOREIGN = /[[\]{}?\\!\s]/;

/** Why a text is no pattern, in words that end a sentence; null if it is one. */
export function patternFault(pattern: string): string | null {
  if (pattern === '') return 'is empty';
  if (pattern.length > PATTERN_MAX_LENGTH) return `has more than ${PATTERN_MAX_LENGTH} characters`;
  const foreign = FOREIGN.exec(pattern);
  if (foreign !== null) return `contains ${JSON.stringify(foreign[0])}; only "*" and "**" are wildcards`;
  return null;
}

/** A matcher for a pattern; one with a fault (`patternFault`) matches nothing. */
export function compileGlob(pattern: string): Glob {
  const literal = !pattern.includes('*');
  const any = pattern === '**' || pattern === '**/**';
  if (patternFault(pattern) !== null) return { pattern, literal: false, any: false, test: () => false };
  if (literal) return { pattern, literal, any, test: (text) => text === pattern };
  if (pattern === '**') return { pattern, literal, any, test: () => true };
  const tokens = tokenise(pattern);
  return { pattern, literal, any, test: (text) => text.length <= TEXT_MAX_LENGTH && matches(tokens, text) };
}

/** Whether one of the globs matches. */
export function matchesAny(globs: readonly Glob[], text: string): boolean {
  for (const glob of globs) if (glob.test(text)) return true;
  return false;
}

/** One character, or -1 for `*`, or -2 for `**`. */
type Token = number;
const SEGMENT: Token = -1;
const ANY: Token = -2;
const SLASH = 0x2f;

function tokenise(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    if (pattern[at] !== '*') {
      tokens.push(pattern.charCodeAt(at));
      continue;
    }
    const double = pattern[at + 1] === '*';
    if (double) at += 1;
    tokens.push(double ? ANY : SEGMENT);
  }
  return tokens;
}

/** Simulates all alternatives at once: `live[i]` says that the first i tokens match what was read. */
function matches(tokens: readonly Token[], text: string): boolean {
  const size = tokens.length;
  let live = new Uint8Array(size + 1);
  live[0] = 1;
  skipWildcards(tokens, live);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const next = new Uint8Array(size + 1);
    let some = false;
    for (let i = 0; i < size; i += 1) {
      if (live[i] !== 1) continue;
      const token = tokens[i];
      if (token === ANY || (token === SEGMENT && code !== SLASH)) {
        next[i] = 1;
        some = true;
      } else if (token === code) {
        next[i + 1] = 1;
        some = true;
      }
    }
    if (!some) return false;
    skipWildcards(tokens, next);
    live = next;
  }
  return live[size] === 1;
}

/** A wildcard may stand for nothing. */
function skipWildcards(tokens: readonly Token[], live: Uint8Array): void {
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (live[i] === 1 && (token === ANY || token === SEGMENT)) live[i + 1] = 1;
  }
}

/** The two halves of `provider/model`, split at the first slash; null if either is missing. */
export function splitModelName(name: string): { readonly provider: string; readonly model: string } | null {
  const slash = name.indexOf('/');
  if (slash <= 0 || slash === name.length - 1) return null;
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
}
