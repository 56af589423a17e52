import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../identity/index.ts';
import { TrackedExchange, createActiveExchanges } from './active.ts';

const CALLER = { principal: 'local:1' } as Caller;

test('what is added and removed in any order is counted, cut and drained (DESIGN section 5)', async () => {
  const active = createActiveExchanges();
  const cut: number[] = [];
  const exchanges = Array.from({ length: 6 }, (_, i) => new TrackedExchange(CALLER, () => void cut.push(i)));
  for (const exchange of exchanges) active.add(exchange);
  for (const i of [2, 5, 0]) {
    const exchange = exchanges[i];
    assert.ok(exchange);
    active.remove(exchange);
    active.remove(exchange);
  }
  assert.equal(active.count, 3);
  assert.equal(
    active.cut(() => true, 'access_revoked', 'withdrawn'),
    3,
  );
  assert.deepEqual(new Set(cut), new Set([1, 3, 4]));
  const drained = active.drained(10_000);
  for (const exchange of exchanges) active.remove(exchange);
  assert.equal(await drained, true);
  assert.equal(active.count, 0);
});

test('an exchange that leaves while others are cut takes none of them along', () => {
  const active = createActiveExchanges();
  const cut: number[] = [];
  const exchanges = Array.from({ length: 4 }, (_, i): TrackedExchange => {
    const exchange = new TrackedExchange(CALLER, () => {
      cut.push(i);
      active.remove(exchange);
    });
    return exchange;
  });
  for (const exchange of exchanges) active.add(exchange);
  active.cut(() => true, 'access_revoked', 'withdrawn');
  assert.deepEqual(cut, [0, 1, 2, 3]);
  assert.equal(active.count, 0);
});
