/** The gateway document: a watched file, or versions in the store; by API, by Aperture's API, and by the command line. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostern as startProcess } from '../postern-process.ts';
import {
  claimProcess,
  documentWithoutKeys,
  loginByCli,
  saveDocument,
  showPresence,
  startClaimedScene,
} from './administration.ts';
import { openAnswer } from './ask.ts';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern, type Reply } from './harness.ts';
import { OPERATOR } from './held-calls.ts';

const APERTURE_DOCUMENT = readFileSync(
  new URL('../corpus/documents/aperture-full.hujson', import.meta.url),
  'utf8',
);
const MESSAGES = [{ role: 'user', content: 'hello' }];
const PLANTED_KEY = 'sk-planted-in-a-document-0123456789';

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 8000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

async function mayUse(postern: Postern, model: string): Promise<boolean> {
  const reply = await postern.call('/v1/chat/completions', { body: { model, messages: MESSAGES } });
  if (reply.status === 404) assert.equal(reply.headers['x-postern-reason'], 'model_not_available');
  return reply.status === 200;
}

function codeOf(reply: Reply): unknown {
  return reply.json()['code'];
}

test('a watched file: a good one is loaded at once, a bad one changes nothing and is told, the next good one heals (issue 2, configuration)', async (t) => {
  const { postern, upstream } = await startScene(t);
  const narrow = (models: string): string =>
    `// by hand\n${JSON.stringify(documentFor(upstream.url, { capability: { models } }))}`;
  assert.ok(await mayUse(postern, 'gpt-5'));
  writeFileSync(postern.documentFile, narrow('anthropic/*'));
  await until('the narrower grant', async () => !(await mayUse(postern, 'gpt-5')));
  for (const bad of [
    '{ "grants": [',
    'not a document',
    '',
    '[]',
    '\u0000',
    '{"grants": [{"src": 5}], "grants": []}',
  ]) {
    // A fresh good one each time, so that the fault is that of this text.
    writeFileSync(postern.documentFile, `${narrow('anthropic/*')}// before ${JSON.stringify(bad)}`);
    await until('the good one', async () => (await postern.call('/api/v1/config')).json()['error'] === null);
    writeFileSync(postern.documentFile, bad);
    await until(`the fault of ${JSON.stringify(bad)}`, async () => {
      const { error } = (await postern.call('/api/v1/config')).json();
      return typeof error === 'string';
    });
    assert.equal(await mayUse(postern, 'gpt-5'), false, 'nothing is granted by a broken file');
    const anthropic = await postern.call('/v1/messages', {
      body: { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES },
      headers: { 'anthropic-version': '2023-06-01' },
    });
    assert.equal(anthropic.status, 200, 'the last good one holds');
  }
  await until('readiness that tells the truth', async () => {
    const ready = await postern.call('/readyz');
    return ready.status === 503 && !(ready.json()['checks'] as { policy: boolean }).policy;
  });
  const next = `${postern.documentFile}.new`;
  writeFileSync(next, narrow('**'));
  renameSync(next, postern.documentFile);
  await until('the healed file', () => mayUse(postern, 'gpt-5'));
  await until('readiness', async () => (await postern.call('/readyz')).status === 200);
  assert.equal((await postern.call('/api/v1/config')).json()['error'], null);
});

test('live events say that another document is in force, and that a newer one could not be', async (t) => {
  const { postern, upstream } = await startScene(t);
  const live = await openAnswer(postern.url, { path: '/api/v1/events', headers: OPERATOR });
  t.after(() => live.body.destroy());
  let seen = '';
  live.body.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
  writeFileSync(
    postern.documentFile,
    JSON.stringify(documentFor(upstream.url, { capability: { models: 'openai/*' } })),
  );
  await until('config.changed', () => Promise.resolve(seen.includes('event: config.changed')));
  assert.ok(!seen.includes('event: config.failed'));
  writeFileSync(postern.documentFile, '{ "grants": [');
  await until('config.failed', () => Promise.resolve(seen.includes('event: config.failed')));
});

test('a document that a file owns is written by nobody else: 409 config_is_file', async (t) => {
  const { postern } = await startScene(t);
  const before = readFileSync(postern.documentFile, 'utf8');
  const presence = await showPresence(postern);
  const headers = { ...presence, 'if-match': '"x"' };
  for (const write of [
    { path: '/api/v1/config', method: 'PUT', body: { text: '{}' } },
    { path: '/api/v1/config/rollback', method: 'POST', body: { version: 1 } },
    { path: '/aperture/config', method: 'PUT', body: '{}' },
  ]) {
    const reply = await postern.call(write.path, { method: write.method, body: write.body, headers });
    assert.deepEqual([reply.status, codeOf(reply)], [409, 'config_is_file'], write.path);
  }
  assert.equal(readFileSync(postern.documentFile, 'utf8'), before);
});

test('stored documents: saves need presence and the tag that was read; versions, diff and rollback (DESIGN section 6)', async (t) => {
  const { postern, presence, upstream } = await startClaimedScene(t);
  const document = documentWithoutKeys(upstream.url);
  const narrow = { ...document, deny: [{ src: ['(loopback)'], models: ['openai/*'] }] };

  const absent = await saveDocument(postern, {}, narrow);
  assert.deepEqual([absent.status, codeOf(absent)], [403, 'presence_required']);
  assert.match(String(absent.json()['presence_url']), /^http:\/\/localhost:\d+\/presence$/);
  const untagged = await postern.call('/api/v1/config', {
    method: 'PUT',
    body: { text: '{}' },
    headers: presence,
  });
  assert.deepEqual([untagged.status, codeOf(untagged)], [428, 'precondition_required']);
  const stale = await postern.call('/api/v1/config', {
    method: 'PUT',
    body: { text: '{}' },
    headers: { ...presence, 'if-match': '"stale"' },
  });
  assert.deepEqual([stale.status, codeOf(stale)], [412, 'precondition_failed']);

  for (const refused of [
    '{ "grants": [',
    {
      ...document,
      grants: [
        {
          src: ['(loopback)'],
          app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**', modles: 'x' }] },
        },
      ],
    },
  ]) {
    const reply = await saveDocument(postern, presence, refused);
    assert.equal(reply.status, 422, reply.text);
    assert.ok(Array.isArray(reply.json()['problems']), reply.text);
  }
  const failingTest = await saveDocument(postern, presence, {
    ...document,
    tests: [{ who: { door: 'local' }, accept: ['openai/none-such'] }],
  });
  assert.equal(failingTest.status, 422, failingTest.text);

  assert.ok(await mayUse(postern, 'gpt-5'));
  const saved = await saveDocument(postern, presence, narrow, 'no more openai');
  assert.equal(saved.status, 200, saved.text);
  assert.equal(await mayUse(postern, 'gpt-5'), false);
  const versions = (await postern.call('/api/v1/config/versions')).json()['items'] as {
    version: number;
    comment: string;
    created_by: string;
  }[];
  assert.deepEqual(
    versions.map(({ version, comment }) => [version, comment]),
    [
      [2, 'no more openai'],
      [1, 'the first'],
    ],
  );
  assert.equal(versions[0]?.created_by, postern.me);
  const { diff } = (await postern.call('/api/v1/config/diff?from=1&to=2')).json();
  assert.match(String(diff), /^\+.*deny/m);

  const etag = String(saved.headers['etag']);
  const rollback = await postern.call('/api/v1/config/rollback', {
    body: { version: 1 },
    headers: { ...presence, 'if-match': etag },
  });
  assert.equal(rollback.status, 200, rollback.text);
  assert.equal(rollback.json()['version'], 3);
  assert.ok(await mayUse(postern, 'gpt-5'));
  const unknown = await postern.call('/api/v1/config/rollback', {
    body: { version: 99 },
    headers: { ...presence, 'if-match': String(rollback.headers['etag']) },
  });
  assert.equal(unknown.status, 404, unknown.text);
});

test('two saves from one version: the second is told, nothing of the first is lost', async (t) => {
  const { postern, presence, upstream } = await startClaimedScene(t);
  const etag = String((await postern.call('/api/v1/config')).headers['etag']);
  const save = (comment: string): Promise<Reply> =>
    postern.call('/api/v1/config', {
      method: 'PUT',
      body: {
        text: JSON.stringify({ ...documentWithoutKeys(upstream.url), groups: { [`group:${comment}`]: [] } }),
        comment,
      },
      headers: { ...presence, 'if-match': etag },
    });
  const replies = await Promise.all(['a', 'b', 'c', 'd'].map(save));
  assert.deepEqual(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 412, 412, 412],
  );
  const versions = (await postern.call('/api/v1/config/versions')).json()['items'] as unknown[];
  assert.equal(versions.length, 2);
});

test('a literal key in a saved document goes to the vault and stands in no text, version, diff or file', async (t) => {
  const { postern, presence, upstream } = await startClaimedScene(t);
  const document = documentWithoutKeys(upstream.url) as {
    providers: Record<string, Record<string, unknown>>;
  };
  const withKey = {
    ...document,
    providers: { ...document.providers, openai: { ...document.providers['openai'], apikey: PLANTED_KEY } },
  };
  const saved = await saveDocument(postern, presence, withKey);
  assert.equal(saved.status, 200, saved.text);
  for (const path of [
    '/api/v1/config',
    '/aperture/config',
    '/api/v1/config/versions',
    '/api/v1/config/diff?from=1&to=2',
    '/api/v1/keys',
    '/api/v1/audit',
  ]) {
    const reply = await postern.call(path);
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    assert.ok(!reply.text.includes(PLANTED_KEY), path);
  }
  await postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages: MESSAGES } });
  const sent = upstream.requests.at(-1)?.rawHeaders.join('\n') ?? '';
  assert.ok(sent.includes(`Bearer ${PLANTED_KEY}`), 'and it is used');
  assert.ok(!postern.logLines.join('').includes(PLANTED_KEY));
});

test("Aperture's API: ETag and If-Match (428, 412, 422), validate, pricing with 304 (reference/aperture)", async (t) => {
  const { postern, presence, upstream } = await startClaimedScene(t);
  const read = await postern.call('/aperture/config');
  const etag = String(read.headers['etag']);
  assert.match(etag, /^"[^"]+"$/);
  assert.equal((await postern.call('/aperture/config', { headers: { 'if-none-match': etag } })).status, 304);
  const document = JSON.stringify(documentWithoutKeys(upstream.url));
  const put = (body: string, headers: Record<string, string>): Promise<Reply> =>
    postern.call('/aperture/config', {
      method: 'PUT',
      body,
      headers: { 'content-type': 'application/hujson', ...headers },
    });

  assert.equal((await put(document, { 'if-match': etag })).status, 403);
  assert.equal((await put(document, presence)).status, 428);
  assert.equal((await put(document, { ...presence, 'if-match': '"other"' })).status, 412);
  assert.equal((await put(document, { ...presence, 'if-match': '*' })).status, 412);
  assert.equal((await put('{ broken', { ...presence, 'if-match': etag })).status, 422);
  const granted = document.replace('"role":"user"', '"role":"user","read_pricing":true');
  const saved = await put(`// as a person writes it\n${granted.slice(0, -1)},}`, {
    ...presence,
    'if-match': etag,
  });
  assert.equal(saved.status, 200, saved.text);
  assert.notEqual(saved.headers['etag'], etag);
  assert.match((await postern.call('/aperture/config')).text, /as a person writes it/);

  const validate = (body: string): Promise<Reply> =>
    postern.call('/aperture/config:validate', { body, headers: { 'content-type': 'application/hujson' } });
  assert.equal((await validate(document)).status, 200);
  const problems = await validate('{"providers": {"x": {"baseurl": 7}}}');
  assert.equal(problems.status, 422);
  assert.ok((problems.json()['problems'] as unknown[]).length > 0);

  const prices = await postern.call('/aperture/pricing');
  assert.equal(prices.status, 200, prices.text.slice(0, 300));
  assert.ok((prices.json()['models'] as unknown[]).length > 100);
  const tag = String(prices.headers['etag']);
  const unchanged = await postern.call('/aperture/pricing', { headers: { 'if-none-match': tag } });
  assert.deepEqual([unchanged.status, unchanged.bytes.length], [304, 0]);
});

test('a whole Aperture document is in force as it stands, and what has no counterpart is said', async (t) => {
  const postern = await startPostern(t, { document: APERTURE_DOCUMENT });
  const { error } = await postern
    .call('/api/v1/config')
    .then((reply) => (reply.status === 200 ? reply.json() : { error: null }));
  assert.equal(error, null);
  assert.ok(postern.providers.some(({ id }) => id === 'anthropic'));
  assert.ok(postern.warnings.length > 0);
  assert.ok(!postern.warnings.join('\n').includes('sk-invented'));
  assert.equal((await postern.call('/readyz')).status, 200);
});

test('postern config and explain: the real command line (INTERFACES, command line)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const postern = await startProcess({ env: PROVIDER_ENV });
  t.after(() => postern.stop());
  const file = (name: string, value: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value, null, 2));
    return path;
  };
  const document = documentWithoutKeys('http://127.0.0.1:9') as { providers: Record<string, object> };
  const good = file('good.hujson', document);

  assert.equal((await postern.cli(['config', 'check', good])).code, 0);
  const bad = await postern.cli(['config', 'check', file('bad.hujson', '{\n  "grants": 5,\n}')]);
  assert.equal(bad.code, 1);
  assert.match(bad.stdout, /bad\.hujson:2:\d+ (?:error|warning) grants/);
  assert.equal((await postern.cli(['config', 'check', '--json', file('worse.hujson', '{')])).code, 1);
  assert.equal((await postern.cli(['config', 'check', join(folder, 'none')])).code, 2);

  const withKey = file('key.hujson', {
    ...document,
    providers: {
      ...document.providers,
      extra: { baseurl: 'https://api.example.com', apikey: PLANTED_KEY, models: ['m'] },
    },
  });
  const lifted = await postern.cli(['config', 'lift-secrets', withKey]);
  assert.equal(lifted.code, 0, lifted.stderr);
  assert.ok(!`${lifted.stdout}${lifted.stderr}`.includes(PLANTED_KEY));
  assert.match(lifted.stderr, /postern keys add extra/);
  assert.ok(readFileSync(withKey, 'utf8').includes(PLANTED_KEY), 'the file itself is never changed');

  assert.equal((await postern.cli(['config', 'apply', good])).code, 4, 'a starter is no admin');
  await claimProcess(postern);
  assert.equal((await postern.cli(['config', 'apply', good])).code, 5, 'presence is missing');
  await loginByCli(postern);
  for (const comment of ['one', 'two']) {
    const path = file(`${comment}.hujson`, { ...document, groups: { [`group:${comment}`]: [] } });
    const applied = await postern.cli(['config', 'apply', path, '--comment', comment]);
    assert.equal(applied.code, 0, applied.stderr);
  }
  const diff = await postern.cli(['config', 'diff', '1', '2']);
  assert.match(diff.stdout, /^-.*group:one[^]*^\+.*group:two/m);
  assert.match((await postern.cli(['config', 'diff', good])).stdout, /^-.*group:two/m);
  assert.equal((await postern.cli(['config', 'rollback', '1'])).code, 0);
  assert.match((await postern.cli(['config'])).stdout, /group:one/);
  assert.equal((await postern.cli(['config', 'rollback', '77'])).code, 1);

  const allowed = await postern.cli(['explain', 'gpt-5']);
  assert.equal(allowed.code, 0, allowed.stdout + allowed.stderr);
  const refused = await postern.cli(['explain', 'gpt-5', '--user', 'stranger@example.com', '--json']);
  assert.equal(refused.code, 1);
  assert.equal((JSON.parse(refused.stdout) as { allowed: boolean }).allowed, false);
});
