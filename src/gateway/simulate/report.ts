/** What a simulation tells: two policies over the same recorded requests. Money in nano-dollars. */
import type { UnixMs } from '../../base/clock.ts';
import type { ToolAction } from '../../policy/index.ts';
import type { RefusalCode } from '../../quotas/index.ts';
import type { DenialReason } from './route-forecast.ts';

/**
 * What becomes of a request. `denied`: before anything is sent; `over_budget`: 429 (or 403 where
 * waiting does not help); `unknown`: it was opened by a capability of the network's own policy, which is
 * not recorded, and counts as it was.
 */
export type SimulatedOutcome = 'allowed' | 'denied' | 'over_budget' | 'unknown';

/** One request under one policy. */
export interface SimulatedRequest {
  readonly outcome: SimulatedOutcome;
  readonly reason: DenialReason | 'guardrail_limit' | RefusalCode | null;
  /** The grant, deny entry, guardrail or bucket that decided; null where none did. */
  readonly rule: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** The provider does not speak the caller's format. */
  readonly translated: boolean;
  /** Null where the model has no price, or no usage is recorded. */
  readonly costNanoUsd: number | null;
  /** Whole seconds, for `over_budget`; null where waiting does not help. */
  readonly retryAfterSec: number | null;
}

export type Change =
  | 'newly_denied'
  | 'newly_allowed'
  | 'newly_over_budget'
  | 'no_longer_over_budget'
  | 'other_refusal'
  | 'rerouted'
  | 'repriced'
  | 'tools';

/** A recorded request that the draft treats otherwise. */
export interface ChangedRequest {
  readonly id: string;
  readonly startedAt: UnixMs;
  readonly principal: string;
  readonly user: string;
  readonly requestedModel: string;
  readonly changes: readonly Change[];
  readonly before: SimulatedRequest;
  readonly after: SimulatedRequest;
  /** Calls of this request that the draft judges otherwise; at most 16. */
  readonly tools: readonly {
    readonly tool: string;
    readonly before: ToolRange;
    readonly after: ToolRange;
    /** The rule of the stricter end of `after`. */
    readonly rule: string | null;
  }[];
}

/** From the mildest to the strictest that could come of it; the same where the arguments do not matter. */
export interface ToolRange {
  readonly least: ToolAction;
  readonly most: ToolAction;
}

/** Sums under one policy. */
export interface SideTotals {
  /** Names the policy. */
  readonly version: string;
  readonly allowed: number;
  readonly denied: number;
  readonly overBudget: number;
  readonly unknown: number;
  readonly translated: number;
  /** Without requests that are unpriced or have no usage. */
  readonly costNanoUsd: number;
  readonly unpriced: number;
  readonly withoutUsage: number;
  readonly toolCalls: ToolCounts;
}

/** Calls by what becomes of them; `may…` where it depends on the arguments. */
export interface ToolCounts {
  readonly allowed: number;
  readonly rewritten: number;
  readonly asked: number;
  readonly denied: number;
  readonly mayBeRewritten: number;
  readonly mayBeAsked: number;
  readonly mayBeDenied: number;
}

export interface CostLine {
  readonly name: string;
  readonly requestsBefore: number;
  readonly requestsAfter: number;
  readonly beforeNanoUsd: number;
  readonly afterNanoUsd: number;
}

export interface SimulationReport {
  readonly from: UnixMs;
  readonly to: UnixMs;
  /** Rows read. */
  readonly rows: number;
  /** Rows about an object or a list, which name no model. */
  readonly skipped: number;
  readonly recordedCostNanoUsd: number;
  readonly before: SideTotals;
  readonly after: SideTotals;
  /** Requests by what changes for them; a request may have several. */
  readonly changes: Readonly<Record<Change, number>>;
  readonly changedRequests: number;
  /** Why the draft refuses what the policy in force allows; most first. */
  readonly newlyRefused: readonly {
    readonly reason: string;
    readonly rule: string | null;
    readonly model: string;
    readonly user: string;
    readonly requests: number;
  }[];
  readonly rerouted: readonly {
    readonly from: string;
    readonly to: string;
    readonly requests: number;
    readonly beforeNanoUsd: number;
    readonly afterNanoUsd: number;
  }[];
  readonly tools: readonly {
    readonly tool: string;
    readonly calls: number;
    readonly before: ToolCounts;
    readonly after: ToolCounts;
  }[];
  /** Requests that each would check; what it finds cannot be told without bodies. */
  readonly guardrails: readonly {
    readonly name: string;
    readonly action: string;
    readonly before: number;
    readonly after: number;
  }[];
  readonly hooks: readonly { readonly name: string; readonly before: number; readonly after: number }[];
  readonly budgets: readonly {
    readonly bucket: string;
    readonly quota: string;
    readonly refusedBefore: number;
    readonly refusedAfter: number;
    /** Of the refusals under the draft; null where there is none. */
    readonly firstRefusedAt: UnixMs | null;
    readonly lastRefusedAt: UnixMs | null;
  }[];
  readonly cost: {
    readonly byProvider: readonly CostLine[];
    readonly byModel: readonly CostLine[];
    readonly byUser: readonly CostLine[];
  };
  /** The first ones in time. */
  readonly requests: readonly ChangedRequest[];
  readonly requestsOmitted: number;
  /** What metadata cannot tell, for this simulation. Sentences. */
  readonly limits: readonly string[];
}

export const NO_TOOL_CALLS: ToolCounts = {
  allowed: 0,
  rewritten: 0,
  asked: 0,
  denied: 0,
  mayBeRewritten: 0,
  mayBeAsked: 0,
  mayBeDenied: 0,
};
