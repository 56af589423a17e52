import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import { createRefreshing } from './refreshing.ts';
import type { Expiring, Refreshing } from './refreshing.ts';

const MINUTE_MS = 60_000;

interface Bench {
  readonly source: Refreshing<string>;
  readonly loads: PromiseWithResolvers<Expiring<string>>[];
  move(ms: number): void;
  now(): number;
}

function bench(): Bench {
  let time = 1_000_000;
  const clock: Clock = { now: () => time, monotonicMs: () => time };
  const loads: PromiseWithResolvers<Expiring<string>>[] = [];
  const load = (): Promise<Expiring<string>> => {
    const resolvers = Promise.withResolvers<Expiring<string>>();
    loads.push(resolvers);
    return resolvers.promise;
  };
  return {
    source: createRefreshing(load, clock),
    loads,
    move(ms) {
      time += ms;
    },
    now: () => time,
  };
}

async function settled(b: Bench, lifeMs: number | null): Promise<void> {
  const waiting = b.source.get();
  b.loads
    .at(-1)
    ?.resolve({ value: `v${b.loads.length}`, expiresAt: lifeMs === null ? null : b.now() + lifeMs });
  await waiting;
}

test('all who wait share one load', async () => {
  const { source, loads } = bench();
  const waiting = [source.get(), source.get(), source.get()].map((value) => Promise.resolve(value));
  assert.equal(loads.length, 1);
  loads[0]?.resolve({ value: 'v1', expiresAt: null });
  assert.deepEqual(await Promise.all(waiting), ['v1', 'v1', 'v1']);
  assert.equal(source.get(), 'v1');
});

test('five minutes before its end a value is renewed behind its users', async () => {
  const b = bench();
  await settled(b, 60 * MINUTE_MS);
  b.move(54 * MINUTE_MS);
  assert.equal(b.source.get(), 'v1');
  assert.equal(b.loads.length, 1);
  b.move(2 * MINUTE_MS);
  assert.equal(b.source.get(), 'v1');
  assert.equal(b.source.get(), 'v1');
  assert.equal(b.loads.length, 2);
  b.loads[1]?.resolve({ value: 'v2', expiresAt: b.now() + 60 * MINUTE_MS });
  await b.loads[1]?.promise;
  await Promise.resolve();
  assert.equal(b.source.get(), 'v2');
});

test('a value in its last half minute is not used', async () => {
  const b = bench();
  await settled(b, 60 * MINUTE_MS);
  b.move(59 * MINUTE_MS + 30_000);
  const waiting = b.source.get();
  assert.ok(waiting instanceof Promise);
  b.loads[1]?.resolve({ value: 'v2', expiresAt: null });
  assert.equal(await waiting, 'v2');
});

test('a failed renewal in the background leaves the old value and is tried again after two seconds', async () => {
  const b = bench();
  await settled(b, 60 * MINUTE_MS);
  b.move(56 * MINUTE_MS);
  assert.equal(b.source.get(), 'v1');
  b.loads[1]?.reject(new Error('down'));
  await b.loads[1]?.promise.catch(() => undefined);
  await Promise.resolve();
  assert.equal(b.source.get(), 'v1');
  assert.equal(b.loads.length, 2);
  b.move(2_000);
  assert.equal(b.source.get(), 'v1');
  assert.equal(b.loads.length, 3);
});

test('a dropped value is got anew, and not brought back by a load that was under way', async () => {
  const b = bench();
  await settled(b, 60 * MINUTE_MS);
  b.move(56 * MINUTE_MS);
  assert.equal(b.source.get(), 'v1');
  b.source.drop();
  const after = b.source.get();
  assert.equal(b.loads.length, 3);
  b.loads[1]?.resolve({ value: 'old', expiresAt: null });
  b.loads[2]?.resolve({ value: 'new', expiresAt: null });
  assert.equal(await after, 'new');
  assert.equal(b.source.get(), 'new');
});

test('a value younger than half a minute is not dropped', async () => {
  const b = bench();
  await settled(b, null);
  b.move(29_999);
  b.source.drop();
  assert.equal(b.source.get(), 'v1');
  b.move(1);
  b.source.drop();
  assert.ok(b.source.get() instanceof Promise);
  assert.equal(b.loads.length, 2);
});
