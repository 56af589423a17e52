/**
 * The driver between buckets in memory and balances in the store: gathers what buckets report and
 * want into one call at a time, gives back what lies idle, and keeps leases believed. Nothing here
 * is on the way of a request that its bucket can pay by itself.
 */
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { QuotaEntry } from '../policy/document.ts';
import { LEASE_BELIEVED_MS } from '../store/budget-ledger.ts';
import type { BudgetLeaseCall, BudgetLeaseRequest } from '../store/budget-shapes.ts';
import type { Bucket } from './bucket.ts';
import type { BudgetStore, Timers } from './ports.ts';
import { type WindowUnit, Windows } from './windows.ts';

/** The store's own bound of one call. */
const REQUESTS_MAX = 1_000;
const TICK_MS = 1_000;
/** A bucket with little left is given back after so many ticks without use, so that other processes can spend it. */
const IDLE_TICKS_NEAR = 2;
/** … and any other after so many. */
const IDLE_TICKS_FAR = 60;
/** Leases are made known so often: a few times within `LEASE_BELIEVED_MS`. */
const HEARTBEAT_TICKS = 10;
/** Slots are not spent on an old lease: others may have got them. */
const SLOTS_STALE_MS = LEASE_BELIEVED_MS * 0.8;
/** A bucket that the store had nothing for is not asked for again within this time, unless it refills sooner. */
const DRY_MS = 250;
const DRY_MIN_MS = 20;
/** After a failure of the store: no new call for this long, doubled up to the last. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

export interface LeasesOptions {
  readonly store: BudgetStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly instance: string;
}

interface Deferred {
  readonly promise: Promise<boolean>;
  readonly resolve: (done: boolean) => void;
}

const REFUSED = Promise.resolve(false);

export class Leases {
  readonly #options: LeasesOptions;
  readonly #windows = new Windows();
  #wallStart = 0;
  #monotonicStart = 0;
  readonly #buckets = new Map<string, Bucket>();
  readonly #dirty = new Set<Bucket>();
  #next: Deferred | null = null;
  #underWay: Promise<void> | null = null;
  #isFirst = true;
  #failures = 0;
  #pausedUntilMs = -Infinity;
  #stopTicking: (() => void) | null = null;
  #isClosed = false;
  /** Ticks so far; what buckets note as their last use. */
  tick = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#anchor();
  }

  /** Time that never jumps once the store has answered this process. */
  steadyNow(): number {
    return Math.floor(this.#wallStart + this.#options.clock.monotonicMs() - this.#monotonicStart);
  }

  get size(): number {
    return this.#buckets.size;
  }

  find(key: string): Bucket | undefined {
    return this.#buckets.get(key);
  }

  all(): Iterable<Bucket> {
    return this.#buckets.values();
  }

  add(bucket: Bucket): void {
    this.#buckets.set(bucket.key, bucket);
    this.#stopTicking ??= this.#options.timers.every(TICK_MS, () => this.onTick());
  }

  /** Forgets a bucket whose definition is gone; reservations that hold of it give nothing back. */
  drop(bucket: Bucket): void {
    bucket.generation += 1;
    this.#buckets.delete(bucket.key);
    this.#dirty.delete(bucket);
  }

  /**
   * Asks that `want` be held for the asker (less than `need` is of no use; 0: anything helps), what
   * is held already included; true when the call that holds the question was answered.
   */
  ask(bucket: Bucket, need: number, want: number): Promise<boolean> {
    if (!this.#canCall()) return REFUSED;
    if (need > 0) bucket.need = bucket.need === 0 ? need : Math.min(bucket.need, need);
    bucket.want += want;
    return this.report(bucket);
  }

  /** Tells the store of debts and returns with the next call. */
  report(bucket: Bucket): Promise<boolean> {
    if (!this.#canCall()) return REFUSED;
    this.#dirty.add(bucket);
    if (this.#next === null) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      this.#next = { promise, resolve };
      if (this.#underWay === null) queueMicrotask(() => this.#send());
    }
    return this.#next.promise;
  }

  /** Whether asking for this bucket again could help already. */
  mayAsk(bucket: Bucket): boolean {
    return this.#options.clock.monotonicMs() >= bucket.dryUntilMs;
  }

  /** Housekeeping of each second. */
  onTick(): void {
    this.tick += 1;
    const nowMs = this.#options.clock.monotonicMs();
    for (const bucket of this.#buckets.values()) {
      const idle = this.tick - bucket.usedTick;
      const isIdle = idle >= (bucket.isNearLimit ? IDLE_TICKS_NEAR : IDLE_TICKS_FAR);
      if (bucket.quota.unit === 'concurrency' && nowMs - bucket.answeredMs > SLOTS_STALE_MS)
        bucket.available = 0;
      if (isIdle && bucket.available > 0) bucket.givesBack = true;
      if (bucket.available + bucket.reserved + bucket.owed + bucket.owedInFlight === 0) {
        if (idle >= IDLE_TICKS_FAR && bucket.pins === 0) this.#buckets.delete(bucket.key);
        continue;
      }
      if (bucket.givesBack || bucket.mustReport || this.tick % HEARTBEAT_TICKS === 0)
        void this.report(bucket);
    }
  }

  /** Waits until everything reported so far was sent. */
  async flush(): Promise<void> {
    while (this.#underWay !== null || this.#next !== null) {
      await this.#next?.promise;
      await this.#underWay;
    }
  }

  /** Gives back what is not reserved and pays what is owed; what is still reserved counts as spent. */
  async close(): Promise<void> {
    this.#stopTicking?.();
    await this.flush();
    this.#isClosed = true;
    const all = [...this.#buckets.values()];
    for (const bucket of all) bucket.givesBack = true;
    for (let i = 0; i < Math.max(1, all.length); i += REQUESTS_MAX) {
      const call = this.#callFor(all.slice(i, i + REQUESTS_MAX));
      const isLast = i + REQUESTS_MAX >= all.length;
      if (isLast) await this.#options.store.returnBudget(call);
      else await this.#options.store.leaseBudget(call);
    }
    this.#buckets.clear();
  }

  #canCall(): boolean {
    return !this.#isClosed && this.#options.clock.monotonicMs() >= this.#pausedUntilMs;
  }

  #send(): void {
    this.#underWay ??= this.#sendAll();
  }

  /** One call after the other while somebody waits for one; never rejects. */
  async #sendAll(): Promise<void> {
    for (let waiting = this.#next; waiting !== null; waiting = this.#next) {
      this.#next = null;
      const batch = [...this.#dirty].slice(0, REQUESTS_MAX);
      for (const bucket of batch) this.#dirty.delete(bucket);
      const done = await this.#exchange(batch);
      waiting.resolve(done);
      if (this.#dirty.size > 0) this.#next ??= Promise.withResolvers<boolean>();
    }
    // In the same step as the last look, so that no question falls between two senders.
    this.#underWay = null;
  }

  async #exchange(batch: readonly Bucket[]): Promise<boolean> {
    const generations = batch.map((bucket) => bucket.generation);
    try {
      const call = this.#callFor(batch);
      const grants = await this.#options.store.leaseBudget(call);
      this.#isFirst = false;
      this.#failures = 0;
      for (const [i, bucket] of batch.entries()) {
        const grant = grants[i];
        const request = call.requests[i];
        bucket.owedInFlight = 0;
        if (grant === undefined || request === undefined || generations[i] !== bucket.generation) continue;
        bucket.apply(grant);
        this.#noteAnswer(bucket, request, grant.granted);
      }
      return true;
    } catch (error) {
      this.#noteFailure(batch, error);
      return false;
    }
  }

  #anchor(): void {
    this.#wallStart = this.#options.clock.now();
    this.#monotonicStart = this.#options.clock.monotonicMs();
  }

  #callFor(batch: readonly Bucket[]): BudgetLeaseCall {
    // The first call sets back what lies ahead of its time: by a clock that was put right since the
    // process began, windows that others have filled would be filled once more.
    if (this.#isFirst) this.#anchor();
    return {
      instance: this.#options.instance,
      first: this.#isFirst,
      now: this.steadyNow(),
      requests: batch.map((bucket) => this.#requestFor(bucket)),
    };
  }

  #requestFor(bucket: Bucket): BudgetLeaseRequest {
    const { quota } = bucket;
    // What came since a question was put counts for it.
    const give = bucket.storeBalance < 0 ? bucket.available : bucket.givesBack ? this.#spare(bucket) : 0;
    bucket.available -= give;
    const want = Math.max(0, bucket.want - bucket.available);
    const need = want === 0 ? 0 : Math.min(want, Math.max(1, bucket.need - bucket.available));
    bucket.givesBack = false;
    bucket.owedInFlight = bucket.owed;
    bucket.owed = 0;
    bucket.need = 0;
    bucket.want = 0;
    const window = this.#windowOf(quota);
    bucket.windowEnd = window?.end ?? null;
    return {
      tailnet: bucket.tailnet,
      quota: quota.name,
      bucket: bucket.bucket,
      unit: quota.unit,
      capacity: quota.capacity,
      rateAmount: quota.rate?.amount ?? null,
      ratePeriodMs: quota.rate?.periodMs ?? null,
      windowStart: window?.start ?? null,
      epoch: bucket.epoch,
      holding: bucket.available + bucket.reserved,
      give,
      debit: bucket.owedInFlight,
      need,
      want,
    };
  }

  /** What nobody who waits has asked for. */
  #spare(bucket: Bucket): number {
    return Math.max(0, bucket.available - bucket.want);
  }

  #windowOf(quota: QuotaEntry): { readonly start: number; readonly end: number } | null {
    if (quota.window === null || quota.unit === 'concurrency') return null;
    return this.#windows.at(toWindowUnit(quota.window), quota.timezone, this.#options.clock.now());
  }

  #noteAnswer(bucket: Bucket, request: BudgetLeaseRequest, granted: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    bucket.answeredMs = nowMs;
    bucket.askAt = bucket.windowEnd ?? Infinity;
    if (request.want === 0 || granted >= request.want) return;
    const { rate } = bucket.quota;
    const refillMs = rate === null ? DRY_MS : ((request.want - granted) * rate.periodMs) / rate.amount;
    bucket.dryUntilMs = nowMs + Math.min(DRY_MS, Math.max(DRY_MIN_MS, refillMs));
  }

  /**
   * What was owed is owed still: if the store did take it, it is paid twice, which errs on the safe
   * side. What was given back or granted is lost, and counts as spent.
   */
  #noteFailure(batch: readonly Bucket[], error: unknown): void {
    for (const bucket of batch) {
      bucket.owed += bucket.owedInFlight;
      bucket.owedInFlight = 0;
    }
    this.#failures += 1;
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(this.#failures - 1, 10));
    this.#pausedUntilMs = this.#options.clock.monotonicMs() + pauseMs;
    if (this.#failures === 1 || this.#failures % 100 === 0) {
      this.#options.logger.warn('budgets cannot reach the store; they go on with what they hold', {
        failures: this.#failures,
        error: describeError(error),
      });
    }
  }
}

function toWindowUnit(window: string): WindowUnit {
  switch (window) {
    case 'hour':
    case 'day':
    case 'week':
      return window;
    default:
      return 'month';
  }
}
