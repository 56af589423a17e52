import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { Usage } from '../usage.ts';
import type { ListPrice, ListPrices } from './catalogue.ts';
import { chargeNanoUsd, compileRateCard } from './charge.ts';

/** The definition, line by line and in BigInt throughout: slow, and nothing to get wrong. */
function chargeByDefinition(usage: Usage, prices: ListPrices, adjustmentPpm: number): number | null {
  if (Object.keys(prices).length === 0) return 0;
  const of = (name: keyof Usage): number => usage[name] ?? 0;
  const lines: { readonly count: number; readonly per: number; readonly price: ListPrice | undefined }[] = [];
  const add = (count: number, per: number, ...keys: readonly string[]): void => {
    const price = keys.map((key) => prices[key]).find((found) => found !== undefined);
    if (count > 0) lines.push({ count, per, price });
  };
  const [read, write, write1h] = [of('cacheReadTokens'), of('cacheWriteTokens'), of('cacheWrite1hTokens')];
  const [audio, image] = [of('inputAudioTokens'), of('inputImageTokens')];
  const rest = of('inputTokens') - read - write - write1h - audio - image;
  const excess = Math.max(0, -rest);
  const readAudio = Math.min(excess, audio, read);
  add(Math.max(0, rest), 1e6, 'input_mtok');
  add(read - readAudio, 1e6, 'cache_read_mtok', 'input_mtok');
  add(readAudio, 1e6, 'cache_audio_read_mtok', 'cache_read_mtok', 'input_mtok');
  add(write, 1e6, 'cache_write_mtok', 'input_mtok');
  add(write1h, 1e6, 'cache_write_1h_mtok', 'cache_write_mtok', 'input_mtok');
  add(audio - readAudio, 1e6, 'input_audio_mtok', 'input_mtok');
  add(Math.max(0, image - (excess - readAudio)), 1e6, 'input_image_mtok', 'input_mtok');
  const reasoning = prices['output_reasoning_mtok'] === undefined ? 0 : of('reasoningTokens');
  const [outAudio, outImage] = [of('outputAudioTokens'), of('outputImageTokens')];
  add(of('outputTokens') - reasoning - outAudio - outImage, 1e6, 'output_mtok');
  add(reasoning, 1e6, 'output_reasoning_mtok');
  add(outAudio, 1e6, 'output_audio_mtok', 'output_mtok');
  add(outImage, 1e6, 'output_image_mtok', 'output_mtok');
  add(of('inputAudioSeconds'), 3600, 'input_audio_hours', 'audio_hours');
  if (prices['web_searches_kcount'] !== undefined) add(of('webSearches'), 1e3, 'web_searches_kcount');
  if (prices['requests_kcount'] !== undefined) add(1, 1e3, 'requests_kcount');

  const saysNothing = [usage.inputTokens, usage.outputTokens, usage.inputAudioSeconds].every(
    (count) => count === undefined,
  );
  if (lines.some(({ price }) => price === undefined) || (lines.length === 0 && saysNothing)) return null;
  const atto = lines.reduce((sum, { count, per, price }) => {
    const dollars = price === undefined ? 0 : priceOf(price, of('inputTokens'));
    return sum + BigInt(count) * BigInt(Math.round((dollars * 1e18) / per));
  }, 0n);
  return Number((atto * BigInt(adjustmentPpm) + 500_000_000_000_000n) / 1_000_000_000_000_000n);
}

function priceOf(price: ListPrice, input: number): number {
  if (typeof price === 'number') return price;
  const begun = price.tiers.filter(({ start }) => input > start).toSorted((a, b) => a.start - b.start);
  return begun.at(-1)?.price ?? price.base;
}

