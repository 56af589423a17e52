import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnedObject, PasskeyRow, ProviderKeyRow, StoredGrant, TokenRow } from '../shapes.ts';
import * as records from './records.ts';
import { NOON, withDatabase } from './rows.fixture.ts';

const GRANT: StoredGrant = {
  principal: 'local:1000',
  role: 'user',
  models: ['**'],
  createdAt: NOON,
  createdBy: 'operator',
  expiresAt: null,
  approvalId: null,
};
const TOKEN: TokenRow = {
  id: 'tok_1',
  tailnet: 'home',
  owner: 'local:1000',
  ownerLabel: 'alice',
  name: 'ci',
  hash: 'h1',
  scopes: ['use'],
  models: null,
  createdAt: NOON,
  createdBy: 'local:1000',
  expiresAt: NOON + 1,
  revokedAt: null,
  lastUsedAt: null,
};
const KEY: ProviderKeyRow = {
  id: 'key_1',
  tailnet: 'home',
  provider: 'openai',
  name: 'main',
  state: 'active',
  origin: 'https://api.openai.com',
  header: 'bearer',
  sealed: Uint8Array.of(1, 2, 3),
  hint: '…abcd',
  createdAt: NOON,
  createdBy: 'operator',
  stateChangedAt: NOON,
};
const PASSKEY: PasskeyRow = {
  credentialId: 'cred',
  tailnet: 'home',
  principal: 'local:1000',
  name: 'laptop',
  publicKey: Uint8Array.of(9),
  counter: 1,
  transports: ['internal'],
  createdAt: NOON,
  lastUsedAt: null,
};
const OBJECT: OwnedObject = {
  tailnet: 'home',
  provider: 'openai',
  kind: 'file',
  objectId: 'file_1',
  principal: 'local:1000',
  keyId: 'key_1',
  model: null,
  createdAt: NOON,
  models: null,
  parentId: null,
  settledAt: null,
};

test('grants are kept by principal and role', () => {
  withDatabase((database) => {
    records.putGrant(database, GRANT);
    records.putGrant(database, { ...GRANT, role: 'admin' });
    records.putGrant(database, { ...GRANT, models: ['openai/*'] });
    assert.deepEqual(
      records.listGrants(database).map(({ role, models }) => [role, models]),
      [
        ['admin', ['**']],
        ['user', ['openai/*']],
      ],
    );
    assert.equal(records.deleteGrant(database, 'local:1000', 'admin', null), true);
    assert.equal(records.deleteGrant(database, 'local:1000', 'admin', null), false);
  });
});

test('a revoked token stays revoked, and is another tailnet’s to nobody', () => {
  withDatabase((database) => {
    records.putToken(database, TOKEN);
    assert.deepEqual(records.listTokens(database, 'home'), [TOKEN]);
    assert.deepEqual(records.listTokens(database, 'work'), []);
    assert.equal(records.revokeToken(database, 'work', 'tok_1', NOON), false);
    assert.equal(records.revokeToken(database, 'home', 'tok_1', NOON), true);
    assert.equal(records.revokeToken(database, 'home', 'tok_1', NOON + 5), false);
    records.putToken(database, TOKEN);
    assert.equal(records.listTokens(database, 'home')[0]?.revokedAt, NOON);
  });
});

test('a token cannot be given another owner, tailnet or value', () => {
  withDatabase((database) => {
    records.putToken(database, TOKEN);
    for (const change of [{ owner: 'local:7' }, { tailnet: 'work' }, { hash: 'h2' }]) {
      assert.throws(() => records.putToken(database, { ...TOKEN, ...change }), { code: 'store_conflict' });
    }
  });
});

test('the last use of a token only moves forward', () => {
  withDatabase((database) => {
    records.putToken(database, TOKEN);
    records.touchTokens(database, [
      { id: 'tok_1', at: NOON + 9 },
      { id: 'tok_1', at: NOON + 3 },
      { id: 'none', at: 1 },
    ]);
    assert.equal(records.listTokens(database, 'home')[0]?.lastUsedAt, NOON + 9);
  });
});

