import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Answer, BREAK_GLASS, caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';

const user = caller('local:1');
const admin = caller('local:4');
const adminToken = tokenCaller('local:4', ['admin']);
const operator = { authorization: `Bearer ${BREAK_GLASS}` };

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:4', { roles: new Set(['admin']), readPricing: true, readMetrics: true });
});
afterEach(() => t.close());

const hasLength = (value: unknown, length: number): boolean =>
  Array.isArray(value) && value.length === length;

const lastAudit = (): string[] => {
  const row = t.world.store.audit.at(-1);
  return [row?.actor ?? '', row?.presence ?? '', row?.action ?? '', row?.target ?? ''];
};

describe('provider keys (DESIGN section 6: bound to origin and header)', () => {
  const add = (body: Record<string, unknown>): Promise<Answer> =>
    t.send(adminToken, 'POST', '/api/v1/keys', { body });

  test('a key takes origin and header from the document, and its secret is never shown again', async () => {
    const answer = await add({ provider: 'openai', name: 'main', secret: 'sk-very-secret-1234' });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json['origin'], 'https://api.openai.com');
    const all = [
      answer.text,
      (await t.send(admin, 'GET', '/api/v1/keys')).text,
      JSON.stringify(t.world.store.audit),
      JSON.stringify(t.world.logs),
    ].join();
    assert.ok(!all.includes('very-secret'));
    assert.deepEqual(lastAudit(), ['local:4', 'token', 'key.add', 'key_1']);
  });

  test('a provider that the document does not have, an origin of the caller and an odd name are refused', async () => {
    assert.equal((await add({ provider: 'evil', secret: 'x' })).json['code'], 'unknown_provider');
    assert.equal((await add({ provider: 'postern', secret: 'x' })).json['code'], 'unknown_provider');
    assert.equal(
      (await add({ provider: 'openai', secret: 'x', origin: 'https://evil.example' })).status,
      400,
    );
    assert.equal((await add({ provider: 'openai', secret: 'x', name: 'a\u001bb' })).status, 400);
  });

  test('promote, retire and revoke are recorded; an unknown key is 404', async () => {
    await add({ provider: 'openai', secret: 'sk-1', state: 'staged' });
    for (const [verb, state] of [
      ['promote', 'active'],
      ['retire', 'retired'],
      ['revoke', 'revoked'],
    ] as const) {
      const answer = await t.send(adminToken, 'POST', `/api/v1/keys/key_1/${verb}`, { body: {} });
      assert.equal(answer.json['state'], state, answer.text);
      assert.deepEqual(lastAudit().slice(2), [`key.${verb}`, 'key_1']);
      assert.equal((await t.send(adminToken, 'POST', `/api/v1/keys/none/${verb}`, { body: {} })).status, 404);
    }
  });
});

