/**
 * What a usage costs at given prices, exactly: prices become integers of atto-dollars for one
 * unit, sums are integers, and the result is rounded once, to whole nano-dollars, half up.
 *
 * Prices are compiled once (`compileRateCard`). The sum is made in doubles while every value is an
 * integer that doubles hold exactly, which is the usual request, and in BigInt otherwise; both give
 * the same figure.
 */
import type { Usage } from '../usage.ts';
import type { ListPrice, ListPrices } from './catalogue.ts';

const ATTO_PER_DOLLAR = 1e18;
const ATTO_PER_NANO = 1_000_000_000;
const MILLION = 1_000_000;

/** A price as integers; `attoEach` is atto-dollars for one token, search, request or second. */
interface Price {
  readonly attoEach: number;
  /** The same in the card's own unit. */
  readonly unitsEach: number;
}

interface Rate extends Price {
  /** From the lowest start; a tier's price holds once the whole input is above its start. Null without tiers. */
  readonly tiers: readonly (Price & { readonly start: number })[] | null;
}

/** A model's prices, ready to be charged. */
export interface RateCard {
  /** The list has no prices at all: the model costs nothing. */
  readonly isFree: boolean;
  /** In the order of `LINES`; null where nothing in the list prices the line. */
  readonly rates: readonly (Rate | null)[];
  /** Atto-dollars: the largest power of ten, at most a nano-dollar, that divides every price. */
  readonly unitAtto: number;
}

/** How many units a price is for, and the names under which a list may have it, the most specific first. */
type Line = readonly [per: number, ...keys: readonly string[]];

/** What is charged, in the order of `countsOf`. */
const LINES: readonly Line[] = [
  [1e6, 'input_mtok'],
  [1e6, 'cache_read_mtok', 'input_mtok'],
  [1e6, 'cache_audio_read_mtok', 'cache_read_mtok', 'input_mtok'],
  [1e6, 'cache_write_mtok', 'input_mtok'],
  [1e6, 'cache_write_1h_mtok', 'cache_write_mtok', 'input_mtok'],
  [1e6, 'input_audio_mtok', 'input_mtok'],
  [1e6, 'input_image_mtok', 'input_mtok'],
  [1e6, 'output_mtok'],
  [1e6, 'output_reasoning_mtok'],
  [1e6, 'output_audio_mtok', 'output_mtok'],
  [1e6, 'output_image_mtok', 'output_mtok'],
  [3600, 'input_audio_hours', 'audio_hours'],
  [1e3, 'web_searches_kcount'],
  [1e3, 'requests_kcount'],
];
const REASONING_LINE = 8;
const SEARCH_LINE = 12;
const REQUEST_LINE = 13;

/** Reads a list's prices once. Dollars as they stand in the list. */
export function compileRateCard(prices: ListPrices): RateCard {
  const found = LINES.map(([per, ...keys]) => {
    const price = keys.map((key) => prices[key]).find((one) => one !== undefined);
    return price === undefined ? null : { per, ...tiersOf(price) };
  });
  const atto = (dollars: number, per: number): number => Math.round((dollars * ATTO_PER_DOLLAR) / per);
  const all = found.flatMap((one) =>
    one === null
      ? []
      : [one.base, ...one.tiers.map(({ price }) => price)].map((price) => atto(price, one.per)),
  );
  const unitAtto = commonUnit(all);
  const priceOf = (dollars: number, per: number): Price => {
    const attoEach = atto(dollars, per);
    return { attoEach, unitsEach: attoEach / unitAtto };
  };
  const rates = found.map((one) => {
    if (one === null) return null;
    const tiers = one.tiers.map(({ start, price }) => ({ start, ...priceOf(price, one.per) }));
    return { ...priceOf(one.base, one.per), tiers: tiers.length === 0 ? null : tiers };
  });
  return { isFree: Object.keys(prices).length === 0, rates, unitAtto };
}

function tiersOf(price: ListPrice): {
  readonly base: number;
  readonly tiers: readonly { readonly start: number; readonly price: number }[];
} {
  if (typeof price === 'number') return { base: price, tiers: [] };
  return { base: price.base, tiers: price.tiers.toSorted((a, b) => a.start - b.start) };
}

/** The larger the unit, the larger the sums that doubles hold. */
function commonUnit(amounts: readonly number[]): number {
  let unit = ATTO_PER_NANO;
  while (unit > 1 && amounts.some((amount) => amount % unit !== 0)) unit /= 10;
  return unit;
}

/**
 * The cost in nano-dollars, or null where something was used that has no price (never silently
 * free). `adjustmentPpm`, an integer >= 0, multiplies it: 1,000,000 is the list price. `usage` null
 * means that the provider reported none, which is priced only where the list has no prices at all
 * (free models). Throws a RangeError for counts that are no integers.
 */
