/** What a request may use at most, and what that is in each bucket's unit. */
import { BUDGET_AMOUNT_MAX } from '../store/budget-shapes.ts';
import type { QuotaEntry } from '../policy/document.ts';
import type { BucketUse } from './bucket-use.ts';
import type { RefusalCode } from './refusal.ts';

/** Upper bounds of a model's price in nano-dollars, fractions allowed. */
export interface TokenPrice {
  readonly inputNanoPerToken: number;
  readonly outputNanoPerToken: number;
  /** For the request itself (and, say, its web searches). */
  readonly requestNano: number;
}

/**
 * An upper bound of one request. What is too high here is corrected by `settle`; what is too low
 * is debited then too, but only after it was spent.
 */
export interface Estimate {
  /** Never fewer than the provider can count; see `inputTokensCeiling`. */
  readonly inputTokensMax: number;
  /** The request's own limit, or else the model's if it is known; 0 for what produces no tokens; null where neither is known. */
  readonly outputTokensMax: number | null;
  /** An answer cut shorter is of no use (a thinking budget and more). Default 64, or `outputTokensMax` if that is less. */
  readonly outputTokensMin?: number;
  /** How many requests it makes: those of a batch. Null where that is not known beforehand. Default 1. */
  readonly requests?: number | null;
  /** Part of the input is not in the request: stored context, files and images by address, tools that the provider runs. */
  readonly unknownInput: boolean;
  /** Null: the model has no price. A free one has a price of zeros. */
  readonly price: TokenPrice | null;
  /** What a dollar budget does with a model without a price. Default `deny`. */
  readonly unpriced?: 'deny' | 'allow';
  /** The gateway can write an output limit into this request's format. Default true. */
  readonly clampable?: boolean;
  /**
   * The answer is streamed and every billed output token is seen as it comes (no hidden reasoning),
   * so that the gateway calls `spend` and cuts. Only then is a `bounded` reservation taken in slices. Default false.
   */
  readonly metered?: boolean;
}

/** What is reserved for input that cannot be known: nothing is let through, or so much (in the quota's unit) is assumed. */
export type UnknownInput = { readonly kind: 'deny' } | { readonly kind: 'ceiling'; readonly amount: number };

/** What one use costs: `base`, and `perToken` for each output token. */
export interface Cost {
  readonly base: number;
  readonly perToken: number;
}

export type CostAnswer =
  | { readonly ok: true; readonly cost: Cost }
  | { readonly ok: false; readonly code: RefusalCode; readonly message: string };

const ONE: CostAnswer = { ok: true, cost: { base: 1, perToken: 0 } };
const NOTHING: CostAnswer = { ok: true, cost: { base: 0, perToken: 0 } };

/** The cost of an estimate in the unit of a use. Total: what is no number counts as more than any budget has. */
export function costOf(
  { quota, fault }: BucketUse,
  estimate: Estimate,
  unknownInput: (quota: QuotaEntry) => UnknownInput,
): CostAnswer {
  if (fault !== null) return { ok: false, code: 'misconfigured', message: fault };
  if (quota.unit === 'concurrency') return ONE;
  if (quota.unit === 'requests') return requestCost(quota, estimate, unknownInput);
  // Aperture's rule: what it costs is known afterwards.
  if (quota.reserve === 'none') return NOTHING;
  const { price } = estimate;
  if (quota.unit === 'usd' && price === null) {
    if (estimate.unpriced === 'allow') return NOTHING;
    const message = `the model has no price, so the dollar budget "${quota.name}" cannot hold it`;
    return { ok: false, code: 'unpriced', message };
  }
  const isUsd = quota.unit === 'usd';
  let base = isUsd
    ? estimate.inputTokensMax * (price?.inputNanoPerToken ?? 0) + (price?.requestNano ?? 0)
    : estimate.inputTokensMax;
  if (estimate.unknownInput) {
    const ceiling = unknownInput(quota);
    if (ceiling.kind === 'deny') {
      const message = `the cost of the input cannot be known beforehand, and budget "${quota.name}" states no ceiling for it`;
      return { ok: false, code: 'input_unknown', message };
    }
    base += ceiling.amount;
  }
  return {
    ok: true,
    cost: { base: toAmount(base), perToken: toRate(isUsd ? (price?.outputNanoPerToken ?? 0) : 1) },
  };
}

function requestCost(
  quota: QuotaEntry,
  { requests = 1 }: Estimate,
  unknownInput: (quota: QuotaEntry) => UnknownInput,
): CostAnswer {
  if (requests === 1) return ONE;
  if (requests !== null) return { ok: true, cost: { base: toAmount(requests), perToken: 0 } };
  const ceiling = unknownInput(quota);
  if (ceiling.kind === 'ceiling')
    return { ok: true, cost: { base: Math.max(1, toAmount(ceiling.amount)), perToken: 0 } };
  const message = `how many requests the batch makes is not known beforehand, and budget "${quota.name}" states no "unknown_input"`;
  return { ok: false, code: 'input_unknown', message };
}

/** Whole, and within what budgets hold. */
export function toAmount(value: number): number {
  if (Number.isNaN(value)) return BUDGET_AMOUNT_MAX;
  return Math.min(BUDGET_AMOUNT_MAX, Math.max(0, Math.ceil(value)));
}

function toRate(value: number): number {
  return Number.isNaN(value) || value < 0 ? BUDGET_AMOUNT_MAX : value;
}
