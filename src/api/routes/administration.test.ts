import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
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
    assert.deepEqual(lastAudit(), ['local:4', 'token', 'key.add', String(answer.json['id'])]);
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
    const id = String((await add({ provider: 'openai', secret: 'sk-1', state: 'staged' })).json['id']);
    for (const [verb, state] of [
      ['promote', 'active'],
      ['retire', 'retired'],
      ['revoke', 'revoked'],
    ] as const) {
      const answer = await t.send(adminToken, 'POST', `/api/v1/keys/${id}/${verb}`, { body: {} });
      assert.equal(answer.json['state'], state, answer.text);
      assert.deepEqual(lastAudit().slice(2), [`key.${verb}`, id]);
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
    const others = String((await mint(null, { owner: 'service:ci' }, operator)).json['id']);
    t.world.runTokens = true;
    const own = String((await mint(user, { scopes: ['use'], expires_in_sec: 60 })).json['id']);
    assert.equal((await t.send(user, 'DELETE', `/api/v1/tokens/${others}`)).status, 404);
    assert.equal(
      (await t.send(admin, 'DELETE', `/api/v1/tokens/${others}`)).json['code'],
      'presence_required',
    );
    assert.equal((await t.send(adminToken, 'DELETE', `/api/v1/tokens/${others}`)).status, 204);
    assert.equal((await t.send(user, 'DELETE', `/api/v1/tokens/${own}`)).status, 204);
    assert.deepEqual(lastAudit().slice(2), ['token.revoke', own]);
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
    const page = async (query: string): Promise<unknown[]> => {
      const { items, json } = await t.send(admin, 'GET', `/api/v1/config/versions${query}`);
      return [...items.map(({ version }) => version), json['next_cursor']];
    };
    assert.deepEqual(await page(''), [3, 2, 1, null]);
    assert.deepEqual(await page('?limit=2'), [3, 2, '2']);
    assert.deepEqual(await page('?limit=2&cursor=2'), [1, null]);
    assert.deepEqual(await page('?limit=3'), [3, 2, 1, null], 'version 1 is the last, however full the page');
    for (const query of ['limit=0', 'limit=501', 'cursor=x', 'cursor=-1'])
      assert.equal((await t.send(admin, 'GET', `/api/v1/config/versions?${query}`)).status, 400, query);
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

  test('where no document was ever saved the answer is a valid empty one, and can be saved over', async () => {
    t.world.document.text = '';
    t.world.document.source = 'none';
    const empty = await t.send(admin, 'GET', '/aperture/config');
    assert.equal(empty.status, 200);
    assert.deepEqual(JSON.parse(empty.text), {});
    const saved = await putAperture({ 'if-match': empty.headers['etag'] ?? '' });
    assert.equal(saved.status, 200, saved.text);
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
      expiresAt: null,
      approvalId: null,
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

  test('another method on a public path is a 405 for strangers too, and they learn of no other path', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const answer = await t.send(null, 'POST', path, { body: {} });
      assert.equal(answer.status, 405, answer.text);
      assert.equal(answer.headers['allow'], 'GET');
    }
    assert.equal((await t.send(null, 'POST', '/api/v1/whoami', { body: {} })).status, 401);
    assert.equal((await t.send(null, 'GET', '/api/v1/nothing')).status, 401);
  });

  test('/healthz answers without identity and says nothing more', async () => {
    assert.equal((await t.send(null, 'GET', '/healthz')).text, '{"status":"ok"}');
  });
});

