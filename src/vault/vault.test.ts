import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test } from 'node:test';
import type { Clock } from '../base/clock.ts';
import { silentLogger, type Logger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import type { ProviderKeyRow } from '../store/shapes.ts';
import type { KeyStore } from './ports.ts';
import type { NewKey, Vault } from './shapes.ts';
import { openVault } from './vault.ts';

const ORIGIN = 'https://api.openai.com';

/** A store in memory that counts on nothing but the port. */
function memoryStore(): KeyStore & { readonly rows: Map<string, ProviderKeyRow>; failing: boolean } {
  const rows = new Map<string, ProviderKeyRow>();
  return {
    rows,
    failing: false,
    listProviderKeys: (tailnet) =>
      Promise.resolve([...rows.values()].filter((row) => row.tailnet === tailnet)),
    putProviderKey(row) {
      if (this.failing) return Promise.reject(new Error('disk full'));
      rows.set(row.id, row);
      return Promise.resolve();
    },
  };
}

interface Bench {
  readonly store: ReturnType<typeof memoryStore>;
  readonly clock: Clock & { time: number };
  readonly open: (options?: { key?: Uint8Array; logger?: Logger; tailnet?: string }) => Promise<Vault>;
}

function bench(): Bench {
  const store = memoryStore();
  const clock = { time: 1_000_000, now: () => clock.time, monotonicMs: () => clock.time };
  return {
    store,
    clock,
    open: ({ key = new Uint8Array(32).fill(5), logger = silentLogger, tailnet = 'home' } = {}) =>
      openVault({ store, key, tailnet, clock, random: systemRandom, logger }),
  };
}

function newKey(value: string, given: Partial<NewKey> = {}): NewKey {
  return {
    provider: 'openai',
    name: 'main',
    origin: ORIGIN,
    header: 'bearer',
    secret: new Secret(value),
    createdBy: 'alice',
    ...given,
  };
}

const used = (vault: Vault, provider = 'openai', origin = ORIGIN): string | null =>
  vault.select(provider, origin)?.secret.reveal() ?? null;

test('a key is given for its provider and its origin only (DESIGN section 6)', async () => {
  const vault = await bench().open();
  await vault.add(newKey('sk-one'));
  assert.equal(used(vault), 'sk-one');
  for (const origin of [
    'https://api.openai.com.evil.example',
    'http://api.openai.com',
    'https://api.openai.com:444',
    'https://API.openai.com',
    '',
  ]) {
    assert.equal(used(vault, 'openai', origin), null, origin);
  }
  assert.equal(used(vault, 'anthropic'), null);
});

test('keys are sealed in the store, come back after a restart, and open in no other tailnet', async () => {
  const { open, store } = bench();
  const view = await (await open()).add(newKey('sk-very-secret-value'));
  const row = store.rows.get(view.id);
  assert.ok(row !== undefined);
  assert.ok(!Buffer.from(row.sealed).includes('sk-very'));
  assert.equal(used(await open()), 'sk-very-secret-value');
  store.rows.set(row.id, { ...row, tailnet: 'work' });
  const foreign = await open({ tailnet: 'work' });
  assert.equal(used(foreign), null);
  assert.equal(foreign.list()[0]?.source, 'unreadable');
});

test('a stored row whose origin or header was altered does not open', async () => {
  const { open, store } = bench();
  const { id } = await (await open()).add(newKey('sk-one'));
  const row = store.rows.get(id);
  assert.ok(row !== undefined);
  for (const change of [{ origin: 'https://evil.example' }, { header: 'x-api-key' }, { provider: 'evil' }]) {
    store.rows.set(id, { ...row, ...change });
    const vault = await open();
    assert.equal(used(vault, change.provider ?? 'openai', change.origin ?? ORIGIN), null);
    await assert.rejects(vault.promote(id), { code: 'vault_key_unreadable' });
  }
});

test('with another master key the keys are listed as unreadable, logged, and can be revoked', async () => {
  const { open } = bench();
  const { id } = await (await open()).add(newKey('sk-one'));
  const errors: string[] = [];
  const vault = await open({
    key: new Uint8Array(32),
    logger: { ...silentLogger, error: (message) => errors.push(message) },
  });
  assert.equal(errors.length, 1);
  assert.equal(used(vault), null);
  assert.equal((await vault.revoke(id)).state, 'revoked');
});

test('several active keys take turns', async () => {
  const vault = await bench().open();
  await vault.add(newKey('a'));
  await vault.add(newKey('b'));
  await vault.add(newKey('c'));
  assert.deepEqual(
    Array.from({ length: 6 }, () => used(vault)),
    ['a', 'b', 'c', 'a', 'b', 'c'],
  );
});

test('a key that was rejected rests while others work, and is used again if none is left', async () => {
  const { open, clock } = bench();
  const vault = await open();
  const a = await vault.add(newKey('a'));
  const b = await vault.add(newKey('b'));
  vault.noteResult(a.id, 'rejected', clock.time);
  assert.deepEqual([used(vault), used(vault)], ['b', 'b']);
  vault.noteResult(b.id, 'limited', clock.time);
  assert.equal(used(vault), 'b', 'both rest: the one whose pause ends first');
  clock.time += 60_001;
  assert.deepEqual(new Set([used(vault), used(vault)]), new Set(['a', 'b']));
  vault.noteResult(a.id, 'ok', clock.time);
  assert.equal(vault.list()[0]?.cooldownUntil, null);
});

test('pauses double up to ten minutes; failures of the provider are forgiven twice', async () => {
  const { open, clock } = bench();
  const vault = await open();
  const { id } = await vault.add(newKey('a'));
  const pause = (outcome: 'rejected' | 'failed'): number => {
    vault.noteResult(id, outcome, clock.time);
    const until = vault.list()[0]?.cooldownUntil ?? null;
    return until === null ? 0 : until - clock.time;
  };
  assert.deepEqual(
    [pause('failed'), pause('failed'), pause('failed'), pause('failed')],
    [0, 0, 2_000, 4_000],
  );
  vault.noteResult(id, 'ok', clock.time);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => pause('rejected')),
    [60_000, 120_000, 240_000, 480_000, 600_000, 600_000],
  );
  assert.equal(vault.list()[0]?.failures, 10);
});

