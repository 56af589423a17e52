/**
 * What the store keeps of budgets: a balance for each bucket, and what of it every process holds
 * in advance (DESIGN section 7). A process spends only what it holds, so the store is never asked
 * while a request waits, save near the limit; what a dead process held counts as spent.
 * Amounts are integers in the bucket's unit: nano-dollars, tokens, requests, slots.
 */
import type { UnixMs } from '../base/clock.ts';
import type { Page, PageRequest } from './shapes.ts';

export type BudgetUnit = 'usd' | 'tokens' | 'requests' | 'concurrency';

/** Largest amount that is kept, and the deepest debt: $9,000,000 in nano-dollars, a safe integer. */
export const BUDGET_AMOUNT_MAX = 9e15;

/** A bucket of one tailnet: a quota of the document, and the name with its templates filled in. */
export interface BudgetName {
  readonly tailnet: string;
  readonly quota: string;
  readonly bucket: string;
}

/** How a bucket fills, as the document says now. */
export interface BudgetTerms {
  readonly unit: BudgetUnit;
  readonly capacity: number;
  /** Refill per `ratePeriodMs`; both null where nothing refills. */
  readonly rateAmount: number | null;
  readonly ratePeriodMs: number | null;
  /** Start of the calendar window that is now, by the wall clock; null without windows. */
  readonly windowStart: UnixMs | null;
}

/** One bucket's part of a call: what the process holds, gives back and wants. */
export interface BudgetLeaseRequest extends BudgetName, BudgetTerms {
  /** The `epoch` of the last grant, which `holding` and `give` belong to; null before the first. */
  readonly epoch: number | null;
  /** All that the process still holds, spent parts and `give` left out. Absolute, so that a repetition does no harm. */
  readonly holding: number;
  /** Unspent, given back. Taken only as far as the process is known to hold it. */
  readonly give: number;
  /** Spent beyond what was held; makes the balance negative if it must. */
  readonly debit: number;
  /** Nothing is granted below it. */
  readonly need: number;
  /** Granted at least, if there is so much; 0 asks for nothing. */
  readonly want: number;
}

export interface BudgetLeaseCall {
  /** Names the process; new at each start. */
  readonly instance: string;
  /** The first call of this process: times that lie ahead of its clock are then set back to it. */
  readonly first: boolean;
  /** Time that does not jump once the process got an answer: for rates and for how long a lease is believed. */
  readonly now: UnixMs;
  readonly requests: readonly BudgetLeaseRequest[];
}

/** The answer to the request of the same place in the list. */
export interface BudgetGrant {
  readonly granted: number;
  /** What is left in the store after the grant; below zero is a debt. */
  readonly balance: number;
  /** What the other processes hold, spent or not. */
  readonly othersHold: number;
  /** Changes with each window, and when the bucket is made anew: what was held under another one is void. */
  readonly epoch: number;
}

/** A bucket as it was when it was last touched. */
export interface BudgetRow extends BudgetName, BudgetTerms {
  readonly epoch: number;
  /** Not held by any process. */
  readonly balance: number;
  /** Refilled up to here. */
  readonly refilledAt: UnixMs;
  /** What the last refill left over, in `amount × ms`, below `ratePeriodMs`. */
  readonly remainder: number;
  readonly updatedAt: UnixMs;
}

/** A row, and what processes hold of it. */
export interface BudgetState extends BudgetRow {
  /** Held by live processes, at most; part of it may be spent already. */
  readonly held: number;
  /** Of that, by the process that asks. */
  readonly heldByAsker: number;
}

export interface BudgetFilter {
  readonly tailnet: string;
  readonly quota?: string;
  /** Exact names; at most 100. */
  readonly buckets?: readonly string[];
}

/** The part of a store that keeps budgets. Methods reject with `AppError<'store_…'>`; each is one transaction. */
export interface BudgetStore {
  /** Takes reports and gives leases, in order. At most 1,000 requests in a call. */
  leaseBudget(call: BudgetLeaseCall): Promise<readonly BudgetGrant[]>;
  /** As `leaseBudget` without wants, and then forgets the process: its clean end. */
  returnBudget(call: BudgetLeaseCall): Promise<void>;
  /** By quota and bucket. */
  listBudgets(
    filter: BudgetFilter,
    page: PageRequest,
    asker: { readonly instance: string; readonly now: UnixMs },
  ): Promise<Page<BudgetState>>;
  /**
   * Adds to every bucket of this name, never above its capacity less what is held; the buckets as they
   * are then. With an approval: uses it in the same transaction, on disk when it resolves, so that it
   * refills once whatever dies in between; null if it does not stand (any more).
   */
  refillBudget(
    tailnet: string,
    bucket: string,
    amount: number,
    asker: { readonly instance: string; readonly now: UnixMs },
    approval?: { readonly id: string; /** Wall time. */ readonly now: UnixMs } | null,
  ): Promise<readonly BudgetState[] | null>;
  /** Deletes the buckets of every quota of the tailnet that is not among `keepQuotas`; how many. */
  deleteBudgets(tailnet: string, keepQuotas: readonly string[]): Promise<number>;
}
