/**
 * Finds the members of a JSON object and the elements of a JSON array as byte offsets, without
 * building values (RFC 8259). For bodies that are forwarded as they came, of which a few members
 * are read or replaced.
 *
 * The grammar is checked in full at every depth, so what is accepted here is what `JSON.parse`
 * accepts, except for the limits below. Two things are left out: bytes that are not UTF-8 (check
 * with `isUtf8`), and the meaning of repeated keys, which are all returned.
 */
import { AppError } from '../base/errors.ts';

/** Levels of `{` and `[`, the outermost included. Real bodies stay below 40. */
export const JSON_DEPTH_MAX = 512;
/** Members that one scanned object may have; real requests have about 30. */
export const JSON_MEMBERS_MAX = 4_096;
/** Elements that one scanned array may have. */
export const JSON_ELEMENTS_MAX = 262_144;

/** One member of an object; offsets count from the start of the scanned bytes. */
export interface JsonMember {
  /** Decoded: `"mod\u0065l"` is `model`. */
  readonly key: string;
  /** Offset of the key's opening quote. */
  readonly memberStart: number;
  readonly valueStart: number;
  /** Offset after the value's last byte. */
  readonly valueEnd: number;
}

/** One element of an array, without the white space around it. */
export interface JsonSpan {
  readonly start: number;
  /** Offset after the last byte. */
  readonly end: number;
}

/** `json_invalid`: not JSON, or not of the wanted kind. `json_limit`: more than a limit of this module. */
export type JsonScanCode = 'json_invalid' | 'json_limit';

/** Why bytes are not the wanted JSON, and where. The message never quotes the bytes. */
export class JsonScanError extends AppError<JsonScanCode> {
  /** Offset of the first byte that does not fit. */
  readonly offset: number;

  constructor(code: JsonScanCode, message: string, offset: number) {
    super(code, `${message} at byte ${offset}`);
    this.name = 'JsonScanError';
    this.offset = offset;
  }
}

/**
 * The members of the object that starts at `start` (after white space), in order, repeated keys
 * included. What follows the object is not looked at. Throws `JsonScanError`.
 */
export function scanJsonObject(bytes: Uint8Array, start = 0): JsonMember[] {
  const members: JsonMember[] = [];
  readMembers(toText(bytes), start, members, null);
  return members;
}

/**
 * As `scanJsonObject`, for bytes that must hold one object and nothing else. `watch` is shown the
 * keys of every level.
 */
export function scanJsonDocument(bytes: Uint8Array, watch: KeyWatch | null = null): JsonMember[] {
  const members: JsonMember[] = [];
  const end = skipSpace(bytes, readMembers(toText(bytes), 0, members, watch));
  if (end !== bytes.length) throw invalid('expected the end after the object', end);
  return members;
}

/**
 * The elements of the array that starts at `start` (after white space). What follows the array is
 * not looked at. Throws `JsonScanError`.
 */
export function scanJsonArray(bytes: Uint8Array, start = 0): JsonSpan[] {
  const elements: JsonSpan[] = [];
  const text = toText(bytes);
  let at = skipSpace(bytes, start);
  if (bytes[at] !== OPEN_BRACKET) throw invalid('expected an array', at);
  at = skipSpace(bytes, at + 1);
  if (bytes[at] === CLOSE_BRACKET) return elements;
  for (;;) {
    if (elements.length >= JSON_ELEMENTS_MAX) throw limit(`more than ${JSON_ELEMENTS_MAX} elements`, at);
    const end = skipValue(text, at, 1, null);
    elements.push({ start: at, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === CLOSE_BRACKET) return elements;
    if (bytes[at] !== COMMA) throw invalid('expected "," or "]"', at);
    at = skipSpace(bytes, at + 1);
  }
}

interface WatchedKey {
  readonly bytes: Uint8Array;
  readonly mask: number;
}

/** Groups of keys to watch for, prepared once. Group 0 has bit 1, group 1 bit 2, and so on; at most 30. */
export class KeyGroups {
  /** By length in bytes, so that most keys are told apart by it. */
  readonly byLength: (readonly WatchedKey[] | undefined)[] = [];
  readonly allMask: number;

  constructor(groups: readonly (readonly string[])[]) {
    this.allMask = (1 << groups.length) - 1;
    groups.forEach((names, group) => {
      for (const name of names) {
        const bytes = Buffer.from(name, 'utf8');
        const others = this.byLength[bytes.length] ?? [];
        this.byLength[bytes.length] = [...others, { bytes, mask: 1 << group }];
      }
    });
  }
}

/** Which groups of keys a scan came upon, at whatever depth. */
export class KeyWatch {
  readonly #groups: KeyGroups;
  #mask = 0;

  constructor(groups: KeyGroups) {
    this.#groups = groups;
  }

  /** Bits of the groups that were seen. A key with an escape counts for all: it could spell any name. */
  get mask(): number {
    return this.#mask;
  }

  /** A key without its quotes. For the scan. */
  see(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += 1) {
      if (bytes[at] === BACKSLASH) this.#mask = this.#groups.allMask;
    }
    const candidates = this.#groups.byLength[end - start];
    if (candidates === undefined) return;
    for (const { bytes: name, mask } of candidates) {
      if (isAt(bytes, start, name)) this.#mask |= mask;
    }
  }
}

