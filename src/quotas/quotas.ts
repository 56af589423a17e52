/**
 * Budgets of one process (DESIGN section 7): what is reserved before a request, corrected after it,
 * and shown. A pure core in memory (`bucket.ts`, `take.ts`, `reserver.ts`) over leases that the
 * store has debited before (`leases.ts`).
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { QuotaEntry } from '../policy/document.ts';
import { refill as refilled } from '../store/budget-ledger.ts';
import type { BudgetFilter, BudgetState, BudgetUnit } from '../store/budget-shapes.ts';
import type { Page, PageRequest } from '../store/shapes.ts';
import type { Bucket } from './bucket.ts';
import { BucketExpander, type BucketUse, type BucketValues } from './bucket-use.ts';
import type { Estimate, UnknownInput } from './estimate.ts';
import { type HolderValues, isHeldBy } from './held-by.ts';
import type { BudgetCrossing, BudgetPublisher } from './events.ts';
import { Leases } from './leases.ts';
import { systemTimers, type BudgetStore, type Timers } from './ports.ts';
import type { Refusal } from './refusal.ts';
import { Reserver } from './reserver.ts';
import type { Reservation } from './reservation.ts';

export interface QuotasOptions {
  readonly store: BudgetStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Names this process; new at each start (`newId('ins', …)`). */
  readonly instance: string;
  /** Where `budget.*` events go. */
  readonly publish?: BudgetPublisher;
  /** What is assumed for input whose cost cannot be known. Default: deny. */
  readonly unknownInput?: (quota: QuotaEntry) => UnknownInput;
  readonly timers?: Timers;
  readonly limits?: Partial<QuotasLimits>;
}

export interface QuotasLimits {
  /** A request waits for the store no longer than this. */
  readonly waitMaxMs: number;
  /** Buckets in memory; beyond it new ones are refused until others were idle for a minute. */
  readonly bucketsMax: number;
  /** Values of a label (agent, session) or model that count by themselves, for each caller and quota. */
  readonly labelsPerCallerMax: number;
  /** A label's place is free again when it was not used for so long. */
  readonly labelIdleMs: number;
  /** Output limit that is written into a request when neither it nor the model has a known one. */
  readonly outputTokensUnknown: number;
}

const DEFAULT_LIMITS: QuotasLimits = {
  waitMaxMs: 1_000,
  bucketsMax: 50_000,
  labelsPerCallerMax: 64,
  labelIdleMs: 86_400_000,
  outputTokensUnknown: 8_192,
};
/** Callers whose labels are remembered. */
const LABEL_HOLDERS_MAX = 20_000;
/** `budget.exhausted` of one bucket is not told more often. */
const EXHAUSTED_EVERY_MS = 60_000;

/** What is left of one bucket, for headers. */
export interface Remaining {
  readonly bucket: string;
  readonly quota: string;
  readonly unit: BudgetUnit;
  readonly capacity: number;
  /** Not spent; below zero is a debt. What requests under way have reserved is still in it. */
  readonly remaining: number;
  /** The highest soft threshold that is crossed (0.8 for 80 % spent); null for none. */
  readonly threshold: number | null;
}

/** A bucket for the API. Amounts in its unit. */
export interface BudgetView {
  readonly tailnet: string;
  readonly quota: string;
  readonly bucket: string;
  readonly unit: BudgetUnit;
  readonly capacity: number;
  /** Not spent, what is reserved included; below zero is a debt. Other processes' unspent leases count as unspent. */
  readonly balance: number;
  /** Reserved by requests of this process that are under way. */
  readonly reserved: number;
  readonly rate: { readonly amount: number; readonly periodMs: number } | null;
  /** End of the calendar window, as this process knows it; null without windows or for buckets that it has not used. */
  readonly windowEnd: number | null;
  readonly updatedAt: number;
}

