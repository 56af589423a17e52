/** Regular expressions of documents, on a linear-time engine: no input can make one hang. */
import { RE2JS } from 're2js';

/** Longest pattern, in characters. */
export const PATTERN_MAX_LENGTH = 1000;

/** A compiled pattern (RE2 syntax: no look-around, no back-references). */
export interface Pattern {
  readonly source: string;
  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean;
  /** Spans of all matches that are not empty, in order, at most `limit`. */
  find(text: string, limit: number): readonly (readonly [start: number, end: number])[];
}

/** The pattern, or in one line what is wrong with it. */
export function compilePattern(source: string): Pattern | string {
  if (source.length === 0 || source.length > PATTERN_MAX_LENGTH)
    return `must have 1 to ${PATTERN_MAX_LENGTH} characters`;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source);
  } catch (error) {
    return `is no RE2 pattern: ${error instanceof Error ? error.message : String(error)}`;
  }
  return {
    source,
    test: (text) => compiled.matcher(text).find(),
    find(text, limit) {
      const spans: [number, number][] = [];
      const matcher = compiled.matcher(text);
      while (spans.length < limit && matcher.find()) {
        if (matcher.end() > matcher.start()) spans.push([matcher.start(), matcher.end()]);
      }
      return spans;
    },
  };
}
