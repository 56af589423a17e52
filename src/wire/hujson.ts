/**
 * HuJSON: JSON with `//` and block comments and trailing commas (github.com/tailscale/hujson), read
 * into plain values plus the place of every element, so that a problem can name line and column and
 * an edit can touch one value and leave every comment.
 *
 * Strict otherwise: RFC 8259 strings and numbers, one value, nothing after it. Objects have no
 * prototype, so a member called `__proto__` or `constructor` is just a member. Of repeated members
 * the last wins (as in JSON.parse) and all are reported. A byte order mark at the start is skipped.
 */
import { AppError } from '../base/errors.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
/** Has no prototype. */
export type JsonObject = { [key: string]: JsonValue };
export type JsonPath = readonly (string | number)[];

/** 1-based line and column (in UTF-16 units), 0-based offset. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
}

export interface TextSpan {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface DuplicateMember {
  readonly path: JsonPath;
  readonly line: number;
  readonly column: number;
}

export interface HujsonDocument {
  readonly value: JsonValue;
  /** Where the value at a path begins; null where there is none. */
  positionOf(path: JsonPath): TextPosition | null;
  /** The bytes of the value at a path, as offsets into the text. */
  spanOf(path: JsonPath): TextSpan | null;
  /** The later ones of members that were named before in the same object. */
  readonly duplicates: readonly DuplicateMember[];
}

export interface HujsonLimits {
  /** UTF-16 units. Default 4 Mi. */
  readonly maxLength?: number;
  /** Default 100. */
  readonly maxDepth?: number;
}

/** Text that is not HuJSON, with the place and what was expected there. */
export class HujsonError extends AppError<'hujson_invalid'> {
  readonly line: number;
  readonly column: number;
  readonly expected: string;
  /** The message without the place. */
  readonly fault: string;

  constructor(position: TextPosition, expected: string, got: string) {
    super(
      'hujson_invalid',
      `line ${position.line}, column ${position.column}: expected ${expected}, got ${got}`,
    );
    this.line = position.line;
    this.column = position.column;
    this.expected = expected;
    this.fault = `expected ${expected}, got ${got}`;
  }
}

const DEFAULT_MAX_LENGTH = 4 * 1024 * 1024;
const DEFAULT_MAX_DEPTH = 100;
/** Beyond this the list of repeated members says nothing new. */
const MAX_DUPLICATES = 100;

/** A value with its place; children only for arrays and objects. */
interface Node {
  readonly start: number;
  end: number;
  readonly value: JsonValue;
  readonly items: Node[] | null;
  readonly members: Map<string, Node> | null;
}

