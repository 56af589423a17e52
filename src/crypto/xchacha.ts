/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): ChaCha20-Poly1305 with a nonce of 24 bytes. In JavaScript: for rare, small messages. */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { assert } from '../base/errors.ts';

/** Bytes of a nonce: long enough to be drawn at random. */
export const XCHACHA_NONCE_BYTES = 24;
/** Bytes that sealing adds. */
const XCHACHA_TAG_BYTES = 16;

/** What both directions take. */
export interface XChaChaOptions {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 24 bytes, never twice under one key. */
  readonly nonce: Uint8Array;
  readonly additional?: Uint8Array;
}

/** Seals: ciphertext, then the 16-byte tag. */
export function sealXChaCha(options: XChaChaOptions, plaintext: Uint8Array): Buffer {
  return asBuffer(cipherOf(options).encrypt(plaintext));
}

/** Opens what `sealXChaCha` made; null if it was altered or is too short. */
export function openXChaCha(options: XChaChaOptions, sealed: Uint8Array): Buffer | null {
  if (sealed.byteLength < XCHACHA_TAG_BYTES) return null;
  try {
    return asBuffer(cipherOf(options).decrypt(sealed));
  } catch {
    /* Key and nonce lengths were checked and the input is long enough: the tag is wrong. */
    return null;
  }
}

function cipherOf({ key, nonce, additional }: XChaChaOptions): ReturnType<typeof xchacha20poly1305> {
  assert(key.byteLength === 32, `an XChaCha20 key has 32 bytes, got ${key.byteLength}`);
  assert(
    nonce.byteLength === XCHACHA_NONCE_BYTES,
    `an XChaCha20 nonce has 24 bytes, got ${nonce.byteLength}`,
  );
  return xchacha20poly1305(key, nonce, additional);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
