import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../identity/index.ts';
import { createActiveExchanges, type ActiveExchange, type Refused } from '../gateway/index.ts';
import { watchRevocations } from './revocations.ts';

function caller(expiresAt: number | null): Caller {
  return {
    principal: 'local:1',
    tailnet: 'default',
    door: 'token',
    via: null,
    device: null,
    user: null,
    groups: [],
    capabilities: new Map(),
    token: { id: 'tok_1', scopes: ['use'], models: null, expiresAt },
  };
}

test('a token or JWT that expires while its stream runs ends it within a second (DESIGN section 5)', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 1000;
  const active = createActiveExchanges();
  const cuts: string[] = [];
  const exchange = (name: string, expiresAt: number | null): ActiveExchange => ({
    caller: caller(expiresAt),
    route: null,
    slot: -1,
    cut: (reason: Refused) => void cuts.push(`${name} ${reason.code}`),
  });
  active.add(exchange('ends', 2000));
  active.add(exchange('goes on', 60_000));
  active.add(exchange('has no end', null));
  const never = (): (() => void) => () => {};
  const stop = watchRevocations({
    active,
    approvals: { withdraw: () => Promise.resolve(0) },
    tailnet: 'test',
    doors: { onRevoked: never, onCallerChanged: never },
    vault: { onRevoked: never },
    documents: { onChange: never, current: () => assert.fail('nobody asks') },
    clock: { now: () => now, monotonicMs: () => now },
  });
  t.mock.timers.tick(500);
  assert.equal(cuts.length, 0);
  now = 2100;
  t.mock.timers.tick(1000);
  assert.equal(cuts[0], 'ends access_revoked');
  assert.ok(cuts.every((cut) => cut.startsWith('ends')));
  stop();
  const before = cuts.length;
  t.mock.timers.tick(5000);
  assert.equal(cuts.length, before, 'a stopped watch cuts nobody');
});
