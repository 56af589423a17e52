/**
 * The exchanges under way, so that a withdrawn right ends them within a second: by token, by
 * provider key, by principal, or all of them at shutdown.
 */
import type { Caller } from '../identity/index.ts';
import { Refused, type ReasonCode } from './reasons.ts';

export interface ActiveExchange {
  readonly caller: Caller;
  /** Null where the provider needs none. */
  readonly keyId: string | null;
  readonly provider: string;
  /** Upstream id. */
  readonly model: string;
  /** Ends the exchange; safe to call more than once. */
  cut(reason: Refused): void;
}

export interface ActiveExchanges {
  readonly count: number;
  add(exchange: ActiveExchange): void;
  remove(exchange: ActiveExchange): void;
  /** Ends those that match; returns how many. */
  cut(matches: (exchange: ActiveExchange) => boolean, code: ReasonCode, message: string): number;
  /** Resolves when none is left, or after `timeoutMs`; true if none was left. */
  drained(timeoutMs: number): Promise<boolean>;
}

export function createActiveExchanges(): ActiveExchanges {
  const exchanges = new Set<ActiveExchange>();
  const waiting = new Set<() => void>();
  return {
    get count() {
      return exchanges.size;
    },
    add: (exchange) => void exchanges.add(exchange),
    remove(exchange) {
      exchanges.delete(exchange);
      if (exchanges.size === 0) for (const wake of waiting) wake();
    },
    cut(matches, code, message) {
      let count = 0;
      for (const exchange of exchanges) {
        if (!matches(exchange)) continue;
        exchange.cut(new Refused(code, message));
        count += 1;
      }
      return count;
    },
    drained(timeoutMs) {
      if (exchanges.size === 0) return Promise.resolve(true);
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
