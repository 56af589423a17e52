/** The API v2 over a real coordinator: who may ask what, of which tailnet, and what each answer is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostOf, keyOf } from '../../tailnet/control/coordinator-bed.fixture.ts';
import { V2_ROUTES } from './api-v2.ts';
import { covers, SCOPES } from './scopes.ts';
import { BREAK_GLASS, setUp } from './v2-bed.fixture.ts';

test('no credential, a wrong one, and an identity of the connection alone are 401 (DESIGN section 5)', async (t) => {
  const { ask } = await setUp(t);
  for (const credential of [null, 'nonsense', 'psta_nothing', 'pstc_nothing'])
    for (const line of ['GET /tailnet/-/devices', 'GET /nowhere', 'POST /tailnet/-/acl']) {
      const { status, json, headers } = await ask(credential, line, { body: {} });
      assert.equal(status, 401, `${credential ?? 'none'} ${line}`);
      assert.deepEqual(json, { message: 'API token invalid or missing' });
      assert.match(String(headers['www-authenticate']), /^Bearer/);
    }
});

test('an admin’s token may all, a reading one reads, one for use only nothing; break-glass by Bearer or Basic', async (t) => {
  const { ask } = await setUp(t);
  assert.equal((await ask('pst_admin', 'GET /tailnet/-/devices')).status, 200);
  assert.equal((await ask('pst_read', 'GET /tailnet/-/devices')).status, 200);
  assert.equal((await ask('pst_read', 'POST /tailnet/-/dns/preferences', { body: {} })).status, 403);
  assert.equal((await ask('pst_use', 'GET /tailnet/-/devices')).status, 403);
  assert.equal((await ask(BREAK_GLASS, 'GET /tailnet/-/devices', { basic: true })).status, 200);
});

test('every route asks for its scope, and no other scope opens it', async (t) => {
  const { ask, client, home } = await setUp(t);
  const tokens = new Map<string, string>();
  for (const scope of SCOPES.flatMap((name) => [name, `${name}:read`]))
    tokens.set(scope, (await client(home, [scope])).token);
  for (const { method, path, scope } of V2_ROUTES) {
    /* What is named is not there, so that nothing is changed: 404 says that the door was passed. */
    const line = `${method} ${path
      .replace('{tailnet}', 'nowhere')
      .replace('{organization}', 'nowhere')
      .replaceAll(/\{\w+\}/g, '0')}`;
    for (const [held, token] of tokens) {
      const { status } = await ask(token, line, { body: method === 'GET' ? undefined : {} });
      if (covers([held], scope)) assert.notEqual(status, 403, `${held}: ${line}`);
      else assert.equal(status, 403, `${held}: ${line}`);
    }
  }
});

test('a credential of one tailnet finds nothing of another: neither by name nor by id', async (t) => {
  const { ask, client, bed, home, other } = await setUp(t);
  const { token } = await client(other, ['all']);
  const node = bed.join(keyOf('m'), {
    nodeKey: keyOf('n'),
    authKey: await bed.key(home),
    host: hostOf('laptop'),
  });
  const user = home.users()[0];
  const key = home.keys()[0];
  for (const line of [
    `GET /tailnet/${home.id}/devices`,
    `GET /tailnet/${home.record.name}/acl`,
    `GET /tailnet/${home.domain}/keys`,
    `GET /tailnet/-/keys/${key?.id ?? ''}`,
    `GET /device/${node.stableId}`,
    `GET /device/${node.id}/routes`,
    `GET /users/${user?.id ?? 0}`,
  ])
    assert.equal((await ask(token, line)).status, 404, line);
  for (const line of [
    `DELETE /device/${node.stableId}`,
    `POST /device/${node.stableId}/authorized`,
    `POST /users/${user?.id ?? 0}/suspend`,
    `DELETE /tailnet/-/keys/${key?.id ?? ''}`,
    `DELETE /tailnet/${home.id}`,
  ])
    assert.equal((await ask(token, line, { body: { authorized: true } })).status, 404, line);
  assert.equal((await ask(token, 'GET /organizations/-/tailnets')).status, 403);
  assert.deepEqual((await ask(token, 'GET /tailnet/-/devices')).json, { devices: [] });
  const first = await client(home, ['all']);
  assert.equal((await ask(first.token, `GET /tailnet/${other.id}/devices`)).status, 200);
});

