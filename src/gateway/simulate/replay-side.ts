/** One policy of the two: what it would have made of each recorded request. */
import type { Caller } from '../../identity/index.ts';
import { callerLabel } from '../../identity/index.ts';
import type { Usage } from '../../llm/index.ts';
import {
  ECHO_PROVIDER_ID,
  type Governance,
  type GuardrailEntry,
  type PolicySnapshot,
  type Provider,
} from '../../policy/index.ts';
import type { RequestRow } from '../../store/index.ts';
import { type BudgetReplay, createBudgetReplay } from './budget-replay.ts';
import type { FormatAbilities, ReplayPrices } from './ports.ts';
import type { SimulatedRequest } from './report.ts';
import {
  chooseTarget,
  createRouteForecaster,
  drawOf,
  type RouteForecast,
  type RouteForecaster,
  type Target,
} from './route-forecast.ts';

/** What a side decided, with what holds for it. */
export interface Judged extends SimulatedRequest {
  readonly forecast: RouteForecast | null;
  readonly target: Target | null;
  /** What holds for the request; null where it was refused before, or nothing does. */
  readonly governance: Governance | null;
  /** Something is recorded of what it used. */
  readonly hasUsage: boolean;
  /** The bucket of an `over_budget`. */
  readonly bucket: { readonly name: string; readonly quota: string } | null;
}

export interface SideOptions {
  readonly policy: PolicySnapshot;
  readonly abilities: FormatAbilities;
  readonly prices: ReplayPrices;
  readonly from: number;
  /** Whether a provider's price terms are those of the policy in force. */
  readonly samePrices: (provider: Provider) => boolean;
}

export interface RecordedRequest {
  readonly row: RequestRow;
  readonly caller: Caller;
  /** As the caller named it. */
  readonly model: string;
}

export class ReplaySide {
  readonly #options: SideOptions;
  readonly #routes: RouteForecaster;
  readonly #budgets: BudgetReplay;

  constructor(options: SideOptions) {
    this.#options = options;
    this.#routes = createRouteForecaster(options.policy, options.abilities);
    this.#budgets = createBudgetReplay(options.from);
  }

  get forgottenBuckets(): number {
    return this.#budgets.forgotten;
  }

  /** `like` is what the policy in force made of it: where both choose alike, they choose the same. */
  async judge(request: RecordedRequest, like: Judged | null): Promise<Judged> {
    const { row, caller, model } = request;
    const forecast = this.#routes.of({ caller, model, format: row.format });
    if (forecast.kind === 'denied') {
      const { closedBy } = forecast;
      // Rights that the network carried are not recorded: without them only a deny entry can be told.
      if (row.rule?.startsWith('network[') === true && GRANTED_ELSEWHERE.has(forecast.reason))
        return closedBy === null
          ? { ...NOTHING_HOLDS, ...asRecorded(row), forecast }
          : { ...NOTHING_HOLDS, ...refused('denied', closedBy), forecast };
      return { ...NOTHING_HOLDS, ...refused(forecast.reason, forecast.rule), forecast };
    }
    const target = this.#targetOf(row, forecast, like);
    const { governance } = target.grant;
    const tooLarge = governance?.guardrails.find((entry) => isTooLarge(entry, row));
    if (tooLarge !== undefined)
      return { ...NOTHING_HOLDS, ...refused('guardrail_limit', tooLarge.path), forecast, target };
    const cost = this.#costOf(row, target);
    const place = { provider: target.provider.id, model: target.model, translated: target.translated };
    const refusal = await this.#askBudgets(request, target, cost);
    if (refusal !== null) {
      const { code, bucket, quota, retryAfterSec } = refusal;
      return {
        ...NOTHING_HOLDS,
        ...refused(code, bucket),
        outcome: 'over_budget',
        retryAfterSec,
        forecast,
        target,
        bucket: { name: bucket, quota },
      };
    }
    return {
      ...NOTHING_HOLDS,
      ...place,
      outcome: 'allowed',
      rule: target.grant.rule,
      costNanoUsd: cost.nanoUsd,
      forecast,
      target,
      governance,
      hasUsage: cost.state !== 'no_usage',
    };
  }