/** Prices as lists have them, and such as no list has. */
const dollars = fc.oneof(
  fc.constantFrom(0, 0.075, 0.1, 0.3, 1.25, 3, 15, 37.5, 75),
  fc.nat(1_000_000).map((n) => n / 1_000),
  fc.double({ min: 0, max: 1_000, noNaN: true }),
  fc.double({ min: 0, max: 1e-9, noNaN: true }),
);
const tiers = fc.array(fc.record({ start: fc.nat(400_000), price: dollars }), { maxLength: 3 });
const price: fc.Arbitrary<ListPrice> = fc.oneof(
  { weight: 3, arbitrary: dollars },
  { weight: 1, arbitrary: fc.record({ base: dollars, tiers }) },
);
const PRICE_NAMES = [
  'input_mtok',
  'cache_read_mtok',
  'cache_audio_read_mtok',
  'cache_write_mtok',
  'cache_write_1h_mtok',
  'input_audio_mtok',
  'input_image_mtok',
  'output_mtok',
  'output_reasoning_mtok',
  'output_audio_mtok',
  'output_image_mtok',
  'input_audio_hours',
  'audio_hours',
  'web_searches_kcount',
  'requests_kcount',
] as const;
const prices = fc.record(
  Object.fromEntries(PRICE_NAMES.map((name) => [name, price])) as Record<
    (typeof PRICE_NAMES)[number],
    fc.Arbitrary<ListPrice>
  >,
  { requiredKeys: [] },
);

/** Everyday counts, and such as only the exact way can hold. */
const count = fc.oneof({ weight: 4, arbitrary: fc.nat(400_000) }, { weight: 1, arbitrary: fc.maxSafeNat() });
const USAGE_NAMES = [
  'inputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'outputTokens',
  'reasoningTokens',
  'inputAudioTokens',
  'outputAudioTokens',
  'inputAudioSeconds',
  'inputImageTokens',
  'outputImageTokens',
  'webSearches',
] as const;
const usages = fc.record(
  Object.fromEntries(USAGE_NAMES.map((name) => [name, count])) as Record<
    (typeof USAGE_NAMES)[number],
    fc.Arbitrary<number>
  >,
  { requiredKeys: [] },
);
const adjustments = fc.oneof(
  { weight: 3, arbitrary: fc.constant(1_000_000) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 850_000, 999_999, 1_000_001, 1_100_000, 1_000_000_000) },
  { weight: 1, arbitrary: fc.nat(1_000_000_000) },
);

test('a charge is that of the definition, to the nano-dollar, whatever the prices, counts and factor', () => {
  fc.assert(
    fc.property(usages, prices, adjustments, (usage, list, ppm) => {
      assert.equal(chargeNanoUsd(usage, compileRateCard(list), ppm), chargeByDefinition(usage, list, ppm));
    }),
    { numRuns: 5_000 },
  );
});

test('the usual chat is that of the definition too: two prices, and a little more where caches are used', () => {
  const usual = fc.record({
    inputTokens: fc.integer({ min: 100_000, max: 200_000 }),
    cacheReadTokens: fc.nat(50_000),
    cacheWriteTokens: fc.nat(50_000),
    outputTokens: fc.nat(64_000),
  });
  const list = fc.record({
    input_mtok: dollars,
    output_mtok: dollars,
    cache_read_mtok: dollars,
    cache_write_mtok: dollars,
  });
  fc.assert(
    fc.property(usual, list, adjustments, (usage, some, ppm) => {
      assert.equal(chargeNanoUsd(usage, compileRateCard(some), ppm), chargeByDefinition(usage, some, ppm));
    }),
    { numRuns: 2_000 },
  );
});

test('a half of a nano-dollar is rounded up, once, after the factor', () => {
  // 0.0005 dollars a million tokens is half a nano-dollar for one.
  const card = compileRateCard({ input_mtok: 0.0005 });
  assert.equal(chargeNanoUsd({ inputTokens: 1 }, card, 1_000_000), 1);
  assert.equal(chargeNanoUsd({ inputTokens: 2 }, card, 1_000_000), 1);
  assert.equal(chargeNanoUsd({ inputTokens: 3 }, card, 1_000_000), 2);
  assert.equal(chargeNanoUsd({ inputTokens: 1 }, card, 999_999), 0);
});

test('the unit of a card is the largest that every price is a multiple of', () => {
  assert.equal(compileRateCard({ input_mtok: 3, output_mtok: 15 }).unitAtto, 1e9);
  assert.equal(compileRateCard({ input_mtok: 0.000_25, output_mtok: 15 }).unitAtto, 1e7);
  assert.equal(
    compileRateCard({ input_mtok: 3, output_mtok: { base: 1, tiers: [{ start: 9, price: 1e-9 }] } }).unitAtto,
    1e3,
  );
});

test('a count that is no integer is refused, not rounded', () => {
  const card = compileRateCard({ input_mtok: 3 });
  for (const bad of [1.000_1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => chargeNanoUsd({ inputTokens: bad }, card, 1_000_000), RangeError);
  }
});
