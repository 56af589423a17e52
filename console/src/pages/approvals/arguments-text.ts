/**
 * Arguments of a tool call as text that people read and change. JSON is laid out token by token as it
 * was written: a parser would hide a key that comes twice, and round long numbers.
 */
import { visible } from './approval-texts.ts';

/** Deeper than that nobody reads, and a stranger could fill the memory with blanks. */
const DEPTH_MAX = 20;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** JSON over several lines; other text as it is. Hidden characters are written out. */
export function spread(text: string): string {
  if (parsed(text) === undefined) return visible(text);
  let depth = 0;
  const line = (): string => `\n${'  '.repeat(Math.min(depth, DEPTH_MAX))}`;
  const tokens = text.match(TOKEN) ?? [];
  const laidOut = tokens.map((token, index) => {
    const next = tokens[index + 1];
    const before = tokens[index - 1];
    switch (token) {
      case '{':
      case '[':
        if (next === '}' || next === ']') return token;
        depth += 1;
        return token + line();
      case '}':
      case ']':
        if (before === '{' || before === '[') return token;
        depth -= 1;
        return line() + token;
      case ',':
        return token + line();
      case ':':
        return ': ';
      default:
        return token;
    }
  });
  return visible(laidOut.join(''));
}

/** What somebody wrote in place of arguments: nothing new, a value to send, or why it cannot be. */
export type Edit =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'edited'; readonly value: EditedValue }
  | { readonly kind: 'fault'; readonly message: string };

/** What the API takes in place of arguments. */
export type EditedValue = Record<string, unknown> | unknown[] | string;

/** Reads an edit. `original` is what the agent wrote: where it is JSON, an edit must be an object or list of JSON. */
export function editOf(text: string, before: string, original: string): Edit {
  if (text === before) return { kind: 'unchanged' };
  if (parsed(original) === undefined) return { kind: 'edited', value: text };
  const value = parsed(text);
  if (typeof value !== 'object' || value === null)
    return {
      kind: 'fault',
      message: 'This must be JSON, as before: look at its quotes, commas and brackets.',
    };
  const long = (text.match(TOKEN) ?? []).find(
    (token) => /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)),
  );
  if (long !== undefined)
    return {
      kind: 'fault',
      message: `${long} has too many digits to be sent exactly: write it as text, or deny.`,
    };
  return { kind: 'edited', value: Array.isArray(value) ? value : { ...value } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
