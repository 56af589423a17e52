import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { AppError } from '../base/errors.ts';
import { silentLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Revocation } from './door.ts';
import { manualClock, memoryTokenStore } from './test-callers.ts';
import { type MintOptions, type Tokens, createTokens } from './tokens.ts';

const hashKey = new Uint8Array(32).fill(7);
const wish: MintOptions = {
  owner: 'local:1000',
  ownerLabel: 'alice',
  name: 'laptop',
  scopes: ['use'],
  models: null,
  ttlMs: 60_000,
  createdBy: 'local:1000',
};

async function setUp(store = memoryTokenStore()) {
  const clock = manualClock();
  const make = (): Promise<Tokens> =>
    createTokens({ store, hashKey, tailnet: 'default', clock, random: systemRandom, logger: silentLogger });
  return { store, clock, make, tokens: await make() };
}

describe('Postern tokens (DESIGN section 5)', () => {
  test('are shown once and kept as a keyed hash', async () => {
    const { store, tokens } = await setUp();
    const { token, row } = await tokens.mint(wish);
    assert.match(token.reveal(), /^pst_[0-9a-z]{52}$/);
    const kept = JSON.stringify([...store.rows.values()]);
    assert.ok(!kept.includes(token.reveal()) && !kept.includes(token.reveal().slice(4)));
    assert.ok(!JSON.stringify({ token, row }).includes(token.reveal()));
  });

  test('stand for their owner, narrowed to their rights', async () => {
    const { tokens, clock } = await setUp();
    const { token, row } = await tokens.mint({
      ...wish,
      models: ['anthropic/*'],
      scopes: ['use', 'use', 'read'],
    });
    const verdict = tokens.verify(token.reveal(), 'local');
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.caller, {
      principal: 'local:1000',
      tailnet: 'default',
      door: 'token',
      via: 'local',
      device: null,
      user: { id: 'local:1000', login: 'alice', displayName: null },
      groups: [],
      capabilities: new Map(),
      token: {
        id: row.id,
        scopes: ['use', 'read'],
        models: ['anthropic/*'],
        expiresAt: clock.now() + 60_000,
      },
    });
  });

  test('of a tagged device stand for no person', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.mint({
      ...wish,
      owner: 'tailscale:nodeid:n1',
      ownerLabel: 'tag:ci,tag:prod',
    });
    const verdict = tokens.verify(token.reveal(), null);
    assert.ok(verdict.ok);
    assert.equal(verdict.caller.user, null);
    assert.deepEqual(verdict.caller.device?.tags, ['tag:ci', 'tag:prod']);
  });

  test('give the same caller object each time, another for another ambient door', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.mint(wish);
    const first = tokens.verify(token.reveal(), 'local');
    assert.equal(tokens.verify(token.reveal(), 'local'), first);
    assert.notEqual(tokens.verify(token.reveal(), null), first);
  });

  test('end when they expire', async () => {
    const { tokens, clock } = await setUp();
    const { token } = await tokens.mint(wish);
    clock.advance(59_999);
    assert.ok(tokens.verify(token.reveal(), null).ok);
    clock.advance(1);
    assert.deepEqual(tokens.verify(token.reveal(), null), { ok: false, reason: 'token_expired' });
  });

  test('end at once when revoked, and open streams are told', async () => {
    const { tokens, store, make } = await setUp();
    const { token, row } = await tokens.mint(wish);
    const other = await tokens.mint(wish);
    const verdict = tokens.verify(token.reveal(), 'local');
    const unrelated = tokens.verify(other.token.reveal(), 'local');
    assert.ok(verdict.ok && unrelated.ok);
    const seen: Revocation[] = [];
    const stop = tokens.onRevoked((revocation) => seen.push(revocation));
    store.revokeToken = () => new Promise(() => {});
    void tokens.revoke(row.id);
    assert.deepEqual(
      tokens.verify(token.reveal(), null),
      { ok: false, reason: 'token_revoked' },
      'though the store hangs',
    );
    assert.deepEqual(
      seen.map((revocation) => [revocation.matches(verdict.caller), revocation.matches(unrelated.caller)]),
      [[true, false]],
    );
    assert.equal(await tokens.revoke(row.id), false);
    assert.equal(await tokens.revoke('tok_unknown'), false);
    stop();
    const fresh = await make();
    assert.ok(fresh.verify(other.token.reveal(), null).ok, 'tokens survive a restart');
  });

  test('minted or revoked by another process count after a reload', async () => {
    const { store, make, tokens } = await setUp();
    const twin = await make();
    const { token, row } = await tokens.mint(wish);
    assert.equal(twin.verify(token.reveal(), null).ok, false);
    await twin.reload();
    assert.ok(twin.verify(token.reveal(), null).ok);
    await tokens.revoke(row.id);
    const seen: Revocation[] = [];
    twin.onRevoked((revocation) => seen.push(revocation));
    await twin.reload();
    assert.deepEqual(twin.verify(token.reveal(), null), { ok: false, reason: 'token_revoked' });
    assert.equal(seen.length, 1);
    assert.equal(store.rows.size, 1);
  });

  test('with another hash key are unknown', async () => {
    const { store, tokens, clock } = await setUp();
    const { token } = await tokens.mint(wish);
    const otherKey = await createTokens({
      store,
      hashKey: new Uint8Array(32),
      tailnet: 'default',
      clock,
      random: systemRandom,
      logger: silentLogger,
    });
    assert.deepEqual(otherKey.verify(token.reveal(), null), { ok: false, reason: 'token_unknown' });
  });

  test('that nobody minted are unknown, whatever they look like', async () => {
    const { tokens } = await setUp();
    const { token } = await tokens.mint(wish);
    for (const text of [
      '',
      'pst_',
      `${token.reveal()}0`,
      token.reveal().slice(0, -1),
      token.reveal().toUpperCase(),
      ` ${token.reveal()}`,
    ]) {
      assert.deepEqual(tokens.verify(text, null), { ok: false, reason: 'token_unknown' });
    }
    fc.assert(fc.property(fc.string(), (text) => !tokens.verify(`pst_${text}`, null).ok));
  });

  test('note their last use, in batches, and try again when the store fails', async () => {
    const { tokens, store, clock } = await setUp();
    const { token, row } = await tokens.mint(wish);
    tokens.verify(token.reveal(), null);
    clock.advance(5000);
    tokens.verify(token.reveal(), null);
    assert.equal(tokens.get(row.id)?.lastUsedAt, clock.now());
    store.isLocked = true;
    await tokens.flushUses();
    store.isLocked = false;
    await tokens.close();
    assert.deepEqual(store.touched, [{ id: row.id, at: clock.now() }]);
  });

  test('are listed newest first, by owner', async () => {
    const { tokens, clock } = await setUp();
    await tokens.mint({ ...wish, name: 'old' });
    clock.advance(10);
    await tokens.mint({ ...wish, name: 'new' });
    await tokens.mint({ ...wish, owner: 'local:2', name: 'other' });
    assert.deepEqual(
      tokens.list('local:1000').map((row) => row.name),
      ['new', 'old'],
    );
    assert.equal(tokens.list().length, 3);
  });

  const wrong: readonly Partial<MintOptions>[] = [
    { name: '' },
    { name: 'a\nb' },
    { name: 'x'.repeat(101) },
    { owner: '' },
    { ownerLabel: ' alice' },
    { scopes: [] },
    { models: [] },
    { ttlMs: 0 },
    { ttlMs: 999 },
    { ttlMs: 1500.5 },
    { ttlMs: Number.POSITIVE_INFINITY },
    { ttlMs: 11 * 366 * 86_400_000 },
  ];
  for (const fault of wrong) {
    test(`are not minted with ${JSON.stringify(fault)}`, async () => {
      const { tokens, store } = await setUp();
      await assert.rejects(
        tokens.mint({ ...wish, ...fault }),
        (error: unknown) => error instanceof AppError && error.code === 'token_request_invalid',
      );
      assert.equal(store.rows.size, 0);
    });
  }
});
