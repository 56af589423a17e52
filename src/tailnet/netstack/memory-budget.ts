/** One count of bytes held for all connections of a stack, so that many slow ones cannot exhaust the process. */
export class MemoryBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes `bytes`, or nothing and false if they would exceed the limit. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Takes `bytes` that are held already, whatever the limit. */
  charge(bytes: number): void {
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Whether so little is left that windows should close: less than an eighth. */
  get isScarce(): boolean {
    return this.#usedBytes > this.#maxBytes - this.#maxBytes / 8;
  }
}
