/**
 * One bucket as this process sees it: what it holds of it in advance (`available` and `reserved`),
 * what it owes, and what the store said when it last answered. Pure bookkeeping; the driver
 * (`leases.ts`) talks to the store.
 *
 *   held by this process = available + reserved          never below zero, nobody else can spend it
 *   owed                 = spent beyond what was held    blocks the bucket until the store knows
 */
import type { UnixMs } from '../base/clock.ts';
import type { QuotaEntry } from '../policy/document.ts';
import type { BudgetGrant } from '../store/budget-shapes.ts';
import type { BucketUse } from './bucket-use.ts';
import { Thresholds } from './thresholds.ts';

/** The driver asks for more when less than this part of a slice is there. */
const LOW_WATER_SHARE = 0.5;
/** As in the store: slices are at most this part of the capacity, and of what is left. */
const SLICE_OF_CAPACITY = 32;
const SLICE_OF_BALANCE = 8;
/** Refilled so far above nothing, an exhausted bucket counts as usable again. */
const RECOVERED_SHARE = 0.05;

export class Bucket {
  readonly tailnet: string;
  readonly key: string;
  readonly bucket: string;
  readonly thresholds: Thresholds;
  quota: QuotaEntry;

  available = 0;
  reserved = 0;
  owed = 0;
  /** Part of a call that is under way. */
  owedInFlight = 0;

  /** What the store had left, and what other processes held, at the last answer. */
  storeBalance = 0;
  othersHold = 0;
  epoch: number | null = null;
  /** Counts epochs as this process saw them: a hold of an older one is void. */
  generation = 0;
  /** Wall time from which the store must be asked before anything is taken: the end of the window, or before the first answer. */
  askAt: UnixMs = -Infinity;
  /** End of the calendar window; null without windows. */
  windowEnd: UnixMs | null = null;
  /** Monotonic; until then the store is known to have no more. */
  dryUntilMs = -Infinity;
  /** Monotonic time of the last answer. */
  answeredMs = -Infinity;
  lowWater = 0;

  /** What waits for the next call: the least that helps anyone (0: anything does), and the sum; both with what is held already. */
  need = 0;
  want = 0;
  givesBack = false;
  /** Open reservations that count here: the bucket is kept for them. */
  pins = 0;
  /** Tick of the driver at which something was last taken. */
  usedTick = 0;
  /** Wall time of the last `budget.exhausted`; null if it is usable. */
  exhaustedAt: UnixMs | null = null;

  constructor(use: BucketUse) {
    this.tailnet = use.tailnet;
    this.key = use.key;
    this.bucket = use.bucket;
    this.quota = use.quota;
    this.thresholds = new Thresholds(use.quota);
  }

  /** Something may be taken without asking the store. */
  isOpen(wall: UnixMs): boolean {
    return wall < this.askAt && this.owed === 0 && this.owedInFlight === 0 && this.storeBalance >= 0;
  }

  /** Takes up to `amount`; how much it was. */
  take(amount: number, wall: UnixMs, tick: number): number {
    this.usedTick = tick;
    if (!this.isOpen(wall)) return 0;
    const part = this.available < amount ? this.available : amount;
    this.available -= part;
    this.reserved += part;
    return part;
  }

  /** Ends a hold: `spent` of its `amount` is gone for good, the rest is free again, unless the hold is of an older window. */
  end(amount: number, spent: number, generation: number): void {
    if (generation !== this.generation) return;
    this.reserved -= amount;
    let free = amount - spent;
    const paid = Math.min(this.owed, free);
    this.owed -= paid;
    free -= paid;
    this.available += free;
  }

  /** Spends what was not reserved; below zero if it must. */
  debit(amount: number): void {
    const part = this.available < amount ? this.available : amount;
    this.available -= part;
    this.owed += amount - part;
  }

  /** Left for new requests of this process, as far as it knows; below zero is a debt. */
  get spendable(): number {
    return this.available + Math.max(0, this.storeBalance) - this.debt;
  }

  /** Not spent yet, reserved or not, here or elsewhere. */
  get remaining(): number {
    return this.available + this.reserved + this.othersHold + Math.max(0, this.storeBalance) - this.debt;
  }

  get debt(): number {
    return this.owed + this.owedInFlight + Math.max(0, -this.storeBalance);
  }

  /** A debt goes first: the store must hear of it, and what is free here pays it. */
  get mustReport(): boolean {
    return this.owed > 0 || (this.storeBalance < 0 && this.available > 0);
  }

  /** Whether the driver should fetch a slice before the lease runs dry. */
  get isLow(): boolean {
    return this.available < this.lowWater && this.storeBalance > 0 && this.want === 0;
  }

  /** Little is left: leases are small and given back soon. */
  get isNearLimit(): boolean {
    return this.storeBalance * SLICE_OF_BALANCE < this.quota.capacity;
  }

  /** Takes in an answer of the store. */
  apply(grant: BudgetGrant): void {
    if (grant.epoch !== this.epoch) {
      this.epoch = grant.epoch;
      this.generation += 1;
      this.available = 0;
      this.reserved = 0;
      this.thresholds.reset();
    }
    this.available += grant.granted;
    this.setBalance(grant.balance, grant.othersHold);
  }

  /** Takes in what the store has left. */
  setBalance(balance: number, othersHold: number): void {
    this.storeBalance = balance;
    this.othersHold = othersHold;
    const slice = Math.min(this.quota.capacity / SLICE_OF_CAPACITY, Math.max(0, balance) / SLICE_OF_BALANCE);
    this.lowWater = Math.floor(slice * LOW_WATER_SHARE);
    const { remaining } = this;
    this.thresholds.recover(remaining);
    if (remaining > this.quota.capacity * RECOVERED_SHARE) this.exhaustedAt = null;
  }

  /** A definition that reads otherwise: the store must hear of it before more is taken. */
  rebase(quota: QuotaEntry): void {
    const changed = !sameTerms(this.quota, quota);
    this.quota = quota;
    if (!changed) return;
    this.available = Math.min(this.available, Math.max(0, quota.capacity - this.reserved));
    this.thresholds.redefine(quota);
    this.askAt = -Infinity;
    this.dryUntilMs = -Infinity;
  }
}

function sameTerms(a: QuotaEntry, b: QuotaEntry): boolean {
  return (
    a.unit === b.unit &&
    a.capacity === b.capacity &&
    a.rate?.amount === b.rate?.amount &&
    a.rate?.periodMs === b.rate?.periodMs &&
    a.window === b.window &&
    a.timezone === b.timezone &&
    a.warnAt.length === b.warnAt.length &&
    a.warnAt.every((level, i) => level === b.warnAt[i])
  );
}
