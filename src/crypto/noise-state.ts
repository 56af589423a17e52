/**
 * The symmetric half of a Noise handshake (Noise Protocol Framework, revision 34, section 5.2):
 * handshake hash, chaining key and the key of the moment, with BLAKE2s and ChaCha20-Poly1305.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { blake2s, BLAKE2S_BYTES, noiseHkdf2, noiseHkdf3 } from './blake2s.ts';

const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const OPTIONS = { authTagLength: TAG_BYTES } as const;
const EMPTY = Buffer.alloc(0);

/** Values are replaced, never altered in place, so that forks may share them. */
export class SymmetricState {
  #hash: Buffer;
  #chainingKey: Buffer;
  /** The key of the moment; null before the first agreement. */
  #key: Buffer | null = null;
  /** Messages sealed under the key of the moment; a handshake needs one or two. */
  #counter = 0;

  private constructor(hash: Buffer, chainingKey: Buffer) {
    this.#hash = hash;
    this.#chainingKey = chainingKey;
  }

  /** The state of a protocol name: hashed if longer than a hash, else padded with zeros. */
  static named(name: string): SymmetricState {
    const bytes = Buffer.from(name, 'ascii');
    const hash = bytes.byteLength > BLAKE2S_BYTES ? blake2s(bytes) : Buffer.concat([bytes], BLAKE2S_BYTES);
    return new SymmetricState(hash, hash);
  }

  /** A state that goes its own way from here. */
  fork(): SymmetricState {
    const copy = new SymmetricState(this.#hash, Buffer.from(this.#chainingKey));
    copy.#key = this.#key === null ? null : Buffer.from(this.#key);
    copy.#counter = this.#counter;
    return copy;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = blake2s(this.#hash, data);
  }

  mixKey(input: Uint8Array): void {
    this.#replaceKeys(...noiseHkdf2(this.#chainingKey, input));
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [chainingKey, forHash, key] = noiseHkdf3(this.#chainingKey, input);
    this.#replaceKeys(chainingKey, key);
    this.mixHash(forHash);
  }

  /** Seals under the key of the moment, with the hash so far as associated data. */
  encryptAndHash(plaintext: Uint8Array): Buffer {
    const cipher = createCipheriv('chacha20-poly1305', this.#key ?? EMPTY, this.#nonce(), OPTIONS);
    cipher.setAAD(this.#hash, { plaintextLength: plaintext.byteLength });
    const head = cipher.update(plaintext);
    cipher.final();
    const sealed = Buffer.concat([head, cipher.getAuthTag()]);
    this.mixHash(sealed);
    return sealed;
  }

  /** The opposite; null, and a state not to be used on, if the bytes were altered or are too short. */
  decryptAndHash(sealed: Uint8Array): Buffer | null {
    const length = sealed.byteLength - TAG_BYTES;
    if (length < 0) return null;
    const decipher = createDecipheriv('chacha20-poly1305', this.#key ?? EMPTY, this.#nonce(), OPTIONS);
    decipher.setAAD(this.#hash, { plaintextLength: length });
    decipher.setAuthTag(sealed.subarray(length));
    const plaintext = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return null;
    }
    this.mixHash(sealed);
    return plaintext;
  }

  /** The initiator's key, the responder's key and the handshake hash; wipes the rest. */
  split(): [Buffer, Buffer, Buffer] {
    const [first, second] = noiseHkdf2(this.#chainingKey, EMPTY);
    this.wipe();
    return [first, second, this.#hash];
  }

  /** Overwrites the keys. */
  wipe(): void {
    this.#chainingKey.fill(0);
    this.#key?.fill(0);
    this.#key = null;
  }

  #replaceKeys(chainingKey: Buffer, key: Buffer): void {
    this.wipe();
    this.#chainingKey = chainingKey;
    this.#key = key;
    this.#counter = 0;
  }

  #nonce(): Buffer {
    const nonce = Buffer.alloc(NONCE_BYTES);
    nonce.writeUInt32LE(this.#counter, 4);
    this.#counter += 1;
    return nonce;
  }
}
