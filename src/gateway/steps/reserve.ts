/** Step 4: taken from every budget that holds, in one step, before anything is sent (DESIGN section 7). */
import { limitPatches, type BodyPatch } from '../../llm/index.ts';
import { callerLabel, type Caller } from '../../identity/index.ts';
import type { Access, Governance, PolicySnapshot } from '../../policy/index.ts';
import {
  remainingHeader,
  type BucketUse,
  type BucketValues,
  type Actual,
  type Refusal,
  type Reservation,
} from '../../quotas/index.ts';
import { startsLines } from '../ownership/object-operation.ts';
import { costOfRequest, type RequestCost } from '../governing/request-cost.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused, type ReasonCode } from '../reasons.ts';
import type { LlmRequest } from './read-request.ts';
import type { LlmRoute } from './route.ts';
import type { Settlement, UsageMax } from './settle.ts';
import type { SentAnswer } from './upstream-attempt.ts';

export interface ReserveInput {
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
}

/** What a request holds of its budgets until it ends. */
export interface Budget {
  readonly reservation: Reservation;
  readonly uses: readonly BucketUse[];
  /** The lower output limit that must stand in what is sent. */
  readonly patches: readonly BodyPatch[];
  /** The stream may be cut by it; else the limit in the request is the bound. */
  readonly metered: boolean;
  /** For an answer that does not tell what it used. */
  readonly usageMax: UsageMax;
  /**
   * All that is reserved is spent with the request, whatever its answer tells: a batch uses it later, and its
   * results may never be read.
   */
  readonly isSpentWhole: boolean;
}

/** The buckets that a request counts against; none mostly. */
export function usesOf(
  { governing }: GatewayParts,
  { policy, caller, access, request, route }: ReserveInput,
  { buckets }: Governance,
): readonly BucketUse[] {
  if (buckets.length === 0) return NO_USES;
  const values = bucketValues(caller, access, request, route);
  return governing.quotas.usesOf(buckets, policy.document.quotas, values);
}

const NO_USES: readonly BucketUse[] = [];

/** Throws or rejects with `Refused`. A promise only near a limit, where the store is asked. */
export function reserveLlm(
  parts: GatewayParts,
  input: ReserveInput,
  uses: readonly BucketUse[],
): Budget | Promise<Budget> {
  const { request, route } = input;
  const { quotas } = parts.governing;
  const cost = costOfRequest({ ...parts, priceCeiling: parts.governing.priceCeiling }, request, route);
  const answer = quotas.reserve(uses, cost.estimate);
  return answer instanceof Promise
    ? answer.then((later) => toBudget(later, uses, cost, input))
    : toBudget(answer, uses, cost, input);
}

function bucketValues(caller: Caller, access: Access, request: LlmRequest, route: LlmRoute): BucketValues {
  return {
    tailnet: caller.tailnet,
    principal: caller.principal,
    user: callerLabel(caller),
    node: caller.device?.stableId ?? null,
    groups: access.groups,
    token: caller.token?.id ?? null,
    agent: request.labels.agent,
    session: request.labels.sessionId,
    provider: route.provider.id,
    model: route.model,
  };
}

function toBudget(
  answer: Reservation | Refusal,
  uses: readonly BucketUse[],
  { limit, estimate }: RequestCost,
  { request, route }: ReserveInput,
): Budget {
  if (!answer.granted) throw toRefusal(answer);
  const { outputTokensAllowed } = answer;
  let patches: readonly BodyPatch[] = [];
  if (outputTokensAllowed !== null && request.facts !== null && route.body === null) {
    const tokens = Math.floor(outputTokensAllowed / limit.answers);
    const key =
      request.match.format === 'openai_chat' && route.provider.kind !== 'openai' ? 'max_tokens' : null;
    patches = limitPatches(request.match.format, request.body, request.facts, tokens, key);
  }
  const usageMax = {
    inputTokens: estimate.inputTokensMax,
    outputTokens: outputTokensAllowed ?? estimate.outputTokensMax ?? Infinity,
  };
  const isSpentWhole = startsLines(request) && route.lines !== null;
  return { reservation: answer, uses, patches, metered: estimate.metered === true, usageMax, isSpentWhole };
}

const CODES: Readonly<Record<Refusal['code'], ReasonCode>> = {
  exhausted: 'budget_exhausted',
  too_large: 'budget_too_small',
  unpriced: 'budget_not_enforceable',
  input_unknown: 'budget_not_enforceable',
  output_unlimited: 'budget_not_enforceable',
  misconfigured: 'budget_not_enforceable',
  unavailable: 'budget_unavailable',
};

function toRefusal(refusal: Refusal): Refused {
  return new Refused(CODES[refusal.code], refusal.message, {
    rule: `quotas[${JSON.stringify(refusal.quota)}]`,
    ...(refusal.retryAfterSec === null ? {} : { retryAfterSec: refusal.retryAfterSec }),
  });
}

/** `x-postern-budget-remaining` and `x-postern-warning`, a flat list. */
export function budgetHeaders(parts: GatewayParts, { uses, reservation }: Budget): readonly string[] {
  const remaining = remainingHeader(parts.governing.quotas.remaining(uses));
  const headers = remaining === '' ? [] : ['x-postern-budget-remaining', remaining];
  if (reservation.warnings.length > 0) headers.push('x-postern-warning', 'budget_low');
  return headers;
}

/** With step 8: corrected to what was used; given back whole where nothing reached the provider. */
export function settleBudget(
  { reservation, isSpentWhole }: Budget,
  settlement: Settlement | null,
  answer: SentAnswer | null,
): void {
  if (!wasCharged(answer) || settlement === null) return reservation.release();
  if (isSpentWhole) {
    if (answer?.outcome === 'upstream_error') reservation.release();
    else reservation.settle(UNKNOWN);
    return;
  }
  const { usage, costNanoUsd, estimated } = settlement;
  reservation.settle({
    inputTokens: usage?.inputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    costNanoUsd,
    estimated,
  });
}

/** What was reserved counts as spent. */
const UNKNOWN: Actual = { inputTokens: null, outputTokens: null, costNanoUsd: null, estimated: true };

/** Whether the attempt that ended so may have reached a model. */
export function wasCharged(answer: SentAnswer | null): boolean {
  return (
    answer !== null &&
    answer.outcome !== 'refused' &&
    (answer.outcome !== 'upstream_failed' || answer.mayBeCharged === true)
  );
}
