/** What the engine needs from outside; `server.ts` joins them. */
export type { BudgetStore } from '../store/budget-shapes.ts';

/** Timers that do not keep the process alive; tests pass their own. */
export interface Timers {
  /** Runs once; the function returned cancels it. */
  after(delayMs: number, run: () => void): () => void;
  /** Runs again and again; the function returned ends it. */
  every(periodMs: number, run: () => void): () => void;
}

export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
