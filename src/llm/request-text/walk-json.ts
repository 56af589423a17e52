/**
 * Walks a JSON body once and lists every string that is text, with its place. The body's grammar has
 * been checked before (`readRequestBody`), so what stands between strings is not checked again.
 */
import { assert } from '../../base/errors.ts';
import type { JsonSpan } from '../../wire/json-scan.ts';
import { nestedStrings } from './nested-json.ts';
import {
  directionOf,
  enterElement,
  enterScope,
  isSigned,
  roleOf,
  rootScope,
  stringRule,
  type Scope,
} from './scope.ts';
import type { RequestTexts, TextDirection, TextEncoding, TextPart, TextRole } from './text-part.ts';

/** More texts than a body of the largest size has that is still a conversation. */
const PARTS_MAX = 262_144;
/** `readRequestBody` takes no deeper body. */
const DEPTH_MAX = 512;

/** Too many texts: the body cannot be governed. */
export const TOO_MANY_TEXTS = 'too_many_texts';

/** The texts of a checked JSON body; `too_many_texts` beyond 262,144. */
export function walkJson(body: Buffer): RequestTexts | typeof TOO_MANY_TEXTS {
  const walk = new JsonWalk(body);
  return walk.run() ? { parts: walk.parts, depth: walk.depth, messages: walk.messages } : TOO_MANY_TEXTS;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

interface Level {
  readonly isObject: boolean;
  readonly scope: Scope;
  /** The member that is being read; '' in a list. */
  name: string;
}

class JsonWalk {
  readonly parts: TextPart[] = [];
  depth = 0;
  messages = 0;
  readonly #body: Buffer;
  readonly #levels: Level[] = [];

  constructor(body: Buffer) {
    this.#body = body;
  }

  /** False if there are too many texts. */
  run(): boolean {
    const body = this.#body;
    for (let at = 0; at < body.length;) {
      const byte = body[at] ?? 0;
      switch (byte) {
        case OPEN_BRACE:
        case OPEN_BRACKET:
          this.#open(byte === OPEN_BRACE);
          at += 1;
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          this.#levels.pop();
          at += 1;
          break;
        case QUOTE: {
          const end = jsonStringEnd(body, at);
          at = this.#string(at, end);
          break;
        }
        default:
          at = byte === MINUS || (byte >= ZERO && byte <= NINE) ? this.#number(at) : this.#other(at, byte);
      }
      if (this.parts.length > PARTS_MAX) return false;
    }
    return true;
  }

  #open(isObject: boolean): void {
    const level = this.#levels.at(-1);
    const scope =
      level === undefined
        ? rootScope()
        : level.isObject
          ? enterScope(level.scope, level.name)
          : enterElement(level.scope);
    assert(this.#levels.length < DEPTH_MAX, 'the body was read before, and is not too deep');
    if (this.#levels.length === 2 && !(level?.isObject ?? true) && MESSAGE_LISTS.has(scope.name))
      this.messages += 1;
    this.#levels.push({ isObject, scope, name: level?.isObject === false ? level.name : '' });
    this.depth = Math.max(this.depth, this.#levels.length);
  }

  /** A key, or a value; gives the offset after it. */
  #string(start: number, end: number): number {
    const level = this.#levels.at(-1);
    if (level === undefined) return end;
    if (level.isObject) {
      const colon = skipSpace(this.#body, end);
      if (this.#body[colon] === COLON) {
        level.name = this.#readKey(level, start, end);
        return colon + 1;
      }
    }
    this.#value(level, start, end);
    return end;
  }

  #readKey(level: Level, start: number, end: number): string {
    const key = decodeString(this.#body, start, end);
    // Names of the API are short words. What is longer, or none, may be the caller's own data.
    if (!PLAIN_KEY.test(key)) this.#add(level.scope, { start, end }, 'json');
    return key;
  }

  #value(level: Level, start: number, end: number): void {
    const { scope } = level;
    const name = level.isObject ? level.name : scope.name;
    if (level.isObject && !scope.isOwn) this.#note(scope, name, start, end);
    switch (stringRule(scope, name)) {
      case 'word':
        if (isWord(this.#body, start, end)) return;
        break;
      case 'data':
        if (isEncoded(this.#body, start, end)) return;
        break;
      case 'address':
        if (isAddress(this.#body, start, end)) return;
        break;
      case 'json':
        if (this.#addNested(scope, start, end)) return;
        break;
      case 'text':
        if (mayBeNested(this.#body, start, end) && directionOf(scope) === 'tool_results') {
          if (this.#addNested(scope, start, end)) return;
        }
        break;
    }
    if (end - start > 2) this.#add(scope, { start, end }, 'json');
  }

  /** Keeps what an object says of itself. */
  #note(scope: Scope, name: string, start: number, end: number): void {
    if (name !== 'type' && name !== 'role') return;
    const value = decodeString(this.#body, start, end);
    if (name === 'type') scope.typeName = value;
    else scope.roleName = value;
  }

  /** The strings within a string of JSON; false where it is none. */
  #addNested(scope: Scope, start: number, end: number): boolean {
    const outer = decodeString(this.#body, start, end);
    const inner = nestedStrings(outer);
    if (inner === null) return false;
    const name = this.#levels.at(-1)?.name ?? '';
    for (const span of inner) {
      this.parts.push(
        new Place({ body: this.#body, scope, name, start, end, encoding: 'nested', inner: span }),
      );
    }
    return true;
  }

  /** A number of the caller's own data, long enough to be an account. */
  #number(start: number): number {
    const body = this.#body;
    let end = start + 1;
    while (end < body.length && isNumberByte(body[end] ?? 0)) end += 1;
    const scope = this.#levels.at(-1)?.scope;
    if (scope?.isOwn === true && end - start >= NUMBER_MIN) this.#add(scope, { start, end }, 'number');
    return end;
  }

  #other(at: number, byte: number): number {
    if (byte === TRUE_START) {
      const level = this.#levels.at(-1);
      if (level?.isObject === true && level.name === 'thought' && !level.scope.isOwn)
        level.scope.isThought = true;
    }
    return at + 1;
  }

  #add(scope: Scope, { start, end }: JsonSpan, encoding: TextEncoding): void {
    const name = this.#levels.at(-1)?.name ?? '';
    this.parts.push(new Place({ body: this.#body, scope, name, start, end, encoding, inner: null }));
  }
}

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const TRUE_START = 0x74;
/** Digits of the shortest account or number that a detector knows. */
const NUMBER_MIN = 7;
const PLAIN_KEY = /^[A-Za-z_$][A-Za-z0-9_$-]{0,18}$/;
const MESSAGE_LISTS: ReadonlySet<string> = new Set(['messages', 'input', 'contents']);

interface PlaceParts extends JsonSpan {
  readonly body: Buffer;
  readonly scope: Scope;
  /** The member that it is the value of. */
  readonly name: string;
  readonly encoding: TextEncoding;
  readonly inner: JsonSpan | null;
}

/** A part whose meaning is looked up when asked: its object may state it after the text. */
class Place implements TextPart {
  readonly start: number;
  readonly end: number;
  readonly encoding: TextEncoding;
  readonly inner: JsonSpan | null;
  readonly #body: Buffer;
  readonly #scope: Scope;
  readonly #name: string;

  constructor({ body, scope, name, start, end, encoding, inner }: PlaceParts) {
    this.start = start;
    this.end = end;
    this.encoding = encoding;
    this.inner = inner;
    this.#body = body;
    this.#scope = scope;
    this.#name = name;
  }

  get direction(): TextDirection {
    return directionOf(this.#scope);
  }

  get role(): TextRole {
    return roleOf(this.#scope, this.#name, this.direction);
  }

  get editable(): boolean {
    return !isSigned(this.#scope);
  }

  text(): string {
    if (this.encoding === 'number') return this.#body.toString('latin1', this.start, this.end);
    const text = decodeString(this.#body, this.start, this.end);
    if (this.inner === null) return text;
    const inner = text.slice(this.inner.start, this.inner.end);
    return inner.startsWith('"') ? String(JSON.parse(inner)) : inner;
  }
}

/** Short strings end here, found byte by byte; a search by the runtime pays only beyond. */
const SHORT_BYTES = 24;

/** The offset after a string's closing quote. The body's grammar has been checked. */
export function jsonStringEnd(body: Buffer, start: number): number {
  const shortEnd = Math.min(body.length, start + SHORT_BYTES);
  let at = start + 1;
  for (; at < shortEnd; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at += 1;
  }
  for (let quote = body.indexOf(QUOTE, at); quote >= 0; quote = body.indexOf(QUOTE, quote + 1)) {
    // `at` lies behind whole escapes: those before the quote are counted from there.
    let escapes = 0;
    while (quote - 1 - escapes >= at && body[quote - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
  }
  return body.length;
}

/** The value of a JSON string, quotes included in the span. */
export function decodeString(body: Buffer, start: number, end: number): string {
  const hasEscape = body.subarray(start, end).includes(BACKSLASH);
  if (hasEscape) return String(JSON.parse(body.toString('utf8', start, end)));
  return body.toString('utf8', start + 1, end - 1);
}

function skipSpace(body: Buffer, start: number): number {
  let at = start;
  while (at < body.length && (body[at] ?? 0) <= 0x20) at += 1;
  return at;
}

function isNumberByte(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === 0x2e ||
    byte === 0x2b ||
    byte === MINUS ||
    (byte | 0x20) === 0x65
  );
}

/** Ids and types of the API, media types and model names. */
const WORD_MAX_BYTES = 130;

function isWord(body: Buffer, start: number, end: number): boolean {
  if (end - start > WORD_MAX_BYTES) return false;
  for (let at = start + 1; at < end - 1; at += 1) {
    const byte = body[at] ?? 0;
    const isPlain =
      (byte >= 0x2d && byte <= 0x3a) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      byte === 0x5f ||
      (byte >= 0x61 && byte <= 0x7a);
    if (!isPlain) return false;
  }
  return true;
}

/** Shorter data is looked at like any text: it costs nothing. */
const ENCODED_MIN_BYTES = 256;
/** Bytes at either end that must be base64; within, there must be no blank and no escape. */
const SAMPLE_BYTES = 128;
const BASE64 = /^[A-Za-z0-9+/=_-]*$/;
const DATA_URL = /^data:[\w.+-]{0,80}\/?[\w.+-]{0,80}[;,]/i;

function isEncoded(body: Buffer, start: number, end: number): boolean {
  if (end - start < ENCODED_MIN_BYTES) return false;
  const content = body.subarray(start + 1, end - 1);
  if (DATA_URL.test(content.toString('latin1', 0, SAMPLE_BYTES))) return true;
  return (
    BASE64.test(content.toString('latin1', 0, SAMPLE_BYTES)) &&
    BASE64.test(content.toString('latin1', content.length - SAMPLE_BYTES)) &&
    !content.includes(0x20) &&
    !content.includes(BACKSLASH)
  );
}

const ADDRESS = /^(?:https?|gs|s3|data|file-[\w-]{1,80}$):?/i;

function isAddress(body: Buffer, start: number, end: number): boolean {
  const content = body.subarray(start + 1, end - 1);
  return ADDRESS.test(content.toString('latin1', 0, SAMPLE_BYTES)) && !content.includes(0x20);
}

/** Whether a tool's result may be JSON whose escapes hide what it says. */
function mayBeNested(body: Buffer, start: number, end: number): boolean {
  const first = body[start + 1];
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return false;
  return body.subarray(start, end).includes('\\\\');
}
