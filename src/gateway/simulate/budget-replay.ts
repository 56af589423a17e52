/**
 * Budgets of one policy over recorded requests: the real engine, on a clock that follows the rows.
 * A request holds what it used from its begin to its end. What the gateway would have reserved for
 * it beforehand is not recorded and more, so near a limit the gateway refuses a little sooner.
 */
import { assert } from '../../base/errors.ts';
import type { UnixMs } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import type { QuotaEntry } from '../../policy/index.ts';
import {
  type BucketValues,
  createQuotas,
  type Quotas,
  type Refusal,
  type Reservation,
} from '../../quotas/index.ts';
import { createMemoryLedger, type MemoryLedger } from './memory-ledger.ts';

/** Requests that are under way at the same moment; beyond it the one that ends first is ended. */
const OPEN_MAX = 20_000;
/** The engine's housekeeping runs each second; nothing in a simulation needs it so often. */
const TICK_EVERY_MS = 60_000;
/** Steps of promises from a question to its answer in memory, with room to spare. */
const SETTLING_STEPS = 12;

export interface BudgetQuestion {
  readonly entries: readonly QuotaEntry[];
  readonly quotas: ReadonlyMap<string, QuotaEntry>;
  readonly values: BucketValues;
  readonly startedAt: UnixMs;
  readonly durationMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Null: the model has no price. */
  readonly costNanoUsd: number | null;
}

export interface BudgetReplay {
  /** Questions in the order of `startedAt`; an earlier time counts as the latest so far. Null: within all budgets. */
  ask(question: BudgetQuestion): Promise<Refusal | null>;
  /** Buckets that started afresh for want of room. */
  readonly forgotten: number;
}

interface Open {
  readonly endsAt: UnixMs;
  readonly reservation: Reservation;
  readonly question: BudgetQuestion;
}

export function createBudgetReplay(from: UnixMs): BudgetReplay {
  return new Replay(from);
}

class Replay implements BudgetReplay {
  readonly #start: UnixMs;
  readonly #ledger: MemoryLedger = createMemoryLedger();
  readonly #open = new EndingFirst();
  readonly #quotas: Quotas;
  #now: UnixMs;
  #tickedAt: UnixMs;
  #tick: () => void = () => undefined;

  constructor(from: UnixMs) {
    this.#start = from;
    this.#now = from;
    this.#tickedAt = from;
    this.#quotas = createQuotas({
      store: this.#ledger,
      clock: { now: () => this.#now, monotonicMs: () => this.#now - this.#start },
      logger: silentLogger,
      instance: 'simulation',
      timers: {
        // The ledger answers at once, so that nobody waits for a deadline.
        after: () => () => undefined,
        every: (_periodMs, run) => {
          this.#tick = run;
          return () => undefined;
        },
      },
    });
  }

  get forgotten(): number {
    return this.#ledger.forgotten;
  }

  async ask(question: BudgetQuestion): Promise<Refusal | null> {
    const { entries, quotas, values, startedAt } = question;
    if (entries.length === 0) return null;
    await this.#moveTo(startedAt);
    const uses = this.#quotas.usesOf(entries, quotas, values);
    const answer = await this.#quotas.reserve(uses, {
      inputTokensMax: question.inputTokens,
      outputTokensMax: question.outputTokens,
      unknownInput: false,
      // As one sum: the cost is known.
      price:
        question.costNanoUsd === null
          ? null
          : { inputNanoPerToken: 0, outputNanoPerToken: 0, requestNano: question.costNanoUsd },
      clampable: false,
      metered: false,
    });
    if (!answer.granted) return answer;
    const endsAt = this.#now + Math.max(0, question.durationMs);
    this.#open.add({ endsAt, reservation: answer, question });
    if (this.#open.size > OPEN_MAX) this.#endFirst();
    return null;
  }

  async #moveTo(time: UnixMs): Promise<void> {
    const target = Math.max(this.#now, Math.floor(time));
    while ((this.#open.nextEnd ?? Infinity) <= target) this.#endFirst();
    this.#now = target;
    this.#housekeep();
    await this.#settled();
  }

  #endFirst(): void {
    const { reservation, question, endsAt } = this.#open.takeFirst();
    this.#now = Math.max(this.#now, Math.min(Math.floor(endsAt), Number.MAX_SAFE_INTEGER));
    const { inputTokens, outputTokens, costNanoUsd } = question;
    reservation.settle({ inputTokens, outputTokens, costNanoUsd, estimated: false });
    this.#housekeep();
  }

  #housekeep(): void {
    if (this.#now - this.#tickedAt < TICK_EVERY_MS) return;
    this.#tickedAt = this.#now;
    this.#tick();
  }

  /** What the engine has under way in promises ends, so that a replay is the same each time. */
  async #settled(): Promise<void> {
    let calls = -1;
    while (calls !== this.#ledger.calls) {
      calls = this.#ledger.calls;
      for (let step = 0; step < SETTLING_STEPS; step += 1) await Promise.resolve();
    }
  }
}

/** A binary heap by the time at which requests end. */
class EndingFirst {
  readonly #heap: Open[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get nextEnd(): UnixMs | null {
    return this.#heap[0]?.endsAt ?? null;
  }

  add(item: Open): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.endsAt <= item.endsAt) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  takeFirst(): Open {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    assert(first !== undefined && last !== undefined, 'there is an open request');
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(item: Open): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = heap[left + 1];
      const isRight = right !== undefined && right.endsAt < (heap[left]?.endsAt ?? Infinity);
      const child = isRight ? left + 1 : left;
      const below = heap[child];
      if (below === undefined || below.endsAt >= item.endsAt) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = item;
  }
}
