/** Postern's own tokens: what their scopes and globs let through, and what nobody can make of them (DESIGN section 5). */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { post, startClaimedScene, type ClaimedScene } from './administration.ts';
import { suiteEnd, type Reply } from './harness.ts';

const MESSAGES = [{ role: 'user', content: 'hello' }];

describe('tokens', () => {
  const suite = suiteEnd();
  let scene: ClaimedScene;
  before(async () => {
    scene = await startClaimedScene(suite);
  });
  after(() => suite.end());

  const mint = async (request: Record<string, unknown>): Promise<{ id: string; token: string }> => {
    const reply = await post(scene.postern, '/api/v1/tokens', { name: 'a test', ...request }, scene.presence);
    assert.equal(reply.status, 201, reply.text);
    return { id: String(reply.json()['id']), token: String(reply.json()['token']) };
  };
  const withToken = (token: string, path: string, body?: unknown): Promise<Reply> =>
    scene.postern.call(path, { body, headers: { 'x-postern-authorization': `Bearer ${token}` } });
  const use = (token: string, model = 'gpt-5'): Promise<Reply> =>
    withToken(token, '/v1/chat/completions', { model, messages: MESSAGES });

  test('each scope opens its own doors and no others', async () => {
    const doors: Readonly<Record<string, (token: string) => Promise<Reply>>> = {
      use: (token) => use(token),
      read: (token) => withToken(token, '/api/v1/requests'),
      metrics: (token) => withToken(token, '/metrics'),
      admin: (token) => withToken(token, '/api/v1/config/rollback', { version: 1 }),
    };
    /** An admin token reads, too; the rollback stops at its missing `If-Match`, behind the check of rights. */
    const open: Readonly<Record<string, readonly string[]>> = {
      use: ['use'],
      read: ['read'],
      metrics: ['metrics'],
      admin: ['read', 'admin'],
    };
    for (const [scope, opened] of Object.entries(open)) {
      const { token } = await mint({ scopes: [scope] });
      for (const [name, door] of Object.entries(doors)) {
        const { status, text } = await door(token);
        const isOpen = status === 200 || status === 428;
        assert.equal(
          isOpen,
          opened.includes(name),
          `scope ${scope} at ${name}: ${status} ${text.slice(0, 200)}`,
        );
      }
    }
  });

  test('model globs narrow: what they leave out is unknown, also in the list and by another name', async () => {
    const { token } = await mint({ models: ['anthropic/*'] });
    for (const model of ['gpt-5', 'openai/gpt-5', 'none-such']) {
      const reply = await use(token, model);
      assert.deepEqual(
        [reply.status, reply.headers['x-postern-reason']],
        [404, 'model_not_available'],
        model,
      );
    }
    const listed = (await withToken(token, '/v1/models')).json()['data'] as {
      id: string;
      provider: string;
    }[];
    assert.ok(listed.length > 0);
    assert.deepEqual([...new Set(listed.map(({ provider }) => provider))], ['anthropic']);
    const allowed = await scene.postern.call('/v1/messages', {
      body: { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES },
      headers: { 'x-postern-authorization': token, 'anthropic-version': '2023-06-01' },
    });
    assert.equal(allowed.status, 200, allowed.text);
  });

  test('a token is taken in the headers that clients have, and never goes upstream', async () => {
    const { token } = await mint({});
    const ways: readonly Record<string, string>[] = [
      { authorization: `Bearer ${token}` },
      { 'x-api-key': token },
      { 'x-goog-api-key': token },
      { 'x-postern-authorization': `Bearer ${token}`, authorization: 'Bearer sk-mine' },
    ];
    for (const headers of ways) {
      scene.upstream.reset();
      const reply = await scene.postern.call('/v1/chat/completions', {
        body: { model: 'gpt-5', messages: MESSAGES },
        headers,
      });
      assert.equal(reply.status, 200, `${Object.keys(headers).join()}: ${reply.text}`);
      assert.deepEqual(scene.upstream.violations, []);
      assert.ok(!(scene.upstream.requests[0]?.rawHeaders.join() ?? '').includes('pst_'));
    }
  });

  test('an invalid token is the end, whoever the network says it is; two tokens are refused', async () => {
    const { token } = await mint({});
    const other = await mint({});
    const broken = [`${token}x`, token.slice(0, -1), token.toUpperCase(), 'pst_', `pst_${'a'.repeat(52)}`];
    for (const text of broken) {
      const reply = await use(text);
      assert.deepEqual([reply.status, reply.headers['x-postern-reason']], [401, 'token_invalid'], text);
      assert.ok(reply.headers['www-authenticate'] !== undefined);
      assert.ok(!reply.text.includes(token));
    }
    const two = await scene.postern.call('/v1/chat/completions', {
      body: { model: 'gpt-5', messages: MESSAGES },
      headers: { 'x-postern-authorization': token, authorization: `Bearer ${other.token}` },
    });
    assert.equal(two.status, 401);
  });

  test('no token is wider than its minter: no admin from an admin token, no other owner but a service', async () => {
    const admin = await mint({ scopes: ['admin'] });
    const again = await withToken(admin.token, '/api/v1/tokens', { name: 'x', scopes: ['admin'] });
    assert.deepEqual([again.status, again.json()['code']], [403, 'scope_missing']);
    const user = await mint({ scopes: ['use', 'read'] });
    assert.equal((await withToken(user.token, '/api/v1/tokens', { name: 'x' })).status, 403);
    for (const owner of ['local:1', 'operator', 'service:', 'service:UPPER', 'service:../x']) {
      const reply = await post(scene.postern, '/api/v1/tokens', { name: 'x', owner }, scene.presence);
      assert.equal(reply.status, 400, `${owner}: ${reply.text}`);
    }
    for (const wrong of [
      { expires_in_sec: 1 },
      { expires_in_sec: 10 ** 9 },
      { scopes: [] },
      { scopes: ['root'] },
      { models: [] },
      { name: '' },
    ]) {
      const reply = await post(scene.postern, '/api/v1/tokens', { name: 'x', ...wrong }, scene.presence);
      assert.equal(reply.status, 400, JSON.stringify(wrong));
    }
  });

  test('presence is shown by a person: no token can ask for it, and none carries another person in', async () => {
    const { token } = await mint({ scopes: ['admin'] });
    const asked = await withToken(token, '/api/v1/presence/requests', { client: 'x', announce: true });
    assert.equal(asked.json()['code'], 'presence_refused', asked.text);
    const stolen = await scene.postern.call('/api/v1/keys', {
      body: { provider: 'openai', secret: 'sk-12345678901234567890' },
      headers: { ...scene.presence, 'x-postern-authorization': (await mint({ scopes: ['read'] })).token },
    });
    assert.deepEqual([stolen.status, stolen.json()['code']], [403, 'scope_missing']);
  });

  test('a revoked token stays listed as revoked and is refused at once', async () => {
    const { id, token } = await mint({});
    assert.equal((await use(token)).status, 200);
    assert.equal((await scene.postern.call(`/api/v1/tokens/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await use(token)).status, 401);
    assert.equal((await scene.postern.call(`/api/v1/tokens/${id}`, { method: 'DELETE' })).status, 404);
    const rows = (await scene.postern.call('/api/v1/tokens')).json()['items'] as Record<string, unknown>[];
    assert.ok(typeof rows.find((row) => row['id'] === id)?.['revoked_at'] === 'string');
    assert.ok(!JSON.stringify(rows).includes('pst_'));
  });
});