export interface Quotas {
  /** The buckets that a request counts against: those of `entries` and all their parents in `quotas`. */
  usesOf(
    entries: readonly QuotaEntry[],
    quotas: ReadonlyMap<string, QuotaEntry>,
    values: BucketValues,
  ): readonly BucketUse[];
  /**
   * Takes from all buckets or from none. Answers at once, except near a limit, at a bucket's first
   * use or at the begin of a window: then after the store did, or `waitMaxMs`. Never rejects. Each
   * granted reservation must be ended by `settle` or `release`.
   */
  reserve(
    uses: readonly BucketUse[],
    estimate: Estimate,
  ): Reservation | Refusal | Promise<Reservation | Refusal>;
  /** What is left of the buckets that this process has used; from memory. */
  remaining(uses: readonly BucketUse[]): readonly Remaining[];
  /** Buckets that were used, by quota and name. Who may see which is the caller's to decide. Rejects as the store does. */
  list(filter: BudgetFilter, page: PageRequest): Promise<Page<BudgetView>>;
  /** The buckets of these uses, full ones included that nobody has used yet. At most 100. */
  view(uses: readonly BucketUse[]): Promise<readonly BudgetView[]>;
  /** Adds to every bucket of this name, up to its capacity (Aperture's refill). Empty: there is none. */
  refill(tailnet: string, bucket: string, amount: number): Promise<readonly BudgetView[]>;
  /** As `refill`, and uses the approval in the same step; null if it does not stand, or is used already. */
  refillByApproval(
    tailnet: string,
    bucket: string,
    amount: number,
    approvalId: string,
  ): Promise<readonly BudgetView[] | null>;
  /**
   * Whether the bucket is one of those that count requests with these values, whatever agent, session,
   * model or provider they name. Never true for a bucket of somebody else's.
   */
  isHeldBy(entry: QuotaEntry, bucket: string, values: HolderValues): boolean;
  /**
   * A document was saved: buckets of quotas that it does not define are deleted, for good. Give all
   * names that it has, those of quotas that could not be read too; never call it for a document that failed to load.
   */
  configure(tailnet: string, quotaNames: readonly string[]): Promise<void>;
  /** Gives back what is unspent. Reservations that are still open count as spent: end them first. */
  close(): Promise<void>;
}

/** Starts the engine; nothing is read until a bucket is used. */
export function createQuotas(options: QuotasOptions): Quotas {
  return new Engine(options);
}

class Engine implements Quotas {
  readonly #options: QuotasOptions;
  readonly #leases: Leases;
  readonly #expander: BucketExpander;
  readonly #reserver: Reserver;

