/** What a batch of a file may cost (DESIGN section 7): never less than its lines could cost one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchLines, ModelLines } from '../ownership/batch-lines.ts';
import { batchCost, type ModelQuestions } from './batch-cost.ts';

const SUMS: ModelLines = {
  requests: 2,
  inputTokensMax: 300,
  lineInputTokensMax: 200,
  outputTokens: 50,
  unlimitedAnswers: 0,
};

function linesOf(models: Readonly<Record<string, ModelLines>>, isInputUnknown = false): BatchLines {
  const requests = Object.values(models).reduce((sum, each) => sum + each.requests, 0);
  return { requests, models: new Map(Object.entries(models)), format: 'openai_chat', isInputUnknown };
}

const KNOWN: ModelQuestions = {
  maxOutput: () => 1_000,
  price: (model) => ({
    inputNanoPerToken: model === 'dear' ? 9 : 1,
    outputNanoPerToken: model === 'dear' ? 4 : 5,
    requestNano: 10,
  }),
};

test('lines add up, answers without a limit are as long as the model allows, the dearest price holds for all', () => {
  const lines = linesOf({ cheap: SUMS, dear: { ...SUMS, unlimitedAnswers: 3 } });
  assert.deepEqual(batchCost(lines, KNOWN), {
    inputTokensMax: 600,
    outputTokensMax: 50 + 50 + 3_000,
    requests: 4,
    unknownInput: false,
    price: { inputNanoPerToken: 9, outputNanoPerToken: 5, requestNano: 40 },
    clampable: false,
    metered: false,
  });
});

test('the price is asked for the longest line: a tier that only the sum would reach is nobody’s', () => {
  const asked: number[] = [];
  batchCost(linesOf({ a: SUMS }), {
    ...KNOWN,
    price: (model, inputTokensMax) => {
      asked.push(inputTokensMax);
      return KNOWN.price(model, inputTokensMax);
    },
  });
  assert.deepEqual(asked, [200]);
});

test('what nobody knows of one model is not known of the batch', () => {
  const lines = linesOf({ a: SUMS, b: { ...SUMS, unlimitedAnswers: 1 } }, true);
  const unlimited = batchCost(lines, { ...KNOWN, maxOutput: () => null });
  assert.equal(unlimited.outputTokensMax, null);
  assert.equal(unlimited.unknownInput, true);
  const unpriced = batchCost(lines, {
    ...KNOWN,
    price: (model, tokens) => (model === 'a' ? null : KNOWN.price(model, tokens)),
  });
  assert.equal(unpriced.price, null);
});
