import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Crockford's base 32 without I, L, O, U: ids read aloud and sort like their bytes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * An id such as `req_06f3k9…`: ten characters of time in milliseconds, then 80 random bits, so
 * that ids of one kind sort by creation and cannot be guessed.
 */
export function newId(prefix: string, clock: Clock, random: Random): string {
  let time = clock.now();
  let head = '';
  for (let i = 0; i < 10; i += 1) {
    head = ALPHABET.charAt(time % 32) + head;
    time = Math.floor(time / 32);
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
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((value >>> bits) & 31);
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET.charAt((value << (5 - bits)) & 31) : text;
}