/** Reads one HuJSON text. Throws `HujsonError` and nothing else. */
export function parseHujson(text: string, limits: HujsonLimits = {}): HujsonDocument {
  const reader = new HujsonReader(text, limits.maxDepth ?? DEFAULT_MAX_DEPTH);
  const maxLength = limits.maxLength ?? DEFAULT_MAX_LENGTH;
  if (text.length > maxLength) {
    throw new HujsonError(
      { line: 1, column: 1, offset: 0 },
      `at most ${maxLength} characters`,
      `${text.length}`,
    );
  }
  const root = reader.readDocument();
  const find = (path: JsonPath): Node | null => {
    let node: Node | undefined = root;
    for (const part of path) {
      node = typeof part === 'number' ? node.items?.[part] : node.members?.get(part);
      if (node === undefined) return null;
    }
    return node;
  };
  return {
    value: root.value,
    positionOf: (path) => {
      const node = find(path);
      return node === null ? null : reader.positionAt(node.start);
    },
    spanOf: (path) => {
      const node = find(path);
      return node === null ? null : { start: node.start, end: node.end };
    },
    duplicates: reader.duplicates,
  };
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Characters that end a bare word, for messages. */
const WORD = /[A-Za-z0-9_$.+-]+/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** One pass over one text. Recursion is bounded by `maxDepth`. */
class HujsonReader {
  readonly duplicates: DuplicateMember[] = [];
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #path: (string | number)[] = [];
  #at = 0;
  #lineStarts: number[] | null = null;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  readDocument(): Node {
    this.#skipBlank();
    const root = this.#readValue();
    this.#skipBlank();
    if (this.#at < this.#text.length) this.#fail('the end of the text');
    return root;
  }

  positionAt(offset: number): TextPosition {
    const starts = (this.#lineStarts ??= lineStarts(this.#text));
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1, offset };
  }

  #readValue(): Node {
    const start = this.#at;
    switch (this.#text.charAt(start)) {
      case '{':
        return this.#readObject();
      case '[':
        return this.#readArray();
      case '"':
        return this.#leaf(start, this.#readString());
      case 't':
        return this.#readWord('true', true);
      case 'f':
        return this.#readWord('false', false);
      case 'n':
        return this.#readWord('null', null);
      default:
        return this.#readNumber();
    }
  }

  #readObject(): Node {
    const members = new Map<string, Node>();
    const value: JsonObject = Object.create(null);
    const node: Node = { start: this.#at, end: 0, value, items: null, members };
    this.#enter();
    this.#skipBlank();
    while (this.#text[this.#at] !== '}') {
      const keyAt = this.#at;
      if (this.#text[keyAt] !== '"') this.#fail('a member name in double quotes or "}"');
      const key = this.#readString();
      this.#path.push(key);
      if (members.has(key)) this.#noteDuplicate(keyAt);
      this.#skipBlank();
      if (this.#text[this.#at] !== ':') this.#fail('":" after the member name');
      this.#at += 1;
      this.#skipBlank();
      const child = this.#readValue();
      members.set(key, child);
      value[key] = child.value;
      this.#path.pop();
      if (!this.#continues('}')) break;
    }
    this.#leave(node);
    return node;
  }

  #readArray(): Node {
    const items: Node[] = [];
    const value: JsonValue[] = [];
    const node: Node = { start: this.#at, end: 0, value, items, members: null };
    this.#enter();
    this.#skipBlank();
    while (this.#text[this.#at] !== ']') {
      this.#path.push(items.length);
      const child = this.#readValue();
      this.#path.pop();
      items.push(child);
      value.push(child.value);
      if (!this.#continues(']')) break;
    }
    this.#leave(node);
    return node;
  }

  #depth = 0;

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > this.#maxDepth) this.#fail(`at most ${this.#maxDepth} levels of nesting`);
    this.#at += 1;
  }

  #leave(node: Node): void {
    this.#depth -= 1;
    this.#at += 1;
    node.end = this.#at;
  }

  /** After an element: skips a comma; says whether another element may follow. */
  #continues(close: ']' | '}'): boolean {
    this.#skipBlank();
    const next = this.#text[this.#at];
    if (next === close) return false;
    if (next !== ',') this.#fail(`"," or "${close}"`);
    this.#at += 1;
    this.#skipBlank();
    return true;
  }

  #leaf(start: number, value: JsonValue): Node {
    return { start, end: this.#at, value, items: null, members: null };
  }

  #readWord(word: string, value: JsonValue): Node {
    const start = this.#at;
    if (!this.#text.startsWith(word, start)) this.#fail('a value');
    this.#at += word.length;
    return this.#leaf(start, value);
  }

  #readNumber(): Node {
    const start = this.#at;
    NUMBER.lastIndex = start;
    const match = NUMBER.exec(this.#text);
    if (match === null) this.#fail('a value');
    this.#at += match[0].length;
    return this.#leaf(start, Number(match[0]));
  }

  #readString(): string {
    let out = '';
    let from = this.#at + 1;
    let at = from;
    for (;;) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return out + this.#text.slice(from, at);
      }
      if (code === 0x5c) {
        this.#at = at + 1;
        out += this.#text.slice(from, at) + this.#readEscape();
        from = at = this.#at;
        continue;
      }
      if (Number.isNaN(code) || code < 0x20) {
        this.#at = at;
        this.#fail(
          Number.isNaN(code) ? 'a closing double quote' : 'no raw control character inside a string',
        );
      }
      at += 1;
    }
  }

  /** Stands behind the backslash. */
  #readEscape(): string {
    const letter = this.#text[this.#at] ?? '';
    if (letter === 'u') {
      const digits = this.#text.slice(this.#at + 1, this.#at + 5);
      if (!/^[0-9A-Fa-f]{4}$/.test(digits)) this.#fail('four hexadecimal digits after "\\u"');
      this.#at += 5;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const plain = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (plain === undefined) this.#fail('one of " \\ / b f n r t u after a backslash');
    this.#at += 1;
    return plain;
  }

  #skipBlank(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
        this.#at += 1;
      } else if (code === 0x2f && this.#text[this.#at + 1] === '/') {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#text.length : end + 1;
      } else if (code === 0x2f && this.#text[this.#at + 1] === '*') {
        const end = this.#text.indexOf('*/', this.#at + 2);
        if (end < 0) this.#fail('a comment that ends with "*/"');
        this.#at = end + 2;
      } else {
        return;
      }
    }
  }

  #noteDuplicate(offset: number): void {
    if (this.duplicates.length >= MAX_DUPLICATES) return;
    const { line, column } = this.positionAt(offset);
    this.duplicates.push({ path: [...this.#path], line, column });
  }

  #fail(expected: string): never {
    throw new HujsonError(
      this.positionAt(Math.min(this.#at, this.#text.length)),
      expected,
      this.#describeNext(),
    );
  }

  /** What stands at the place, short; never a whole string, which could hold a secret. */
  #describeNext(): string {
    const next = this.#text[this.#at];
    if (next === undefined) return 'the end of the text';
    if (next === '"') return 'a string';
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0];
    if (word !== undefined) return word.length > 16 ? 'a bare word' : `"${word}"`;
    return next < ' ' ? 'a control character' : JSON.stringify(next);
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
