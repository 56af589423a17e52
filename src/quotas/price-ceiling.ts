/**
 * The dearest that a model's tokens can be, from the price book: fresh, cached and written input,
 * text and reasoning, audio and image, at the tier that the input may reach.
 */
import type { UnixMs } from '../base/clock.ts';
import type { ModelCostMapping, PriceBook, Usage } from '../llm/index.ts';
import type { TokenPrice } from './estimate.ts';

export interface PriceCeilingQuestion {
  readonly basis: string;
  readonly model: string;
  readonly at: UnixMs;
  readonly modelCostMap: readonly ModelCostMapping[];
  readonly inputTokensMax: number;
}

/** Null where the model has no price. */
export type PriceCeiling = (question: PriceCeilingQuestion) => TokenPrice | null;

/** Below it no price list has a dearer tier. */
const TIER_FREE_TOKENS = 100_000;
/** Above the start of every tier. */
const TOP_TIER_TOKENS = 10_000_000;
const MILLION = 1_000_000;
/** Models come from callers where a pattern grants any. */
const CACHE_MAX = 2_048;
/** Prices are effective-dated; an answer is used no longer. */
const FRESH_MS = 3_600_000;

interface Known {
  readonly until: UnixMs;
  readonly price: TokenPrice | null;
}

/** Asks the book a few times for each model, tier and hour; after that an answer is two look-ups. */
export function createPriceCeiling(book: Pick<PriceBook, 'price'>): PriceCeiling {
  const byMap = new WeakMap<readonly ModelCostMapping[], Map<string, Known>>();
  return (question) => {
    let known = byMap.get(question.modelCostMap);
    if (known === undefined) byMap.set(question.modelCostMap, (known = new Map()));
    const isTopTier = question.inputTokensMax > TIER_FREE_TOKENS;
    const key = `${isTopTier ? 't' : 'f'}${question.basis}\n${question.model}`;
    const hit = known.get(key);
    if (hit !== undefined && question.at < hit.until && question.at >= hit.until - FRESH_MS) return hit.price;
    if (known.size >= CACHE_MAX) known.clear();
    const price = ask(book, question, isTopTier ? TOP_TIER_TOKENS : TIER_FREE_TOKENS);
    known.set(key, { until: question.at + FRESH_MS, price });
    return price;
  };
}

function ask(
  book: Pick<PriceBook, 'price'>,
  question: PriceCeilingQuestion,
  tokens: number,
): TokenPrice | null {
  const cost = (usage: Usage): number | null => book.price({ ...question, usage }).costNanoUsd;
  const request = cost({ inputTokens: 0, outputTokens: 0 });
  const input = highest([
    cost({ inputTokens: tokens }),
    cost({ inputTokens: tokens, cacheReadTokens: tokens }),
    cost({ inputTokens: tokens, cacheWriteTokens: tokens }),
    cost({ inputTokens: tokens, cacheWrite1hTokens: tokens }),
    cost({ inputTokens: tokens, inputAudioTokens: tokens }),
    cost({ inputTokens: tokens, inputImageTokens: tokens }),
  ]);
  if (request === null || input === null) return null;
  const plain = cost({ inputTokens: tokens, outputTokens: 0 }) ?? 0;
  const output = highest([
    cost({ inputTokens: tokens, outputTokens: MILLION }),
    cost({ inputTokens: tokens, outputTokens: MILLION, reasoningTokens: MILLION }),
    cost({ inputTokens: tokens, outputTokens: MILLION, outputAudioTokens: MILLION }),
    cost({ inputTokens: tokens, outputTokens: MILLION, outputImageTokens: MILLION }),
  ]);
  return {
    // One more, since the book rounds to whole nano-dollars.
    inputNanoPerToken: (input + 1 - request) / tokens,
    // Models that produce no tokens (embeddings) have no price for them.
    outputNanoPerToken: output === null ? 0 : (output + 1 - plain) / MILLION,
    requestNano: request,
  };
}

function highest(costs: readonly (number | null)[]): number | null {
  let most: number | null = null;
  for (const cost of costs) if (cost !== null && (most === null || cost > most)) most = cost;
  return most;
}
