/** How much may be sent to a relay that states a limit. */
export interface TokenBucketOptions {
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
  /** Monotonic. */
  readonly nowMs: number;
}

export class TokenBucket {
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  #bytes: number;
  #at: number;

  /** Starts full. */
  constructor({ bytesPerSecond, burstBytes, nowMs }: TokenBucketOptions) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burstBytes = Math.max(burstBytes, 1);
    this.#bytes = this.#burstBytes;
    this.#at = nowMs;
  }

  /** Takes `bytes` if they are there. */
  take(bytes: number, nowMs: number): boolean {
    const grown = ((nowMs - this.#at) / 1000) * this.#bytesPerSecond;
    this.#bytes = Math.min(this.#burstBytes, this.#bytes + Math.max(grown, 0));
    this.#at = nowMs;
    if (bytes > this.#bytes) return false;
    this.#bytes -= bytes;
    return true;
  }
}