test('promotion makes a staged key active and retires the former ones of its provider and origin', async () => {
  const vault = await bench().open();
  const old = await vault.add(newKey('old'));
  const elsewhere = await vault.add(newKey('elsewhere', { origin: 'https://eu.api.openai.com' }));
  const staged = await vault.add(newKey('new', { state: 'staged' }));
  const begun = vault.select('openai', ORIGIN);
  assert.equal(begun?.secret.reveal(), 'old', 'a staged key is not used');
  await vault.promote(staged.id);
  assert.equal(used(vault), 'new');
  assert.equal(begun?.secret.reveal(), 'old', 'a request under way keeps its key');
  const states = new Map(vault.list().map(({ id, state }) => [id, state]));
  assert.deepEqual(
    [states.get(old.id), states.get(staged.id), states.get(elsewhere.id)],
    ['retired', 'active', 'active'],
  );
  await vault.promote(old.id, { alongside: true });
  assert.deepEqual(new Set([used(vault), used(vault)]), new Set(['new', 'old']));
});

test('promotions at the same time leave exactly one active key', async () => {
  const vault = await bench().open();
  const ids = await Promise.all(
    ['a', 'b', 'c'].map(async (value) => (await vault.add(newKey(value, { state: 'staged' }))).id),
  );
  await Promise.all(ids.map((id) => vault.promote(id)));
  assert.deepEqual(
    vault.list().map(({ state }) => state),
    ['retired', 'retired', 'active'],
  );
});

test('a retired key serves the objects that it made, a revoked or staged one nothing', async () => {
  const vault = await bench().open();
  const { id } = await vault.add(newKey('a'));
  await vault.retire(id);
  assert.equal(used(vault), null);
  assert.equal(vault.selectById(id, ORIGIN)?.secret.reveal(), 'a');
  assert.equal(vault.selectById(id, 'https://evil.example'), null);
  await vault.revoke(id);
  assert.equal(vault.selectById(id, ORIGIN), null);
  const staged = await vault.add(newKey('b', { state: 'staged' }));
  assert.equal(vault.selectById(staged.id, ORIGIN), null);
});

