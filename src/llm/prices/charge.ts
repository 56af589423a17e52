/**
 * What a usage costs at given prices, exactly: prices become integers of atto-dollars for one
 * unit, sums are integers, and the result is rounded once, to whole nano-dollars, half up.
 */
import type { Usage } from '../usage.ts';
import type { ListPrice, ListPrices } from './catalogue.ts';

const ATTO_PER_DOLLAR = 1e18;
const ATTO_PER_NANO = 1_000_000_000n;
const MILLION = 1_000_000n;

/**
 * The cost in nano-dollars, or null where something was used that has no price (never silently
 * free). `adjustmentPpm` multiplies it: 1,000,000 is the list price. `usage` null means that the
 * provider reported none, which is priced only where the list has no prices at all (free models).
 */
export function chargeNanoUsd(usage: Usage | null, prices: ListPrices, adjustmentPpm: number): number | null {
  if (Object.keys(prices).length === 0) return 0;
  if (usage === null) return null;
  const lines = chargeLines(usage, prices);
  if (lines === null) return null;
  const atto = lines.reduce((sum, { count, attoEach }) => sum + BigInt(count) * BigInt(attoEach), 0n);
  const divisor = ATTO_PER_NANO * MILLION;
  return Number((atto * BigInt(adjustmentPpm) + divisor / 2n) / divisor);
}

interface Line {
  readonly count: number;
  readonly attoEach: number;
}

/** Each token is charged once, at its most specific price; null if something has none. */
function chargeLines(usage: Usage, prices: ListPrices): readonly Line[] | null {
  const inputTotal = usage.inputTokens ?? 0;
  const lines: Line[] = [];
  let unpriced = false;
  const add = (count: number, per: number, ...keys: readonly string[]): void => {
    if (count <= 0) return;
    const price = keys.map((key) => prices[key]).find((found) => found !== undefined);
    if (price === undefined) unpriced = true;
    else lines.push({ count, attoEach: Math.round((priceFor(price, inputTotal) * ATTO_PER_DOLLAR) / per) });
  };

  const input = splitInput(usage);
  add(input.fresh, 1e6, 'input_mtok');
  add(input.cacheRead, 1e6, 'cache_read_mtok', 'input_mtok');
  add(input.cacheReadAudio, 1e6, 'cache_audio_read_mtok', 'cache_read_mtok', 'input_mtok');
  add(input.cacheWrite, 1e6, 'cache_write_mtok', 'input_mtok');
  add(input.cacheWrite1h, 1e6, 'cache_write_1h_mtok', 'cache_write_mtok', 'input_mtok');
  add(input.audio, 1e6, 'input_audio_mtok', 'input_mtok');
  add(input.image, 1e6, 'input_image_mtok', 'input_mtok');

  // Reasoning is text; it is taken out only where it has a price of its own.
  const reasoning = prices['output_reasoning_mtok'] === undefined ? 0 : (usage.reasoningTokens ?? 0);
  const audio = usage.outputAudioTokens ?? 0;
  const image = usage.outputImageTokens ?? 0;
  add((usage.outputTokens ?? 0) - reasoning - audio - image, 1e6, 'output_mtok');
  add(reasoning, 1e6, 'output_reasoning_mtok');
  add(audio, 1e6, 'output_audio_mtok', 'output_mtok');
  add(image, 1e6, 'output_image_mtok', 'output_mtok');

  add(usage.inputAudioSeconds ?? 0, 3600, 'input_audio_hours', 'audio_hours');
  // A search without a price of its own is part of the model's price (or the provider's gift).
  if (prices['web_searches_kcount'] !== undefined) add(usage.webSearches ?? 0, 1e3, 'web_searches_kcount');
  if (prices['requests_kcount'] !== undefined) add(1, 1e3, 'requests_kcount');
  return unpriced || (lines.length === 0 && !reportsZero(usage)) ? null : lines;
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

function priceFor(price: ListPrice, inputTokens: number): number {
  if (typeof price === 'number') return price;
  let found = price.base;
  for (const tier of price.tiers.toSorted((a, b) => a.start - b.start)) {
    if (inputTokens > tier.start) found = tier.price;
  }
  return found;
}
