export interface HeadAndTailLimits {
  /** More than this is not kept whole. */
  readonly wholeMaxBytes: number;
  readonly headBytes: number;
  readonly tailBytes: number;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * Keeps an answer whole while it is small, else its first and last bytes, where ids and usage
 * stand. Memory is bounded by `wholeMaxBytes` and twice `tailBytes`.
 */
export class HeadAndTail {
  readonly #wholeMaxBytes: number;
  readonly #headBytes: number;
  readonly #tailBytes: number;
  #bytes: Buffer = NO_BYTES;
  #length = 0;
  #head: Buffer | null = null;

  constructor(limits: HeadAndTailLimits) {
    this.#wholeMaxBytes = limits.wholeMaxBytes;
    this.#headBytes = limits.headBytes;
    this.#tailBytes = limits.tailBytes;
  }

  /** The bytes must not change afterwards: what comes in one piece is kept as it is. */
  push(bytes: Buffer): void {
    if (this.#length === 0 && this.#head === null && bytes.length <= this.#wholeMaxBytes) {
      this.#bytes = bytes;
      this.#length = bytes.length;
      return;
    }
    if (this.#head === null && this.#length + bytes.length <= this.#wholeMaxBytes) {
      this.#append(bytes);
      return;
    }
    if (this.#head === null) {
      const missing = Math.max(0, this.#headBytes - this.#length);
      this.#head = Buffer.concat([
        this.#bytes.subarray(0, Math.min(this.#length, this.#headBytes)),
        bytes.subarray(0, missing),
      ]);
    }
    if (bytes.length >= this.#tailBytes) {
      this.#bytes = Buffer.from(bytes.subarray(bytes.length - this.#tailBytes));
      this.#length = this.#bytes.length;
      return;
    }
    // Trimmed only now and then, so that small pieces cost their own bytes and not the tail's.
    if (this.#length + bytes.length > 2 * this.#tailBytes) this.#trim(this.#tailBytes - bytes.length);
    this.#append(bytes);
  }

  /** Everything that came, or null if it was too much to keep. */
  whole(): Buffer | null {
    return this.#head === null ? this.#bytes.subarray(0, this.#length) : null;
  }

  /** The first bytes. */
  head(): Buffer {
    return this.#head ?? this.#bytes.subarray(0, Math.min(this.#length, this.#headBytes));
  }

  /** The last `tailBytes` bytes, or fewer. */
  tail(): Buffer {
    return this.#bytes.subarray(Math.max(0, this.#length - this.#tailBytes), this.#length);
  }

  #trim(keep: number): void {
    const kept = Buffer.from(this.#bytes.subarray(Math.max(0, this.#length - keep), this.#length));
    this.#bytes = kept;
    this.#length = kept.length;
  }

  #append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.#length);
    this.#length = needed;
  }
}
