import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AppError } from '../../base/errors.ts';
import { silentLogger } from '../../base/log.ts';
import type { Secret } from '../../base/secret.ts';
import type { Caller } from '../../identity/caller.ts';
import type { StoredGrantView } from '../../policy/index.ts';
import type { DocumentActor, Documents, SaveRequest } from './documents.ts';
import { DocumentError, type DocumentErrorCode } from './errors.ts';
import { openDocuments, type OpenDocumentsOptions } from './open-documents.ts';
import type { DocumentFiles, DocumentStore, StoredDocument } from './ports.ts';

const CAP = 'postern.dev/cap/gateway';

function caller(login: string): Caller {
  return {
    principal: `tailscale:userid:${login}`,
    tailnet: 't',
    door: 'tailscaled',
    via: null,
    device: null,
    user: { id: login, login, displayName: null },
    groups: [],
    capabilities: new Map(),
    token: null,
  };
}
const OPERATOR: DocumentActor = { principal: 'operator', caller: null };
const ALICE: DocumentActor = { principal: caller('alice').principal, caller: caller('alice') };

/** A document in which `admin` administers and everybody may use `model`. */
function documentText(admin: string, model = 'gpt-5', more = ''): string {
  return `{
  // hand-written
  "providers": {"openai": {"baseurl": "https://api.openai.com", "models": ["gpt-5", "gpt-4"]${more}}},
  "grants": [
    {"src": ["${admin}"], "app": {"${CAP}": [{"role": "admin"}]}},
    {"src": ["*"], "app": {"${CAP}": [{"role": "user"}, {"models": "openai/${model}"}]}},
  ],
}`;
}

interface World {
  readonly store: DocumentStore & { readonly rows: StoredDocument[]; grants: StoredGrantView[] };
  readonly keys: Map<
    string,
    { readonly provider: string; readonly origin: string; readonly secret: Secret; state: string }
  >;
  readonly files: DocumentFiles & { content: string | null; changed: () => void };
  readonly open: (
    source?: OpenDocumentsOptions['source'],
    env?: Readonly<Record<string, string>>,
  ) => Promise<Documents>;
}

function world(t: TestContext): World {
  const rows: StoredDocument[] = [];
  const keys: World['keys'] = new Map();
  const store: World['store'] = {
    rows,
    grants: [],
    latestDocument: async () => rows.at(-1) ?? null,
    getDocument: async (_tailnet, version) => rows.find((row) => row.version === version) ?? null,
    listDocuments: async (_tailnet, { limit, before }) =>
      [...rows]
        .reverse()
        .filter(({ version }) => version < (before ?? Infinity))
        .slice(0, limit),
    putDocument: async (document, expected) => {
      if (expected !== rows.length) throw new AppError('store_conflict', 'not the latest');
      rows.push({ ...document, version: rows.length + 1 });
      return rows.length;
    },
    listGrants: async () => store.grants,
  };
  const files: World['files'] = {
    content: null,
    changed: () => undefined,
    readText: async (path) => {
      if (path !== '/etc/gateway.hujson')
        return path === '/run/key' ? 'file-key\n' : Promise.reject(new Error('ENOENT'));
      return files.content ?? Promise.reject(new Error('ENOENT'));
    },
    watch: (_path, onChange) => {
      files.changed = onChange;
      return () => undefined;
    },
  };
  const vault: OpenDocumentsOptions['vault'] = {
    add: async ({ provider, origin, secret, state }) => {
      const id = `key_${keys.size + 1}`;
      keys.set(id, { provider, origin, secret, state });
      return { id };
    },
    promote: async (id) => setState(id, 'active'),
    revoke: async (id) => setState(id, 'revoked'),
    addFound: (provider, { origin, secret, source }) =>
      keys.set(`env:${source}`, { provider, origin, secret, state: 'active' }),
    forgetFound: (source) => void keys.delete(`env:${source}`),
  };
  const setState = (id: string, state: string): void => {
    const key = keys.get(id);
    assert.ok(key);
    key.state = state;
  };
  return {
    store,
    keys,
    files,
    open: async (source = { kind: 'store' }, env = {}) => {
      const clock = { now: () => 1_000, monotonicMs: () => 0 };
      const documents = await openDocuments({
        store,
        tailnet: 't',
        source,
        found: [],
        vault,
        clock,
        logger: silentLogger,
        env,
        files,
      });
      t.after(() => documents.close());
      return documents;
    },
  };
}

const FILE = { kind: 'file', path: '/etc/gateway.hujson' } as const;
const may = (documents: Documents, model: string, login = 'bob'): boolean =>
  documents.current().accessOf(caller(login)).grant('openai', model) !== null;
