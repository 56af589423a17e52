import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { planSessions } from './rhythm.ts';

/** A Friday, 17:00 UTC. */
const END = Date.UTC(2026, 10, 20, 17);
const DAY_MS = 86_400_000;
const WEEK = { seed: 1, endsAt: END, days: 7, requests: 1_400 };

test('demo: the same seed and end give the same week, another seed another one', () => {
  assert.deepEqual(planSessions(WEEK), planSessions(WEEK));
  assert.notDeepEqual(planSessions(WEEK), planSessions({ ...WEEK, seed: 2 }));
});

test('demo: any plan has exactly the requests that were asked for, in order and within its days', () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        endsAt: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) }),
        days: fc.integer({ min: 1, max: 90 }),
        requests: fc.integer({ min: 0, max: 3_000 }),
      }),
      (options) => {
        const sessions = planSessions(options);
        assert.equal(
          sessions.reduce((sum, { turns }) => sum + turns, 0),
          options.requests,
        );
        let before = options.endsAt - options.days * DAY_MS;
        for (const { at, turns } of sessions) {
          assert.ok(at >= before && at < options.endsAt && turns >= 1);
          before = at;
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('demo: offices work by day and hardly at weekends', () => {
  const sessions = planSessions({ ...WEEK, requests: 20_000 });
  const count = (holds: (date: Date) => boolean): number =>
    sessions.filter(({ at }) => holds(new Date(at))).length;
  const byDay = count((date) => date.getUTCHours() >= 8 && date.getUTCHours() < 18);
  assert.ok(byDay > 0.8 * sessions.length, `${byDay} of ${sessions.length}`);
  const atWeekend = count((date) => date.getUTCDay() % 6 === 0);
  assert.ok(atWeekend < 0.08 * sessions.length, `${atWeekend} of ${sessions.length}`);
  assert.ok(sessions.some(({ who }) => who.kind === 'machine'));
  assert.ok(
    sessions.some(({ at }) => at > END - 3_600_000),
    'something is new',
  );
});
