/** Why a reservation was not given, and when to come again. */
import type { BudgetUnit } from '../store/budget-shapes.ts';

/** Closed set. `unavailable` is a 503; the others are a 429 (`exhausted`) or a 403-like refusal that waiting does not mend. */
export type RefusalCode =
  /** Not enough is left; it may refill. */
  | 'exhausted'
  /** More than the bucket can ever hold. */
  | 'too_large'
  /** A dollar budget, and the model has no price. */
  | 'unpriced'
  /** The input's cost cannot be known, and no ceiling is stated. */
  | 'input_unknown'
  /** The output has no limit, and none can be written into the request. */
  | 'output_unlimited'
  /** The document's quotas do not fit together (`checkQuotas` says how). */
  | 'misconfigured'
  /** The store did not answer in time, or the engine is full or closed. */
  | 'unavailable';

export interface Refusal {
  readonly granted: false;
  readonly code: RefusalCode;
  /** The bucket that said no; '' where none did. */
  readonly bucket: string;
  readonly quota: string;
  readonly unit: BudgetUnit;
  /** The least that the request needs, in the bucket's unit. */
  readonly needed: number;
  /** What was left for it. */
  readonly remaining: number;
  /** Whole seconds for `Retry-After`, from 1; null where waiting alone does not help. */
  readonly retryAfterSec: number | null;
  /** Safe to show to the caller: its own bucket and figures. */
  readonly message: string;
}
