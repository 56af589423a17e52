import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { netError } from '../../net/errors.ts';
import { UpstreamFailure, type UpstreamErrorCode } from '../../net/index.ts';
import { judge, resultOfError, resultOfHead, type AttemptResult } from './attempt-result.ts';
import { RETRY_WINDOW_MS, retryDeadline, retryPlan, type RetryPlan, type RetryQuestion } from './retry.ts';
import { head } from './test-routing.ts';

const failure = (code: UpstreamErrorCode, isStale = false): AttemptResult => ({
  kind: 'failure',
  code,
  isStale,
});

function plan(result: AttemptResult, change: Partial<RetryQuestion> = {}): RetryPlan {
  return retryPlan({
    result,
    attempts: 1,
    retries: 2,
    nowMark: 0,
    deadlineMark: RETRY_WINDOW_MS,
    isTooLate: false,
    isRepeatable: true,
    mayCostTwice: true,
    hasOtherKey: false,
    hasOtherTarget: true,
    isSameUsable: true,
    jitter: 0,
    ...change,
  });
}

const next: RetryPlan = { kind: 'retry', on: 'next', afterMs: 0 };
const stop = (why: string): unknown => ({ kind: 'stop', why });

/** Result, whose fault, and whether another attempt is made: of any request, of one with effects, under a strict budget. */
const TABLE: readonly [string, AttemptResult, string | null, boolean, boolean, boolean][] = [
  ['200', head(200), null, false, false, false],
  ['400', head(400), null, false, false, false],
  ['403', head(403), null, false, false, false],
  ['404', head(404), null, false, false, false],
  ['409', head(409), null, false, false, false],
  ['413', head(413), null, false, false, false],
  ['422', head(422), null, false, false, false],
  ['302', head(302), null, false, false, false],
  ['501', head(501), null, false, false, false],
  ['401', head(401), 'key_rejected', true, true, true],
  ['408', head(408), 'failing', true, true, true],
  ['429', head(429), 'limited', true, true, true],
  ['503', head(503), 'failing', true, true, true],
  ['529', head(529), 'failing', true, true, true],
  ['500', head(500), 'failing', true, false, true],
  ['502', head(502), 'failing', true, false, true],
  ['504', head(504), 'failing', true, false, false],
  ['524', head(524), 'failing', true, false, false],
  ['no address', failure('dial_refused_address'), 'unreachable', true, true, true],
  ['no connection', failure('dial_failed'), 'unreachable', true, true, true],
  ['no connection in time', failure('dial_timeout'), 'unreachable', true, true, true],
  ['no TLS', failure('tls_failed'), 'unreachable', true, true, true],
  ['our own limit', failure('upstream_busy'), null, true, true, true],
  ['an idle connection that had gone', failure('upstream_closed', true), null, true, false, true],
  ['closed without an answer', failure('upstream_closed'), 'failing', true, false, false],
  ['no head in time', failure('upstream_first_byte_timeout'), 'failing', true, false, false],
  ['no HTTP', failure('upstream_protocol'), 'failing', true, false, false],
  ['silence', failure('upstream_idle_timeout'), 'failing', true, false, false],
  ['ended by us', failure('upstream_aborted'), null, false, false, false],
  ['too large', failure('upstream_too_large'), null, false, false, false],
];

for (const [title, result, fault, any, withEffects, strict] of TABLE) {
  test(`${title}: whose fault, and whether the request goes out again (RFC 9110 section 9.2.2)`, () => {
    assert.equal(judge(result).fault, fault);
    assert.equal(plan(result).kind === 'retry', any);
    assert.equal(plan(result, { isRepeatable: false }).kind === 'retry', withEffects);
    assert.equal(plan(result, { mayCostTwice: false }).kind === 'retry', strict);
  });
}

test('the reason of a stop says which rule it was', () => {
  assert.deepEqual(plan(head(400)), stop('answered'));
  assert.deepEqual(plan(head(500), { isTooLate: true }), stop('too_late'));
  assert.deepEqual(plan(head(500), { attempts: 3 }), stop('attempts_spent'));
  assert.deepEqual(plan(head(500), { retries: 0 }), stop('attempts_spent'));
  assert.deepEqual(plan(head(500), { isRepeatable: false }), stop('not_repeatable'));
  assert.deepEqual(plan(head(504), { mayCostTwice: false }), stop('may_cost_twice'));
  assert.deepEqual(plan(head(503), { nowMark: RETRY_WINDOW_MS }), stop('no_time'));
  assert.deepEqual(plan(head(503), { hasOtherTarget: false, isSameUsable: false }), stop('no_target'));
  const told: AttemptResult = { kind: 'head', status: 503, retryAfterMs: null, shouldRetry: false };
  assert.deepEqual(plan(told, { hasOtherTarget: false }), stop('told_not_to'));
  assert.deepEqual(plan(told), next, 'what one provider says of itself does not bind another');
});

