/** What hooks need from outside; `server.ts` joins it. */
import type { Secret } from '../../base/secret.ts';
import type { FetchSmall } from '../../net/index.ts';
import type { HookEntry } from '../../policy/document.ts';

/** The guarded way out: bounded in bytes and time, no redirects (`net/fetch-small.ts`). */
export type HookHttp = FetchSmall;

/** Where a hook's keys are found: the vault, the operator's environment or files. */
export interface HookSecrets {
  /** The key that is presented to the hook; null where it is to have one and there is none. */
  apiKey(entry: HookEntry): Secret | null;
  /** The secret of `sign_with`, where the document names one; null where there is none. */
  signingKey(entry: HookEntry): Secret | null;
}

/** Where deliveries are kept that were given up, over a restart: sealed, written off every path. */
export interface DeadLetterKeeping {
  put(name: readonly string[], value: unknown): void;
  delete(name: readonly string[]): void;
}

/** Timers that do not keep the process alive; tests pass their own. */
export interface Timers {
  /** Runs once; the function returned cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
