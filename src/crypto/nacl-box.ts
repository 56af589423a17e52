/**
 * NaCl's `crypto_box` (X25519, HSalsa20, XSalsa20-Poly1305): public-key sealing as DERP and disco
 * use it. A sealed message is the 16-byte tag, then the ciphertext; the 24-byte nonce travels beside it.
 */
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { inspect } from 'node:util';
import { assert } from '../base/errors.ts';
import { REDACTED } from '../base/secret.ts';
import type { X25519PrivateKey, X25519PublicKey } from './x25519.ts';

/** Bytes of a nonce: long enough to be drawn at random. */
const BOX_NONCE_BYTES = 24;
/** Bytes that sealing adds. */
const BOX_OVERHEAD_BYTES = 16;

/** "expand 32-byte k" as four little-endian words: the constant of Salsa20 with a 32-byte key. */
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

/** The shared key of two parties, computed once; both get the same from their own side. Prints as `[secret]`. */
export class NaclBox {
  readonly #key: Uint8Array;

  private constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** The box between a private and a public key; null if the public key is of low order. */
  static between(privateKey: X25519PrivateKey, publicKey: X25519PublicKey): NaclBox | null {
    const shared = privateKey.agree(publicKey);
    if (shared === null) return null;
    const words = new Uint32Array(8);
    for (let index = 0; index < 8; index += 1) words[index] = shared.readUInt32LE(index * 4);
    shared.fill(0);
    const derived = new Uint32Array(8);
    hsalsa(SIGMA, words, new Uint32Array(4), derived);
    words.fill(0);
    const key = Buffer.alloc(32);
    for (const [index, word] of derived.entries()) key.writeUInt32LE(word, index * 4);
    derived.fill(0);
    return new NaclBox(key);
  }

  /** Seals under a 24-byte nonce that this pair of keys never used. */
  seal(nonce: Uint8Array, plaintext: Uint8Array): Buffer {
    checkNonce(nonce);
    return asBuffer(xsalsa20poly1305(this.#key, nonce).encrypt(plaintext));
  }

  /** Opens what the other side sealed; null if it was altered or is too short. */
  open(nonce: Uint8Array, sealed: Uint8Array): Buffer | null {
    checkNonce(nonce);
    if (sealed.byteLength < BOX_OVERHEAD_BYTES) return null;
    try {
      return asBuffer(xsalsa20poly1305(this.#key, nonce).decrypt(sealed));
    } catch {
      /* The lengths were checked: the tag is wrong. */
      return null;
    }
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

function checkNonce(nonce: Uint8Array): void {
  assert(nonce.byteLength === BOX_NONCE_BYTES, `a box nonce has 24 bytes, got ${nonce.byteLength}`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
