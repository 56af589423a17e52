import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeterResult, Usage } from '../../llm/index.ts';
import type { Outcome } from '../../store/index.ts';
import { settle, type Settlement, type SettleQuestion } from './settle.ts';

const REPORTED: Usage = { inputTokens: 11, outputTokens: 7 };
const CENT: { price(): { state: 'priced'; costNanoUsd: number } } = {
  price: () => ({ state: 'priced', costNanoUsd: 1000 }),
};

interface Case {
  readonly outcome: Outcome;
  readonly usage?: Usage | null;
  readonly outputChars?: number;
  readonly isBillable?: boolean;
  readonly builtIn?: boolean;
}

function settled({
  outcome,
  usage = REPORTED,
  outputChars = 0,
  isBillable = true,
  builtIn = false,
}: Case): Settlement {
  const meter = { usage, outputChars } as MeterResult;
  const question = {
    answer: { outcome, meter },
    route: { provider: { builtIn, costBasis: 'openai', modelCostMap: [], kind: 'openai' }, model: 'm' },
    requestBytes: 400,
    isBillable,
    startedAt: 0,
  } as unknown as SettleQuestion;
  return settle(question, CENT);
}

test('a whole answer costs what the provider reported', () => {
  assert.deepEqual(settled({ outcome: 'ok' }), {
    usage: REPORTED,
    estimated: false,
    costNanoUsd: 1000,
    costState: 'priced',
    savedNanoUsd: 0,
  });
});

test('a whole answer without usage is estimated from its sizes, and says so', () => {
  const settlement = settled({ outcome: 'ok', usage: null, outputChars: 10 });
  assert.deepEqual(settlement.usage, { inputTokens: 100, outputTokens: 3 });
  assert.equal(settlement.estimated, true);
});

test('an abort and a cut stream are charged for what was produced (DESIGN section 3, step 8)', () => {
  for (const outcome of ['client_abort', 'truncated', 'gateway_error'] as const) {
    const known = settled({
      outcome,
      usage: { inputTokens: 50, outputTokens: 1, cacheReadTokens: 40 },
      outputChars: 400,
    });
    assert.deepEqual(known.usage, { inputTokens: 50, outputTokens: 100, cacheReadTokens: 40 });
    assert.equal(known.estimated, true);
    assert.deepEqual(settled({ outcome, usage: null, outputChars: 400 }).usage, {
      inputTokens: 100,
      outputTokens: 100,
    });
  }
});

test('what was never answered, and what nobody bills, is free', () => {
  assert.equal(settled({ outcome: 'upstream_failed' }).costState, 'free');
  assert.equal(settled({ outcome: 'refused' }).costState, 'free');
  assert.equal(settled({ outcome: 'ok', builtIn: true }).costState, 'free');
  assert.deepEqual(settled({ outcome: 'ok', isBillable: false, usage: null }).usage, null);
});
