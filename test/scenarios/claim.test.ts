/** How a closed server gets its first admin, and what the break-glass token may (DESIGN section 5). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { claim, post, showPresence } from './administration.ts';
import { startPostern, type Postern } from './harness.ts';

const BREAK_GLASS = 'break-glass-token-of-the-operator-1';
const MESSAGES = [{ role: 'user', content: 'hello' }];

function stateFolder(t: TestContext): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-test-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  return stateDir;
}

async function rolesOf(postern: Postern): Promise<unknown> {
  return (await postern.call('/api/v1/whoami')).json()['roles'];
}

test('before the claim the starter may use every model, and administers nothing', async (t) => {
  const postern = await startPostern(t);
  const used = await postern.call('/v1/chat/completions', {
    body: { model: 'postern/echo', messages: MESSAGES },
  });
  assert.equal(used.status, 200, used.text);
  assert.deepEqual(await rolesOf(postern), ['user']);
  for (const [path, body] of [
    ['/api/v1/keys', { provider: 'x', secret: 'sk-12345678901234567890' }],
    ['/api/v1/config/rollback', { version: 1 }],
  ] as const) {
    assert.equal((await post(postern, path, body)).json()['code'], 'role_missing', path);
  }
  for (const path of ['/api/v1/keys', '/api/v1/config', '/api/v1/audit', '/metrics'])
    assert.equal((await postern.call(path)).status, 403, path);
});

test('the claim needs its code, works once, makes an admin, and a later start offers none', async (t) => {
  const stateDir = stateFolder(t);
  const first = await startPostern(t, { stateDir });
  const wrong = await post(first, '/api/v1/claim', { code: 'a'.repeat(32) });
  assert.deepEqual([wrong.status, wrong.json()['code']], [403, 'claim_refused']);
  await claim(first);
  assert.deepEqual([...((await rolesOf(first)) as string[])].sort(), ['admin', 'user']);
  await assert.rejects(claim(first), /already_claimed/);
  const audit = (await first.call('/api/v1/audit')).json()['items'] as Record<string, unknown>[];
  const entry = audit.find(({ action }) => action === 'claim');
  assert.deepEqual([entry?.['actor'], entry?.['presence']], [first.me, 'claim']);
  await first.stop();
  const second = await startPostern(t, { stateDir });
  assert.equal(second.claimUrl, null);
  assert.deepEqual([...((await rolesOf(second)) as string[])].sort(), ['admin', 'user']);
});

test('of many claims at once one wins', async (t) => {
  const postern = await startPostern(t);
  const code = new URL(postern.claimUrl ?? assert.fail()).hash.slice(1);
  const replies = await Promise.all(
    Array.from({ length: 8 }, () => post(postern, '/api/v1/claim', { code })),
  );
  assert.deepEqual(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, ...Array.from({ length: 7 }, () => 409)],
  );
});

test('a claim link of an earlier start is worth nothing after the next', async (t) => {
  const stateDir = stateFolder(t);
  const first = await startPostern(t, { stateDir });
  const old = new URL(first.claimUrl ?? assert.fail()).hash.slice(1);
  await first.stop();
  const second = await startPostern(t, { stateDir });
  assert.equal((await post(second, '/api/v1/claim', { code: old })).json()['code'], 'claim_refused');
  await claim(second);
});

test('an admin without presence reads and checks, and changes nothing', async (t) => {
  const postern = await startPostern(t);
  await claim(postern);
  assert.equal((await postern.call('/api/v1/keys')).status, 200);
  for (const [method, path, body] of [
    ['POST', '/api/v1/keys', { provider: 'x', secret: 'sk-12345678901234567890' }],
    ['POST', '/api/v1/tokens', { name: 'x' }],
    ['PUT', '/api/v1/config', { text: '{}' }],
    ['DELETE', `/api/v1/admins/${postern.me}?role=user`, undefined],
  ] as const) {
    const reply = await postern.call(path, { method, body });
    assert.deepEqual([reply.status, reply.json()['code']], [403, 'presence_required'], `${method} ${path}`);
  }
  const presence = await showPresence(postern);
  assert.equal((await post(postern, '/api/v1/tokens', { name: 'x' }, presence)).status, 201);
  const ended = await postern.call('/api/v1/presence', { method: 'DELETE', headers: { ...presence } });
  assert.equal(ended.status, 204);
  assert.equal(
    (await post(postern, '/api/v1/tokens', { name: 'y' }, presence)).json()['code'],
    'presence_required',
  );
});

test('a code of the terminal works once, and a wrong one never', async (t) => {
  const postern = await startPostern(t);
  await claim(postern);
  const asked = (await post(postern, '/api/v1/presence/requests', { client: 'x', announce: true })).json();
  const code = /#([0-9a-z]+)/.exec(postern.announced.at(-1) ?? '')?.[1];
  const confirm = (text: unknown): Promise<number> =>
    post(postern, `/api/v1/presence/requests/${String(asked['id'])}/confirm`, { code: text }).then(
      ({ status }) => status,
    );
  assert.equal(await confirm('b'.repeat(32)), 403);
  assert.equal(await confirm(code), 204);
  assert.equal(await confirm(code), 403);
  const poll = (): Promise<Record<string, unknown>> =>
    post(postern, `/api/v1/presence/requests/${String(asked['id'])}/poll`, {
      poll_secret: asked['poll_secret'],
    }).then((reply) => reply.json());
  assert.equal((await poll())['state'], 'approved');
  assert.equal((await poll())['code'], 'not_found');
});

test('the break-glass token administers with presence, is recorded as such, and calls no model', async (t) => {
  const postern = await startPostern(t, { env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS } });
  const headers = { authorization: `Bearer ${BREAK_GLASS}` };
  const minted = await post(postern, '/api/v1/tokens', { name: 'ci', owner: 'service:ci' }, headers);
  assert.equal(minted.status, 201, minted.text);
  const used = await postern.call('/v1/chat/completions', {
    body: { model: 'postern/echo', messages: MESSAGES },
    headers,
  });
  assert.deepEqual([used.status, used.headers['x-postern-reason']], [403, 'scope_missing']);
  const audit = await postern.call('/api/v1/audit', { headers });
  const entries = audit.json()['items'] as Record<string, unknown>[];
  const entry = entries.find(({ action }) => action === 'token.create');
  assert.deepEqual([entry?.['actor'], entry?.['presence']], ['operator', 'break-glass']);
  for (const wrong of [`${BREAK_GLASS}x`, BREAK_GLASS.slice(0, -1), BREAK_GLASS.toUpperCase()]) {
    const refused = await postern.call('/api/v1/audit', { headers: { authorization: `Bearer ${wrong}` } });
    assert.equal(refused.status, 403, wrong);
  }
  for (const text of [audit.text, minted.text, ...postern.logLines]) assert.ok(!text.includes(BREAK_GLASS));
});

test('--admin names an admin from the start: no claim is offered', async (t) => {
  const postern = await startPostern(t, { flags: { admin: `local:${process.getuid?.()}` } });
  assert.equal(postern.claimUrl, null);
  assert.ok(((await rolesOf(postern)) as string[]).includes('admin'));
});