describe('nothing is changed unrecorded (DESIGN section 8: the audit log)', () => {
  /** The state that a change would alter. */
  const state = (): string =>
    JSON.stringify([t.world.keys, t.world.tokens, t.world.document, t.world.store.grants, t.world.denials]);

  const changes: readonly (readonly [
    name: string,
    method: string,
    path: string,
    body: unknown,
    headers?: object,
  ])[] = [
    ['a key', 'POST', '/api/v1/keys', { provider: 'openai', secret: 'sk-1' }],
    ['a token', 'POST', '/api/v1/tokens', { name: 'n' }],
    ['the document', 'PUT', '/api/v1/config', { text: '{ /* new */ }' }, { 'if-match': '"v3"' }],
    ['an earlier document', 'POST', '/api/v1/config/rollback', { version: 1 }, { 'if-match': '"v3"' }],
  ];

  for (const [name, method, path, body, headers = {}] of changes) {
    test(`${name}: where the log cannot be written nothing changes`, async () => {
      t.world.storeDown = true;
      const before = state();
      const answer = await t.send(adminToken, method, path, { body, headers: { ...headers } });
      assert.equal(answer.json['code'], 'unavailable', answer.text);
      assert.equal(state(), before);
      t.world.storeDown = false;
      const done = await t.send(adminToken, method, path, { body, headers: { ...headers } });
      assert.ok(done.status < 300, done.text);
      assert.notEqual(state(), before);
      assert.equal(t.world.store.audit.length, 1);
    });
  }

  test('the entry is there before the change, and a change that fails is said to have failed', async () => {
    const seen: (readonly string[])[] = [];
    t.world.beforeMint = () => {
      seen.push(t.world.store.audit.map(({ action }) => action));
      throw new AppError('store_write_failed', 'disk full');
    };
    const answer = await t.send(adminToken, 'POST', '/api/v1/tokens', { body: { name: 'n' } });
    assert.equal(answer.json['code'], 'unavailable');
    assert.deepEqual(seen, [['token.create']]);
    const [first, second] = t.world.store.audit;
    assert.deepEqual([second?.action, second?.target], ['token.create.failed', first?.target]);
    assert.equal(second?.facts['error'], 'store_write_failed');
  });

  test('what only takes away is done also where the log cannot be written, and the request fails', async () => {
    const key = String(
      (await t.send(adminToken, 'POST', '/api/v1/keys', { body: { provider: 'openai', secret: 'sk-1' } }))
        .json['id'],
    );
    const token = String(
      (await t.send(adminToken, 'POST', '/api/v1/tokens', { body: { name: 'n' } })).json['id'],
    );
    t.world.storeDown = true;
    for (const [method, path, body] of [
      ['POST', `/api/v1/keys/${key}/revoke`, {}],
      ['DELETE', `/api/v1/tokens/${token}`, undefined],
      ['POST', '/api/v1/jwt-denials', { token_id: `jwt_${'0'.repeat(24)}` }],
    ] as const) {
      const answer = await t.send(adminToken, method, path, body === undefined ? {} : { body });
      assert.equal(answer.json['code'], 'unavailable', path);
    }
    assert.equal(t.world.keys[0]?.state, 'revoked');
    assert.notEqual(t.world.tokens[0]?.revokedAt, null);
    assert.equal(t.world.denials.length, 1);
  });
});

describe('the deny-list of JWTs (DESIGN section 5)', () => {
  const deny = (body: Record<string, unknown>, as = adminToken): Promise<Answer> =>
    t.send(as, 'POST', '/api/v1/jwt-denials', { body });

  test('admins deny by jti, subject and token id; each is recorded, listed and can be taken back', async () => {
    const issuer = 'https://issuer.example';
    for (const [body, denied] of [
      [
        { issuer, jti: 'j1' },
        { kind: 'jti', issuer, jti: 'j1' },
      ],
      [
        { issuer, subject: 's' },
        { kind: 'subject', issuer, subject: 's', issuedBefore: t.world.now },
      ],
      [
        { issuer, subject: 's', issued_before: '2026-01-01T00:00:00Z' },
        { kind: 'subject', issuer, subject: 's', issuedBefore: Date.UTC(2026, 0, 1) },
      ],
      [{ token_id: 'jwt_0' }, { kind: 'token', tokenId: 'jwt_0' }],
    ] as const) {
      const answer = await deny(body);
      assert.equal(answer.status, 201, answer.text);
      assert.deepEqual(t.world.denials.at(-1)?.denied, denied);
      assert.equal(t.world.store.audit.at(-1)?.action, 'jwt.deny');
    }
    const listed = await t.send(admin, 'GET', '/api/v1/jwt-denials');
    assert.deepEqual(
      listed.items.map((item) => [item['jti'], item['subject'], item['token_id']]),
      [
        ['j1', null, null],
        [null, 's', null],
        [null, 's', null],
        [null, null, 'jwt_0'],
      ],
    );
    assert.equal((await t.send(adminToken, 'DELETE', '/api/v1/jwt-denials/deny_1')).status, 204);
    assert.deepEqual(lastAudit().slice(2), ['jwt.allow', 'jti j1']);
    assert.equal((await t.send(adminToken, 'DELETE', '/api/v1/jwt-denials/deny_1')).status, 404);
  });

  test('it needs the role admin and presence, and says one thing at a time', async () => {
    assert.equal((await deny({ token_id: 'jwt_0' }, admin)).json['code'], 'presence_required');
    assert.equal((await deny({ token_id: 'jwt_0' }, user)).json['code'], 'role_missing');
    assert.equal((await t.send(user, 'GET', '/api/v1/jwt-denials')).json['code'], 'role_missing');
    for (const body of [
      {},
      { jti: 'j' },
      { issuer: 'i', jti: 'j', subject: 's' },
      { issuer: 'i', subject: 's', issued_before: 'yesterday' },
      { token_id: 'jwt_0', issuer: 'i' },
    ])
      assert.equal((await deny(body)).status, 400, JSON.stringify(body));
    assert.deepEqual(t.world.denials, []);
  });
});
