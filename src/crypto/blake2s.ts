/** BLAKE2s (RFC 7693): plain and keyed, HMAC over it (RFC 2104), and HKDF's steps as Noise uses them. */
import { blake2s as keyedBlake2s } from '@noble/hashes/blake2.js';
import { createHash, createHmac } from 'node:crypto';

/** Bytes of a full digest. */
export const BLAKE2S_BYTES = 32;
/** Bytes of the short keyed digest that WireGuard calls MAC. */
const BLAKE2S_MAC_BYTES = 16;

/** BLAKE2s-256 over the parts, one after the other; 32 bytes. */
export function blake2s(...parts: readonly Uint8Array[]): Buffer {
  const state = createHash('blake2s256');
  for (const part of parts) state.update(part);
  return state.digest();
}

/**
 * Keyed BLAKE2s with 16 bytes of output (RFC 7693 section 2.9): WireGuard's `MAC`. The key has 1 to
 * 32 bytes. Node has no keyed BLAKE2s, so this is JavaScript, about 5 µs: for handshakes only.
 */
export function blake2sMac(key: Uint8Array, data: Uint8Array): Buffer {
  const mac = keyedBlake2s(data, { key, dkLen: BLAKE2S_MAC_BYTES });
  return Buffer.from(mac.buffer, mac.byteOffset, mac.byteLength);
}

/** HMAC with BLAKE2s-256; 32 bytes. */
function hmacBlake2s(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const state = createHmac('blake2s256', key);
  for (const part of parts) state.update(part);
  return state.digest();
}

/** Two outputs of HKDF as the Noise specification (section 4.3) defines it; 32 bytes each. */
export function noiseHkdf2(chainingKey: Uint8Array, input: Uint8Array): [Buffer, Buffer] {
  const temporary = hmacBlake2s(chainingKey, input);
  const first = hmacBlake2s(temporary, Buffer.of(1));
  const second = hmacBlake2s(temporary, first, Buffer.of(2));
  temporary.fill(0);
  return [first, second];
}

/** Three outputs of HKDF as the Noise specification (section 4.3) defines it; 32 bytes each. */
export function noiseHkdf3(chainingKey: Uint8Array, input: Uint8Array): [Buffer, Buffer, Buffer] {
  const temporary = hmacBlake2s(chainingKey, input);
  const first = hmacBlake2s(temporary, Buffer.of(1));
  const second = hmacBlake2s(temporary, first, Buffer.of(2));
  const third = hmacBlake2s(temporary, second, Buffer.of(3));
  temporary.fill(0);
  return [first, second, third];
}
