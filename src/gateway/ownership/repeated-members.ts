/**
 * Whether JSON repeats a member that names a provider object. Parsers differ on which of two counts
 * (RFC 8259 section 4): what Postern checked must be what the provider reads.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
/** A longer key is none of those that are looked for, escapes of all its letters included. */
const KEY_MAX_BYTES = 256;

/** `json` must be valid; `value` is what it parsed to, in which the last of two stands. */
export function repeatsMember(json: Buffer, value: unknown, names: ReadonlySet<string>): boolean {
  return countInBytes(json, names) > countInValue(value, names);
}

function countInBytes(json: Buffer, names: ReadonlySet<string>): number {
  let count = 0;
  for (let start = json.indexOf(QUOTE); start >= 0;) {
    const end = stringEnd(json, start);
    if (end < 0) return count;
    if (end - start <= KEY_MAX_BYTES && isKey(json, end) && names.has(textOf(json, start, end))) count += 1;
    start = json.indexOf(QUOTE, end);
  }
  return count;
}

/** The offset after the closing quote; -1 if there is none. */
function stringEnd(json: Buffer, start: number): number {
  for (let quote = json.indexOf(QUOTE, start + 1); quote >= 0; quote = json.indexOf(QUOTE, quote + 1)) {
    let escapes = 0;
    while (json[quote - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
  }
  return -1;
}

function isKey(json: Buffer, end: number): boolean {
  let at = end;
  while (SPACES.has(json[at] ?? 0)) at += 1;
  return json[at] === COLON;
}

function textOf(json: Buffer, start: number, end: number): string {
  const text = json.toString('utf8', start, end);
  return text.includes('\\') ? String(JSON.parse(text)) : text.slice(1, -1);
}

function countInValue(value: unknown, names: ReadonlySet<string>): number {
  let count = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0) {
    const node = stack.pop();
    if (node === null || typeof node !== 'object') continue;
    if (Array.isArray(node)) {
      for (const item of node) stack.push(item);
      continue;
    }
    for (const [name, inner] of Object.entries(node)) {
      if (names.has(name)) count += 1;
      if (inner !== null && typeof inner === 'object') stack.push(inner);
    }
  }
  return count;
}
