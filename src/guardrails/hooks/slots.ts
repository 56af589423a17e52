/** A bounded number of calls at a time, and a bounded line for those that wait. */
import type { Timers } from './ports.ts';

export type SlotRefusal = 'busy' | 'timeout' | 'aborted';

interface Waiter {
  readonly settle: (result: SlotRefusal | null) => void;
}

export interface SlotWait {
  readonly most: number;
  /** 0: a place at once, or none. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Calls that wait for one hook; each holds a body. */
const WAITING_MAX = 1_024;

export class Slots {
  readonly #timers: Timers;
  readonly #waiters = new Set<Waiter>();
  #running = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Null once there is a place, which `release` gives back; else why there is none. */
  take({ most, waitMs, signal }: SlotWait): Promise<SlotRefusal | null> | SlotRefusal | null {
    if (signal?.aborted === true) return 'aborted';
    if (this.#running < most && this.#waiters.size === 0) {
      this.#running += 1;
      return null;
    }
    if (waitMs === 0 || this.#waiters.size >= WAITING_MAX) return 'busy';
    return new Promise((resolve) => {
      const onAbort = (): void => waiter.settle('aborted');
      const cancel = this.#timers.after(waitMs, () => waiter.settle('timeout'));
      const waiter: Waiter = {
        settle: (result) => {
          if (!this.#waiters.delete(waiter)) return;
          cancel();
          signal?.removeEventListener('abort', onAbort);
          resolve(result);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The place goes to whoever waits longest. */
  release(): void {
    const [first] = this.#waiters;
    if (first === undefined) this.#running -= 1;
    else first.settle(null);
  }
}