function isAt(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1) {
    if (bytes[start + i] !== name[i]) return false;
  }
  return true;
}

/** The offset after the value that starts at `start` (no white space before it). Throws `JsonScanError`. */
export function skipJsonValue(bytes: Uint8Array, start: number): number {
  return skipValue(toText(bytes), start, 0, null);
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Longer keys are refused: they would be copied. */
const KEY_MAX_BYTES = 1_024;

function invalid(message: string, offset: number): JsonScanError {
  return new JsonScanError('json_invalid', message, offset);
}

function limit(message: string, offset: number): JsonScanError {
  return new JsonScanError('json_limit', message, offset);
}

/** What is scanned: its bytes, and the same bytes four at a time. */
interface ScannedText {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Offset in `bytes` of the first word, 0 to 3: words lie at whole addresses. */
  readonly firstWordAt: number;
}

/** Below this a view of words costs more than it saves. */
const WORDS_MIN_BYTES = 256;
const NO_WORDS = new Int32Array(0);

function toText(bytes: Uint8Array): ScannedText {
  const firstWordAt = -bytes.byteOffset & 3;
  const words =
    bytes.length < WORDS_MIN_BYTES
      ? NO_WORDS
      : new Int32Array(bytes.buffer, bytes.byteOffset + firstWordAt, (bytes.length - firstWordAt) >> 2);
  return { bytes, words, firstWordAt };
}

/** Reads an object's members into `members`; gives the offset after its closing brace. */
function readMembers(
  text: ScannedText,
  start: number,
  members: JsonMember[],
  watch: KeyWatch | null,
): number {
  const { bytes } = text;
  let at = skipSpace(bytes, start);
  if (bytes[at] !== OPEN_BRACE) throw invalid('expected an object', at);
  at = skipSpace(bytes, at + 1);
  if (bytes[at] === CLOSE_BRACE) return at + 1;
  for (;;) {
    if (members.length >= JSON_MEMBERS_MAX) throw limit(`more than ${JSON_MEMBERS_MAX} members`, at);
    const memberStart = at;
    const keyEnd = skipKey(text, at, watch);
    const valueStart = skipColon(bytes, keyEnd);
    const valueEnd = skipValue(text, valueStart, 1, watch);
    members.push({ key: decodeKey(bytes, memberStart, keyEnd), memberStart, valueStart, valueEnd });
    at = skipSpace(bytes, valueEnd);
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    if (bytes[at] !== COMMA) throw invalid('expected "," or "}"', at);
    at = skipSpace(bytes, at + 1);
  }
}

function decodeKey(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > KEY_MAX_BYTES) throw limit(`a key longer than ${KEY_MAX_BYTES} bytes`, start);
  let isPlain = true;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === BACKSLASH || byte >= 0x80) isPlain = false;
  }
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isPlain) return buffer.toString('latin1', start + 1, end - 1);
  return String(JSON.parse(buffer.toString('utf8', start, end)));
}

function skipKey(text: ScannedText, at: number, watch: KeyWatch | null): number {
  const { bytes } = text;
  if (bytes[at] !== QUOTE) throw invalid('expected a key in double quotes', at);
  const end = skipString(text, at);
  if (watch !== null) watch.see(bytes, at + 1, end - 1);
  return end;
}

function skipColon(bytes: Uint8Array, at: number): number {
  const colon = skipSpace(bytes, at);
  if (bytes[colon] !== COLON) throw invalid('expected ":"', colon);
  return skipSpace(bytes, colon + 1);
}

function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start;
  let byte = bytes[at];
  while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
    at += 1;
    byte = bytes[at];
  }
  return at;
}

