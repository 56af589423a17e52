/**
 * Looks into JSON text without parsing it: whether a key is there, where its value starts, how
 * long a string is. In JSON text a quoted key with a colon after it cannot come from inside a
 * string (quotes are escaped there), so a hit is a real member, of whatever level.
 */
import { JsonScanError, skipJsonValue } from '../../wire/json-scan.ts';

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const LOWER_N = 0x6e;
const LOWER_U = 0x75;
const OPEN_BRACE = 0x7b;

/** A key as it stands in JSON text, to be made once. */
export function keyNeedle(key: string): Buffer {
  return Buffer.from(JSON.stringify(key), 'utf8');
}

/** The offset of the value of the first such member at or after `from`; -1 if there is none. */
export function findValue(json: Buffer, needle: Buffer, from = 0): number {
  for (let at = json.indexOf(needle, from); at >= 0; at = json.indexOf(needle, at + 1)) {
    const value = valueAfterKey(json, at + needle.length);
    if (value >= 0) return value;
  }
  return -1;
}

/** As `findValue`, for the last such member whose value is an object. */
export function findLastObject(json: Buffer, needle: Buffer): number {
  for (let at = json.lastIndexOf(needle); at >= 0; at = at === 0 ? -1 : json.lastIndexOf(needle, at - 1)) {
    const value = valueAfterKey(json, at + needle.length);
    if (value >= 0 && json[value] === OPEN_BRACE) return value;
  }
  return -1;
}

/** Whether such a member is there with a value other than null. */
export function hasValue(json: Buffer, needle: Buffer): boolean {
  for (let value = findValue(json, needle); value >= 0; value = findValue(json, needle, value)) {
    if (json[value] !== LOWER_N) return true;
  }
  return false;
}

/** The value that starts at `at`, parsed; undefined if it is malformed or cut off. */
export function parseValueAt(json: Buffer, at: number): unknown {
  try {
    return JSON.parse(json.toString('utf8', at, skipJsonValue(json, at)));
  } catch (error) {
    if (error instanceof JsonScanError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Characters in the string values of such members; an escape counts as one. */
export function countChars(json: Buffer, needle: Buffer): number {
  let chars = 0;
  for (let value = findValue(json, needle); value >= 0; value = findValue(json, needle, value)) {
    if (json[value] !== QUOTE) continue;
    let at = value + 1;
    for (; at < json.length; at += 1) {
      const byte = json[at] ?? QUOTE;
      if (byte === QUOTE) break;
      // UTF-8 continuation bytes belong to the character before.
      if ((byte & 0xc0) === 0x80) continue;
      chars += 1;
      if (byte === BACKSLASH) at += json[at + 1] === LOWER_U ? 5 : 1;
    }
  }
  return chars;
}

function valueAfterKey(json: Buffer, keyEnd: number): number {
  const colon = skipSpace(json, keyEnd);
  return json[colon] === COLON ? skipSpace(json, colon + 1) : -1;
}

function skipSpace(json: Buffer, start: number): number {
  let at = start;
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at += 1;
  return at;
}