describe('tokens are never wider than their minter (DESIGN section 5)', () => {
  const mint = (as: typeof user | null, body: Record<string, unknown>, headers = {}): Promise<Answer> =>
    t.send(as, 'POST', '/api/v1/tokens', { body: { name: 'n', ...body }, headers });

  test('minting needs presence', async () => {
    assert.equal((await mint(user, {})).json['code'], 'presence_required');
    assert.equal((await mint(admin, { scopes: ['admin'] })).json['code'], 'presence_required');
    assert.deepEqual(t.world.tokens, []);
  });

  test('without presence a short use token only, over the socket, where the system cannot tell owners', async () => {
    t.world.runTokens = true;
    assert.equal((await mint(user, { scopes: ['use'], expires_in_sec: 3_600 })).status, 201);
    for (const wider of [{ scopes: ['use', 'read'] }, { scopes: ['read'] }, { expires_in_sec: 86_400 }]) {
      assert.equal(
        (await mint(user, { scopes: ['use'], expires_in_sec: 3_600, ...wider })).json['code'],
        'presence_required',
      );
    }
    const remote = caller('local:1', { door: 'tailscaled' });
    assert.equal(
      (await mint(remote, { scopes: ['use'], expires_in_sec: 3_600 })).json['code'],
      'presence_required',
    );
  });

  test('a user mints no admin or metrics tokens and none for services', async () => {
    for (const body of [{ scopes: ['admin'] }, { scopes: ['metrics'] }, { owner: 'service:ci' }])
      assert.equal((await mint(user, body)).json['code'], 'role_missing');
  });

  test('nobody mints a token that acts as another person', async () => {
    for (const owner of ['local:1', 'tailscale:userid:1', 'service:', 'service:A b', 'operator'])
      assert.equal((await mint(null, { owner }, operator)).status, 400, owner);
    assert.equal((await mint(null, {}, operator)).status, 400);
    const answer = await mint(null, { owner: 'service:ci', scopes: ['use', 'admin'] }, operator);
    assert.equal(answer.json['owner'], 'service:ci');
    assert.equal(answer.json['owner_label'], 'service:ci');
  });

  test('an admin token mints no admin tokens, none beyond its models, and none that outlive it', async () => {
    assert.equal((await mint(adminToken, { scopes: ['admin'] })).json['code'], 'scope_missing');
    const narrow = tokenCaller('local:4', ['admin'], {
      models: ['openai/*'],
      expiresAt: t.world.now + 90_000,
    });
    assert.equal((await mint(narrow, { models: ['anthropic/*'] })).json['code'], 'scope_missing');
    const answer = await mint(narrow, { models: null, expires_in_sec: 3_600 });
    assert.deepEqual(answer.json['models'], ['openai/*']);
    assert.equal(answer.json['expires_at'], new Date(t.world.now + 90_000).toISOString());
  });

  test('the token is shown once; users see their own, admins all', async () => {
    const answer = await mint(adminToken, {});
    const token = String(answer.json['token']);
    assert.match(token, /^pst_/);
    assert.ok(!(await t.send(admin, 'GET', '/api/v1/tokens')).text.includes(token));
    assert.ok(!JSON.stringify(t.world.store.audit).includes(token));
    assert.deepEqual((await t.send(user, 'GET', '/api/v1/tokens')).json['items'], []);
    assert.equal((await t.send(admin, 'GET', '/api/v1/tokens')).items.length, 1);
  });

  test("one's own is revoked without presence, another's needs admin and presence, a hidden one is 404", async () => {
    await mint(null, { owner: 'service:ci' }, operator);
    t.world.runTokens = true;
    await mint(user, { scopes: ['use'], expires_in_sec: 60 });
    assert.equal((await t.send(user, 'DELETE', '/api/v1/tokens/tok_1')).status, 404);
    assert.equal((await t.send(admin, 'DELETE', '/api/v1/tokens/tok_1')).json['code'], 'presence_required');
    assert.equal((await t.send(adminToken, 'DELETE', '/api/v1/tokens/tok_1')).status, 204);
    assert.equal((await t.send(user, 'DELETE', '/api/v1/tokens/tok_2')).status, 204);
    assert.deepEqual(lastAudit().slice(2), ['token.revoke', 'tok_2']);
  });
});

describe('the document (Aperture reference section 11; RFC 9110 section 13)', () => {
  const put = (headers: Record<string, string>, text = '{ /* new */ }'): Promise<Answer> =>
    t.send(adminToken, 'PUT', '/api/v1/config', { body: { text }, headers });
  const putAperture = (headers: Record<string, string>, raw = '{ /* new */ }'): Promise<Answer> =>
    t.send(adminToken, 'PUT', '/aperture/config', {
      raw,
      headers: { 'content-type': 'application/hujson', ...headers },
    });

  test('a save needs If-Match (428) with the present tag (412), and gives the new one', async () => {
    for (const save of [put, putAperture]) {
      const { version } = t.world.document;
      assert.equal((await save({})).status, 428);
      for (const tag of ['"v0"', '*', `v${version}`, `W/"v${version}"`])
        assert.equal((await save({ 'if-match': tag })).status, 412, tag);
      const saved = await save({ 'if-match': `"v${version}"` });
      assert.equal(saved.status, 200, saved.text);
      assert.equal(saved.headers['etag'], `"v${version + 1}"`);
      assert.equal(t.world.document.text, '{ /* new */ }');
      assert.equal(t.world.store.audit.at(-1)?.action, 'config.save');
    }
  });

  test('problems are 422 and listed; nothing is recorded as saved', async () => {
    for (const save of [put, putAperture]) {
      const answer = await save({ 'if-match': '"v3"' }, 'bad');
      assert.equal(answer.status, 422);
      assert.ok(hasLength(answer.json['problems'], 1));
      assert.equal(answer.json['reason'], 'config_invalid');
    }
    assert.deepEqual(t.world.store.audit, []);
    const checked = await t.send(admin, 'POST', '/aperture/config:validate', { raw: 'bad' });
    assert.equal(checked.status, 422);
    assert.equal(
      (await t.send(admin, 'POST', '/api/v1/config/validate', { body: { text: 'bad' } })).json['valid'],
      false,
    );
  });

  test('a document that a file owns is 409 config_is_file', async () => {
    t.world.document.source = 'file';
    assert.equal((await put({ 'if-match': '"v3"' })).json['code'], 'config_is_file');
    const rollback = await t.send(adminToken, 'POST', '/api/v1/config/rollback', {
      body: { version: 1 },
      headers: { 'if-match': '"v3"' },
    });
    assert.equal(rollback.json['code'], 'config_is_file');
  });

  test('versions, diff and rollback', async () => {
    assert.equal((await t.send(admin, 'GET', '/api/v1/config/versions')).items.length, 1);
    assert.equal((await t.send(admin, 'GET', '/api/v1/config/diff?from=1&to=2')).json['diff'], '-1\n+2\n');
    const rollback = (version: number): Promise<Answer> =>
      t.send(adminToken, 'POST', '/api/v1/config/rollback', {
        body: { version },
        headers: { 'if-match': `"v${t.world.document.version}"` },
      });
    assert.equal((await rollback(99)).status, 404);
    assert.equal((await rollback(1)).json['version'], 4);
    assert.equal(t.world.store.audit.at(-1)?.action, 'config.rollback');
  });

  test('reading is 304 for the tag that one has', async () => {
    assert.equal(
      (await t.send(admin, 'GET', '/aperture/config', { headers: { 'if-none-match': '"v3"' } })).status,
      304,
    );
    const prices = await t.send(admin, 'GET', '/aperture/pricing');
    assert.ok(hasLength(prices.json['models'], 2));
    const again = await t.send(admin, 'GET', '/aperture/pricing', {
      headers: { 'if-none-match': `W/${prices.headers['etag']}` },
    });
    assert.equal(again.status, 304);
    assert.equal(again.text, '');
  });

  test('a price is found by its name, slashes raw or escaped', async () => {
    for (const path of ['meta/llama', 'meta%2Fllama'])
      assert.equal((await t.send(admin, 'GET', `/aperture/pricing/${path}`)).json['model'], 'meta/llama');
    assert.equal((await t.send(admin, 'GET', '/aperture/pricing/none')).status, 404);
  });

  test('providers are listed as Aperture lists them, with what the caller may use', async () => {
    const answer = await t.send(user, 'GET', '/api/providers');
    assert.deepEqual(JSON.parse(answer.text), [
      {
        id: 'postern',
        name: 'postern',
        description: '',
        models: ['echo'],
        compatibility: { openai_chat: true },
      },
    ]);
  });
});

