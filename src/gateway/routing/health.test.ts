import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import {
  createHealth,
  type CircuitState,
  type Health,
  type HealthNews,
  type HealthSubject,
} from './health.ts';
import { testClock, type TestClock } from './test-routing.ts';

const A: HealthSubject = { provider: 'a', model: 'm', keyId: 'k1' };
const FAILING: HealthNews = { kind: 'fault', fault: 'failing', retryAfterMs: null };
const UNREACHABLE: HealthNews = { kind: 'fault', fault: 'unreachable', retryAfterMs: null };
const REJECTED: HealthNews = { kind: 'fault', fault: 'key_rejected', retryAfterMs: null };
const OK: HealthNews = { kind: 'ok' };
const BREAK_AFTER = 3;
const BREAK_MS = 10_000;

interface World {
  readonly clock: TestClock;
  readonly health: Health;
  readonly changes: CircuitState[];
  /** An attempt that ends at once. */
  attempt(news: HealthNews, subject?: HealthSubject): void;
}

function world(): World {
  const clock = testClock();
  const changes: CircuitState[] = [];
  const health = createHealth({
    clock,
    numbers: () => ({ breakAfter: BREAK_AFTER, breakMs: BREAK_MS }),
    onChange: (state) => changes.push(state),
  });
  return {
    clock,
    health,
    changes,
    attempt(news, subject = A) {
      const mark = clock.monotonicMs();
      health.begin(subject, mark);
      clock.advance(1);
      health.note(subject, mark, news);
    },
  };
}

function open(it: World, news: HealthNews = FAILING): void {
  for (let i = 0; i < BREAK_AFTER; i += 1) it.attempt(news);
}

test('a circuit opens after `breakAfter` failures in a row and not before', () => {
  const it = world();
  it.attempt(FAILING);
  it.attempt(FAILING);
  assert.equal(it.health.isUsable(A), true);
  it.attempt(OK);
  it.attempt(FAILING);
  it.attempt(FAILING);
  assert.equal(it.health.isUsable(A), true);
  it.attempt(FAILING);
  assert.equal(it.health.isUsable(A), false);
  assert.deepEqual(
    it.changes.map(({ phase, failuresInRow }) => ({ phase, failuresInRow })),
    [{ phase: 'open', failuresInRow: 3 }],
  );
});

test('failures ten minutes apart are not in a row', () => {
  const it = world();
  for (let i = 0; i < 2 * BREAK_AFTER; i += 1) {
    it.attempt(FAILING);
    it.clock.advance(601_000);
  }
  assert.equal(it.health.isUsable(A), true);
});

test('after the pause one attempt at a time is let through; its success closes the circuit', () => {
  const it = world();
  open(it);
  it.clock.advance(BREAK_MS - 1);
  assert.equal(it.health.isUsable(A), false);
  it.clock.advance(1);
  assert.equal(it.health.states()[0]?.phase, 'half_open');
  assert.equal(it.health.isUsable(A), true);
  const probe = it.clock.monotonicMs();
  it.health.begin(A, probe);
  assert.equal(it.health.isUsable(A), false, 'a probe is under way');
  it.clock.advance(5);
  it.health.note(A, probe, OK);
  assert.equal(it.health.isUsable(A), true);
  assert.deepEqual(it.health.states(), []);
});

test('a probe that is never heard of again keeps the others away for 30 s only', () => {
  const it = world();
  open(it);
  it.clock.advance(BREAK_MS);
  it.health.begin(A, it.clock.monotonicMs());
  it.clock.advance(29_999);
  assert.equal(it.health.isUsable(A), false);
  it.clock.advance(1);
  assert.equal(it.health.isUsable(A), true);
});

test('a probe that ends without telling anything makes room for the next', () => {
  const it = world();
  open(it);
  it.clock.advance(BREAK_MS);
  it.attempt({ kind: 'neutral' });
  assert.equal(it.health.isUsable(A), true);
  assert.equal(it.health.states()[0]?.phase, 'half_open');
});

