/**
 * Step 8: what an exchange used and cost. Reported figures stand as reported; where the provider
 * never told (an abort, a cut stream, no usage at all) the figures are estimates and marked so.
 */
import type { PriceBook, Usage } from '../../llm/index.ts';
import type { UnixMs } from '../../base/clock.ts';
import type { CostState } from '../../store/index.ts';
import type { Answer } from '../relay.ts';
import type { Route } from '../routing/choose-route.ts';

export interface Settlement {
  readonly usage: Usage | null;
  readonly estimated: boolean;
  readonly costNanoUsd: number | null;
  readonly costState: CostState;
  /** What an answer from the cache would have cost; 0 for all others, and where that is not known. */
  readonly savedNanoUsd: number;
}

export interface SettleQuestion {
  readonly answer: Answer & { readonly isFromCache?: true };
  readonly route: Route;
  readonly requestBytes: number;
  /** The exchange asks a model to produce something, so it costs. */
  readonly isBillable: boolean;
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
  if (route.provider.builtIn || !question.isBillable) return { ...FREE, usage, estimated };
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
  const reported = answer.meter?.usage ?? null;
  switch (answer.outcome) {
    case 'ok':
      if (reported !== null || !question.isBillable) return { usage: reported, estimated: false };
      return { usage: estimate(question, null), estimated: true };
    case 'client_abort':
    case 'truncated':
    case 'gateway_error':
      // The provider may have begun to work even if no byte came back; what a rule or a spent budget cut was produced.
      return question.isBillable
        ? { usage: estimate(question, reported), estimated: true }
        : { usage: reported, estimated: false };
    case 'upstream_error':
      // An error in the middle of a stream: what came before it is billed.
      return question.isBillable && (answer.meter?.outputChars ?? 0) > 0
        ? { usage: estimate(question, reported), estimated: true }
        : { usage: reported, estimated: false };
    case 'upstream_failed':
    case 'refused':
      return { usage: null, estimated: false };
    default:
      return answer.outcome satisfies never;
  }
}

/** What was produced until it stopped: reported figures where there are some, else sizes. */
function estimate(question: SettleQuestion, reported: Usage | null): Usage {
  const seenOutput = Math.ceil((question.answer.meter?.outputChars ?? 0) / BYTES_PER_TOKEN);
  return {
    ...reported,
    inputTokens: reported?.inputTokens ?? Math.ceil(question.requestBytes / BYTES_PER_TOKEN),
    outputTokens: Math.max(reported?.outputTokens ?? 0, seenOutput),
  };
}