describe('explain, audit and stored grants', () => {
  test('anybody asks about themselves; about others auditors and admins', async () => {
    assert.match(
      String((await t.send(user, 'POST', '/api/v1/explain', { body: { model: 'm' } })).json['text']),
      /^local:1 and m$/,
    );
    const about = { model: 'm', subject: { login: 'bob@example.com', groups: ['group:red'] } };
    assert.equal(
      (await t.send(user, 'POST', '/api/v1/explain', { body: about })).json['code'],
      'role_missing',
    );
    const answer = await t.send(admin, 'POST', '/api/v1/explain', { body: about });
    assert.match(String(answer.json['text']), /bob@example.com/);
    assert.deepEqual(answer.json['groups'], ['group:red']);
    assert.equal(
      (await t.send(admin, 'POST', '/api/v1/explain', { body: { model: 'm', subject: {} } })).status,
      400,
    );
  });

  test('the last admin is removed only by the operator; others by admins, with their presence', async () => {
    t.world.store.grants.push({
      principal: 'jwt:https://i/x:1',
      role: 'admin',
      models: ['**'],
      createdAt: 0,
      createdBy: 'claim',
    });
    const path = `/api/v1/admins/${encodeURIComponent('jwt:https://i/x:1')}`;
    assert.equal((await t.send(adminToken, 'DELETE', path)).json['code'], 'last_admin');
    assert.equal((await t.send(adminToken, 'DELETE', '/api/v1/admins/none')).status, 404);
    assert.equal((await t.send(null, 'DELETE', path, { headers: operator })).status, 204);
    assert.deepEqual(t.world.store.grants, []);
    assert.deepEqual(lastAudit(), ['operator', 'break-glass', 'grant.remove', 'jwt:https://i/x:1']);
  });

  test('the audit log is listed and verified', async () => {
    await t.send(null, 'POST', '/api/v1/tokens', {
      body: { name: 'n', owner: 'service:ci' },
      headers: operator,
    });
    const { items } = await t.send(admin, 'GET', '/api/v1/audit');
    assert.deepEqual(
      items.map((item) => item['action']),
      ['token.create'],
    );
    assert.deepEqual((await t.send(admin, 'GET', '/api/v1/audit/verify')).json, { rows: 1, broken_at: null });
  });
});

describe('health', () => {
  test('/readyz tells the truth about store, recorder and policy', async () => {
    const ready = async (): Promise<unknown> => {
      t.world.now += 1_000;
      const answer = await t.send(null, 'GET', '/readyz');
      assert.equal(answer.status, answer.json['ready'] === true ? 200 : 503);
      return answer.json['checks'];
    };
    assert.deepEqual(await ready(), { store: true, recorder: true, policy: true });
    t.world.storeDown = true;
    t.world.recorderLagMs = 10_001;
    t.world.document.error = 'line 3: secret detail';
    assert.deepEqual(await ready(), { store: false, recorder: false, policy: false });
    assert.ok(!(await t.send(null, 'GET', '/readyz')).text.includes('secret detail'));
  });

  test('/healthz answers without identity and says nothing more', async () => {
    assert.equal((await t.send(null, 'GET', '/healthz')).text, '{"status":"ok"}');
  });
});