test('each failed probe doubles the pause, up to 5 minutes', () => {
  const it = world();
  open(it);
  const pauses: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    pauses.push(it.health.pauseMs(A));
    it.clock.advance(it.health.pauseMs(A));
    it.attempt(FAILING);
  }
  assert.deepEqual(pauses, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test('requests that were under way when the circuit opened do not lengthen its pause', () => {
  const it = world();
  const marks = Array.from({ length: 50 }, () => {
    it.clock.advance(1);
    return it.clock.monotonicMs();
  });
  for (const mark of marks) it.health.note(A, mark, FAILING);
  assert.equal(it.health.pauseMs(A), BREAK_MS);
});

test('an answer to what was sent before the trouble does not end the trouble', () => {
  const it = world();
  const old = it.clock.monotonicMs();
  it.clock.advance(10);
  open(it);
  it.health.note(A, old, OK);
  assert.equal(it.health.isUsable(A), false);
});

test('an answer that begins closes the circuit on trial: if it breaks off, the pause is the longer one', () => {
  const it = world();
  open(it);
  it.clock.advance(BREAK_MS);
  const probe = it.clock.monotonicMs();
  it.health.begin(A, probe);
  it.health.note(A, probe, { kind: 'begun' });
  assert.equal(it.health.isUsable(A), true);
  it.clock.advance(100);
  it.health.note(A, probe, FAILING);
  assert.equal(it.health.isUsable(A), false);
  assert.equal(it.health.pauseMs(A), 2 * BREAK_MS);
});

test('answers that begin and always break off open the circuit too', () => {
  const it = world();
  for (let i = 0; i < BREAK_AFTER; i += 1) {
    it.attempt({ kind: 'begun' });
    it.attempt(FAILING);
  }
  assert.equal(it.health.isUsable(A), false);
});

test('trouble is held against no more than it concerns', () => {
  const otherModel = { ...A, model: 'other' };
  const otherKey = { ...A, keyId: 'k2' };
  const otherProvider = { ...A, provider: 'b' };
  const limited: HealthNews = { kind: 'fault', fault: 'limited', retryAfterMs: 5_000 };
  const cases: [HealthNews, Record<'otherModel' | 'otherKey', boolean>][] = [
    [UNREACHABLE, { otherModel: false, otherKey: false }],
    [FAILING, { otherModel: true, otherKey: false }],
    [REJECTED, { otherModel: false, otherKey: true }],
    [limited, { otherModel: true, otherKey: true }],
  ];
  for (const [news, expected] of cases) {
    const it = world();
    open(it, news);
    assert.equal(it.health.isUsable(A), false);
    assert.equal(it.health.isUsable(otherProvider), true);
    assert.deepEqual(
      { otherModel: it.health.isUsable(otherModel), otherKey: it.health.isUsable(otherKey) },
      expected,
    );
  }
});

test('a stated Retry-After rests the key for the model at once and exactly so long', () => {
  const it = world();
  it.attempt({ kind: 'fault', fault: 'limited', retryAfterMs: 7_000 });
  assert.equal(it.health.pauseMs(A), 7_000);
  it.attempt({ kind: 'fault', fault: 'limited', retryAfterMs: 2_000 });
  assert.equal(it.health.pauseMs(A), 6_999, 'the later end holds');
  it.clock.advance(6_999);
  assert.equal(it.health.isUsable(A), true);
});

test('a limit without a stated time counts as a failure', () => {
  const it = world();
  const limited: HealthNews = { kind: 'fault', fault: 'limited', retryAfterMs: null };
  it.attempt(limited);
  assert.equal(it.health.isUsable(A), true);
  open(it, limited);
  assert.equal(it.health.isUsable(A), false);
});

test("what a provider says of the caller's own credential concerns nobody else", () => {
  const it = world();
  const own: HealthSubject = { ...A, keyId: null, hasOwnCredential: true };
  for (let i = 0; i < 10; i += 1) {
    it.attempt(REJECTED, own);
    it.attempt({ kind: 'fault', fault: 'limited', retryAfterMs: 60_000 }, own);
  }
  assert.deepEqual(it.health.states(), []);
});

test("the caller's fault ends trouble in reaching the provider and no other", () => {
  const unreachable = world();
  open(unreachable, UNREACHABLE);
  unreachable.clock.advance(BREAK_MS);
  unreachable.attempt({ kind: 'refused' });
  assert.deepEqual(unreachable.health.states(), []);
  const failing = world();
  open(failing, FAILING);
  failing.clock.advance(BREAK_MS);
  failing.attempt({ kind: 'refused' });
  assert.equal(failing.health.states()[0]?.phase, 'half_open');
});

test('names that callers choose fill the memory only up to its bound, and never push out a provider', () => {
  const it = world();
  open(it, UNREACHABLE);
  for (let i = 0; i < 6_000; i += 1) it.attempt(FAILING, { ...A, provider: 'b', model: `x${i}` });
  assert.ok(it.health.states().length <= 4_097);
  assert.equal(it.health.isUsable(A), false);
});

test('the end of a pause is told in wall time', () => {
  const it = world();
  open(it);
  assert.equal(it.health.states()[0]?.until, it.clock.now() + BREAK_MS);
});

/** A step of an outage as a provider may bring it about. */
type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'begin'; readonly subject: HealthSubject }
  | { readonly kind: 'end'; readonly which: number; readonly news: HealthNews };

const subjects = fc.record({
  provider: fc.constantFrom('a', 'b'),
  model: fc.constantFrom('m', 'n', ''),
  keyId: fc.constantFrom('k1', 'k2', null),
});
const news: fc.Arbitrary<HealthNews> = fc.oneof(
  fc.constantFrom<HealthNews>(OK, { kind: 'begun' }, { kind: 'refused' }, { kind: 'neutral' }),
  fc.record({
    kind: fc.constant('fault' as const),
    fault: fc.constantFrom(
      'unreachable' as const,
      'failing' as const,
      'limited' as const,
      'key_rejected' as const,
    ),
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 400_000 })),
  }),
);
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 120_000 }) }),
  fc.record({ kind: fc.constant('begin' as const), subject: subjects }),
  fc.record({ kind: fc.constant('end' as const), which: fc.nat(20), news }),
);