test('provider keys are replaced by tailnet and id', () => {
  withDatabase((database) => {
    records.putProviderKey(database, KEY);
    records.putProviderKey(database, { ...KEY, tailnet: 'work', name: 'other' });
    records.putProviderKey(database, { ...KEY, state: 'retired' });
    assert.deepEqual(records.listProviderKeys(database, 'home'), [{ ...KEY, state: 'retired' }]);
    assert.equal(records.listProviderKeys(database, 'work')[0]?.name, 'other');
  });
});

test('a document is saved only on top of the version that its author saw', () => {
  withDatabase((database) => {
    const draft = { tailnet: 'home', text: '{}', createdAt: NOON, createdBy: 'alice', comment: '' };
    assert.equal(records.latestDocument(database, 'home'), null);
    assert.equal(records.putDocument(database, draft, 0), 1);
    assert.throws(() => records.putDocument(database, draft, 0), {
      code: 'store_conflict',
      message: /version 1, not 0/,
    });
    assert.equal(records.putDocument(database, { ...draft, text: '{"a":1}' }, 1), 2);
    assert.equal(records.putDocument(database, { ...draft, tailnet: 'work' }, 0), 1);
    assert.equal(records.latestDocument(database, 'home')?.text, '{"a":1}');
    assert.equal(records.getDocument(database, 'home', 1)?.text, '{}');
    assert.equal(records.getDocument(database, 'home', 3), null);
    const heads = records.listDocuments(database, 'home', { limit: 10, before: null });
    assert.deepEqual(
      heads.map(({ version }) => version),
      [2, 1],
    );
    assert.ok(heads.every((head) => !('text' in head)));
    const older = records.listDocuments(database, 'home', { limit: 10, before: 2 });
    assert.deepEqual(
      older.map(({ version }) => version),
      [1],
    );
  });
});

test('a passkey keeps its person and its public key', () => {
  withDatabase((database) => {
    records.putPasskey(database, PASSKEY);
    records.putPasskey(database, { ...PASSKEY, counter: 2, lastUsedAt: NOON });
    assert.deepEqual(records.listPasskeys(database, 'home'), [{ ...PASSKEY, counter: 2, lastUsedAt: NOON }]);
    assert.throws(() => records.putPasskey(database, { ...PASSKEY, principal: 'local:7' }), {
      code: 'store_conflict',
    });
    assert.throws(() => records.putPasskey(database, { ...PASSKEY, publicKey: Uint8Array.of(8) }), {
      code: 'store_conflict',
    });
    assert.equal(records.deletePasskey(database, 'home', 'cred'), true);
    assert.equal(records.deletePasskey(database, 'home', 'cred'), false);
  });
});

test('the first owner of a provider object stays its owner (DESIGN section 6)', () => {
  withDatabase((database) => {
    records.putOwnedObjects(database, [OBJECT, { ...OBJECT, principal: 'local:7' }]);
    records.putOwnedObjects(database, [{ ...OBJECT, principal: 'local:7' }]);
    assert.deepEqual(records.listOwnedObjects(database, 'home'), [OBJECT]);
    assert.deepEqual(records.listOwnedObjects(database, 'work'), []);
    const known = { ...OBJECT, models: ['gpt-5'], parentId: 'batch_1', settledAt: NOON };
    records.putOwnedObjects(database, [known, { ...known, principal: 'local:7', models: ['other'] }]);
    assert.deepEqual(records.listOwnedObjects(database, 'home'), [known]);
    assert.deepEqual(records.listOwnedObjects(database, 'home', ['batch']), []);
    assert.deepEqual(records.findOwnedObject(database, 'home', 'file', 'file_1'), known);
    assert.equal(records.findOwnedObject(database, 'home', 'batch', 'file_1'), null);
    records.deleteOwnedObjects(database, 'work', [OBJECT]);
    assert.deepEqual(records.listOwnedObjects(database, 'home'), [known]);
    records.deleteOwnedObjects(database, 'home', [OBJECT]);
    assert.deepEqual(records.listOwnedObjects(database, 'home'), []);
  });
});

test('settings are kept by name', () => {
  withDatabase((database) => {
    assert.equal(records.getSetting(database, 'a'), null);
    records.putSetting(database, 'a', '1');
    records.putSetting(database, 'a', '2');
    assert.equal(records.getSetting(database, 'a'), '2');
  });
});
