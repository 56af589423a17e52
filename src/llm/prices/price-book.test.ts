import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calcPrice } from '@pydantic/genai-prices';
import * as fc from 'fast-check';
import { compilePathMatch } from './path-match.ts';
import { createPriceBook, type PriceOverride } from './price-book.ts';

const AT = Date.UTC(2026, 10, 20, 12);
const book = createPriceBook();

/** Cost bases and the package's names for them. */
const BASES = [
  ['anthropic', 'anthropic'],
  ['openai', 'openai'],
  ['google', 'google'],
  ['bedrock', 'aws'],
  ['azure', 'azure'],
  ['openrouter', 'openrouter'],
] as const;

test('every model of the list costs what the package itself calculates, to the nano-dollar', () => {
  const models = BASES.flatMap(([basis, providerId]) =>
    book.knownModels(basis).map((model) => ({ basis, providerId, model })),
  );
  assert.ok(models.length > 900);
  const count = fc.nat(400_000);
  const unpriced = new Set<string>();
  fc.assert(
    fc.property(
      fc.constantFrom(...models),
      count,
      count,
      count,
      count,
      count,
      fc.nat(3),
      (listed, fresh, read, write, hour, output, webSearches) => {
        const input = fresh + read + write + hour;
        const answer = book.price({
          basis: listed.basis,
          model: listed.model,
          at: AT,
          usage: {
            inputTokens: input,
            cacheReadTokens: read,
            cacheWriteTokens: write,
            cacheWrite1hTokens: hour,
            outputTokens: output,
            webSearches,
          },
        });
        if (answer.state === 'unpriced') {
          unpriced.add(listed.model);
          return;
        }
        const expected = calcPrice(
          {
            input_tokens: input,
            cache_read_tokens: read,
            cache_write_tokens: write + hour,
            cache_write_1h_tokens: hour,
            output_tokens: output,
            web_searches: webSearches,
          },
          listed.model,
          { providerId: listed.providerId, timestamp: new Date(AT) },
        );
        assert.ok(expected !== null);
        // Half a nano-dollar for our rounding, the rest for the package's floating-point sums.
        assert.ok(Math.abs(answer.costNanoUsd - expected.total_price * 1e9) <= 0.51, listed.model);
      },
    ),
    { numRuns: 3_000 },
  );
  // Those without a price for output tokens: embeddings, transcription by the hour.
  assert.ok(unpriced.size < models.length / 10, [...unpriced].join(' '));
});

test('audio and image tokens and seconds have prices of their own', () => {
  const cost = (model: string, usage: object): number | null =>
    book.price({ basis: 'openai', model, usage, at: AT }).costNanoUsd;
  // gpt-image-1.5: image input 8, text input 5, image output 32 dollars a million.
  assert.equal(
    cost('gpt-image-1.5', { inputTokens: 30, inputImageTokens: 20, outputTokens: 10, outputImageTokens: 10 }),
    10 * 5_000 + 20 * 8_000 + 10 * 32_000,
  );
  // gpt-audio: text 2.5 and 10, audio 32 and 64.
  assert.equal(
    cost('gpt-audio', { inputTokens: 30, inputAudioTokens: 20, outputTokens: 10, outputAudioTokens: 4 }),
    10 * 2_500 + 20 * 32_000 + 6 * 10_000 + 4 * 64_000,
  );
  assert.equal(cost('whisper-1', { inputAudioSeconds: 3_600 }), 360_000_000);
  // Parts that are more than the whole are cached audio: charged once.
  const cached = book.price({
    basis: 'google',
    model: 'gemini-2.5-flash',
    usage: { inputTokens: 100, cacheReadTokens: 100, inputAudioTokens: 100, outputTokens: 0 },
    at: AT,
  });
  assert.equal(cached.costNanoUsd, 100 * 100);
});

