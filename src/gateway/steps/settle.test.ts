import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeterResult, Usage } from '../../llm/index.ts';
import type { Outcome } from '../../store/index.ts';
import { settle, type Settlement, type SettleQuestion, type UsageMax } from './settle.ts';
import { readRequestBody } from '../../llm/index.ts';

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
  readonly mayBeCharged?: true;
  /** The request's own limit on its output. */
  readonly stated?: number;
  readonly usageMax?: UsageMax;
}

const CHAT = { format: 'openai_chat', modelInBody: true } as SettleQuestion['request']['match'];

/** A body of 400 bytes. */
function requestOf(isBillable: boolean, stated: number | undefined): SettleQuestion['request'] {
  const limit = stated === undefined ? '' : `,"max_tokens":${stated},"n":2`;
  const body = Buffer.from(`{"model":"m"${limit}}`.padEnd(400));
  const facts = readRequestBody(body, CHAT, 'application/json') as SettleQuestion['request']['facts'];
  return { body, facts, match: CHAT, isBillable };
}

function settled({
  outcome,
  usage = REPORTED,
  outputChars = 0,
  isBillable = true,
  builtIn = false,
  mayBeCharged,
  stated,
  usageMax,
}: Case): Settlement {
  const meter = { usage, outputChars } as MeterResult;
  const question = {
    answer: { outcome, meter, ...(mayBeCharged === undefined ? {} : { mayBeCharged }) },
    route: { provider: { builtIn, costBasis: 'openai', modelCostMap: [], kind: 'openai' }, model: 'm' },
    request: requestOf(isBillable, stated),
    usageMax: usageMax ?? null,
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

test('a guess is no more than the request could have used, or than was reserved (DESIGN section 12)', () => {
  const outputOf = (more: Partial<Case>): Usage | null =>
    settled({ outcome: 'truncated', usage: null, outputChars: 4_000, ...more }).usage;
  assert.deepEqual(outputOf({}), { inputTokens: 100, outputTokens: 1_000 });
  assert.deepEqual(outputOf({ stated: 60 }), { inputTokens: 100, outputTokens: 120 });
  const usageMax = { inputTokens: 90, outputTokens: 50 };
  assert.deepEqual(outputOf({ stated: 60, usageMax }), { inputTokens: 90, outputTokens: 50 });
  const reported = { inputTokens: 95, outputTokens: 55 };
  assert.deepEqual(outputOf({ usage: reported, usageMax }), reported);
});

test('what was never answered, and what nobody bills, is free', () => {
  assert.equal(settled({ outcome: 'upstream_failed' }).costState, 'free');
  assert.equal(settled({ outcome: 'refused' }).costState, 'free');
  assert.equal(settled({ outcome: 'ok', builtIn: true }).costState, 'free');
  assert.deepEqual(settled({ outcome: 'ok', isBillable: false, usage: null }).usage, null);
});

test('a request that was sent and never answered is charged for its input, and marked (DESIGN section 12)', () => {
  const charged = settled({ outcome: 'upstream_failed', usage: null, mayBeCharged: true });
  assert.deepEqual(charged.usage, { inputTokens: 100, outputTokens: 0 });
  assert.equal(charged.estimated, true);
  assert.equal(charged.costNanoUsd, 1000);
  assert.equal(settled({ outcome: 'upstream_failed', usage: null }).costNanoUsd, 0);
  const count = settled({ outcome: 'upstream_failed', usage: null, mayBeCharged: true, isBillable: false });
  assert.equal(count.costNanoUsd, 0);
});