test('client credentials give a token for an hour, narrower if asked, never wider (RFC 6749 section 4.4)', async (t) => {
  const { ask, client, home, other, bed, pass } = await setUp(t);
  const { id, secret, token } = await client(home, ['devices:core', 'dns:read']);
  const form = { client_id: id, client_secret: secret, grant_type: 'client_credentials' };
  const narrow = await ask(null, 'POST /oauth/token', { form: { ...form, scope: 'devices:core:read' } });
  assert.deepEqual(
    [narrow.json.token_type, narrow.json.expires_in, narrow.json.scope],
    ['Bearer', 3600, 'devices:core:read'],
  );
  const refusals: readonly [Record<string, string>, number, string][] = [
    [{ ...form, scope: 'all' }, 400, 'invalid_scope'],
    [{ ...form, scope: 'no:such' }, 400, 'invalid_scope'],
    [{ ...form, tags: 'tag:other' }, 400, 'invalid_scope'],
    [{ ...form, client_secret: 'pstc_wrong' }, 401, 'invalid_client'],
    [{ ...form, client_id: 'oc_other' }, 401, 'invalid_client'],
    [{ ...form, grant_type: 'password' }, 400, 'unsupported_grant_type'],
    [{ ...form, tailnet: other.id }, 400, 'invalid_request'],
    [{ ...form, tailnet: 'nowhere' }, 400, 'invalid_request'],
  ];
  for (const [wrong, status, error] of refusals) {
    const answer = await ask(null, 'POST /oauth/token', { form: wrong });
    assert.deepEqual([answer.status, answer.json.error], [status, error], JSON.stringify(wrong));
  }
  const all = await client(home, ['all']);
  const child = await ask(null, 'POST /oauth/token', {
    form: { client_id: all.id, client_secret: all.secret, tailnet: other.record.name },
  });
  assert.equal((await ask(child.json.access_token, `GET /tailnet/${other.id}/devices`)).status, 200);
  assert.equal((await ask(child.json.access_token, `GET /tailnet/${home.id}/devices`)).status, 404);
  pass(3_600_000);
  assert.equal((await ask(token, 'GET /tailnet/-/devices')).status, 401);
  const again = await client(home, ['all']);
  const record = bed.admin.clients.get(home.id, again.id);
  assert.ok(record !== null);
  await bed.admin.clients.revoke(record);
  assert.equal(
    (await ask(again.token, 'GET /tailnet/-/devices')).status,
    401,
    'a revoked client’s token ends',
  );
  assert.equal((await ask(null, 'POST /oauth/token', { form: { client_secret: again.secret } })).status, 401);
});

test('keys: made with tags of the client’s own, told once, listed, revoked; clients no wider than their maker', async (t) => {
  const { ask, client, home, audit } = await setUp(t);
  const { token } = await client(home, ['auth_keys', 'oauth_keys'], ['tag:ci']);
  const asked = (tags: readonly string[], more: object = {}): object => ({
    capabilities: { devices: { create: { reusable: true, tags } } },
    description: 'runners',
    ...more,
  });
  for (const tags of [[], ['tag:prod']])
    assert.equal((await ask(token, 'POST /tailnet/-/keys', { body: asked(tags) })).status, 400);
  assert.equal(
    (await ask(token, 'POST /tailnet/-/keys', { body: asked(['tag:ci'], { expirySeconds: 91 * 86_400 }) }))
      .status,
    400,
  );
  const { json } = await ask(token, 'POST /tailnet/-/keys', { body: asked(['tag:ci']) });
  assert.match(json.key, /^pst_auth_/);
  const shown = await ask(token, `GET /tailnet/-/keys/${json.id}`);
  assert.equal(shown.json.key, undefined);
  assert.deepEqual(shown.json.capabilities.devices.create.tags, ['tag:ci']);
  assert.equal((await ask(token, `DELETE /tailnet/-/keys/${json.id}`)).status, 200);
  assert.equal((await ask(token, `GET /tailnet/-/keys/${json.id}`)).json.invalid, true);
  const wide = { keyType: 'client', scopes: ['all'] };
  assert.equal((await ask(token, 'POST /tailnet/-/keys', { body: wide })).status, 400);
  const made = await ask(token, 'POST /tailnet/-/keys', {
    body: { keyType: 'client', scopes: ['auth_keys'], tags: ['tag:ci'] },
  });
  assert.match(made.json.key, /^pstc_/);
  const rotated = await ask(token, `POST /tailnet/-/keys/${made.json.id}/rotate`);
  const withSecret = (secret: string) => ask(null, 'POST /oauth/token', { form: { client_secret: secret } });
  assert.equal((await withSecret(made.json.key)).status, 401);
  assert.equal((await withSecret(rotated.json.key)).status, 200);
  assert.ok(
    audit.some(({ action, actor }) => action === 'tailnet.key.create' && actor.startsWith('oauth-client:')),
  );
  assert.ok(!JSON.stringify(audit).includes(json.key), 'no secret in the log');
});