test('long inputs are charged at the tier of the whole input (above 200k)', () => {
  const cost = (inputTokens: number): number | null =>
    book.price({
      basis: 'anthropic',
      model: 'claude-sonnet-4-5',
      usage: { inputTokens, outputTokens: 1_000 },
      at: AT,
    }).costNanoUsd;
  assert.equal(cost(200_000), 200_000 * 3_000 + 1_000 * 15_000);
  assert.equal(cost(200_001), 200_001 * 6_000 + 1_000 * 22_500);
});

test('old requests keep the prices of their time', () => {
  const cost = (at: number): number | null =>
    book.price({ basis: 'anthropic', model: 'claude-sonnet-4-6', usage: { inputTokens: 300_000 }, at })
      .costNanoUsd;
  assert.equal(cost(Date.UTC(2026, 2, 12)), 300_000 * 6_000);
  assert.equal(cost(Date.UTC(2026, 2, 14)), 300_000 * 3_000);
});

test('what is unknown or has no price is unpriced, never free', () => {
  const unpriced = { state: 'unpriced', costNanoUsd: null };
  const ask = (basis: string, model: string, usage: object | null): unknown =>
    book.price({ basis, model, usage, at: AT });
  assert.deepEqual(ask('openai', 'no-such-model', { inputTokens: 1 }), unpriced);
  assert.deepEqual(ask('compatible', 'gpt-5', { inputTokens: 1 }), unpriced);
  assert.deepEqual(ask('constructor', 'gpt-5', { inputTokens: 1 }), unpriced);
  assert.deepEqual(ask('openai', 'gpt-5', null), unpriced);
  assert.deepEqual(ask('openai', 'gpt-5', {}), unpriced);
  assert.deepEqual(ask('openai', 'whisper-1', { inputTokens: 5 }), unpriced);
  assert.deepEqual(ask('openai', 'text-embedding-3-small', { inputTokens: 5, outputTokens: 5 }), unpriced);
  assert.deepEqual(ask('openai', 'gpt-5', { inputTokens: 0, outputTokens: 0 }), {
    state: 'priced',
    costNanoUsd: 0,
  });
  assert.deepEqual(ask('openai', 'omni-moderation-latest', null), { state: 'priced', costNanoUsd: 0 });
});

test('the cost basis chooses regional and re-sold prices (Aperture 2.3)', () => {
  const usage = { inputTokens: 1_000_000, outputTokens: 0 };
  const cost = (basis: string, model: string): number | null =>
    book.price({ basis, model, usage, at: AT }).costNanoUsd;
  const name = 'anthropic.claude-haiku-4-5-20251001-v1:0';
  const global = cost('bedrock', `global.${name}`);
  const regional = cost('bedrock', `us.${name}`);
  assert.ok(global !== null && regional !== null && regional > global);
  for (const basis of ['bedrock-us', 'bedrock-eu']) assert.equal(cost(basis, name), regional);
  assert.equal(cost('bedrock-us', `global.${name}`), global);
  assert.equal(cost('vertex', 'gemini-2.5-pro'), cost('google', 'gemini-2.5-pro'));
  assert.equal(cost('vercel', 'anthropic/claude-opus-4.5'), cost('anthropic', 'claude-opus-4-5'));
  assert.notEqual(cost('azure-eu', 'gpt-5'), null);
  assert.notEqual(cost('openrouter', 'anthropic/claude-sonnet-4.5'), null);
});

test('the first mapping that fits prices as another model, times its adjustment', () => {
  const usage = { inputTokens: 1_000 };
  const modelCostMap = [
    { match: 'corp-*', as: 'claude-sonnet-4-5', adjustment: 0.85 },
    { match: 'corp-x', as: 'claude-opus-4-5' },
    { match: 'other', as: 'openai/gpt-5' },
  ];
  const cost = (model: string, adjustment?: number): number | null =>
    book.price({
      basis: 'anthropic',
      model,
      usage,
      at: AT,
      modelCostMap,
      ...(adjustment === undefined ? {} : { adjustment }),
    }).costNanoUsd;
  assert.equal(cost('corp-x'), 2_550_000);
  assert.equal(cost('corp-x', 2), 5_100_000);
  assert.equal(cost('other'), book.price({ basis: 'openai', model: 'gpt-5', usage, at: AT }).costNanoUsd);
  for (const wrong of [-1, Number.NaN, Infinity, 1e6]) assert.equal(cost('corp-x', wrong), null);
});

