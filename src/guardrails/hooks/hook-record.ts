/** What is kept of a hook's calls: counts, times, the last ones. Bounded, and without any text of theirs. */
import type { HookFault } from './errors.ts';
import type { HookCall, HookLatency, HookOutcome } from './shapes.ts';

/** Upper bounds of the histogram, in milliseconds. */
const BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, Infinity];
/** Calls that are listed. */
const RECENT_MAX = 50;
/** Calls that percentiles are taken over. */
const TIMES_MAX = 512;

export class HookRecord {
  readonly #outcomes = new Map<HookOutcome, number>();
  readonly #faults = new Map<HookFault, number>();
  readonly #counts = BOUNDS_MS.map(() => 0);
  /** A ring; `#next` is where the next one goes. */
  readonly #times: number[] = [];
  readonly #recent: HookCall[] = [];
  #next = 0;
  #sumMs = 0;

  note(call: HookCall): void {
    this.#recent.push(call);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    this.#outcomes.set(call.outcome, (this.#outcomes.get(call.outcome) ?? 0) + 1);
    if (call.fault !== null) this.#faults.set(call.fault, (this.#faults.get(call.fault) ?? 0) + 1);
    // What was not sent took no time of the hook's.
    if (call.fault === 'hook_circuit_open' || call.fault === 'hook_busy') return;
    this.#times[this.#next] = call.durationMs;
    this.#next = (this.#next + 1) % TIMES_MAX;
    this.#sumMs += call.durationMs;
    const bucket = BOUNDS_MS.findIndex((bound) => call.durationMs <= bound);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  outcomes(): Partial<Record<HookOutcome, number>> {
    return Object.fromEntries(this.#outcomes);
  }

  faults(): Partial<Record<HookFault, number>> {
    return Object.fromEntries(this.#faults);
  }

  /** Newest first. */
  recent(): readonly HookCall[] {
    return this.#recent.toReversed();
  }

  latency(): HookLatency {
    const sorted = this.#times.toSorted((a, b) => a - b);
    const at = (share: number): number | null =>
      sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? null;
    let count = 0;
    return {
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
      buckets: BOUNDS_MS.map((atMostMs, index) => {
        count += this.#counts[index] ?? 0;
        return { atMostMs, count };
      }),
      sumMs: this.#sumMs,
    };
  }
}
