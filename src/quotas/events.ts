/** What budgets tell the rest of the process; the shapes of the bus's `budget.*` events. */
import type { UnixMs } from '../base/clock.ts';
import type { BudgetUnit } from '../store/budget-shapes.ts';

/** A bucket at the moment of an event. Amounts in its unit (nano-dollars for `usd`). */
export interface BudgetCrossing {
  readonly tailnet: string;
  readonly quota: string;
  readonly bucket: string;
  readonly unit: BudgetUnit;
  readonly capacity: number;
  /** Below zero after an overrun. */
  readonly remaining: number;
  readonly at: UnixMs;
}

export type BudgetEvents = {
  /** A share of the capacity (`warn_at`) is spent; once until it has refilled well above it, or a window began. */
  'budget.warned': BudgetCrossing & { readonly threshold: number };
  /** A request was refused for want of budget; at most once a minute for each bucket. */
  'budget.exhausted': BudgetCrossing & {
    /** It was told before, and has not recovered since. */ readonly again: boolean;
  };
  /** Real usage was above what had been reserved; `overrunBy` was debited nevertheless and holds up what follows. */
  'budget.overrun': BudgetCrossing & { readonly overrunBy: number };
};

export type BudgetPublisher = <Name extends keyof BudgetEvents>(
  name: Name,
  event: BudgetEvents[Name],
) => void;