test("the operator's price wins, from its day on", () => {
  const overrides: PriceOverride[] = [
    { match: 'llama-*', from: AT, prices: { input: 1, output: 2, inputAbove200k: 3 } },
  ];
  const own = createPriceBook({ overrides });
  const cost = (inputTokens: number, at = AT): number | null =>
    own.price({ basis: 'compatible', model: 'llama-4', usage: { inputTokens, outputTokens: 10 }, at })
      .costNanoUsd;
  assert.equal(cost(10), 10 * 1_000 + 10 * 2_000);
  assert.equal(cost(300_000), 300_000 * 3_000 + 10 * 2_000);
  assert.equal(cost(10, AT - 1), null);
  assert.throws(() => createPriceBook({ overrides: [{ match: '[', prices: {} }] }), {
    code: 'price_override_invalid',
  });
  assert.throws(() => createPriceBook({ overrides: [{ match: '*', prices: { input: -1 } }] }), {
    code: 'price_override_invalid',
  });
});

test('nothing is lost by rounding: a cost is rounded once', () => {
  const overrides: PriceOverride[] = [{ match: '*', prices: { input: 0.0001, output: 0.0001 } }];
  const own = createPriceBook({ overrides });
  const cost = (inputTokens: number, outputTokens: number): number | null =>
    own.price({ basis: 'x', model: 'm', usage: { inputTokens, outputTokens }, at: AT }).costNanoUsd;
  assert.deepEqual([cost(4, 0), cost(5, 0), cost(3, 2), cost(10_000_000_000, 0)], [0, 1, 1, 1_000_000_000]);
});

test('facts and the price list name models, windows and prices', () => {
  const facts = book.modelFacts('anthropic', 'claude-sonnet-4-5-20250929', AT);
  assert.deepEqual(
    [facts?.id, facts?.contextWindow, facts?.prices?.input, facts?.prices?.inputAbove200k],
    ['claude-sonnet-4-5', 200_000, 3, 6],
  );
  assert.deepEqual(
    [facts?.maxOutput, facts?.modalities?.input, facts?.modalities?.output],
    [64_000, ['text', 'image', 'pdf'], ['text']],
  );
  const unpriced = book.modelFacts('anthropic', 'grok-4.3', AT);
  assert.deepEqual([unpriced?.prices, unpriced?.contextWindow], [null, 1_000_000], 'limits without a price');
  assert.equal(book.modelFacts('anthropic', 'nothing', AT), null);
  assert.deepEqual(book.knownModels('nothing'), []);
  assert.ok(book.pricing(AT).length > 900);
  assert.ok(book.pricing(AT, 'anthropic').every((entry) => entry.basis === 'anthropic'));
});

test('patterns are those of Go path.Match', () => {
  const cases: readonly [string, string, boolean][] = [
    ['*', 'abc', true],
    ['*', 'a/b', false],
    ['a*b?c', 'axxbyc', true],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['a.b', 'axb', false],
    ['\\*', '*', true],
    ['a/*', 'a/b', true],
    ['', '', true],
    ['A', 'a', false],
  ];
  for (const [pattern, text, expected] of cases)
    assert.equal(compilePathMatch(pattern)?.(text), expected, `${pattern} ${text}`);
  for (const malformed of ['[', '[]', '[z-a]', 'a\\', '[a', 'x'.repeat(600)])
    assert.equal(compilePathMatch(malformed), null, malformed);
  fc.assert(fc.property(fc.string(), fc.string(), (pattern, text) => void compilePathMatch(pattern)?.(text)));
});
