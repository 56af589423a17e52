/**
 * Step 8: what an exchange used and cost. Reported figures stand as reported; where the provider
 * never told (an abort, a cut stream, no usage at all) the figures are estimates and marked so.
 */
import { readOutputLimit, type PriceBook, type Usage } from '../../llm/index.ts';
import type { UnixMs } from '../../base/clock.ts';
import type { CostState } from '../../store/index.ts';
import type { Answer } from '../relay.ts';
import type { Route } from '../routing/choose-route.ts';
import type { LlmRequest } from './read-request.ts';

export interface Settlement {
  readonly usage: Usage | null;
  readonly estimated: boolean;
  readonly costNanoUsd: number | null;
  readonly costState: CostState;
  /** What an answer from the cache would have cost; 0 for all others, and where that is not known. */
  readonly savedNanoUsd: number;
}

/** What an exchange can have used at most, in tokens; Infinity where nothing bounds it. */
export interface UsageMax {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface SettleQuestion {
  readonly answer: Pick<Answer, 'outcome' | 'meter'> & {
    readonly isFromCache?: true;
    readonly mayBeCharged?: true;
  };
  readonly route: Route;
  /** `isBillable`: it asks a model to produce something, so it costs. */
  readonly request: Pick<LlmRequest, 'body' | 'facts' | 'match' | 'isBillable'>;
  /** What was reserved for it; null where no budget holds. */
  readonly usageMax: UsageMax | null;
  readonly startedAt: UnixMs;
}

const FREE: Settlement = {
  usage: null,
  estimated: false,
  costNanoUsd: 0,
  costState: 'free',
  savedNanoUsd: 0,
};

/** Bytes or characters to a token, for estimates only: the usual rule of thumb for English and code. */
const BYTES_PER_TOKEN = 4;

export function settle(question: SettleQuestion, prices: Pick<PriceBook, 'price'>): Settlement {
  const settled = settleAsked(question, prices);
  // Nothing was asked of a provider, and nothing used.
  if (question.answer.isFromCache === true) return { ...FREE, savedNanoUsd: settled.costNanoUsd ?? 0 };
  return settled;
}

function settleAsked(question: SettleQuestion, prices: Pick<PriceBook, 'price'>): Settlement {
  const { answer, route } = question;
  const { usage, estimated } = usageOf(question);
  if (usage === null) return FREE;
  if (route.provider.builtIn || !question.request.isBillable) return { ...FREE, usage, estimated };
  const price = prices.price({
    basis: route.provider.costBasis ?? route.provider.kind,
    model: route.model,
    usage,
    at: question.startedAt,
    modelCostMap: route.provider.modelCostMap,
  });
  if (price.state === 'unpriced')
    return { ...FREE, usage, estimated, costNanoUsd: null, costState: 'unpriced' };
  return {
    usage,
    estimated: estimated || answer.outcome !== 'ok',
    costNanoUsd: price.costNanoUsd,
    costState: 'priced',
    savedNanoUsd: 0,
  };
}

function usageOf(question: SettleQuestion): { usage: Usage | null; estimated: boolean } {
  const { answer } = question;
  const { isBillable } = question.request;
  const reported = answer.meter?.usage ?? null;
  switch (answer.outcome) {
    case 'ok':
      if (reported !== null || !isBillable) return { usage: reported, estimated: false };
      return { usage: estimate(question, null), estimated: true };
    case 'client_abort':
    case 'truncated':
    case 'gateway_error':
      // The provider may have begun to work even if no byte came back; what a rule or a spent budget cut was produced.
      return isBillable
        ? { usage: estimate(question, reported), estimated: true }
        : { usage: reported, estimated: false };
    case 'upstream_error':
      // An error in the middle of a stream: what came before it is billed.
      return isBillable && (answer.meter?.outputChars ?? 0) > 0
        ? { usage: estimate(question, reported), estimated: true }
        : { usage: reported, estimated: false };
    case 'upstream_failed':
      // Without an answer nobody knows what was produced; the input is what the provider surely had.
      return answer.mayBeCharged === true && isBillable
        ? { usage: estimate(question, null), estimated: true }
        : { usage: null, estimated: false };
    case 'refused':
      return { usage: null, estimated: false };
    default:
      return answer.outcome satisfies never;
  }
}

/**
 * What was produced until it stopped: reported figures where there are some, else sizes. A guess is never
 * more than the request could have used, nor than was reserved for it: no budget is overrun by one.
 */
function estimate(question: SettleQuestion, reported: Usage | null): Usage {
  const { request, answer } = question;
  const most = question.usageMax ?? statedMax(request);
  const sentInput = Math.ceil(request.body.length / BYTES_PER_TOKEN);
  const seenOutput = Math.ceil((answer.meter?.outputChars ?? 0) / BYTES_PER_TOKEN);
  return {
    ...reported,
    inputTokens: reported?.inputTokens ?? Math.min(sentInput, most.inputTokens),
    outputTokens: Math.max(reported?.outputTokens ?? 0, Math.min(seenOutput, most.outputTokens)),
  };
}

function statedMax({ match, body, facts }: SettleQuestion['request']): UsageMax {
  const { written, answers } = readOutputLimit(match.format, body, facts);
  return { inputTokens: Infinity, outputTokens: written === null ? Infinity : written * answers };
}
