/** What a request can cost at most, before it is sent: what budgets reserve (DESIGN section 7). */
import type { Clock } from '../../base/clock.ts';
import { readOutputLimit, type OutputLimit, type PriceBook } from '../../llm/index.ts';
import { statedLimits } from '../../policy/index.ts';
import { inputTokensCeiling, type Estimate, type PriceCeiling, type TokenPrice } from '../../quotas/index.ts';
import type { BatchLines } from '../ownership/batch-lines.ts';
import { startsLines } from '../ownership/object-operation.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { LlmRoute } from '../steps/route.ts';
import { batchCost } from './batch-cost.ts';
import { readInput } from './input-facts.ts';

export interface CostParts {
  readonly clock: Clock;
  readonly prices: Pick<PriceBook, 'modelFacts'>;
  readonly priceCeiling: PriceCeiling;
}

export interface RequestCost {
  readonly estimate: Estimate;
  readonly limit: OutputLimit;
}

const FREE: TokenPrice = { inputNanoPerToken: 0, outputNanoPerToken: 0, requestNano: 0 };
/** Below it the Responses API refuses a limit (API reference, `max_output_tokens`). */
const RESPONSES_MIN_TOKENS = 16;

/** Total: what is not understood of a body counts as unknown input. */
export function costOfRequest(parts: CostParts, request: LlmRequest, route: LlmRoute): RequestCost {
  if (route.lines !== null && startsLines(request)) return costOfLines(parts, route, route.lines);
  const body = route.body ?? request.body;
  const facts = route.body === null ? request.facts : null;
  const { format } = request.match;
  const limit = readOutputLimit(format, body, facts);
  const input = readInput({ ...request, refersToObjects: (request.references?.length ?? 0) > 0 });
  const inputTokensMax = inputTokensCeiling({ bodyBytes: body.length, ...input });
  const maxOfModel = limit.producesTokens && request.isBillable ? maxOutput(parts, route) : 0;
  const isLater = costsLater(request);
  const asked = isLater ? null : (limit.written ?? maxOfModel);
  return {
    limit,
    estimate: {
      inputTokensMax: request.isBillable ? inputTokensMax : 0,
      outputTokensMax: asked === null ? null : asked * limit.answers,
      outputTokensMin: minOutput(limit, format),
      requests: requestsOf(request),
      unknownInput: request.isBillable && input.isUnknown,
      price: isLater ? null : priceOf(parts, request, route, inputTokensMax),
      clampable: limit.clampable && route.body === null && !isLater,
      metered: isMetered(request, limit),
    },
  };
}

/** A batch whose lines were seen, in its file or its body: what all of them may cost together. */
function costOfLines(parts: CostParts, route: LlmRoute, lines: BatchLines): RequestCost {
  const { provider } = route;
  const estimate = batchCost(lines, {
    maxOutput: (model) => maxOutput(parts, { ...route, model }),
    price: (model, inputTokensMax) => priceCeilingOf(parts, provider, { model, inputTokensMax }),
  });
  return { limit: NO_LIMIT, estimate };
}

const NO_LIMIT: OutputLimit = {
  written: null,
  answers: 1,
  thinking: 0,
  clampable: false,
  producesTokens: true,
};

/**
 * Whether it makes what is billed after its answer: a batch that runs, a cache that is kept for hours, a
 * container by its minutes. No reservation could hold that, so no limit on tokens or dollars lets it pass.
 */
function costsLater({ match, method }: LlmRequest): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'DELETE') return false;
  const { format, objectKind, action } = match;
  if (format === 'gemini_caches') return true;
  const isMade = method === 'POST' && action === '' && match.objectId === null;
  return isMade && (objectKind === 'batch' || objectKind === 'message_batch' || objectKind === 'container');
}

/** A batch makes as many as it has lines: here nobody has seen them. */
function requestsOf(request: LlmRequest): number | null {
  return startsLines(request) ? null : 1;
}

function priceOf(
  parts: CostParts,
  request: LlmRequest,
  { provider, model }: LlmRoute,
  inputTokensMax: number,
): TokenPrice | null {
  if (!request.isBillable) return FREE;
  return priceCeilingOf(parts, provider, { model, inputTokensMax });
}

function priceCeilingOf(
  { clock, priceCeiling }: CostParts,
  provider: LlmRoute['provider'],
  asked: { readonly model: string; readonly inputTokensMax: number },
): TokenPrice | null {
  if (provider.builtIn) return FREE;
  const { modelCostMap } = provider;
  return priceCeiling({
    ...asked,
    basis: provider.costBasis ?? provider.kind,
    at: clock.now(),
    modelCostMap,
  });
}

/** Most tokens of one answer, where the document or the price list says so; else null. */
export function maxOutput(
  { prices, clock }: Pick<CostParts, 'prices' | 'clock'>,
  { provider, model }: LlmRoute,
): number | null {
  const stated = statedLimits(provider, model)?.maxOutput ?? null;
  if (stated !== null || provider.costBasis === null) return stated;
  return prices.modelFacts(provider.costBasis, model, clock.now())?.maxOutput ?? null;
}

function minOutput(limit: OutputLimit, format: string): number {
  if (limit.thinking > 0) return limit.thinking + 1;
  return format === 'openai_responses' ? RESPONSES_MIN_TOKENS : 1;
}

/**
 * Whether every token that is billed is seen as it comes. Thinking that the answer shows in part, or
 * not at all, is billed whole.
 */
function isMetered({ streamed, match, facts }: LlmRequest, limit: OutputLimit): boolean {
  const isAnthropic = match.format === 'anthropic_messages' || match.format === 'google_raw_predict';
  return streamed && isAnthropic && limit.thinking === 0 && facts?.span('thinking') === null;
}