test('revocation cuts at once, wipes the secret everywhere and is final', async () => {
  const { open, store } = bench();
  const vault = await open();
  const { id } = await vault.add(newKey('a'));
  const cut: string[] = [];
  vault.onRevoked(() => {
    throw new Error('a broken listener');
  });
  const end = vault.onRevoked((key) => cut.push(key));
  await vault.revoke(id);
  assert.deepEqual(cut, [id]);
  assert.equal(used(vault), null);
  assert.equal(store.rows.get(id)?.sealed.byteLength, 0);
  for (const change of [vault.promote(id), vault.retire(id), vault.revoke(id)])
    await assert.rejects(change, { code: 'vault_key_revoked' });
  await assert.rejects(vault.revoke('key_none'), { code: 'vault_key_unknown' });
  const again = await open();
  assert.equal(used(again), null);
  assert.equal(again.list()[0]?.state, 'revoked');
  end();
  await vault.revoke((await vault.add(newKey('b'))).id);
  assert.equal(cut.length, 1);
});

test('a change that the store refuses is no change', async () => {
  const { open, store } = bench();
  const vault = await open();
  const { id } = await vault.add(newKey('a'));
  store.failing = true;
  await assert.rejects(vault.retire(id), /disk full/);
  await assert.rejects(vault.add(newKey('b')), /disk full/);
  assert.deepEqual([used(vault), used(vault)], ['a', 'a']);
  store.failing = false;
  await vault.retire(id);
  assert.equal(used(vault), null);
});

test('keys of the environment are used while no stored key is active, and never written', async () => {
  const { open, store } = bench();
  const vault = await open();
  const found = {
    origin: ORIGIN,
    header: 'bearer',
    secret: new Secret('sk-from-environment'),
    source: 'OPENAI_API_KEY',
  };
  const view = vault.addFound('openai', found);
  assert.deepEqual([view.id, view.source, view.state], ['env:OPENAI_API_KEY', 'environment', 'active']);
  assert.equal(used(vault), 'sk-from-environment');
  assert.equal(store.rows.size, 0);
  const stored = await vault.add(newKey('stored'));
  assert.deepEqual([used(vault), used(vault)], ['stored', 'stored']);
  await vault.retire(stored.id);
  assert.equal(used(vault), 'sk-from-environment');
});

test('a found key that its file names no more is gone at once, and can be found again', async () => {
  const vault = await bench().open();
  const found = {
    origin: ORIGIN,
    header: 'bearer',
    secret: new Secret('sk-found'),
    source: 'document:openai',
  };
  vault.addFound('openai', found);
  const stored = await vault.add(newKey('stored'));
  vault.forgetFound(found.source);
  vault.forgetFound('document:nobody');
  await vault.retire(stored.id);
  assert.equal(used(vault), null);
  assert.deepEqual(
    vault.list().map(({ id }) => id),
    [stored.id],
    'a stored key is not forgotten',
  );
  vault.addFound('openai', { ...found, secret: new Secret('sk-again') });
  assert.equal(used(vault), 'sk-again');
});

test('a revoked key of the environment stays so after a restart, until its value changes', async () => {
  const { open, store } = bench();
  const found = {
    origin: ORIGIN,
    header: 'bearer',
    secret: new Secret('sk-leaked'),
    source: 'OPENAI_API_KEY',
  };
  const first = await open();
  first.addFound('openai', found);
  await first.revoke('env:OPENAI_API_KEY');
  assert.equal(used(first), null);
  assert.ok([...store.rows.values()].every(({ sealed }) => !Buffer.from(sealed).includes('sk-leaked')));
  const second = await open();
  assert.equal(second.addFound('openai', found).state, 'revoked');
  assert.equal(used(second), null);
  const third = await open();
  assert.equal(third.addFound('openai', { ...found, secret: new Secret('sk-fresh') }).state, 'active');
  assert.equal(used(third), 'sk-fresh');
  const otherMaster = await open({ key: new Uint8Array(32) });
  assert.equal(otherMaster.addFound('openai', found).state, 'revoked', 'what cannot be told stays refused');
});

test('credentials of a cloud are taken as pasted JSON, with their line ends', async () => {
  const vault = await bench().open();
  const pasted = '{\n  "client_email": "a@b.test",\n  "private_key": "x"\n}\n';
  await vault.add(newKey(pasted));
  assert.equal(used(vault), pasted);
  await assert.rejects(vault.add(newKey('{ "client_email": ')), { code: 'vault_invalid_key' });
});

