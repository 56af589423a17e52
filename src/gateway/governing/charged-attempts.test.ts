/** Attempts that were given up and may have cost (docs/design/0006-deciding.md, point 10). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Budget } from '../steps/reserve.ts';
import type { Settlement } from '../steps/settle.ts';
import { ChargedAttempts } from './charged-attempts.ts';

type Actual = Parameters<Budget['reservation']['settle']>[0];

interface Watched {
  readonly budget: Budget;
  /** What the reservation was told, in order. */
  readonly told: (Actual | 'released')[];
}

function watch(): Watched {
  const told: (Actual | 'released')[] = [];
  const reservation = {
    settle: (actual: Actual) => void told.push(actual),
    release: () => void told.push('released'),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only how the reservation ends is asked for.
  return { budget: { reservation } as unknown as Budget, told };
}

function settlement(changes: Partial<Settlement> = {}): Settlement {
  return {
    usage: { inputTokens: 10, outputTokens: 0 },
    estimated: true,
    costNanoUsd: 100,
    costState: 'priced',
    savedNanoUsd: 0,
    ...changes,
  };
}

const ANSWERED = settlement({
  usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 3 },
  estimated: false,
  costNanoUsd: 700,
  savedNanoUsd: 9,
});

test('nothing charged: the reservation is left to the last attempt, and its cost stands as it is', () => {
  const { budget, told } = watch();
  const charged = new ChargedAttempts();
  assert.equal(charged.settle(budget, ANSWERED, true), false);
  assert.deepEqual(told, []);
  assert.equal(charged.inAll(ANSWERED), ANSWERED);
  assert.equal(charged.inAll(null), null);
});

test('a target that nobody charges for gives its reservation back when the request leaves it', () => {
  const { budget, told } = watch();
  const charged = new ChargedAttempts();
  charged.leave(budget);
  charged.leave(null);
  assert.deepEqual(told, ['released']);
});

test('a target that may have worked is debited when the request leaves it, once, and not again later', () => {
  const [first, second] = [watch(), watch()];
  const charged = new ChargedAttempts();
  charged.add(settlement());
  charged.add(settlement());
  charged.leave(first.budget);
  assert.deepEqual(first.told, [{ inputTokens: 20, outputTokens: 0, costNanoUsd: 200, estimated: true }]);
  assert.equal(charged.settle(second.budget, ANSWERED, true), false, 'the next reservation has its own cost');
  assert.deepEqual(second.told, []);
  const row = charged.inAll(ANSWERED);
  assert.deepEqual(row, {
    usage: { inputTokens: 32, outputTokens: 5, cacheReadTokens: 3 },
    estimated: true,
    costNanoUsd: 900,
    costState: 'priced',
    savedNanoUsd: 9,
  });
});

test('on the same target the last attempt and the charges end one reservation together', () => {
  const { budget, told } = watch();
  const charged = new ChargedAttempts();
  charged.add(settlement());
  assert.equal(charged.settle(budget, ANSWERED, true), true);
  assert.deepEqual(told, [{ inputTokens: 22, outputTokens: 5, costNanoUsd: 800, estimated: true }]);
});

test('where the last attempt was never sent, or nothing is known of it, the charges alone are debited', () => {
  for (const [last, wasSent] of [
    [ANSWERED, false],
    [null, true],
    [null, false],
  ] as const) {
    const { budget, told } = watch();
    const charged = new ChargedAttempts();
    charged.add(settlement());
    assert.equal(charged.settle(budget, last, wasSent), true);
    assert.deepEqual(told, [{ inputTokens: 10, outputTokens: 0, costNanoUsd: 100, estimated: true }]);
  }
});

test('a part without a price leaves the whole without one, and a part without usage adds none', () => {
  const { budget, told } = watch();
  const charged = new ChargedAttempts();
  charged.add(settlement({ costNanoUsd: null, costState: 'unpriced' }));
  charged.add(settlement({ usage: null }));
  assert.equal(charged.inAll(ANSWERED)?.costNanoUsd, null);
  assert.equal(charged.inAll(ANSWERED)?.costState, 'unpriced');
  assert.equal(charged.settle(budget, null, false), true);
  assert.deepEqual(told, [{ inputTokens: 10, outputTokens: 0, costNanoUsd: null, estimated: true }]);
  const free = settlement({ usage: null, costNanoUsd: 0, costState: 'free' });
  const priced = new ChargedAttempts();
  priced.add(settlement());
  assert.deepEqual(priced.inAll(free)?.costState, 'priced');
  assert.deepEqual(priced.inAll(free)?.usage, { inputTokens: 10, outputTokens: 0 });
});
