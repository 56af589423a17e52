import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchResults, PriceQuestion } from '../../llm/index.ts';
import { settleBatchUsage, type BatchUsage } from './settle-batch.ts';

const RESULTS: BatchResults = {
  models: [{ model: 'm', answers: 2, usage: { inputTokens: 4, outputTokens: 2 } }],
  unread: 0,
};

function settle(
  basis: string,
  results: BatchResults,
): { readonly used: readonly BatchUsage[]; readonly questions: readonly PriceQuestion[] } {
  const questions: PriceQuestion[] = [];
  const used = settleBatchUsage(
    { basis, modelCostMap: [], at: 1, results },
    {
      price(question) {
        questions.push(question);
        return { state: 'priced', costNanoUsd: 10 };
      },
    },
  );
  return { used, questions };
}

test('the batch price holds where it is known; else the list price, marked as an estimate', () => {
  const known = settle('openai', RESULTS);
  assert.deepEqual([known.questions[0]?.adjustment, known.used[0]?.estimated], [0.5, false]);
  const other = settle('together', RESULTS);
  assert.deepEqual([other.questions[0]?.adjustment, other.used[0]?.estimated], [undefined, true]);
});

test('lines that could not be read make the sums estimates, and are never free', () => {
  assert.equal(settle('openai', { ...RESULTS, unread: 1 }).used[0]?.estimated, true);
  const [unread] = settle('openai', { models: [], unread: 3 }).used;
  assert.deepEqual([unread?.costState, unread?.costNanoUsd, unread?.estimated], ['unpriced', null, true]);
  assert.deepEqual(settle('openai', { models: [], unread: 0 }).used, []);
});