const save = (documents: Documents, text: string, more: Partial<SaveRequest> = {}) =>
  documents.save({ text, expectedVersion: documents.version(), actor: OPERATOR, comment: '', ...more });
const refusal =
  (code: DocumentErrorCode) =>
  (error: unknown): boolean =>
    error instanceof DocumentError && error.code === code;

test('documents: without one, only stored grants give rights and the test model is there', async (t) => {
  const { store, open } = world(t);
  store.grants = [{ principal: 'tailscale:userid:alice', role: 'user', models: ['**'] }];
  const documents = await open();
  assert.equal(documents.text().source, 'none');
  assert.notEqual(documents.current().accessOf(caller('alice')).grant('postern', 'echo'), null);
  assert.equal(documents.current().accessOf(caller('bob')).grant('postern', 'echo'), null);
  assert.equal(documents.lastError(), null);
});

test('documents: a save comes into force at once, tells listeners, and is there after a restart', async (t) => {
  const { open } = world(t);
  const documents = await open();
  const seen: string[] = [];
  documents.onChange((policy) => seen.push(policy.version));
  const result = await save(documents, documentText('alice'));
  assert.equal(result.version, 1);
  assert.equal(result.etag, documents.etag());
  assert.equal(may(documents, 'gpt-5'), true);
  assert.deepEqual(seen, [documents.current().version]);
  const again = await open();
  assert.equal(may(again, 'gpt-5'), true);
  assert.deepEqual(
    [again.version(), again.current().version, again.etag()],
    [1, documents.current().version, documents.etag()],
  );
});

test('documents: a save from an old version is a conflict, also between processes', async (t) => {
  const { open } = world(t);
  const [one, two] = [await open(), await open()];
  await save(one, documentText('alice'));
  await assert.rejects(save(one, documentText('alice'), { expectedVersion: 0 }), refusal('config_conflict'));
  await assert.rejects(save(two, documentText('alice')), refusal('config_conflict'));
  await two.reload();
  await save(two, documentText('alice', 'gpt-4'));
  const results = await Promise.allSettled([
    save(two, documentText('alice')),
    save(two, documentText('alice', 'gpt-4')),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected'],
  );
});

test('documents: errors and warnings refuse a save and change nothing; validate says the same', async (t) => {
  const { open, store } = world(t);
  const documents = await open();
  for (const text of [
    '{',
    '{"provders": {}}',
    documentText('alice').replace('"*"', '"autogroup:x"'),
    documentText('*'),
  ]) {
    await assert.rejects(
      save(documents, text),
      (error) =>
        error instanceof DocumentError && error.code === 'config_invalid' && error.problems.length > 0,
    );
    assert.equal((await documents.validate(text)).ok, false);
  }
  assert.equal((await documents.validate(documentText('alice'))).ok, true);
  assert.equal(store.rows.length, 0);
  assert.equal(documents.version(), 0);
});

test('documents: a failing test of the document refuses the save', async (t) => {
  const documents = await world(t).open();
  const text = documentText('alice').replace(/\}$/, '"tests": [{"src": "bob", "deny": ["openai/gpt-5"]}]}');
  await assert.rejects(
    save(documents, text),
    (error) =>
      error instanceof DocumentError &&
      error.code === 'config_tests_failed' &&
      error.testFailures.length === 1,
  );
});

test('documents: an admin cannot save himself out; the operator can', async (t) => {
  const documents = await world(t).open();
  await save(documents, documentText('alice'), { actor: OPERATOR });
  await assert.rejects(save(documents, documentText('bob'), { actor: ALICE }), refusal('config_locks_out'));
  assert.equal((await documents.validate(documentText('bob'), ALICE)).ok, false);
  await save(documents, documentText('alice', 'gpt-4'), { actor: ALICE });
  await save(documents, documentText('bob'), { actor: OPERATOR });
});

test('documents: a literal key goes into the vault, bound to its origin, and into no text', async (t) => {
  const { open, store, keys } = world(t);
  const documents = await open();
  const { notes } = await save(
    documents,
    documentText('alice', 'gpt-5', ', "apikey": "sk-literal-key-123456"'),
  );
  assert.deepEqual(notes, []);
  assert.deepEqual(
    [...keys.values()].map((key) => [key.provider, key.origin, key.secret.reveal(), key.state]),
    [['openai', 'https://api.openai.com', 'sk-literal-key-123456', 'active']],
  );
  assert.ok(!JSON.stringify(store.rows).includes('literal') && !documents.text().text.includes('literal'));
  assert.match(documents.text().text, /"apikey": "vault:openai"/);
  assert.match(documents.text().text, /\/\/ hand-written/);
  await save(documents, documents.text().text);
  assert.equal(keys.size, 1);
});

