/**
 * Puts originals back where a model wrote placeholders. What counts as one: `<EMAIL_7f3a9c21b0aa>` in letters of
 * either case, with its brackets written as `<>`, `\u003c…\u003e`, `&lt;…&gt;` or `%3C…%3E`, or without them. Not
 * undone: any other change of its letters (blanks, `\_`, a translation, a cut), and escapes of text around an
 * original that has signs of its own; only behind `\u003c` and `%3C` is the original written with their escapes.
 */
import type { PlaceholderScope } from './placeholders.ts';

const PLACEHOLDER =
  /(?:(<|\\u003c|&lt;|%3c)|(?<![A-Za-z0-9_]))([A-Za-z][A-Za-z0-9_]{0,79}_(?:[0-9a-f]{24}|[0-9a-f]{12}))(?![A-Za-z0-9_])(>|\\u003e|&gt;|%3e)?/gi;

/** The text with every placeholder of this scope resolved; others stay. Linear in the text. */
export function restore(text: string, scope: PlaceholderScope): string {
  if (scope.isEmpty || !text.includes('_')) return text;
  PLACEHOLDER.lastIndex = 0;
  return text.replace(
    PLACEHOLDER,
    (whole: string, open: string | undefined, id: string, close: string | undefined) => {
      const value = scope.resolve(id);
      if (value === null) return whole;
      const isPair = open !== undefined && close !== undefined;
      return isPair ? escapedLike(open, value) : (open ?? '') + value + (close ?? '');
    },
  );
}

/** The original as the text around it is written, as far as the bracket tells. */
function escapedLike(bracket: string, value: string): string {
  if (bracket.startsWith('\\')) return JSON.stringify(value).slice(1, -1);
  return bracket.startsWith('%') ? encodeURIComponent(value.toWellFormed()) : value;
}

/** Longest piece of a placeholder that a stream can end with, brackets included. */
const TAIL_MAX = 80 + 1 + 24 + 6 + 6;
/** A label with what is there of its digits, between brackets that may be begun; or a begun bracket alone. */
const TAIL =
  /(?:(?:(?:<|\\u003c|&lt;|%3c)|(?<![A-Za-z0-9_]))([A-Za-z][A-Za-z0-9_]{0,104})(?:\\(?:u(?:0(?:0(?:3e?)?)?)?)?|&(?:g(?:t)?)?|%3?)?|<|\\(?:u(?:0(?:0(?:3c?)?)?)?)?|&(?:l(?:t;?)?)?|%(?:3c?)?)$/i;

/** Offset from which a text's end could be the beginning of a placeholder of this scope; its length if it is none. */
export function placeholderTail(text: string, scope: PlaceholderScope): number {
  if (scope.isEmpty) return text.length;
  const from = Math.max(0, text.length - TAIL_MAX);
  const found = TAIL.exec(text.slice(from));
  if (found === null) return text.length;
  const [, word] = found;
  return word === undefined || couldBegin(word, scope) ? from + found.index : text.length;
}

function couldBegin(word: string, scope: PlaceholderScope): boolean {
  const upper = word.toUpperCase();
  return scope.labels().some((label) => {
    const head = `${label}_`;
    if (upper.length <= head.length) return head.startsWith(upper);
    return upper.startsWith(head) && /^[0-9A-F]{0,24}$/.test(upper.slice(head.length));
  });
}