test('whatever happens, pauses are bounded, usable means no pause, and every circuit is let through again', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 120 }), (script) => {
      const { clock, health } = world();
      const running: { subject: HealthSubject; mark: number }[] = [];
      const seen: HealthSubject[] = [A];
      for (const step of script) {
        if (step.kind === 'wait') clock.advance(step.ms);
        if (step.kind === 'begin') {
          clock.advance(1);
          const mark = clock.monotonicMs();
          health.begin(step.subject, mark);
          running.push({ subject: step.subject, mark });
          seen.push(step.subject);
        }
        if (step.kind === 'end' && running.length > 0) {
          const [ended] = running.splice(step.which % running.length, 1);
          if (ended !== undefined) health.note(ended.subject, ended.mark, step.news);
        }
        for (const subject of seen) {
          const pauseMs = health.pauseMs(subject);
          assert.ok(pauseMs >= 0 && pauseMs <= 400_000);
          assert.equal(health.isUsable(subject), pauseMs === 0);
        }
      }
      // Nothing is known to be wrong for ever.
      clock.advance(400_000 + 30_000);
      for (const subject of seen) assert.equal(health.isUsable(subject), true);
    }),
  );
});

test('while a circuit is half-open no more than one attempt in 30 s is let through', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 5, maxLength: 60 }), (gaps) => {
      const it = world();
      open(it);
      it.clock.advance(BREAK_MS);
      const letThrough: number[] = [];
      for (const gap of gaps) {
        const mark = it.clock.monotonicMs();
        if (it.health.isUsable(A)) {
          it.health.begin(A, mark);
          letThrough.push(mark);
        }
        it.clock.advance(gap);
      }
      for (const [index, mark] of letThrough.entries()) {
        const before = letThrough[index - 1];
        assert.ok(before === undefined || mark - before >= 30_000);
      }
    }),
  );
});