test('the policy file: HuJSON as written, tags of state, faults and failing tests refused', async (t) => {
  const { ask, home } = await setUp(t);
  const hujson = { headers: { accept: 'application/hujson' } };
  const before = await ask('pst_admin', 'GET /tailnet/-/acl', hujson);
  assert.equal(before.headers['content-type'], 'application/hujson');
  const text = '{\n  // Everybody.\n  "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }],\n}';
  const write = (body: string, match?: string) =>
    ask('pst_admin', 'POST /tailnet/-/acl', {
      body,
      headers: { ...hujson.headers, ...(match === undefined ? {} : { 'if-match': match }) },
    });
  assert.equal((await write(text, '"other"')).status, 412);
  const saved = await write(text, '"ts-default"');
  assert.deepEqual([saved.status, saved.text], [200, text]);
  assert.equal(home.record.policy, text);
  assert.equal((await write(text, '"ts-default"')).status, 412, 'it is touched now');
  assert.equal((await write(text, saved.headers['etag'])).status, 200);
  assert.deepEqual((await ask('pst_admin', 'GET /tailnet/-/acl')).json.grants[0].src, ['*']);
  assert.equal((await write('{')).status, 400);
  assert.match(
    (await write('{"grants":[{"src":["group:none"],"dst":["*"],"ip":["*"]}]}')).json.message,
    /line 1/,
  );
  const failing = '{"grants":[],"tests":[{"src":"100.64.0.1","accept":["100.64.0.2:22"]}]}';
  const refused = await write(failing);
  assert.deepEqual([refused.status, refused.json.message], [400, 'test(s) failed']);
  assert.equal(refused.json.data.length, 1);
  assert.equal(home.record.policy, text, 'nothing of it was kept');
  const validated = await ask('pst_admin', 'POST /tailnet/-/acl/validate', { body: failing });
  assert.deepEqual([validated.status, validated.json.message], [200, 'test(s) failed']);
  const tests = '[{"src":"100.64.0.1","accept":["100.64.0.2:22"]}]';
  assert.match(
    (await ask('pst_admin', 'POST /tailnet/-/acl/validate', { body: tests })).json.message,
    /failed/,
  );
  assert.deepEqual((await ask('pst_admin', 'POST /tailnet/-/acl/validate', { body: text })).json, {});
});

test('devices: approved, tagged, renamed, expired, routed and removed; what is malformed is 400', async (t) => {
  const { ask, bed, home } = await setUp(t);
  const node = bed.join(keyOf('m'), {
    nodeKey: keyOf('n'),
    authKey: await bed.key(home),
    host: hostOf('laptop', { routes: ['10.1.0.0/16'] }),
  });
  const at = `/device/${node.stableId}`;
  const { json } = await ask('pst_admin', `GET ${at}`);
  assert.deepEqual(
    [json.nodeId, json.id, json.name, json.user, json.addresses],
    [
      node.stableId,
      String(node.id),
      'laptop.home.test.internal',
      'alice@example.com',
      [node.ipv4, node.ipv6],
    ],
  );
  const post = async (what: string, body: object) =>
    (await ask('pst_admin', `POST ${at}/${what}`, { body })).status;
  assert.equal(await post('authorized', { authorized: false }), 200);
  assert.equal(await post('name', { name: 'desk' }), 200);
  assert.equal(await post('routes', { routes: ['10.1.0.0/16'] }), 200);
  assert.equal(await post('key', { keyExpiryDisabled: true }), 200);
  assert.equal(home.node(node.id)?.keyExpiry, null);
  assert.equal(await post('expire', {}), 200);
  assert.equal(await post('tags', { tags: ['tag:ci'] }), 200);
  const after = home.node(node.id);
  assert.deepEqual(
    [after?.isAuthorized, after?.name, after?.approvedRoutes, after?.tags],
    [false, 'desk', ['10.1.0.0/16'], ['tag:ci']],
  );
  for (const [what, body] of [
    ['authorized', {}],
    ['tags', { tags: 'tag:ci' }],
    ['tags', { tags: ['ci'] }],
    ['name', { name: 'not a name' }],
    ['routes', { routes: ['10.1'] }],
  ] as const)
    assert.equal(await post(what, body), 400, what);
  assert.equal((await ask('pst_admin', `DELETE ${at}`)).status, 200);
  assert.equal((await ask('pst_admin', `GET ${at}`)).status, 404);
});