  /** Where it went, if it could have gone there; else by rule. */
  #targetOf(
    row: RequestRow,
    forecast: RouteForecast & { readonly kind: 'allowed' },
    like: Judged | null,
  ): Target {
    const find = (provider: string | null, model: string | null): Target | undefined =>
      forecast.targets.find((target) => target.provider.id === provider && target.model === model);
    if (like === null) return find(row.provider, row.model) ?? chooseTarget(forecast, drawFor(row));
    const other = like.forecast;
    const isAlike = other?.kind === 'allowed' && other.signature === forecast.signature;
    const same = isAlike ? find(like.target?.provider.id ?? null, like.target?.model ?? null) : undefined;
    return same ?? chooseTarget(forecast, drawFor(row));
  }

  async #askBudgets(request: RecordedRequest, target: Target, cost: Cost) {
    const { row, caller } = request;
    const entries = target.grant.governance?.buckets ?? [];
    if (entries.length === 0) return null;
    const { policy } = this.#options;
    return this.#budgets.ask({
      entries,
      quotas: policy.document.quotas,
      values: {
        tailnet: row.tailnet,
        principal: caller.principal,
        user: callerLabel(caller),
        node: row.deviceId,
        groups: policy.accessOf(caller).groups,
        token: row.tokenId,
        agent: row.agent,
        session: row.sessionId,
        provider: target.provider.id,
        model: target.model,
      },
      startedAt: row.startedAt,
      durationMs: row.totalUs / 1_000,
      inputTokens: row.inputTokens ?? 0,
      outputTokens: row.outputTokens ?? 0,
      // Nothing is recorded of what was refused: it counts as a request that used nothing.
      costNanoUsd: cost.state === 'unpriced' ? null : (cost.nanoUsd ?? 0),
    });
  }

  #costOf(row: RequestRow, target: Target): Cost {
    const { provider, model } = target;
    const isThere = row.provider === provider.id && row.model === model;
    const usage = usageOf(row);
    if (usage === null && row.costState !== 'unpriced') return { state: 'no_usage', nanoUsd: null };
    if (isThere && this.#options.samePrices(provider))
      return row.costNanoUsd === null
        ? { state: 'unpriced', nanoUsd: null }
        : { state: 'priced', nanoUsd: row.costNanoUsd };
    // Counting tokens and the like costs nowhere; the test model costs nothing itself.
    if (
      provider.builtIn ||
      (row.costState === 'free' && row.provider !== null && row.provider !== ECHO_PROVIDER_ID)
    )
      return { state: 'priced', nanoUsd: 0 };
    const { costNanoUsd } = this.#options.prices.price({
      basis: provider.costBasis ?? provider.kind,
      model,
      usage,
      at: row.startedAt,
      modelCostMap: provider.modelCostMap,
    });
    return costNanoUsd === null
      ? { state: 'unpriced', nanoUsd: null }
      : { state: 'priced', nanoUsd: costNanoUsd };
  }
}

/** Refusals that a right from elsewhere would lift. */
const GRANTED_ELSEWHERE: ReadonlySet<string> = new Set(['no_role', 'not_granted', 'denied']);

interface Cost {
  readonly state: 'priced' | 'unpriced' | 'no_usage';
  readonly nanoUsd: number | null;
}

const NOTHING_HOLDS: Judged = {
  outcome: 'denied',
  reason: null,
  rule: null,
  provider: null,
  model: null,
  translated: false,
  costNanoUsd: 0,
  retryAfterSec: null,
  forecast: null,
  target: null,
  governance: null,
  hasUsage: false,
  bucket: null,
};

function refused(
  reason: SimulatedRequest['reason'],
  rule: string | null,
): Pick<SimulatedRequest, 'outcome' | 'reason' | 'rule'> {
  return { outcome: 'denied', reason, rule };
}

function asRecorded(row: RequestRow): Partial<SimulatedRequest> & Pick<SimulatedRequest, 'outcome'> {
  const { rule, provider, model, costNanoUsd } = row;
  return { outcome: 'unknown', rule, provider, model, costNanoUsd };
}

/** The only limit of a guardrail whose measure is recorded. */
function isTooLarge({ limits, on }: GuardrailEntry, row: RequestRow): boolean {
  return limits.maxBodyBytes !== null && on.includes('request') && row.requestBytes > limits.maxBodyBytes;
}

/** A session stays where it is. */
function drawFor(row: RequestRow): number {
  return drawOf(row.sessionId ?? row.id);
}

function usageOf(row: RequestRow): Usage | null {
  const counts = {
    inputTokens: row.inputTokens,
    cacheReadTokens: row.cacheReadTokens,
    cacheWriteTokens: row.cacheWriteTokens,
    cacheWrite1hTokens: row.cacheWrite1hTokens,
    outputTokens: row.outputTokens,
    reasoningTokens: row.reasoningTokens,
    inputAudioTokens: row.inputAudioTokens,
    outputAudioTokens: row.outputAudioTokens,
    inputImageTokens: row.inputImageTokens,
    outputImageTokens: row.outputImageTokens,
    webSearches: row.webSearches,
  };
  const told = Object.entries(counts).filter(([, count]) => count !== null);
  return told.length === 0 ? null : Object.fromEntries(told);
}
