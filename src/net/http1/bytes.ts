/** Which bytes may stand where in HTTP/1.1: tokens, field values and hexadecimal digits (RFC 9110 section 5.6.2, RFC 9112). */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** May stand in a method or a field's name: `token` of RFC 9110 section 5.6.2. */
const TOKEN = 1;
/** May stand in a field's value or a reason: tab, space, visible, or obs-text (RFC 9110 section 5.5). */
const TEXT = 2;

const KINDS = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0x20; byte < 256; byte += 1) if (byte !== 0x7f) table[byte] = TEXT;
  table[TAB] = TEXT;
  const tokens = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (let i = 0; i < tokens.length; i += 1) table[tokens.charCodeAt(i)] = TOKEN | TEXT;
  return table;
}

/** Takes a byte, or a character's code; what is above 255 is neither. */
export function isTokenByte(code: number): boolean {
  return ((KINDS[code] ?? 0) & TOKEN) !== 0;
}

/** Takes a byte, or a character's code; what is above 255 is neither. */
export function isTextByte(code: number): boolean {
  return ((KINDS[code] ?? 0) & TEXT) !== 0;
}

/** The value of a hexadecimal digit, or -1. */
export function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
