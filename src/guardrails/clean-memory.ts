/**
 * Remembers texts in which nothing was found: agents send the whole conversation with every turn, and only
 * what is new has to be looked at. Keeps keyed hashes, never texts.
 */
import { hmacSha256 } from '../crypto/index.ts';

/** Shorter texts are looked at again: that costs no more than their hash. */
export const REMEMBERED_MIN_BYTES = 512;
/** Texts of some 300 long conversations; about 10 MB. */
const REMEMBERED_MAX = 65_536;

export class CleanMemory {
  readonly #key: Uint8Array;
  readonly #most: number;
  readonly #known = new Set<string>();

  constructor(key: Uint8Array, most = REMEMBERED_MAX) {
    this.#key = key;
    this.#most = most;
  }

  /**
   * The name of a text for one set of detectors; null for texts that are not remembered. The same bytes are
   * another text in another encoding (`\u0040` in a form and in JSON).
   */
  name(bytes: Uint8Array, encoding: string, serial: number): string | null {
    if (bytes.length < REMEMBERED_MIN_BYTES) return null;
    const digest = hmacSha256(this.#key, bytes);
    return `${serial}:${encoding}:${Buffer.from(digest.buffer, digest.byteOffset, 16).toString('latin1')}`;
  }

  has(name: string): boolean {
    if (!this.#known.has(name)) return false;
    this.#known.delete(name);
    this.#known.add(name);
    return true;
  }

  add(name: string): void {
    this.#known.add(name);
    for (const oldest of this.#known) {
      if (this.#known.size <= this.#most) return;
      this.#known.delete(oldest);
    }
  }
}
