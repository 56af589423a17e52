/**
 * Hashes: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104).
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';

/** Bytes of a SHA-256 digest. */
export const SHA256_BYTES = 32;

/** SHA-256 of bytes, or of a string's UTF-8; 32 bytes. */
export function sha256(data: Uint8Array | string): Uint8Array {
  return hash('sha256', data, 'buffer');
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(data: Uint8Array | string): string {
  return hash('sha256', data, 'hex');
}

/** HMAC-SHA-256 of bytes, or of a string's UTF-8; 32 bytes. */
export function hmacSha256(key: Uint8Array, data: Uint8Array | string): Uint8Array {
  return createHmac('sha256', key).update(data).digest();
}

/**
 * HMAC-SHA-256 over several parts, each preceded by its length (8 bytes, big-endian), so that
 * `('ab', 'c')` and `('a', 'bc')` differ. For hashes of tokens and of stored items; 32 bytes.
 */
export function keyedHash(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  const length = Buffer.allocUnsafe(8);
  for (const part of parts) {
    length.writeBigUInt64BE(BigInt(part.byteLength));
    mac.update(length).update(part);
  }
  return mac.digest();
}

/** Whether two byte strings are equal, in time that depends on their lengths only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

/**
 * The next link of a keyed hash chain: `HMAC(key, previous || canonical)` with `previous` of 32
 * bytes (zeros before the first link), so that nobody without the key can alter, drop or insert
 * a link unseen.
 */
export function hashChainNext(key: Uint8Array, previous: Uint8Array, canonical: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update(previous).update(canonical).digest();
}
