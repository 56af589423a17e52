/**
 * How many handshakes are worth answering (white paper, section 5.3): a handshake costs a few
 * hundred microseconds, which strangers who know our public key could make us spend.
 */

/** Handshake messages with a right mac1 per second above which mac2 is asked for. Ours: about a tenth of a core. */
export const UNDER_LOAD_PER_SEC = 250;
/** Once under load, for this long. Ours. */
const UNDER_LOAD_HOLD_MS = 1_000;
/** Handshakes per second from one source under load, after mac2. Ours. */
const SOURCE_RATE_PER_SEC = 20;
/** Handshakes at once from one source under load. Ours. */
const SOURCE_BURST = 5;
/** Sources remembered. Ours; when full of busy ones, others wait. */
export const SOURCES_MAX = 8_192;
/** Cookie replies per second: each is one message for one message, a little smaller than its cause. Ours. */
export const COOKIE_REPLIES_PER_SEC = 1_000;

const WINDOW_MS = 1_000;
const IDLE_MS = 2_000;

/** Counts handshake messages and tells whether the device is under load. */
export class HandshakeLoad {
  readonly #perSec: number;
  #windowFrom = -Infinity;
  #count = 0;
  #underLoadUntil = -Infinity;

  constructor(perSec: number = UNDER_LOAD_PER_SEC) {
    this.#perSec = perSec;
  }

  /** Counts one message; true if mac2 must be asked for. */
  note(now: number): boolean {
    if (now - this.#windowFrom >= WINDOW_MS) {
      this.#windowFrom = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > this.#perSec) this.#underLoadUntil = now + UNDER_LOAD_HOLD_MS;
    return now < this.#underLoadUntil;
  }
}

/** At most so many per second, counted in whole seconds. */
export class SecondLimit {
  readonly #perSec: number;
  #windowFrom = -Infinity;
  #count = 0;

  constructor(perSec: number) {
    this.#perSec = perSec;
  }

  /** Takes one; false if this second has had its share. */
  take(now: number): boolean {
    if (now - this.#windowFrom >= WINDOW_MS) {
      this.#windowFrom = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= this.#perSec;
  }
}

interface Bucket {
  tokens: number;
  at: number;
}

/** A token bucket for each source that proved its address. */
export class SourceLimit {
  readonly #buckets = new Map<string, Bucket>();

  /** Sources remembered now. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one for a source; false if it has had its share or nobody more can be remembered. */
  take(source: string, now: number): boolean {
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      if (this.#buckets.size >= SOURCES_MAX) this.#forgetIdle(now);
      if (this.#buckets.size >= SOURCES_MAX) return false;
      this.#buckets.set(source, { tokens: SOURCE_BURST - 1, at: now });
      return true;
    }
    bucket.tokens = Math.min(SOURCE_BURST, bucket.tokens + ((now - bucket.at) * SOURCE_RATE_PER_SEC) / 1_000);
    bucket.at = now;
    /* Youngest last, so that the idle ones are found from the front. */
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #forgetIdle(now: number): void {
    for (const [source, bucket] of this.#buckets) {
      if (now - bucket.at < IDLE_MS) return;
      this.#buckets.delete(source);
    }
  }
}