test('malformed keys are refused, and no message holds the secret', async () => {
  const vault = await bench().open();
  const bad: [Partial<NewKey>, string][] = [
    [{ secret: new Secret('') }, 'vault_invalid_key'],
    [{ secret: new Secret('sk-x\r\nHost: evil') }, 'vault_invalid_key'],
    [{ secret: new Secret('sk-x y') }, 'vault_invalid_key'],
    [{ secret: new Secret('x'.repeat(70_000)) }, 'vault_invalid_key'],
    [{ header: 'X-Api-Key: a' }, 'vault_invalid_key'],
    [{ name: '' }, 'vault_invalid_key'],
    [{ name: 'a\nb' }, 'vault_invalid_key'],
    [{ provider: 'x'.repeat(101) }, 'vault_invalid_key'],
    [{ origin: 'https://api.openai.com/v1' }, 'vault_invalid_origin'],
    [{ origin: 'https://api.openai.com/' }, 'vault_invalid_origin'],
    [{ origin: 'file:///etc/passwd' }, 'vault_invalid_origin'],
    [{ origin: 'https://user:pass@api.openai.com' }, 'vault_invalid_origin'],
    [{ origin: 'nonsense' }, 'vault_invalid_origin'],
  ];
  for (const [change, code] of bad) {
    await assert.rejects(vault.add(newKey('sk-good', change)), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, JSON.stringify(change));
      assert.ok(!error.message.includes('sk-'));
      return true;
    });
  }
  const account = await vault.add(newKey('{\n  "type": "service_account"\n}', { header: 'service-account' }));
  assert.equal(account.state, 'active');
});

test('a vault holds 2,000 keys and takes no more', async () => {
  const vault = await bench().open();
  for (let count = 0; count < 2_000; count += 1) await vault.add(newKey(`sk-${count}`, { state: 'staged' }));
  await assert.rejects(vault.add(newKey('sk-more')), { code: 'vault_too_many_keys' });
  assert.equal(vault.list().length, 2_000);
});

test('no view and no inspection shows a secret (DESIGN section 12)', async () => {
  const vault = await bench().open();
  await vault.add(newKey('sk-very-secret-value'));
  const shown = `${JSON.stringify(vault.list())} ${inspect(vault, { depth: 9, showHidden: true })} ${inspect(vault.select('openai', ORIGIN))}`;
  assert.ok(!shown.includes('sk-very'));
  const [view] = vault.list();
  assert.deepEqual([view?.hint, view?.uses, view?.lastUsedAt], ['…alue', 1, 1_000_000]);
});

test('looking at the next key takes no turn and counts no use', async () => {
  const vault = await bench().open();
  assert.equal(vault.peek('openai', ORIGIN), null);
  const first = await vault.add(newKey('sk-one-1234567890'));
  const second = await vault.add(newKey('sk-two-1234567890'));
  assert.equal(vault.peek('openai', ORIGIN), first.id);
  assert.equal(vault.peek('openai', ORIGIN), first.id);
  assert.equal(vault.peek('openai', 'https://elsewhere.example'), null);
  assert.equal(vault.select('openai', ORIGIN)?.id, first.id);
  assert.equal(vault.peek('openai', ORIGIN), second.id);
  assert.deepEqual(
    vault.list().map(({ uses }) => uses),
    [1, 0],
  );
});

test('another key is one of the same address that is in use and in no pause', async () => {
  const { clock, open } = bench();
  const vault = await open();
  const first = await vault.add(newKey('sk-one-1234567890'));
  const hasOther = (): boolean => vault.hasOtherKey('openai', ORIGIN, first.id);
  assert.equal(hasOther(), false);
  vault.addFound('openai', {
    origin: ORIGIN,
    header: 'bearer',
    secret: new Secret('sk-found-123456'),
    source: 'OPENAI_API_KEY',
  });
  assert.equal(hasOther(), false, 'a found key stands back behind a stored one');
  const second = await vault.add(newKey('sk-two-1234567890'));
  assert.equal(hasOther(), true);
  vault.noteResult(second.id, 'limited', clock.time);
  assert.equal(hasOther(), false, 'it rests');
  clock.time += 5_000;
  assert.equal(hasOther(), true);
  await vault.retire(second.id);
  assert.equal(hasOther(), false);
});