test('documents: a save that fails leaves no key behind', async (t) => {
  const { open, keys, store } = world(t);
  const [one, two] = [await open(), await open()];
  await save(one, documentText('alice'));
  await assert.rejects(
    save(two, documentText('alice', 'gpt-5', ', "apikey": "sk-literal-key-123456"')),
    refusal('config_conflict'),
  );
  assert.deepEqual(
    [...keys.values()].map((key) => key.state),
    ['revoked'],
  );
  assert.equal(store.rows.length, 1);
});

test("documents: an admin's document cannot read the operator's environment or files", async (t) => {
  const documents = await world(t).open({ kind: 'store' }, { SECRET: 'x'.repeat(20) });
  for (const reference of ['env:SECRET', 'file:/run/key']) {
    await assert.rejects(
      save(documents, documentText('alice', 'gpt-5', `, "apikey": "${reference}"`)),
      refusal('config_invalid'),
    );
  }
});

test('documents: versions, their difference, and the way back', async (t) => {
  const documents = await world(t).open();
  await save(documents, documentText('alice'), { comment: 'first' });
  await save(documents, documentText('alice', 'gpt-4'));
  assert.match(await documents.diff(1, 2), /^-.*openai\/gpt-5.*\n\+.*openai\/gpt-4/m);
  await assert.rejects(documents.diff(1, 9), refusal('config_unknown_version'));
  await assert.rejects(
    documents.rollback({ version: 9, expectedVersion: 2, actor: OPERATOR, comment: '' }),
    refusal('config_unknown_version'),
  );
  await documents.rollback({ version: 1, expectedVersion: 2, actor: ALICE, comment: '' });
  assert.equal(may(documents, 'gpt-5'), true);
  assert.deepEqual(
    (await documents.versions()).map((one) => [one.version, one.comment]),
    [
      [3, 'rollback to version 1'],
      [2, ''],
      [1, 'first'],
    ],
  );
  const page = async (limit: number, before: number | null): Promise<readonly number[]> =>
    (await documents.versions({ limit, before })).map(({ version }) => version);
  assert.deepEqual([await page(2, null), await page(2, 2), await page(0, null)], [[3, 2], [1], [3]]);
});

test('documents: stored grants come into force when they change', async (t) => {
  const { open, store } = world(t);
  const documents = await open();
  store.grants = [{ principal: caller('alice').principal, role: 'admin', models: [] }];
  assert.equal(documents.current().accessOf(caller('alice')).roles.size, 0);
  await documents.reloadGrants();
  assert.equal(documents.current().accessOf(caller('alice')).roles.has('admin'), true);
});

test('documents: a stored text that is broken grants nothing and says so', async (t) => {
  const { open, store } = world(t);
  store.rows.push({ version: 1, tailnet: 't', text: '{ broken', createdAt: 0, createdBy: 'x', comment: '' });
  const documents = await open();
  assert.match(documents.lastError()?.message ?? '', /version 1 .*line 1/);
  assert.equal(may(documents, 'gpt-5'), false);
});

test('file: it alone grants use, and who was made an admin administers all the same', async (t) => {
  const { open, store, files } = world(t);
  files.content = documentText('carol');
  store.grants = [
    { principal: caller('alice').principal, role: 'user', models: ['**'] },
    { principal: caller('dora').principal, role: 'admin', models: ['**'] },
  ];
  const documents = await open(FILE);
  assert.equal(documents.current().accessOf(caller('alice')).grant('postern', 'echo'), null);
  assert.equal(documents.current().accessOf(caller('dora')).roles.has('admin'), true);
  assert.equal(documents.current().accessOf(caller('dora')).grant('postern', 'echo'), null);
  assert.equal(may(documents, 'gpt-5', 'alice'), true);
  assert.deepEqual(
    [documents.text().source, documents.text().path, documents.version()],
    ['file', '/etc/gateway.hujson', 0],
  );
});

test('file: a write by the API is refused with 409 config_is_file', async (t) => {
  const { open, files } = world(t);
  files.content = documentText('alice');
  const documents = await open(FILE);
  await assert.rejects(save(documents, documentText('alice')), refusal('config_is_file'));
  await assert.rejects(
    documents.rollback({ version: 1, expectedVersion: 0, actor: OPERATOR, comment: '' }),
    refusal('config_is_file'),
  );
});

