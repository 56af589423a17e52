/** HuJSON (JSON with comments and trailing commas) as an editor needs it: read whole, and where a position is. */

/** The same text as JSON, each character in its place: comments and trailing commas become spaces. */
export function plainJson(text: string): string {
  const out = [...text.matchAll(TOKEN)].map(([token]) =>
    token.startsWith('//') || token.startsWith('/*') ? token.replaceAll(/[^\n]/g, ' ') : token,
  );
  return withoutTrailingCommas(out);
}

/** Strings, comments, words, or one other character; a string that is not closed ends with its line. */
const TOKEN = /"(?:[^"\\\n]|\\.)*"?|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|[\w.+-]+|[\s\S]/g;

function withoutTrailingCommas(tokens: readonly string[]): string {
  const out = [...tokens];
  let comma = -1;
  for (const [index, token] of out.entries()) {
    if (token === ',') comma = index;
    else if ((token === '}' || token === ']') && comma >= 0) {
      out[comma] = ' ';
      comma = -1;
    } else if (token.trim() !== '') comma = -1;
  }
  return out.join('');
}

/** The document as a value; null where it does not parse, which the server's check says better. */
export function readDocument(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(plainJson(text));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Entries of an object; none of anything else. */
export function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return isRecord(value) ? Object.entries(value) : [];
}

/** Items of an array; none of anything else. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Strings of an array, or the one string. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return itemsOf(value).filter((item) => typeof item === 'string');
}

export function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Where in the document a position stands. */
export interface Place {
  /** Keys and indexes of what holds the position; for a value, its own as well. */
  readonly path: readonly (string | number)[];
  readonly role: 'key' | 'value' | 'none';
  /** Where the word or string at the position begins, its quote included. */
  readonly from: number;
  /** Keys of the object before the position. */
  readonly siblings: readonly string[];
}

interface Frame {
  readonly isArray: boolean;
  key: string | null;
  index: number;
  /** Set once the colon of the key was read. */
  hasColon: boolean;
  readonly keys: string[];
}

/** Reads up to the position only, so that what is half written after it does no harm. */
export function placeAt(text: string, offset: number): Place {
  const stack: Frame[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    if (match.index >= offset) break;
    const end = match.index + token.length;
    if (token.startsWith('//') || token.startsWith('/*')) {
      if (end > offset || (end === offset && token.startsWith('//'))) return nowhere(offset);
      continue;
    }
    const isWord = /^["\w.+-]/.test(token);
    if (isWord && (end > offset || (end === offset && !isClosed(token)))) return placeOf(stack, match.index);
    read(stack, token);
  }
  const top = stack.at(-1);
  const isAfterKey = top !== undefined && top.key !== null && !top.hasColon;
  return isAfterKey ? nowhere(offset) : placeOf(stack, offset);
}

function nowhere(from: number): Place {
  return { path: [], role: 'none', from, siblings: [] };
}

function isClosed(token: string): boolean {
  return token.length > 1 && token.endsWith('"') && !/(?:^|[^\\])(?:\\\\)*\\"$/.test(token);
}

function read(stack: Frame[], token: string): void {
  const top = stack.at(-1);
  if (token === '{' || token === '[')
    stack.push({ isArray: token === '[', key: null, index: 0, hasColon: false, keys: [] });
  else if (token === '}' || token === ']') stack.pop();
  else if (top === undefined) return;
  else if (token === ',') {
    top.index += 1;
    top.key = null;
    top.hasColon = false;
  } else if (token === ':') top.hasColon = true;
  else if (token.startsWith('"') && !top.isArray && !top.hasColon) {
    top.key = token.slice(1, isClosed(token) ? -1 : undefined);
    top.keys.push(top.key);
  }
}

function placeOf(stack: readonly Frame[], from: number): Place {
  const top = stack.at(-1);
  if (top === undefined) return nowhere(from);
  const path = stack.flatMap((frame): (string | number)[] =>
    frame.isArray ? [frame.index] : frame.key === null ? [] : [frame.key],
  );
  if (top.isArray || top.hasColon) return { path, role: 'value', from, siblings: [] };
  return { path, role: 'key', from, siblings: top.keys };
}