/** Skips a value of any depth without recursion; `outer` levels are open around it. */
function skipValue(text: ScannedText, start: number, outer: number, watch: KeyWatch | null): number {
  const { bytes } = text;
  let at = start;
  let depth = 0;
  // For each open level, innermost last: whether it is an object.
  const objects: boolean[] = [];
  for (;;) {
    const byte = bytes[at];
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (depth + outer >= JSON_DEPTH_MAX) throw limit(`more than ${JSON_DEPTH_MAX} levels`, at);
      objects[depth] = byte === OPEN_BRACE;
      depth += 1;
      at = skipSpace(bytes, at + 1);
      if (byte === OPEN_BRACE) {
        if (bytes[at] !== CLOSE_BRACE) {
          at = skipColon(bytes, skipKey(text, at, watch));
          continue;
        }
      } else if (bytes[at] !== CLOSE_BRACKET) continue;
    } else {
      at = skipScalar(text, at);
    }
    // A value ended, or an empty level is at its closing bracket.
    for (;;) {
      if (depth === 0) return at;
      at = skipSpace(bytes, at);
      const isObject = objects[depth - 1] === true;
      const next = bytes[at];
      if (next === (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
        at += 1;
        depth -= 1;
        continue;
      }
      if (next !== COMMA) throw invalid(isObject ? 'expected "," or "}"' : 'expected "," or "]"', at);
      at = skipSpace(bytes, at + 1);
      if (isObject) at = skipColon(bytes, skipKey(text, at, watch));
      break;
    }
  }
}

function skipScalar(text: ScannedText, at: number): number {
  const { bytes } = text;
  switch (bytes[at] ?? 0) {
    case QUOTE:
      return skipString(text, at);
    case 0x74:
      return skipWord(bytes, at, TRUE);
    case 0x66:
      return skipWord(bytes, at, FALSE);
    case 0x6e:
      return skipWord(bytes, at, NULL);
    default:
      return skipNumber(bytes, at);
  }
}

const TRUE = [0x74, 0x72, 0x75, 0x65];
const FALSE = [0x66, 0x61, 0x6c, 0x73, 0x65];
const NULL = [0x6e, 0x75, 0x6c, 0x6c];

function skipWord(bytes: Uint8Array, at: number, word: readonly number[]): number {
  for (let i = 0; i < word.length; i += 1) {
    if (bytes[at + i] !== word[i]) throw invalid('expected a value', at);
  }
  return at + word.length;
}

/** RFC 8259 section 6: no leading zeros, no bare dot, no sign but minus. */
function skipNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  if (bytes[at] === ZERO) at += 1;
  else at = skipDigits(bytes, at);
  if (bytes[at] === DOT) at = skipDigits(bytes, at + 1);
  const exponent = bytes[at];
  if (exponent === 0x65 || exponent === 0x45) {
    const sign = bytes[at + 1];
    at = skipDigits(bytes, sign === 0x2b || sign === MINUS ? at + 2 : at + 1);
  }
  return at;
}

function skipDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0;
    if (byte < ZERO || byte > NINE) break;
    at += 1;
  }
  if (at === start) throw invalid('expected a value', start);
  return at;
}

/** RFC 8259 section 7: no raw control characters, known escapes only. */
function skipString(text: ScannedText, start: number): number {
  const { bytes, firstWordAt } = text;
  const length = bytes.length;
  let at = start + 1;
  while (at < length) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) {
      at = skipEscape(bytes, at);
      continue;
    }
    if (byte < 0x20) throw invalid('a raw control character in a string', at);
    at += 1;
    if (((at - firstWordAt) & 3) === 0) at = skipPlainWords(text, at);
  }
  throw invalid('a string without its end', length);
}

/**
 * Skips, four bytes at a time, as many plain string bytes as it can from `start` on, which must be at a
 * word; stops at or before a quote, a backslash or a control character. Bodies are mostly strings: a scan
 * that looks at single bytes takes two to three times as long.
 */
function skipPlainWords({ words, firstWordAt }: ScannedText, start: number): number {
  const count = words.length;
  let i = (start - firstWordAt) >> 2;
  for (; i < count; i += 1) {
    const word = words[i] ?? 0;
    // A byte of `x` is zero if and only if bit 7 of that byte, or of one below it, comes out set.
    const quote = word ^ 0x22222222;
    const backslash = word ^ 0x5c5c5c5c;
    const found =
      ((word - 0x20202020) & ~word) |
      ((quote - 0x01010101) & ~quote) |
      ((backslash - 0x01010101) & ~backslash);
    if ((found & 0x80808080) !== 0) break;
  }
  return firstWordAt + i * 4;
}

function skipEscape(bytes: Uint8Array, at: number): number {
  switch (bytes[at + 1] ?? 0) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 2;
    case 0x75:
      for (let i = at + 2; i < at + 6; i += 1) {
        if (!isHexDigit(bytes[i] ?? 0)) throw invalid('an escape without four hexadecimal digits', at);
      }
      return at + 6;
    default:
      throw invalid('an unknown escape in a string', at);
  }
}

function isHexDigit(byte: number): boolean {
  return (byte >= ZERO && byte <= NINE) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
