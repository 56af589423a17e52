/**
 * Recognises, without parsing, a delta that is nothing but a string: a known beginning, the string,
 * and closing braces. Whatever else it holds (further members, escapes in keys) makes it not plain.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CLOSE_BRACE = 0x7d;
/** Bedrock pads its events to equal lengths with a member of letters. */
const PADDING = Buffer.from(',"p":"');

/** Whether `data` is `prefix`, the rest of a string, and the end of two objects. */
export function isPlainDelta(data: Buffer, prefix: Buffer): boolean {
  const start = prefix.length;
  if (data.length <= start || data.compare(prefix, 0, start, 0, start) !== 0) return false;
  const end = closingQuote(data, start);
  return end >= 0 && closesPlainly(data, end + 1);
}

function closingQuote(data: Buffer, start: number): number {
  for (let at = data.indexOf(QUOTE, start); at >= 0; at = data.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (at - 1 - slashes >= start && data[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}

function closesPlainly(data: Buffer, start: number): boolean {
  let at = skipSpace(data, start);
  if (data[at] !== CLOSE_BRACE) return false;
  at = skipSpace(data, at + 1);
  if (data.compare(PADDING, 0, PADDING.length, at, Math.min(data.length, at + PADDING.length)) === 0) {
    at += PADDING.length;
    while (isLetterOrDigit(data[at] ?? 0)) at += 1;
    if (data[at] !== QUOTE) return false;
    at = skipSpace(data, at + 1);
  }
  return data[at] === CLOSE_BRACE && skipSpace(data, at + 1) === data.length;
}

function skipSpace(data: Buffer, start: number): number {
  let at = start;
  while (data[at] === 0x20 || data[at] === 0x0a || data[at] === 0x0d || data[at] === 0x09) at += 1;
  return at;
}

function isLetterOrDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
