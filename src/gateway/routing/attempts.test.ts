import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { judge, type AttemptResult } from './attempt-result.ts';
import { Attempts, type AttemptsOptions } from './attempts.ts';
import { createHealth, type Health } from './health.ts';
import { pickTargets, type Target } from './pick-target.ts';
import { retryDeadline, type RetryPlan } from './retry.ts';
import { head, nameOf, seededRandom, target, testClock, type TestClock } from './test-routing.ts';

interface World {
  readonly clock: TestClock;
  readonly health: Health;
  request(names: readonly string[], change?: Partial<AttemptsOptions<Target>>): Attempts<Target>;
}

function world(): World {
  const clock = testClock();
  const random = seededRandom(3);
  const health = createHealth({ clock, numbers: () => ({ breakAfter: 2, breakMs: 10_000 }) });
  return {
    clock,
    health,
    request: (names, change = {}) =>
      new Attempts({
        picked: pickTargets({ candidates: names.map(target), route: null, health, stickyKey: null, random }),
        health,
        clock,
        random,
        retries: 2,
        deadlineMark: retryDeadline(clock.monotonicMs(), null),
        isRepeatable: () => true,
        mayCostTwice: () => true,
        hasOtherKey: () => false,
        ...change,
      }),
  };
}

function attempt(
  it: World,
  request: Attempts<Target>,
  result: AttemptResult,
  keyId: string | null = 'k',
): RetryPlan {
  request.begin(keyId);
  it.clock.advance(40);
  return request.end(result, false);
}

test('a target that fails gives way to the next, and both are recorded', () => {
  const it = world();
  const request = it.request(['a/m', 'b/n']);
  assert.deepEqual(attempt(it, request, head(503)), { kind: 'retry', on: 'next', afterMs: 0 });
  assert.equal(nameOf(request.target), 'b/n');
  assert.deepEqual(attempt(it, request, head(200)), { kind: 'stop', why: 'answered' });
  request.finish(true);
  assert.deepEqual(request.records, [
    { provider: 'a', model: 'm', keyId: 'k', outcome: 'failing', status: 503, durationMs: 40 },
    { provider: 'b', model: 'n', keyId: 'k', outcome: 'ok', status: 200, durationMs: 40 },
  ]);
});

test('a target whose provider got into trouble meanwhile is passed over', () => {
  const it = world();
  const request = it.request(['a/m', 'a/n', 'b/m']);
  const other = it.request(['a/m']);
  attempt(it, other, { kind: 'failure', code: 'dial_failed', isStale: false });
  attempt(it, request, { kind: 'failure', code: 'dial_failed', isStale: false });
  assert.equal(nameOf(request.target), 'b/m');
});

test('where all targets are in trouble one attempt is made and no more', () => {
  const it = world();
  for (let i = 0; i < 2; i += 1) attempt(it, it.request(['a/m'], { retries: 0 }), head(503));
  const request = it.request(['a/m']);
  assert.deepEqual(attempt(it, request, head(503)), { kind: 'stop', why: 'attempts_spent' });
});

test('an open circuit keeps requests away from its target until the pause is over', () => {
  const it = world();
  for (let i = 0; i < 2; i += 1) attempt(it, it.request(['a/m', 'b/m']), head(503));
  assert.equal(nameOf(it.request(['a/m', 'b/m']).target), 'b/m');
  it.clock.advance(10_000);
  const probe = it.request(['a/m', 'b/m']);
  assert.equal(nameOf(probe.target), 'a/m');
  probe.begin('k');
  assert.equal(nameOf(it.request(['a/m', 'b/m']).target), 'b/m', 'one probe at a time');
  it.clock.advance(5);
  probe.end(head(200), false);
  probe.finish(true);
  assert.equal(nameOf(it.request(['a/m', 'b/m']).target), 'a/m');
});

