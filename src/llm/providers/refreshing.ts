/**
 * A value that expires and costs a request to get: kept until shortly before its end, got once for
 * all who wait, and renewed behind the back of those who can still use the old one.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';

export interface Expiring<T> {
  readonly value: T;
  /** Null: it does not expire. */
  readonly expiresAt: UnixMs | null;
}

export interface Refreshing<T> {
  /** The value; a promise only when there is none that can still be used. */
  get(): T | Promise<T>;
  /** The next `get` loads anew, unless the value is as good as new. */
  drop(): void;
}

/** From here on a new value is got in the background. AWS's SDKs use 5 minutes; Google's give tokens an hour. */
const EARLY_MS = 5 * 60_000;
/** From here on the old value is not used: a request may take this long to arrive and be checked. */
const LAST_MS = 30_000;
/** After a failure the same failure is given for this long, so that a down issuer is not flooded. */
const RETRY_MS = 2_000;
/**
 * A younger value is not dropped: where a provider refuses for another reason than the value, each
 * request would cost a load.
 */
const DROP_MIN_AGE_MS = 30_000;

/** `load` must end by itself within a bounded time. */
export function createRefreshing<T>(load: () => Promise<Expiring<T>>, clock: Clock): Refreshing<T> {
  let current: (Expiring<T> & { readonly mark: number }) | null = null;
  let flight: Promise<T> | null = null;
  let failure: { readonly error: unknown; readonly mark: number } | null = null;
  let generation = 0;

  async function run(started: number): Promise<T> {
    try {
      const loaded = await load();
      if (started === generation) {
        current = { ...loaded, mark: clock.monotonicMs() };
        failure = null;
      }
      return loaded.value;
    } catch (error) {
      if (started === generation) failure = { error, mark: clock.monotonicMs() };
      throw error;
    } finally {
      if (started === generation) flight = null;
    }
  }

  function refresh(): Promise<T> {
    if (flight !== null) return flight;
    if (failure !== null && clock.monotonicMs() - failure.mark < RETRY_MS)
      return Promise.reject(failure.error);
    flight = run(generation);
    return flight;
  }

  return {
    get() {
      if (current === null) return refresh();
      if (current.expiresAt === null) return current.value;
      const leftMs = current.expiresAt - clock.now();
      if (leftMs <= LAST_MS) return refresh();
      if (leftMs <= EARLY_MS) {
        // The old value still holds; whoever needs a new one later sees a failure that lasts.
        refresh().catch(() => undefined);
      }
      return current.value;
    },
    drop() {
      if (current === null || clock.monotonicMs() - current.mark < DROP_MIN_AGE_MS) return;
      generation += 1;
      current = null;
      flight = null;
      failure = null;
    },
  };
}
