import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { createPriceBook, type ModelCostMapping, type Usage } from '../llm/index.ts';
import { inputTokensCeiling } from './input-ceiling.ts';
import { createPriceCeiling } from './price-ceiling.ts';

const book = createPriceBook();
const AT = Date.UTC(2026, 10, 23);
const NO_MAP: readonly ModelCostMapping[] = [];

test('the ceiling is never below the real price, whatever the tokens are', () => {
  const ceiling = createPriceCeiling(book);
  const models: readonly (readonly [string, string])[] = [
    ['anthropic', 'claude-sonnet-4-5'],
    ['openai', 'gpt-5'],
    ['google', 'gemini-2.5-pro'],
    ['google', 'gemini-2.5-flash'],
  ];
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.constantFrom(...models),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.integer({ min: 0, max: 100_000 }),
      share,
      share,
      ([basis, model], inputTokens, outputTokens, read, written) => {
        const cacheReadTokens = Math.floor(inputTokens * read);
        const usage: Usage = {
          inputTokens,
          outputTokens,
          cacheReadTokens,
          cacheWriteTokens: Math.floor((inputTokens - cacheReadTokens) * written),
        };
        const price = ceiling({ basis, model, at: AT, modelCostMap: NO_MAP, inputTokensMax: inputTokens });
        const real = book.price({ basis, model, usage, at: AT, modelCostMap: NO_MAP }).costNanoUsd;
        assert.ok(price !== null && real !== null);
        const bound =
          inputTokens * price.inputNanoPerToken + outputTokens * price.outputNanoPerToken + price.requestNano;
        assert.ok(real <= Math.ceil(bound), `${model}: ${real} above ${bound}`);
      },
    ),
  );
});

test('a model without a price has no ceiling; an answer is kept for an hour and a map', () => {
  let asked = 0;
  const ceiling = createPriceCeiling({ price: (question) => ((asked += 1), book.price(question)) });
  const question = { basis: 'openai', model: 'gpt-5', at: AT, modelCostMap: NO_MAP, inputTokensMax: 10 };
  assert.equal(ceiling({ ...question, model: 'no-such-model' }), null);
  asked = 0;
  ceiling(question);
  const once = asked;
  ceiling({ ...question, at: AT + 3_599_999 });
  assert.equal(asked, once);
  ceiling({ ...question, at: AT + 3_600_000 });
  assert.equal(asked, 2 * once);
});

test('the input has at most as many tokens as bytes, and an allowance for what is added', () => {
  assert.equal(inputTokensCeiling({ bodyBytes: 2_000, images: 0, tools: 0 }), 3_024);
  assert.equal(inputTokensCeiling({ bodyBytes: 2_000, images: 2, tools: 3 }), 3_024 + 12_000 + 192);
});
