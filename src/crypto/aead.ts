/**
 * Sealing of data at rest: AES-256-GCM (NIST SP 800-38D) with a random nonce.
 *
 * | offset | bytes | what                                     |
 * | ------ | ----- | ---------------------------------------- |
 * | 0      | 1     | version, 1                               |
 * | 1      | 12    | nonce, random                            |
 * | 13     | n     | ciphertext, as long as the plaintext     |
 * | 13 + n | 16    | tag, over ciphertext, version and context |
 *
 * The context says what the data is and whose (`body|tailnet|hash`); a sealed value that was moved
 * to another place does not open. With random 96-bit nonces one key is good for 2^32 seals at a
 * chance of 2^-32 of a repeated nonce.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError, assert } from '../base/errors.ts';
import type { CryptoErrorCode } from './errors.ts';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Bytes that sealing adds to a plaintext. */
export const SEAL_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

/** Seals `plaintext` under a 32-byte key, bound to `context`. */
export function seal(key: Uint8Array, plaintext: Uint8Array, context: string): Uint8Array {
  assert(key.byteLength === KEY_BYTES, `a sealing key has 32 bytes, got ${key.byteLength}`);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(associatedData(context));
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([Buffer.of(VERSION), nonce, ciphertext, cipher.getAuthTag()]);
}

/**
 * Opens what `seal` made with the same key and context. Throws `crypto_open_failed` for anything
 * else, without telling which of key, context and bytes is wrong.
 */
export function open(key: Uint8Array, sealed: Uint8Array, context: string): Uint8Array {
  const tagStart = sealed.byteLength - TAG_BYTES;
  if (key.byteLength !== KEY_BYTES || tagStart < 1 + NONCE_BYTES || sealed[0] !== VERSION) throw openFailed();
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(associatedData(context));
    decipher.setAuthTag(sealed.subarray(tagStart));
    const plaintext = decipher.update(sealed.subarray(1 + NONCE_BYTES, tagStart));
    decipher.final();
    return plaintext;
  } catch (cause) {
    throw openFailed(cause);
  }
}

function associatedData(context: string): Uint8Array {
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(context, 'utf8')]);
}

function openFailed(cause?: unknown): AppError<CryptoErrorCode> {
  return new AppError(
    'crypto_open_failed',
    'sealed data does not open: it was altered, or sealed with another master key',
    {
      cause,
    },
  );
}