test('file: a change is taken; a broken, failing or missing one is not, and the last good stays', async (t) => {
  const { open, files } = world(t);
  files.content = documentText('alice');
  const documents = await open(FILE);
  files.content = documentText('alice', 'gpt-4');
  await documents.reload();
  assert.deepEqual([may(documents, 'gpt-5'), may(documents, 'gpt-4')], [false, true]);
  const good = documents.current().version;
  const failing = documentText('alice').replace(
    /\}$/,
    '"tests": [{"src": "bob", "deny": ["openai/gpt-5"]}]}',
  );
  for (const [content, message] of [
    ['{', /line 1, column 2/],
    [null, /cannot be read/],
    [failing, /a test fails/],
    ['{"deny": 1}', /deny/],
  ] as const) {
    files.content = content;
    await documents.reload();
    assert.match(documents.lastError()?.message ?? '', message);
    assert.equal(documents.current().version, good);
  }
  files.content = documentText('alice');
  await documents.reload();
  assert.deepEqual([documents.lastError(), may(documents, 'gpt-5')], [null, true]);
});

test('file: going back to the text in force clears the fault', async (t) => {
  const { open, files } = world(t);
  files.content = documentText('alice');
  const documents = await open(FILE);
  for (const content of ['{', documentText('alice')]) {
    files.content = content;
    await documents.reload();
  }
  assert.equal(documents.lastError(), null);
});

test('file: a missing or broken one at the start grants nothing, and is taken once it is good', async (t) => {
  const { open, files } = world(t);
  const documents = await open(FILE);
  assert.notEqual(documents.lastError(), null);
  assert.equal(may(documents, 'gpt-5'), false);
  files.content = documentText('alice');
  await documents.reload();
  assert.equal(may(documents, 'gpt-5'), true);
});

test('file: warnings are tolerated and shown', async (t) => {
  const { open, files } = world(t);
  files.content = documentText('*');
  const documents = await open(FILE);
  assert.equal(documents.lastError(), null);
  assert.ok(documents.problems().some((one) => one.code === 'everyone_is_admin'));
});

test('file: keys by env:, file: and literally reach the vault and no text', async (t) => {
  const { open, files, keys } = world(t);
  for (const [apikey, expected] of [
    ['env:KEY', 'env-key'],
    ['file:/run/key', 'file-key'],
    ['sk-literal-key-123456', 'sk-literal-key-123456'],
  ] as const) {
    files.content = documentText('alice', 'gpt-5', `, "apikey": "${apikey}"`);
    const documents = await open(FILE, { KEY: 'env-key' });
    const key = keys.get('env:document:openai');
    assert.deepEqual(
      [key?.provider, key?.origin, key?.secret.reveal()],
      ['openai', 'https://api.openai.com', expected],
    );
    assert.ok(!documents.text().text.includes('literal'));
  }
});

test('file: a key that the file names no more is forgotten at reload, and taken again when it is back', async (t) => {
  const { open, files, keys } = world(t);
  const withKey = documentText('alice', 'gpt-5', ', "apikey": "env:KEY"');
  files.content = withKey;
  const documents = await open(FILE, { KEY: 'env-key' });
  assert.equal(keys.size, 1);
  files.content = documentText('alice');
  await documents.reload();
  assert.equal(keys.size, 0);
  files.content = withKey;
  await documents.reload();
  assert.equal(keys.size, 1);
  files.content = '{ broken';
  await documents.reload();
  assert.equal(keys.size, 1, 'a text that is not taken forgets nothing');
});

test('file: a key that is not there leaves the rest of the document in force', async (t) => {
  const { open, files, keys } = world(t);
  files.content = documentText('alice', 'gpt-5', ', "apikey": "env:MISSING"');
  const documents = await open(FILE);
  assert.equal(may(documents, 'gpt-5'), true);
  assert.equal(keys.size, 0);
});

test('file: the real watcher sees a write and an atomic rename', { timeout: 20_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-document-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'gateway.hujson');
  writeFileSync(path, documentText('alice'));
  const { store } = world(t);
  const vault = {
    add: () => assert.fail(),
    promote: () => assert.fail(),
    revoke: () => assert.fail(),
    addFound: () => assert.fail(),
    forgetFound: () => assert.fail(),
  };
  const clock = { now: () => 1, monotonicMs: () => 0 };
  const documents = await openDocuments({
    store,
    tailnet: 't',
    source: { kind: 'file', path },
    found: [],
    vault,
    clock,
    logger: silentLogger,
  });
  t.after(() => documents.close());
  const changed = (): Promise<void> => new Promise((resolve) => void documents.onChange(() => resolve()));
  let next = changed();
  writeFileSync(path, documentText('alice', 'gpt-4'));
  await next;
  assert.equal(may(documents, 'gpt-4'), true);
  next = changed();
  writeFileSync(`${path}.new`, documentText('alice', 'gpt-5'));
  renameSync(`${path}.new`, path);
  await next;
  assert.equal(may(documents, 'gpt-5'), true);
});