test("a caller's own credential is not shown to a second provider", () => {
  const it = world();
  const request = it.request(['a/m', 'b/m']);
  request.begin(null, true);
  const plan = request.end(head(503), false);
  assert.equal(plan.kind === 'retry' ? plan.on : null, 'same');
  assert.equal(nameOf(request.target), 'a/m');
});

test('another key is asked for only where the fault was the key', () => {
  const it = world();
  const asked: string[] = [];
  const change = {
    hasOtherKey: (of: Target, keyId: string) => {
      asked.push(`${nameOf(of)} ${keyId}`);
      return true;
    },
  };
  attempt(it, it.request(['a/m', 'b/m'], change), head(503));
  assert.deepEqual(asked, []);
  const request = it.request(['a/m', 'b/m'], change);
  assert.deepEqual(attempt(it, request, head(429), 'k1'), { kind: 'retry', on: 'other_key', afterMs: 0 });
  assert.deepEqual(asked, ['a/m k1']);
  assert.equal(nameOf(request.target), 'a/m');
});

test("a caller's fault and a caller that leaves are held against nobody", () => {
  const it = world();
  for (let i = 0; i < 10; i += 1) {
    const refused = it.request(['a/m']);
    attempt(it, refused, head(400));
    refused.finish(true);
    const left = it.request(['a/m']);
    left.begin('k');
    left.abandon();
    assert.equal(left.records[0]?.outcome, 'left');
  }
  assert.deepEqual(it.health.states(), []);
});

test('an answer that breaks off counts; one that the caller broke off does not', () => {
  const it = world();
  const answer = (isWhole: boolean | null): void => {
    const request = it.request(['a/m']);
    attempt(it, request, head(200));
    request.finish(isWhole);
    request.finish(isWhole);
  };
  for (let i = 0; i < 5; i += 1) answer(null);
  assert.deepEqual(it.health.states(), []);
  answer(false);
  answer(false);
  assert.equal(it.health.states()[0]?.phase, 'open');
});

const results = fc.constantFrom<AttemptResult>(
  head(200),
  head(400),
  head(401),
  head(429),
  head(429, 800),
  head(429, 30_000),
  head(500),
  head(503),
  head(504),
  { kind: 'failure', code: 'dial_failed', isStale: false },
  { kind: 'failure', code: 'upstream_first_byte_timeout', isStale: false },
  { kind: 'failure', code: 'upstream_busy', isStale: false },
);

test('many requests over providers that fail at will: attempts are few, in time, and none is repeated wrongly', () => {
  const script = fc.array(
    fc.record({
      results: fc.array(results, { minLength: 8, maxLength: 8 }),
      isRepeatable: fc.boolean(),
      mayCostTwice: fc.boolean(),
      retries: fc.integer({ min: 0, max: 5 }),
      takesMs: fc.integer({ min: 1, max: 30_000 }),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(script, (requests) => {
      const it = world();
      for (const { results: upcoming, isRepeatable, mayCostTwice, retries, takesMs } of requests) {
        const deadlineMark = retryDeadline(it.clock.monotonicMs(), null);
        const options = {
          retries,
          mayCostTwice: () => mayCostTwice,
          deadlineMark,
          isRepeatable: () => isRepeatable,
        };
        const request = it.request(['a/m', 'a/n', 'b/m'], options);
        let made = 0;
        for (const result of upcoming) {
          assert.ok(made === 0 || it.clock.monotonicMs() < deadlineMark);
          request.begin('k');
          made += 1;
          it.clock.advance(takesMs);
          const plan = request.end(result, false);
          if (plan.kind === 'stop') break;
          const { processed, mayBeCharged } = judge(result);
          assert.ok((isRepeatable || processed === 'no') && (mayCostTwice || !mayBeCharged));
          it.clock.advance(plan.afterMs);
        }
        request.finish(true);
        assert.ok(made <= retries + 1);
        assert.equal(request.records.length, made);
      }
    }),
  );
});
