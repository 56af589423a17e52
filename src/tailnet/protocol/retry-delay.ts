/** How long to wait before the next try: doubling, with jitter, so that a network does not come back all at once. */
import { setTimeout } from 'node:timers/promises';
import type { Random } from '../../base/random.ts';
import type { Sleep } from './ports.ts';

export interface RetryDelayOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly random: Random;
}

export class RetryDelay {
  readonly #options: RetryDelayOptions;
  #failures = 0;

  constructor(options: RetryDelayOptions) {
    this.#options = options;
  }

  /** For the next failure: between half and all of the doubled time. */
  next(): number {
    const { firstMs, maxMs, random } = this.#options;
    const full = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    const share = Buffer.from(random.bytes(4)).readUInt32BE(0) / 2 ** 32;
    return full / 2 + (full / 2) * share;
  }

  /** It has worked. */
  reset(): void {
    this.#failures = 0;
  }
}

/** The system's timers. */
export const systemSleep: Sleep = (ms, signal) => setTimeout(ms, undefined, { signal });
