import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayParts } from '../ports.ts';
import { mustHaveKey } from './provider-key.ts';

type KeyView = ReturnType<GatewayParts['vault']['list']>[number];

function mustHave(kind: string, states: readonly KeyView['state'][], provider = 'house'): boolean {
  const keys = states.map((state) => ({ provider, state }));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- whether a key is needed depends on these two alone.
  const vault = { list: () => keys } as unknown as GatewayParts['vault'];
  return mustHaveKey({ vault }, { id: 'house', kind, authMode: 'override' });
}

test('a keyless provider stays keyless while a key for it is only staged (DESIGN section 6)', () => {
  assert.equal(mustHave('compatible', []), false);
  assert.equal(mustHave('compatible', ['staged']), false);
  assert.equal(mustHave('compatible', ['active']), true);
});

test('a key that is out of use never turns a provider keyless', () => {
  assert.equal(mustHave('compatible', ['retired']), true);
  assert.equal(mustHave('compatible', ['revoked', 'staged']), true);
  assert.equal(mustHave('compatible', ['active'], 'another'), false);
});

test('kinds that ask for a key must have one, staged or none', () => {
  assert.equal(mustHave('openai', []), true);
  assert.equal(mustHave('openai', ['staged']), true);
});
