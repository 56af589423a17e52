import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Crockford's base 32 without I, L, O, U: ids read aloud and sort like their bytes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Two characters for ten bits: a text made two at a time is half the pieces. */
const PAIRS: readonly string[] = Array.from(
  { length: 1024 },
  (_, bits) => ALPHABET.charAt(bits >> 5) + ALPHABET.charAt(bits & 31),
);

/**
 * An id such as `req_06f3k9…`: ten characters of time in milliseconds, then 80 random bits, so
 * that ids of one kind sort by creation and cannot be guessed.
 */
export function newId(prefix: string, clock: Clock, random: Random): string {
  let time = clock.now();
  let head = '';
  for (let i = 0; i < 5; i += 1) {
    head = pair(time % 1024) + head;
    time = Math.floor(time / 1024);
  }
  return `${prefix}_${head}${encodeBase32(random.bytes(10))}`;
}

/** Bytes as lower-case base 32, five bits a character, no padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    if (bits < 10) continue;
    bits -= 10;
    text += pair(value >>> bits);
    value &= (1 << bits) - 1;
  }
  if (bits > 5) return text + pair(value << (10 - bits));
  return bits > 0 ? text + ALPHABET.charAt(value << (5 - bits)) : text;
}

function pair(bits: number): string {
  return PAIRS[bits & 1023] ?? '';
}
