/** `/api/v1/network`: who may join a network, what is recorded of it, and what is shown to whom. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
import type { NetworkPort, NetworkRequest, NetworkView } from '../network-port.ts';
import { BREAK_GLASS, caller, startTestApi, type TestApi } from '../test-api.ts';

const VIEW: NetworkView = {
  state: 'needs_login',
  loginServer: 'https://headscale.example.net',
  loginUrl: 'https://headscale.example.net/register/abc',
  problem: null,
  control: 'needs_login',
  hostname: 'ai',
  domain: '',
  dnsName: '',
  addresses: [],
  urls: [],
  user: null,
  tags: [],
  keyExpiresAt: 1_800_000_000_000,
  health: [],
  homeRelay: 0,
  relays: [],
  endpoints: [],
  peers: [],
  allowed: [],
};
const OPERATOR = { headers: { authorization: `Bearer ${BREAK_GLASS}` } };

async function setUp(
  t: TestContext,
  up: NetworkPort['up'] = () => Promise.resolve(VIEW),
): Promise<TestApi & { readonly asked: NetworkRequest[]; readonly left: string[] }> {
  const asked: NetworkRequest[] = [];
  const left: string[] = [];
  const api = await startTestApi({
    network: {
      status: () => VIEW,
      up(request) {
        asked.push(request);
        return up(request);
      },
      down: () => Promise.resolve((left.push('down'), VIEW)),
      logout: () => Promise.resolve((left.push('logout'), VIEW)),
    },
  });
  t.after(() => api.close());
  api.world.access.set('local:1', { roles: new Set(['admin']) });
  api.world.access.set('local:2', { roles: new Set(['auditor']) });
  api.world.access.set('local:3', { roles: new Set(['user']) });
  return { ...api, asked, left };
}

test('joining and leaving need an admin who is present; looking needs an auditor', async (t) => {
  const { send, asked, left } = await setUp(t);
  for (const path of ['/api/v1/network/up', '/api/v1/network/down']) {
    assert.equal((await send(caller('local:3'), 'POST', path, { body: {} })).json['code'], 'role_missing');
    assert.equal((await send(caller('local:2'), 'POST', path, { body: {} })).json['code'], 'role_missing');
    assert.equal(
      (await send(caller('local:1'), 'POST', path, { body: {} })).json['code'],
      'presence_required',
    );
  }
  assert.deepEqual([asked, left], [[], []]);
  assert.equal((await send(caller('local:3'), 'GET', '/api/v1/network')).json['code'], 'role_missing');
  assert.equal((await send(caller('local:2'), 'GET', '/api/v1/network')).status, 200);
});

test('the login URL is for admins: an auditor changes nothing', async (t) => {
  const { send } = await setUp(t);
  assert.equal((await send(caller('local:2'), 'GET', '/api/v1/network')).json['login_url'], null);
  const { json } = await send(caller('local:1'), 'GET', '/api/v1/network');
  assert.equal(json['login_url'], VIEW.loginUrl);
  assert.equal(json['key_expires_at'], '2027-01-15T08:00:00.000Z');
});

test('the auth key goes in as a secret, and into no record; the asker goes along', async (t) => {
  const { send, asked, world } = await setUp(t);
  const body = { login_server: 'https://headscale.example.net', auth_key: 'hskey-1', tags: ['tag:ai'] };
  const joined = await send(null, 'POST', '/api/v1/network/up', { body, ...OPERATOR });
  assert.equal(joined.status, 200, joined.text);
  const [request] = asked;
  assert.equal(request?.authKey?.reveal(), 'hskey-1');
  assert.deepEqual(request?.actor, { principal: 'operator', door: 'operator' });
  assert.deepEqual([request?.hostname, request?.tags], [null, ['tag:ai']]);
  const row = world.store.audit.at(-1);
  assert.deepEqual([row?.action, row?.target], ['network.up', body.login_server]);
  assert.doesNotMatch(JSON.stringify(world.store.audit), /hskey/);
  assert.doesNotMatch(joined.text, /hskey/);
});

test('a password in an address goes into no record', async (t) => {
  const { send, world } = await setUp(t);
  const body = { login_server: 'https://admin:hunter2@headscale.example.net/' };
  await send(null, 'POST', '/api/v1/network/up', { body, ...OPERATOR });
  assert.equal(world.store.audit.at(-1)?.target, 'https://headscale.example.net');
  assert.doesNotMatch(JSON.stringify(world.store.audit), /hunter2/);
});

test('a refusal of the network’s part is told, and recorded as failed', async (t) => {
  const refusals: readonly (readonly [string, number, string])[] = [
    ['network_server_refused', 403, 'operator_only'],
    ['network_invalid', 400, 'invalid_request'],
    ['network_joined', 409, 'conflict'],
    ['network_state', 503, 'unavailable'],
  ];
  for (const [code, status, shown] of refusals) {
    const { send, world } = await setUp(t, () => Promise.reject(new AppError(code, `because of ${code}`)));
    const answer = await send(null, 'POST', '/api/v1/network/up', { body: {}, ...OPERATOR });
    assert.deepEqual([answer.status, answer.json['code']], [status, shown]);
    assert.match(answer.text, new RegExp(`because of ${code}`));
    assert.equal(world.store.audit.at(-1)?.action, 'network.up.failed');
  }
});

test('leaving is recorded, and is done even where it cannot be', async (t) => {
  const { send, left, world } = await setUp(t);
  await send(null, 'POST', '/api/v1/network/down', { body: {}, ...OPERATOR });
  await send(null, 'POST', '/api/v1/network/down', { body: { logout: true }, ...OPERATOR });
  assert.deepEqual(left, ['down', 'logout']);
  assert.equal(world.store.audit.at(-1)?.action, 'network.logout');
  world.storeDown = true;
  const late = await send(null, 'POST', '/api/v1/network/down', { body: {}, ...OPERATOR });
  assert.equal(late.status, 503);
  assert.equal(left.length, 3);
});

test('bodies that are none are refused', async (t) => {
  const { send, asked } = await setUp(t);
  for (const body of [{ authkey: 'x' }, { auth_key: '' }, { tags: 'tag:x' }, { hostname: 'x'.repeat(64) }]) {
    const answer = await send(null, 'POST', '/api/v1/network/up', { body, ...OPERATOR });
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  assert.equal(asked.length, 0);
});
