/** Soft thresholds of a bucket (`warn_at`): which are crossed, and which were told. */
import type { QuotaEntry } from '../policy/document.ts';

/** A crossed threshold is told again only after so much of the capacity came back above it. */
const HYSTERESIS_SHARE = 0.05;

export class Thresholds {
  #capacity: number;
  /** Ascending shares of the capacity that are spent. */
  #levels: readonly number[];
  /** So many of the levels are crossed; null until the first look, which tells nothing. */
  #crossed: number | null = null;
  /** Remaining amount at or below which the next level is crossed. */
  #next = -Infinity;

  constructor(quota: QuotaEntry) {
    this.#capacity = quota.capacity;
    this.#levels = sorted(quota.warnAt);
  }

  /** The highest threshold that is crossed, as a share of the capacity; null for none. */
  get crossed(): number | null {
    return this.#crossed === null || this.#crossed === 0 ? null : (this.#levels[this.#crossed - 1] ?? null);
  }

  /** The highest threshold newly crossed by what remains now; null mostly. One comparison while nothing is. */
  cross(remaining: number): number | null {
    if (remaining > this.#next || this.#crossed === null) return null;
    const before = this.#crossed;
    this.#count(remaining);
    return this.#crossed > before ? this.crossed : null;
  }

  /** After a refill: levels that remain well above are armed again. */
  recover(remaining: number): void {
    if (this.#crossed === null) {
      // What was crossed before this process looked was told then.
      this.#count(remaining);
      return;
    }
    const margin = this.#capacity * HYSTERESIS_SHARE;
    while (this.#crossed > 0 && remaining > this.#levelAmount(this.#crossed - 1) + margin) this.#crossed -= 1;
    this.#arm();
  }

  /** A new window: nothing is spent in it. */
  reset(): void {
    if (this.#crossed === null) return;
    this.#crossed = 0;
    this.#arm();
  }

  redefine(quota: QuotaEntry): void {
    this.#capacity = quota.capacity;
    this.#levels = sorted(quota.warnAt);
    this.#crossed = null;
    this.#next = -Infinity;
  }

  #count(remaining: number): void {
    let crossed = this.#crossed ?? 0;
    while (crossed < this.#levels.length && remaining <= this.#levelAmount(crossed)) crossed += 1;
    this.#crossed = crossed;
    this.#arm();
  }

  #arm(): void {
    const next = this.#crossed ?? 0;
    this.#next = next < this.#levels.length ? this.#levelAmount(next) : -Infinity;
  }

  /** What remains when the level is reached. */
  #levelAmount(index: number): number {
    return Math.round(this.#capacity * (1 - (this.#levels[index] ?? 1)));
  }
}

function sorted(levels: readonly number[]): readonly number[] {
  return levels.toSorted((a, b) => a - b);
}
