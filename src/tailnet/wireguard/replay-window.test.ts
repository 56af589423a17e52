import '../../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { REPLAY_WINDOW_COUNTERS, ReplayWindow } from './replay-window.ts';

function accept(window: ReplayWindow, counter: number): boolean {
  if (!window.isFresh(counter)) return false;
  window.mark(counter);
  return true;
}

test('a counter is fresh once, and as long as it is in the window (RFC 6479)', () => {
  const window = new ReplayWindow();
  assert.equal(accept(window, 0), true);
  assert.equal(accept(window, 0), false);
  assert.equal(accept(window, REPLAY_WINDOW_COUNTERS), true);
  assert.equal(accept(window, 1), true, 'the oldest that is still inside');
  assert.equal(accept(window, 0), false);
  assert.equal(accept(window, REPLAY_WINDOW_COUNTERS + 1), true);
  assert.equal(window.isFresh(1), false);
  assert.equal(accept(window, 2), true);
});

test('counters around 2^32 and far jumps keep their bits apart', () => {
  const window = new ReplayWindow();
  for (const counter of [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 52 + 33]) {
    assert.equal(accept(window, counter), true, String(counter));
    assert.equal(accept(window, counter), false, String(counter));
  }
  assert.equal(accept(window, 2 ** 52 + 1), true);
  assert.equal(accept(window, 2 ** 32), false);
});

test('property: no counter passes twice, and none inside the window is refused the first time', () => {
  const step = fc.oneof(fc.integer({ min: -9_000, max: 40 }), fc.integer({ min: 0, max: 20_000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), fc.constantFrom(0, 2 ** 32 - 5_000), (steps, from) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = -1;
      let position = from;
      for (const move of steps) {
        const counter = Math.max(0, position + move);
        if (move > 0) position = counter;
        const isInside = highest - counter < REPLAY_WINDOW_COUNTERS;
        assert.equal(accept(window, counter), !seen.has(counter) && isInside, `counter ${counter}`);
        seen.add(counter);
        highest = Math.max(highest, counter);
      }
    }),
    { numRuns: 100 },
  );
});
