/**
 * The exchanges under way, from the moment their caller is known, so that a withdrawn right ends
 * them within a second: by token, by provider key, by principal, or all of them at shutdown.
 */
import type { Caller } from '../identity/index.ts';
import { Refused, type ReasonCode } from './reasons.ts';

export interface ActiveExchange {
  readonly caller: Caller;
  /** Null until it is routed. */
  readonly route: ActiveRoute | null;
  /** Its place among those under way, kept by `ActiveExchanges`; -1 while it is not one of them. */
  slot: number;
  /** Ends the exchange; safe to call more than once. */
  cut(reason: Refused): void;
}

export interface ActiveRoute {
  /** Null where the provider needs none. */
  readonly keyId: string | null;
  readonly provider: string;
  /** Upstream id. */
  readonly model: string;
}

/** One exchange as its pipeline holds it: a cut that comes between two steps is not lost. */
export class TrackedExchange implements ActiveExchange {
  readonly caller: Caller;
  route: ActiveRoute | null = null;
  slot = -1;
  #cutBy: Refused | null = null;
  #onCut: (reason: Refused) => void;

  /** `onCut` answers the caller while no later step has taken over. */
  constructor(caller: Caller, onCut: (reason: Refused) => void) {
    this.caller = caller;
    this.#onCut = onCut;
  }

  /** Why it was ended; null while it was not. */
  get cutBy(): Refused | null {
    return this.#cutBy;
  }

  cut(reason: Refused): void {
    if (this.#cutBy !== null) return;
    this.#cutBy = reason;
    this.#onCut(reason);
  }

  /** From now on `onCut` ends it. Throws the reason if it was ended before. */
  takeOver(onCut: (reason: Refused) => void): void {
    this.throwIfCut();
    this.#onCut = onCut;
  }

  throwIfCut(): void {
    if (this.#cutBy !== null) throw this.#cutBy;
  }
}

export interface ActiveExchanges {
  readonly count: number;
  /** What is routed now. */
  open(): readonly { readonly keyId: string | null; readonly principal: string; readonly model: string }[];
  add(exchange: ActiveExchange): void;
  remove(exchange: ActiveExchange): void;
  /** Ends those that match; returns how many. */
  cut(matches: (exchange: ActiveExchange) => boolean, code: ReasonCode, message: string): number;
  /** Resolves when none is left, or after `timeoutMs`; true if none was left. */
  drained(timeoutMs: number): Promise<boolean>;
}

export function createActiveExchanges(): ActiveExchanges {
  // An array, not a Set: a Set that is added to and deleted from all the time is copied anew every few
  // requests, and each old copy, once promoted, keeps its exchanges and the next copy alive until a full
  // collection. Whole requests survived by that, at a fifth of the processor time.
  const exchanges: ActiveExchange[] = [];
  const waiting = new Set<() => void>();
  return {
    get count() {
      return exchanges.length;
    },
    open: () =>
      exchanges.flatMap(({ caller, route }) =>
        route === null ? [] : [{ keyId: route.keyId, principal: caller.principal, model: route.model }],
      ),
    add(exchange) {
      if (exchange.slot >= 0) return;
      exchange.slot = exchanges.length;
      exchanges.push(exchange);
    },
    remove(exchange) {
      const { slot } = exchange;
      if (slot < 0) return;
      exchange.slot = -1;
      // The last one takes the place that has become free.
      const last = exchanges.pop();
      if (last !== undefined && last !== exchange) {
        last.slot = slot;
        exchanges[slot] = last;
      }
      if (exchanges.length === 0) for (const wake of waiting) wake();
    },
    cut(matches, code, message) {
      let count = 0;
      // A copy: what is cut may leave at once, and another would take its place.
      for (const exchange of exchanges.slice()) {
        if (!matches(exchange)) continue;
        exchange.cut(new Refused(code, message));
        count += 1;
      }
      return count;
    },
    drained(timeoutMs) {
      if (exchanges.length === 0) return Promise.resolve(true);
      return new Promise((resolve) => {
        const finish = (empty: boolean): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve(empty);
        };
        const wake = (): void => finish(true);
        const timer = setTimeout(() => finish(false), timeoutMs);
        waiting.add(wake);
      });
    },
  };
}
