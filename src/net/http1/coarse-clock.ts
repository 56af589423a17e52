/**
 * One timer for all timeouts of a set of connections. The time it tells stands still between its
 * turns, so a chunk is stamped for nothing; a limit is kept to one period, which is a tenth of the
 * shortest limit asked for, and 500 ms at most.
 */

export interface CoarseClockOptions {
  /** Called at each turn. */
  readonly onTurn: (nowMs: number) => void;
  readonly monotonicMs: () => number;
}

const PERIOD_MAX_MS = 500;
const PERIOD_MIN_MS = 10;
const TURNS_PER_LIMIT = 10;

export class CoarseClock {
  readonly #options: CoarseClockOptions;
  #timer: NodeJS.Timeout | null = null;
  #periodMs = PERIOD_MAX_MS;
  #lastMs = 0;
  /**
   * Milliseconds from an arbitrary start, as of the last turn. A stop of the whole process counts
   * as two periods at most: what the other side sent meanwhile is read before it is called late.
   */
  nowMs = 0;

  constructor(options: CoarseClockOptions) {
    this.#options = options;
  }

  /** The time to stamp with: never before the true one, so that nothing is late too early. */
  get stampMs(): number {
    return this.nowMs + this.#periodMs;
  }

  /** From now on a limit of this length is kept. Idempotent, cheap. */
  keep(limitMs: number): void {
    if (this.#timer !== null && limitMs >= this.#periodMs * TURNS_PER_LIMIT) return;
    const periodMs = Math.min(PERIOD_MAX_MS, Math.max(PERIOD_MIN_MS, limitMs / TURNS_PER_LIMIT));
    if (this.#timer !== null && periodMs >= this.#periodMs) return;
    this.#start(periodMs);
  }

  /** No connection is left. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#periodMs = PERIOD_MAX_MS;
  }

  #start(periodMs: number): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#periodMs = periodMs;
    this.#lastMs = this.#options.monotonicMs();
    // The sockets keep the process alive, not the wish to close them.
    this.#timer = setInterval(() => this.#turn(), periodMs).unref();
  }

  #turn(): void {
    const nowMs = this.#options.monotonicMs();
    this.nowMs += Math.min(nowMs - this.#lastMs, this.#periodMs * 2);
    this.#lastMs = nowMs;
    this.#options.onTurn(this.nowMs);
  }
}