test('a limited or rejected key gives way to another key of the same provider', () => {
  for (const status of [401, 429]) {
    assert.deepEqual(plan(head(status), { hasOtherKey: true }), {
      kind: 'retry',
      on: 'other_key',
      afterMs: 0,
    });
  }
  assert.deepEqual(plan(head(503), { hasOtherKey: true }), next);
});

test('a rejected key is not tried again by itself', () => {
  assert.deepEqual(plan(head(401), { hasOtherTarget: false }), stop('told_not_to'));
});

test('Retry-After: up to 1 s beside others and 10 s alone is waited for; beyond it the caller is told', () => {
  const waits = (ms: number): RetryPlan => ({ kind: 'retry', on: 'same', afterMs: ms });
  assert.deepEqual(plan(head(429, 1_000)), waits(1_000));
  assert.deepEqual(plan(head(429, 1_001)), next);
  const alone = { hasOtherTarget: false, isSameUsable: false };
  assert.deepEqual(plan(head(429, 1_001), alone), waits(1_001));
  assert.deepEqual(plan(head(503, 10_000), alone), waits(10_000));
  assert.deepEqual(plan(head(503, 10_001), alone), stop('no_time'));
  assert.deepEqual(plan(head(429, 5_000), { ...alone, deadlineMark: 5_000 }), stop('no_time'));
  assert.deepEqual(plan(head(429, 900), { deadlineMark: 900 }), next);
});

test('without another target the pause doubles, and callers that failed together do not return together', () => {
  const alone = { hasOtherTarget: false, retries: 10 };
  const delays = [1, 2, 3, 4, 5, 6].map((attempts) => plan(head(503), { ...alone, attempts, jitter: 1 }));
  assert.deepEqual(
    delays.map((delay) => (delay.kind === 'retry' ? delay.afterMs : null)),
    [250, 500, 1_000, 2_000, 4_000, 4_000],
  );
  assert.deepEqual(plan(head(503), alone), { kind: 'retry', on: 'same', afterMs: 125 });
});

test('a caller that says how long it waits shortens the deadline and never lengthens it', () => {
  assert.equal(retryDeadline(5, null), 5 + RETRY_WINDOW_MS);
  assert.equal(retryDeadline(5, 10), 10_005);
  assert.equal(retryDeadline(5, 1e9), 5 + RETRY_WINDOW_MS);
  assert.equal(retryDeadline(5, 0), 5 + RETRY_WINDOW_MS);
  assert.equal(retryDeadline(5, -1), 5 + RETRY_WINDOW_MS);
  assert.equal(retryDeadline(5, Number.NaN), 5 + RETRY_WINDOW_MS);
});

test('heads and errors become results', () => {
  assert.deepEqual(resultOfHead(429, ['retry-after', '2'], 0), {
    kind: 'head',
    status: 429,
    retryAfterMs: 2_000,
    shouldRetry: null,
  });
  assert.deepEqual(resultOfHead(200, ['retry-after', '2'], 0), head(200));
  const stale = new UpstreamFailure('closed', { wasReused: true, hasAnswered: false, cause: null });
  assert.deepEqual(resultOfError(stale), failure('upstream_closed', true));
  assert.deepEqual(resultOfError(netError('dial_failed', 'no')), failure('dial_failed'));
});

const results: fc.Arbitrary<AttemptResult> = fc.constantFrom(
  ...TABLE.map(([, result]) => result),
  head(429, 500),
  head(429, 20_000),
  head(503, 3_000),
);

test('no plan breaks a rule, whatever is asked', () => {
  const question = fc.record({
    result: results,
    attempts: fc.integer({ min: 1, max: 7 }),
    retries: fc.integer({ min: 0, max: 5 }),
    nowMark: fc.integer({ min: 0, max: 100_000 }),
    deadlineMark: fc.integer({ min: 0, max: 100_000 }),
    isTooLate: fc.boolean(),
    isRepeatable: fc.boolean(),
    mayCostTwice: fc.boolean(),
    hasOtherKey: fc.boolean(),
    hasOtherTarget: fc.boolean(),
    isSameUsable: fc.boolean(),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(question, (asked) => {
      const found = retryPlan(asked);
      if (found.kind === 'stop') return;
      const { processed, mayBeCharged } = judge(asked.result);
      assert.ok(!asked.isTooLate, 'never after the first byte');
      assert.ok(asked.attempts <= asked.retries);
      assert.ok(asked.isRepeatable || processed === 'no');
      assert.ok(asked.mayCostTwice || !mayBeCharged);
      assert.ok(asked.nowMark + found.afterMs < asked.deadlineMark);
      if (found.on === 'next') assert.ok(asked.hasOtherTarget);
      if (found.on === 'other_key') assert.ok(asked.hasOtherKey);
      const stated = asked.result.kind === 'head' ? asked.result.retryAfterMs : null;
      if (found.on === 'same') assert.ok(found.afterMs >= (stated ?? 1) && found.afterMs <= 10_250);
      else assert.equal(found.afterMs, 0);
    }),
    { numRuns: 1_000 },
  );
});