test('DNS and settings: each part read and written, splits merged, what is not there refused in words', async (t) => {
  const { ask, home } = await setUp(t);
  const write = async (line: string, body: unknown) => (await ask('pst_admin', line, { body })).status;
  assert.equal(await write('POST /tailnet/-/dns/nameservers', { dns: ['192.0.2.53'] }), 200);
  assert.equal(await write('POST /tailnet/-/dns/searchpaths', { searchPaths: ['example.com'] }), 200);
  assert.equal(await write('POST /tailnet/-/dns/preferences', { magicDNS: false }), 200);
  assert.equal(await write('PUT /tailnet/-/dns/split-dns', { 'a.example': ['192.0.2.1'] }), 200);
  assert.equal(
    await write('PATCH /tailnet/-/dns/split-dns', { 'b.example': ['192.0.2.2'], 'a.example': null }),
    200,
  );
  assert.deepEqual(home.record.dns, {
    ...home.record.dns,
    magicDns: false,
    resolvers: ['192.0.2.53'],
    split: { 'b.example': ['192.0.2.2'] },
    searchDomains: ['example.com'],
  });
  const { json } = await ask('pst_admin', 'GET /tailnet/-/dns/configuration');
  assert.deepEqual(json.nameservers, [{ address: '192.0.2.53', useWithExitNode: false }]);
  assert.equal(await write('POST /tailnet/-/dns/configuration', { searchPaths: ['x.example'] }), 200);
  assert.deepEqual(home.record.dns.resolvers, [], 'the whole was written');
  assert.equal(await write('POST /tailnet/-/dns/nameservers', { dns: ['resolver.example'] }), 400);
  assert.equal(
    await write('PATCH /tailnet/-/settings', { devicesApprovalOn: true, devicesKeyDurationDays: 30 }),
    200,
  );
  assert.deepEqual([home.record.deviceApproval, home.record.keyExpiryDays], [true, 30]);
  assert.equal(await write('PATCH /tailnet/-/settings', { networkFlowLoggingOn: true }), 400);
  assert.equal(await write('PATCH /tailnet/-/settings', { networkFlowLoggingOn: false }), 200);
});

test('the organization makes tailnets of machines with a client of their own, lists and deletes them', async (t) => {
  const { ask, bed, home, audit } = await setUp(t);
  const made = await ask('pst_admin', 'POST /organizations/-/tailnets', { body: { displayName: 'Team A' } });
  assert.equal(made.status, 200, made.text);
  assert.equal(made.json.dnsName, 'team-a.test.internal');
  assert.equal(bed.admin.tailnet('team-a').record.kind, 'machines');
  const { json } = await ask(null, 'POST /oauth/token', {
    form: { client_id: made.json.oauthClient.id, client_secret: made.json.oauthClient.secret },
  });
  assert.deepEqual((await ask(json.access_token, 'GET /tailnet/-/devices')).json, { devices: [] });
  assert.equal(
    (await ask('pst_admin', 'POST /organizations/-/tailnets', { body: { displayName: 'team a' } })).status,
    409,
  );
  assert.equal(
    (await ask('pst_admin', 'POST /organizations/-/tailnets', { body: { displayName: '{}' } })).status,
    400,
  );
  assert.equal(
    (await ask('pst_admin', 'POST /organizations/other/tailnets', { body: { displayName: 'B' } })).status,
    404,
  );
  const page = await ask('pst_admin', 'GET /organizations/-/tailnets?limit=2');
  assert.deepEqual([page.json.tailnets.length, page.json.totalCount], [2, 3]);
  const rest = await ask('pst_admin', `GET /organizations/-/tailnets?cursor=${page.json.cursor}`);
  assert.deepEqual([rest.json.tailnets.length, rest.json.cursor], [1, undefined]);
  for (const query of ['limit=0', 'limit=101', 'cursor=none'])
    assert.equal((await ask('pst_admin', `GET /organizations/-/tailnets?${query}`)).status, 400);
  assert.equal((await ask('pst_admin', `DELETE /tailnet/${made.json.id}`)).status, 200);
  assert.equal(
    (await ask(json.access_token, 'GET /tailnet/-/devices')).status,
    401,
    'its credentials went with it',
  );
  assert.equal((await ask('pst_admin', `DELETE /tailnet/${home.id}`)).status, 409, 'the gateway’s own stays');
  assert.ok(audit.some(({ action, target }) => action === 'tailnet.delete' && target === 'team-a'));
});

test('unknown paths are 404, other methods 405, bodies that are no JSON 400 and over a megabyte 413', async (t) => {
  const { ask } = await setUp(t);
  assert.equal((await ask('pst_admin', 'GET /tailnet/-/contacts')).status, 404);
  assert.equal((await ask('pst_admin', 'PUT /tailnet/-/devices', { body: {} })).status, 405);
  assert.equal((await ask('pst_admin', 'POST /tailnet/-/keys', { body: '{' })).status, 400);
  assert.equal((await ask('pst_admin', 'POST /tailnet/-/acl', { body: 'x'.repeat(1_200_000) })).status, 413);
  assert.equal((await ask('pst_admin', 'GET /device/%E0%A4%A')).status, 404);
});
