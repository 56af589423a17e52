/** The pace at which a client may send: a token bucket that goes into debt, to be waited off. */
import type { RelayRate } from './relay-limits.ts';

export class ReadPace {
  readonly #rate: RelayRate;
  #bytes: number;
  #at: number;

  /** Starts full. `nowMs` is monotonic. */
  constructor(rate: RelayRate, nowMs: number) {
    this.#rate = rate;
    this.#bytes = rate.burstBytes;
    this.#at = nowMs;
  }

  /** Takes bytes that have come; gives how many ms to read nothing, 0 for none. */
  spend(bytes: number, nowMs: number): number {
    const { bytesPerSecond, burstBytes } = this.#rate;
    const grown = (Math.max(nowMs - this.#at, 0) / 1000) * bytesPerSecond;
    this.#bytes = Math.min(burstBytes, this.#bytes + grown) - bytes;
    this.#at = nowMs;
    return this.#bytes >= 0 ? 0 : Math.ceil((-this.#bytes / bytesPerSecond) * 1000);
  }
}
