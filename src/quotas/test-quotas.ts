/** Test doubles of this folder: time that is moved by hand, and the real ledger in memory. */
import type { Clock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import type { QuotaEntry } from '../policy/document.ts';
import type { BudgetStore } from '../store/budget-shapes.ts';
import * as budgets from '../store/sqlite/budgets.ts';
import { Database } from '../store/sqlite/database.ts';
import { migrate } from '../store/sqlite/migrate.ts';
import { createQuotas, type Quotas, type QuotasOptions } from './quotas.ts';
import type { BucketUse } from './bucket-use.ts';
import type { Estimate } from './estimate.ts';
import type { Timers } from './ports.ts';

/** 2026-01-05T12:00:00Z, a Monday. */
export const NOON = Date.UTC(2026, 0, 5, 12);

export interface TestTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Time goes by, second by second; what is due runs. */
  advance(durationMs: number): Promise<void>;
  /** The wall clock is set; no time goes by. */
  jump(byMs: number): void;
}

export function testTime(start = NOON): TestTime {
  let wall = start;
  let monotonic = 1_000;
  const due = new Set<{ at: number; periodMs: number | null; run: () => void }>();
  const add = (delayMs: number, periodMs: number | null, run: () => void): (() => void) => {
    const entry = { at: monotonic + delayMs, periodMs, run };
    due.add(entry);
    return () => due.delete(entry);
  };
  const runDue = (): void => {
    const now = monotonic;
    for (const entry of due) {
      if (entry.at > now) continue;
      if (entry.periodMs === null) due.delete(entry);
      else entry.at += entry.periodMs;
      entry.run();
    }
  };
  return {
    clock: { now: () => wall, monotonicMs: () => monotonic },
    timers: {
      after: (delayMs, run) => add(delayMs, null, run),
      every: (periodMs, run) => add(periodMs, periodMs, run),
    },
    async advance(durationMs) {
      let rest = durationMs;
      // Long waits have no more than a hundred steps: housekeeping need not run each second of a month.
      const step = Math.max(1_000, durationMs / 100);
      while (rest > 0) {
        const part = Math.min(step, rest);
        wall += part;
        monotonic += part;
        rest -= part;
        runDue();
        await settled();
      }
    },
    jump(byMs) {
      wall += byMs;
    },
  };
}

export interface TestStore extends BudgetStore {
  /** Calls of `leaseBudget` so far. */
  calls: number;
  /** While set, calls fail with it. */
  failure: Error | null;
  /** While set, calls wait for it. */
  gate: Promise<void> | null;
  close(): void;
}

/** The tables of SQLite in memory, on this thread, answering a little later as a store does. */
export function testStore(): TestStore {
  const database = new Database(':memory:', 'writer');
  migrate(database, NOON);
  const store: TestStore = {
    calls: 0,
    failure: null,
    gate: null,
    async leaseBudget(call) {
      store.calls += 1;
      await pass();
      return budgets.leaseBudget(database, call);
    },
    async returnBudget(call) {
      await pass();
      budgets.returnBudget(database, call);
    },
    async listBudgets(filter, page, asker) {
      await pass();
      return budgets.listBudgets(database, filter, page, asker);
    },
    async refillBudget(tailnet, bucket, amount, asker, approval = null) {
      await pass();
      return budgets.refillBudget(database, { tailnet, bucket, amount, asker, approval });
    },
    async deleteBudgets(tailnet, keep) {
      await pass();
      return budgets.deleteBudgets(database, tailnet, keep);
    },
    close: () => database.close(),
  };
  const pass = async (): Promise<void> => {
    await (store.gate ?? Promise.resolve());
    if (store.failure !== null) throw store.failure;
  };
  return store;
}

/** Everything that is under way in promises comes to its end. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i += 1) await new Promise((resolve) => void setImmediate(resolve));
}

export function quota(name: string, given: Partial<QuotaEntry> = {}): QuotaEntry {
  return {
    name,
    unit: 'usd',
    capacity: 10e9,
    rate: null,
    reserve: 'bounded',
    window: null,
    unknownInput: null,
    timezone: null,
    warnAt: [],
    parent: null,
    overdraft: [],
    notify: [],
    ...given,
  };
}

export function useOf(entry: QuotaEntry, lenders: readonly QuotaEntry[] = []): BucketUse {
  return {
    tailnet: 'home',
    quota: entry,
    bucket: entry.name,
    key: `home\n${entry.name}\n${entry.name}`,
    overdraft: lenders.map((lender) => useOf(lender)),
    fault: null,
  };
}

/** 1,000 input tokens at 1,000 nano, up to 1,000 output tokens at 10,000 nano: at most $0.011. */
export function estimate(given: Partial<Estimate> = {}): Estimate {
  return {
    inputTokensMax: 1_000,
    outputTokensMax: 1_000,
    unknownInput: false,
    price: { inputNanoPerToken: 1_000, outputNanoPerToken: 10_000, requestNano: 0 },
    ...given,
  };
}

export const ESTIMATE_NANO = 11_000_000;

export function openQuotas(store: BudgetStore, time: TestTime, given: Partial<QuotasOptions> = {}): Quotas {
  instances += 1;
  return createQuotas({
    store,
    clock: time.clock,
    timers: time.timers,
    logger: silentLogger,
    instance: `ins_${instances}`,
    ...given,
  });
}

let instances = 0;