  constructor(options: QuotasOptions) {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { store, clock, logger, instance } = options;
    const timers = options.timers ?? systemTimers;
    this.#options = options;
    this.#leases = new Leases({ store, clock, logger, timers, instance });
    this.#expander = new BucketExpander({
      perHolderMax: limits.labelsPerCallerMax,
      idleMs: limits.labelIdleMs,
      holdersMax: LABEL_HOLDERS_MAX,
    });
    this.#reserver = new Reserver({
      clock,
      timers,
      leases: this.#leases,
      host: {
        clock,
        leases: this.#leases,
        noteSpent: (bucket) => this.#noteSpent(bucket),
        noteOverrun: (bucket, overrunBy) => this.#noteOverrun(bucket, overrunBy),
      },
      unknownInput: options.unknownInput ?? (() => ({ kind: 'deny' })),
      noteExhausted: (bucket) => this.#noteExhausted(bucket),
      waitMaxMs: limits.waitMaxMs,
      bucketsMax: limits.bucketsMax,
      outputTokensUnknown: limits.outputTokensUnknown,
    });
  }

  usesOf(
    entries: readonly QuotaEntry[],
    quotas: ReadonlyMap<string, QuotaEntry>,
    values: BucketValues,
  ): readonly BucketUse[] {
    return this.#expander.expand(entries, quotas, values, this.#options.clock.monotonicMs());
  }

  reserve(
    uses: readonly BucketUse[],
    estimate: Estimate,
  ): Reservation | Refusal | Promise<Reservation | Refusal> {
    return uses.length === 0 ? FREE : this.#reserver.reserve(uses, estimate);
  }

  remaining(uses: readonly BucketUse[]): readonly Remaining[] {
    const found: Remaining[] = [];
    for (const use of uses) {
      const bucket = this.#leases.find(use.key);
      if (bucket === undefined || bucket.epoch === null) continue;
      const { name: quota, unit, capacity } = use.quota;
      found.push({
        bucket: use.bucket,
        quota,
        unit,
        capacity,
        remaining: bucket.remaining,
        threshold: bucket.thresholds.crossed,
      });
    }
    return found;
  }

  async list(filter: BudgetFilter, page: PageRequest): Promise<Page<BudgetView>> {
    const { items, nextCursor } = await this.#options.store.listBudgets(filter, page, this.#asker());
    return { items: items.map((state) => this.#viewOf(state)), nextCursor };
  }

  async view(uses: readonly BucketUse[]): Promise<readonly BudgetView[]> {
    const views: BudgetView[] = [];
    const byTailnet = Map.groupBy(uses, (use) => use.tailnet);
    for (const [tailnet, own] of byTailnet) {
      const filter = { tailnet, buckets: own.map((use) => use.bucket) };
      const { items } = await this.#options.store.listBudgets(filter, { limit: 500 }, this.#asker());
      const known = new Map(items.map((state) => [keyOf(state), state]));
      for (const use of own) {
        const state = known.get(use.key);
        views.push(state === undefined ? this.#unused(use) : this.#viewOf(state));
      }
    }
    return views;
  }

  async refill(tailnet: string, bucket: string, amount: number): Promise<readonly BudgetView[]> {
    return (await this.#refill(tailnet, bucket, amount, null)) ?? [];
  }

  refillByApproval(
    tailnet: string,
    bucket: string,
    amount: number,
    approvalId: string,
  ): Promise<readonly BudgetView[] | null> {
    return this.#refill(tailnet, bucket, amount, approvalId);
  }

  isHeldBy(entry: QuotaEntry, bucket: string, values: HolderValues): boolean {
    return isHeldBy(entry, bucket, values);
  }

  async #refill(
    tailnet: string,
    bucket: string,
    amount: number,
    approvalId: string | null,
  ): Promise<readonly BudgetView[] | null> {
    const held = [...this.#leases.all()].filter((own) => own.tailnet === tailnet && own.bucket === bucket);
    for (const own of held) {
      // What lies here unspent would count as room that is taken.
      own.givesBack = true;
      void this.#leases.report(own);
    }
    await this.#leases.flush();
    const { store, clock } = this.#options;
    const approval = approvalId === null ? null : { id: approvalId, now: clock.now() };
    const states = await store.refillBudget(tailnet, bucket, amount, this.#asker(), approval);
    if (states === null) return null;
    for (const state of states) {
      const own = this.#leases.find(keyOf(state));
      if (own === undefined) continue;
      own.setBalance(state.balance, state.held - state.heldByAsker);
      own.dryUntilMs = -Infinity;
    }
    return states.map((state) => this.#viewOf(state));
  }

  async configure(tailnet: string, quotaNames: readonly string[]): Promise<void> {
    const kept = new Set(quotaNames);
    for (const bucket of this.#leases.all())
      if (bucket.tailnet === tailnet && !kept.has(bucket.quota.name)) this.#leases.drop(bucket);
    await this.#leases.flush();
    await this.#options.store.deleteBudgets(tailnet, quotaNames);
  }

  close(): Promise<void> {
    return this.#leases.close();
  }

  #asker(): { readonly instance: string; readonly now: number } {
    return { instance: this.#options.instance, now: this.#leases.steadyNow() };
  }

  /** A row refilled to now, with what this process knows better: its own part. */
  #viewOf(state: BudgetState): BudgetView {
    const row = refilled(state, state.held, this.#leases.steadyNow());
    const own = this.#leases.find(keyOf(state));
    const ownPart = own === undefined ? state.heldByAsker : own.available + own.reserved - own.owed;
    const others = state.held - state.heldByAsker;
    return {
      tailnet: state.tailnet,
      quota: state.quota,
      bucket: state.bucket,
      unit: state.unit,
      capacity: state.capacity,
      balance: row.balance + others + ownPart,
      reserved: own?.reserved ?? 0,
      rate: rateOf(state.rateAmount, state.ratePeriodMs),
      windowEnd: own?.windowEnd ?? null,
      updatedAt: state.updatedAt,
    };
  }

  #unused({ tailnet, quota, bucket }: BucketUse): BudgetView {
    return {
      tailnet,
      quota: quota.name,
      bucket,
      unit: quota.unit,
      capacity: quota.capacity,
      balance: quota.capacity,
      reserved: 0,
      rate: quota.rate,
      windowEnd: null,
      updatedAt: this.#leases.steadyNow(),
    };
  }

  #noteSpent(bucket: Bucket): void {
    const threshold = bucket.thresholds.cross(bucket.remaining);
    if (threshold !== null)
      this.#options.publish?.('budget.warned', { ...this.#crossing(bucket), threshold });
  }

  #noteOverrun(bucket: Bucket, overrunBy: number): void {
    this.#options.publish?.('budget.overrun', { ...this.#crossing(bucket), overrunBy });
  }

  #noteExhausted(bucket: Bucket): void {
    const now = this.#options.clock.now();
    const last = bucket.exhaustedAt;
    // A clock that ran back must not silence the event.
    if (last !== null && now >= last && now - last < EXHAUSTED_EVERY_MS) return;
    bucket.exhaustedAt = now;
    this.#options.publish?.('budget.exhausted', { ...this.#crossing(bucket), again: last !== null });
  }

  #crossing(bucket: Bucket): BudgetCrossing {
    return {
      tailnet: bucket.tailnet,
      quota: bucket.quota.name,
      bucket: bucket.bucket,
      unit: bucket.quota.unit,
      capacity: bucket.quota.capacity,
      remaining: bucket.remaining,
      at: this.#options.clock.now(),
    };
  }
}

/** For requests under no budget: nothing to count, so one for all. */
const FREE: Reservation = {
  granted: true,
  outputTokensAllowed: null,
  warnings: [],
  spend: () => 'go on',
  settle() {},
  release() {},
};

function keyOf(state: BudgetState): string {
  return `${state.tailnet}\n${state.quota}\n${state.bucket}`;
}

function rateOf(amount: number | null, periodMs: number | null): BudgetView['rate'] {
  return amount === null || periodMs === null ? null : { amount, periodMs };
}
