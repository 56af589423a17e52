import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../base/clock.ts';
import { createVirtualClock } from './virtual-clock.ts';

const START = Date.UTC(2026, 10, 20);
const HOUR_MS = 3_600_000;

/** A system on which work takes no time. */
function still(now = START + 24 * HOUR_MS): Clock {
  return { now: () => now, monotonicMs: () => 0 };
}

test('the demo clock keeps appointments in order and passes hours in no time', async () => {
  const clock = createVirtualClock({ startAt: START, system: still() });
  const seen: string[] = [];
  const hour = (): number => (clock.now() - START) / HOUR_MS;
  clock.at(START + 2 * HOUR_MS, async () => void seen.push(`b ${hour()}`));
  clock.at(START + HOUR_MS, async () => {
    seen.push(`a ${hour()}`);
    await clock.sleep(3 * HOUR_MS);
    seen.push(`a again ${hour()}`);
  });
  await clock.run();
  assert.deepEqual(seen, ['a 1', 'b 2', 'a again 4']);
});

test('time does not pass while somebody works, whatever they wait for', async () => {
  const clock = createVirtualClock({ startAt: START, system: still() });
  const seen: number[] = [];
  clock.at(START, async () => {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    seen.push(clock.now() - START);
  });
  clock.at(START + HOUR_MS, async () => void seen.push(clock.now() - START));
  await clock.run();
  assert.deepEqual(seen, [0, HOUR_MS]);
});

test('the first task that fails ends the run with its error', async () => {
  const clock = createVirtualClock({ startAt: START, system: still() });
  clock.at(START, () => Promise.reject(new Error('no such device')));
  await assert.rejects(clock.run(), /no such device/);
});

test('appointments near to each other may be kept at once', async () => {
  const clock = createVirtualClock({ startAt: START, togetherMs: 1_000, system: still() });
  const seen: number[] = [];
  for (const afterMs of [0, 900, 5_000])
    clock.at(START + afterMs, async () => void seen.push(clock.now() - START));
  await clock.run();
  assert.deepEqual(seen, [0, 0, 5_000]);
});

test('going live never steps back, in wall or in monotonic time', async () => {
  for (const systemNow of [START, START + 9 * HOUR_MS]) {
    const clock = createVirtualClock({ startAt: START, system: still(systemNow) });
    clock.at(START + 5 * HOUR_MS, async () => undefined);
    await clock.run();
    const before = [clock.now(), clock.monotonicMs()];
    clock.goLive();
    assert.ok(clock.now() >= (before[0] ?? 0));
    assert.equal(clock.monotonicMs(), before[1]);
    assert.equal(clock.now(), Math.max(systemNow, START + 5 * HOUR_MS));
  }
});
