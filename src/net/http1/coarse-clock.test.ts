import assert from 'node:assert/strict';
import { type TestContext, describe, test } from 'node:test';
import { CoarseClock } from './coarse-clock.ts';

/** A clock over mocked timers; `pass` moves true time in steps of a millisecond. */
function clockFor(t: TestContext): { clock: CoarseClock; turns: number[]; pass(ms: number): void } {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let trueMs = 1000;
  const turns: number[] = [];
  const clock = new CoarseClock({ onTurn: (nowMs) => turns.push(nowMs), monotonicMs: () => trueMs });
  return {
    clock,
    turns,
    pass(ms) {
      for (let i = 0; i < ms; i += 1) {
        trueMs += 1;
        t.mock.timers.tick(1);
      }
    },
  };
}

describe('the coarse clock', () => {
  test('turns every 500 ms for long limits, and ten times within a short one', (t) => {
    const { clock, turns, pass } = clockFor(t);
    clock.keep(600_000);
    pass(1000);
    assert.equal(turns.length, 2);
    clock.keep(1000);
    pass(1000);
    assert.equal(turns.length, 12);
    clock.keep(600_000);
    pass(1000);
    assert.equal(turns.length, 22, 'a longer limit does not slow it');
  });

  test('a limit that is stamped with it is never over too early, and at most two periods late', (t) => {
    const { clock, turns, pass } = clockFor(t);
    clock.keep(1000);
    for (const offset of [0, 1, 50, 99]) {
      pass(offset);
      const stamp = clock.stampMs;
      let passed = 0;
      while (clock.nowMs - stamp < 1000) {
        pass(1);
        passed += 1;
      }
      assert.ok(passed >= 1000 && passed <= 1200, `${passed} ms`);
    }
    assert.ok(turns.length > 0);
  });

  test('does not call what a stop of the process held up late', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    let trueMs = 0;
    const clock = new CoarseClock({ onTurn: () => {}, monotonicMs: () => trueMs });
    clock.keep(600_000);
    trueMs = 3_600_000;
    t.mock.timers.tick(500);
    assert.equal(clock.nowMs, 1000);
  });

  test('costs nothing once it is stopped', (t) => {
    const { clock, turns, pass } = clockFor(t);
    clock.keep(1000);
    clock.stop();
    pass(2000);
    assert.deepEqual(turns, []);
  });
});