export function chargeNanoUsd(usage: Usage | null, card: RateCard, adjustmentPpm: number): number | null {
  if (card.isFree) return 0;
  if (usage === null) return null;
  const { rates } = card;
  const inputTotal = usage.inputTokens ?? 0;
  const counts = countsOf(usage, rates);
  let units = 0;
  let isCharged = false;
  for (let line = 0; line < counts.length; line += 1) {
    const count = counts[line] ?? 0;
    if (count <= 0) continue;
    const rate = rates[line] ?? null;
    if (rate === null) return null;
    isCharged = true;
    units += count * priceAt(rate, inputTotal).unitsEach;
  }
  if (!isCharged && !reportsZero(usage)) return null;
  return (
    roundedNano(units, card.unitAtto, adjustmentPpm) ??
    exactNano(counts, rates, { inputTotal, adjustmentPpm })
  );
}

/**
 * `units` of a card in nano-dollars; null if doubles might not hold it exactly. No term is negative,
 * so a step that left the safe integers leaves a sum that is none either. Counts that are no integers
 * end here too: their sum may not be whole.
 */
function roundedNano(units: number, unitAtto: number, adjustmentPpm: number): number | null {
  if (!Number.isSafeInteger(units)) return null;
  let factor = adjustmentPpm;
  let divisor = MILLION;
  while (divisor > 1 && factor % 10 === 0) {
    factor /= 10;
    divisor /= 10;
  }
  divisor *= ATTO_PER_NANO / unitAtto;
  // The divisor is a power of ten: 1, where nothing is to be rounded, or even.
  const raised = units * factor + Math.floor(divisor / 2);
  if (!Number.isSafeInteger(raised)) return null;
  return (raised - (raised % divisor)) / divisor;
}

/** The same for any size. */
function exactNano(
  counts: readonly number[],
  rates: RateCard['rates'],
  at: { readonly inputTotal: number; readonly adjustmentPpm: number },
): number {
  let atto = 0n;
  counts.forEach((count, line) => {
    const rate = rates[line] ?? null;
    // NaN is not below 0 and must throw.
    if (count <= 0 || rate === null) return;
    atto += BigInt(count) * BigInt(priceAt(rate, at.inputTotal).attoEach);
  });
  const divisor = BigInt(ATTO_PER_NANO) * BigInt(MILLION);
  return Number((atto * BigInt(at.adjustmentPpm) + divisor / 2n) / divisor);
}

function priceAt(rate: Rate, inputTokens: number): Price {
  if (rate.tiers === null) return rate;
  let found: Price = rate;
  for (const tier of rate.tiers) {
    if (inputTokens > tier.start) found = tier;
  }
  return found;
}

/** How much of each line was used. Each token is in one line, the most specific. */
function countsOf(usage: Usage, rates: RateCard['rates']): readonly number[] {
  const input = splitInput(usage);
  // Reasoning is text; it is taken out only where it has a price of its own.
  const reasoning = (rates[REASONING_LINE] ?? null) === null ? 0 : (usage.reasoningTokens ?? 0);
  const audio = usage.outputAudioTokens ?? 0;
  const image = usage.outputImageTokens ?? 0;
  return [
    input.fresh,
    input.cacheRead,
    input.cacheReadAudio,
    input.cacheWrite,
    input.cacheWrite1h,
    input.audio,
    input.image,
    (usage.outputTokens ?? 0) - reasoning - audio - image,
    reasoning,
    audio,
    image,
    usage.inputAudioSeconds ?? 0,
    // A search without a price of its own is part of the model's price (or the provider's gift).
    (rates[SEARCH_LINE] ?? null) === null ? 0 : (usage.webSearches ?? 0),
    (rates[REQUEST_LINE] ?? null) === null ? 0 : 1,
  ];
}

/** The provider said that nothing was used, which costs nothing. */
function reportsZero(usage: Usage): boolean {
  return (
    usage.inputTokens !== undefined ||
    usage.outputTokens !== undefined ||
    usage.inputAudioSeconds !== undefined
  );
}

interface InputParts {
  readonly fresh: number;
  readonly cacheRead: number;
  readonly cacheReadAudio: number;
  readonly cacheWrite: number;
  readonly cacheWrite1h: number;
  readonly audio: number;
  readonly image: number;
}

/**
 * The parts of the input, which do not overlap. Providers do not say which cached tokens were
 * audio: where the parts are more than the total, the excess is taken for cached audio.
 */
function splitInput(usage: Usage): InputParts {
  const cacheRead = usage.cacheReadTokens ?? 0;
  const cacheWrite = usage.cacheWriteTokens ?? 0;
  const cacheWrite1h = usage.cacheWrite1hTokens ?? 0;
  const audio = usage.inputAudioTokens ?? 0;
  const image = usage.inputImageTokens ?? 0;
  const rest = (usage.inputTokens ?? 0) - cacheRead - cacheWrite - cacheWrite1h - audio - image;
  const excess = Math.max(0, -rest);
  const cacheReadAudio = Math.min(excess, audio, cacheRead);
  return {
    fresh: Math.max(0, rest),
    cacheRead: cacheRead - cacheReadAudio,
    cacheReadAudio,
    cacheWrite,
    cacheWrite1h,
    audio: audio - cacheReadAudio,
    image: Math.max(0, image - (excess - cacheReadAudio)),
  };
}
