/**
 * Looks into parts of JSON text without parsing them: where the value of a key starts. In JSON
 * text a quoted key with a colon after it cannot come from inside a string (quotes are escaped
 * there), so a hit is a real member, of whatever level.
 */
import { JsonScanError, skipJsonValue } from '../../wire/json-scan.ts';

const COLON = 0x3a;
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

/** The value that starts at `at`, parsed; undefined if it is malformed or cut off. */
export function parseValueAt(json: Buffer, at: number): unknown {
  try {
    return JSON.parse(json.toString('utf8', at, skipJsonValue(json, at)));
  } catch (error) {
    if (error instanceof JsonScanError || error instanceof SyntaxError) return undefined;
    throw error;
  }
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
