/**
 * ChaCha20-Poly1305 (RFC 8439) under a counter nonce, for transports: 4 zero bytes and a 64-bit
 * counter, little-endian in the Noise specification (section 12.3) and WireGuard, big-endian in the
 * control protocol of the tailnet.
 *
 * Counters are numbers, so they end at 2^53 - 1; at a million messages per second that is 285 years.
 * The key is a `KeyObject`: on some releases of Node raw bytes cost three times as much per message.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { assert } from '../base/errors.ts';
import { REDACTED } from '../base/secret.ts';

/** Bytes that sealing adds. */
export const CHACHA_TAG_BYTES = 16;
/** Bytes of a key. */
const CHACHA_KEY_BYTES = 32;

const NONCE_BYTES = 12;
const OPTIONS = { authTagLength: CHACHA_TAG_BYTES } as const;
const ALGORITHM = 'chacha20-poly1305';
const TWO_32 = 0x1_0000_0000;

/** How the counter lies in the nonce. */
export type CounterOrder = 'little-endian' | 'big-endian';

/**
 * One direction's key. The caller keeps the counter and never uses one twice for sealing.
 * Prints as `[secret]`.
 */
export class ChaChaKey {
  #key: KeyObject | null;
  readonly #nonce: Buffer;
  readonly #bigEndian: boolean;

  /** Copies the 32-byte key. */
  constructor(key: Uint8Array, order: CounterOrder) {
    assert(key.byteLength === CHACHA_KEY_BYTES, `a ChaCha20 key has 32 bytes, got ${key.byteLength}`);
    this.#key = createSecretKey(key);
    this.#nonce = Buffer.alloc(NONCE_BYTES);
    this.#bigEndian = order === 'big-endian';
  }

  /** Seals: ciphertext, then the 16-byte tag. */
  seal(counter: number, plaintext: Uint8Array, additional?: Uint8Array): Buffer {
    const sealed = Buffer.allocUnsafe(plaintext.byteLength + CHACHA_TAG_BYTES);
    this.sealInto(counter, plaintext, sealed, 0, additional);
    return sealed;
  }

  /** Seals into `target` from `offset` on, which has room for the plaintext and 16 bytes. */
  sealInto(
    counter: number,
    plaintext: Uint8Array,
    target: Buffer,
    offset: number,
    additional?: Uint8Array,
  ): void {
    const cipher = createCipheriv(ALGORITHM, this.#live(), this.#nonceOf(counter), OPTIONS);
    if (additional !== undefined) cipher.setAAD(additional, { plaintextLength: plaintext.byteLength });
    if (plaintext.byteLength > 0) cipher.update(plaintext).copy(target, offset);
    cipher.final();
    cipher.getAuthTag().copy(target, offset + plaintext.byteLength);
  }

  /** Opens what `seal` made under the same counter; null if it was altered or is too short. */
  open(counter: number, sealed: Uint8Array, additional?: Uint8Array): Buffer | null {
    const length = sealed.byteLength - CHACHA_TAG_BYTES;
    if (length < 0) return null;
    const decipher = createDecipheriv(ALGORITHM, this.#live(), this.#nonceOf(counter), OPTIONS);
    if (additional !== undefined) decipher.setAAD(additional, { plaintextLength: length });
    decipher.setAuthTag(sealed.subarray(length));
    const plaintext = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return null;
    }
    return plaintext;
  }

  /** Drops the key; OpenSSL wipes it when it is collected. Every later call is a programmer's fault. */
  wipe(): void {
    this.#key = null;
  }

  #live(): KeyObject {
    assert(this.#key !== null, 'a wiped key seals and opens nothing');
    return this.#key;
  }

  #nonceOf(counter: number): Buffer {
    const low = counter % TWO_32;
    const high = (counter - low) / TWO_32;
    if (this.#bigEndian) {
      this.#nonce.writeUInt32BE(high, 4);
      this.#nonce.writeUInt32BE(low, 8);
    } else {
      this.#nonce.writeUInt32LE(low, 4);
      this.#nonce.writeUInt32LE(high, 8);
    }
    return this.#nonce;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
