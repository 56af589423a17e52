/**
 * X25519 (RFC 7748): key pairs and agreement, with the keys imported once.
 *
 * Importing a private key costs more than an agreement (about 35 µs against 30 µs), so a key is an
 * object that holds the imported form. A result of all zeros, which only a low-order public key
 * gives, is refused (RFC 7748 section 6.1).
 *
 * What Node cannot do: the imported private key lives in memory of OpenSSL, which frees and wipes
 * it when the last reference is collected, at a time nobody chooses. `wipe()` therefore drops the
 * references and overwrites the raw bytes that we hold; it does not promise the moment.
 */
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { assert } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { REDACTED } from '../base/secret.ts';

/** Bytes of a private key, a public key and a shared secret. */
export const X25519_KEY_BYTES = 32;

/** The fixed head of a 32-byte X25519 private key in PKCS #8 (RFC 8410 section 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** The fixed head of a 32-byte X25519 public key as SubjectPublicKeyInfo (RFC 8410 section 4). */
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');

/** A public key: its bytes and their imported form. Not secret. */
export class X25519PublicKey {
  /** The 32 bytes. Never alter them. */
  readonly bytes: Buffer;
  readonly #key: KeyObject;

  private constructor(bytes: Buffer, key: KeyObject) {
    this.bytes = bytes;
    this.#key = key;
  }

  /** Copies 32 bytes. Every value of that length is a public key; a low-order one fails at `agree`. */
  static fromBytes(bytes: Uint8Array): X25519PublicKey {
    assert(bytes.byteLength === X25519_KEY_BYTES, `a public key has 32 bytes, got ${bytes.byteLength}`);
    const der = Buffer.concat([SPKI_HEAD, bytes]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return new X25519PublicKey(Buffer.from(bytes), key);
  }

  /** The imported form, for this folder only. */
  keyObject(): KeyObject {
    return this.#key;
  }
}

/** A private key with its public key. Prints as `[secret]`. */
export class X25519PrivateKey {
  readonly publicKey: X25519PublicKey;
  #key: KeyObject | null;
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer, key: KeyObject, publicKey: X25519PublicKey) {
    this.#bytes = bytes;
    this.#key = key;
    this.publicKey = publicKey;
  }

  /** Copies 32 bytes and clamps the copy (RFC 7748 section 5). */
  static fromBytes(bytes: Uint8Array): X25519PrivateKey {
    assert(bytes.byteLength === X25519_KEY_BYTES, `a private key has 32 bytes, got ${bytes.byteLength}`);
    const own = Buffer.from(bytes);
    own[0] = (own[0] ?? 0) & 0xf8;
    own[31] = ((own[31] ?? 0) & 0x7f) | 0x40;
    const der = Buffer.concat([PKCS8_HEAD, own]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    der.fill(0);
    const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD.byteLength);
    return new X25519PrivateKey(own, key, X25519PublicKey.fromBytes(point));
  }

  /** A new key pair. */
  static generate(random: Random): X25519PrivateKey {
    const seed = random.bytes(X25519_KEY_BYTES);
    const made = X25519PrivateKey.fromBytes(seed);
    seed.fill(0);
    return made;
  }

  /** The 32-byte shared secret, or null if the other key is of low order. The caller wipes it. */
  agree(publicKey: X25519PublicKey): Buffer | null {
    assert(this.#key !== null, 'a wiped private key agrees on nothing');
    try {
      return diffieHellman({ privateKey: this.#key, publicKey: publicKey.keyObject() });
    } catch {
      /* OpenSSL refuses the all-zero result; both keys are well-formed, so there is no other cause. */
      return null;
    }
  }

  /** The clamped 32 bytes, as a copy: for writing the key to where it is kept, nowhere else. */
  reveal(): Buffer {
    assert(this.#key !== null, 'a wiped private key has no bytes');
    return Buffer.from(this.#bytes);
  }

  /** Overwrites our copy and drops the imported key. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#key = null;
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
