/**
 * The round-trip time and the retransmission timeout (RFC 6298). Two departures, both as Linux does: the
 * timeout is never less than 200 ms above the smoothed time instead of 1 s at least (the rule 2.4 dates
 * from coarse clocks; delayed acknowledgments here and there stay below it), and at most 60 s.
 */

/** RFC 6298 rule 2.1. */
const INITIAL_TIMEOUT_MS = 1000;
const VARIANCE_MIN_MS = 200;
/** RFC 6298 rule 2.5: at least 60 s. */
const TIMEOUT_MAX_MS = 60_000;

export class RoundTrip {
  /** Smoothed, ms; 0 before the first sample. */
  smoothedMs = 0;
  /** The least seen, ms (for RFC 8985); Infinity before the first sample. */
  leastMs = Number.POSITIVE_INFINITY;
  #variationMs = 0;
  #timeoutMs = INITIAL_TIMEOUT_MS;
  #backOff = 1;

  /** A measurement of a segment that was sent once (Karn's rule), or by timestamps. Ends any back-off. */
  sample(ms: number): void {
    if (this.smoothedMs === 0) {
      this.smoothedMs = Math.max(ms, 0.001);
      this.#variationMs = ms / 2;
    } else {
      this.#variationMs += (Math.abs(this.smoothedMs - ms) - this.#variationMs) / 4;
      this.smoothedMs += (ms - this.smoothedMs) / 8;
    }
    if (ms < this.leastMs) this.leastMs = ms;
    this.#timeoutMs = this.smoothedMs + Math.max(4 * this.#variationMs, VARIANCE_MIN_MS);
    this.#backOff = 1;
  }

  /** How long to wait for an acknowledgment now. */
  get timeoutMs(): number {
    return Math.min(this.#timeoutMs * this.#backOff, TIMEOUT_MAX_MS);
  }

  /** Doubles the timeout: RFC 6298 rule 5.5. */
  backOff(): void {
    if (this.#timeoutMs * this.#backOff < TIMEOUT_MAX_MS) this.#backOff *= 2;
  }

  /** The peer answers: RFC 6298 section 5, the last note. */
  endBackOff(): void {
    this.#backOff = 1;
  }
}
