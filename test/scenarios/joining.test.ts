/**
 * `postern up` against the whole server, with a control server that is away: whose choice it is, what
 * a restart remembers, and that the rest of the gateway stands without the network (DESIGN sections 5, 12).
 */
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { claim, post, showPresence } from './administration.ts';
import { eventually } from './ask.ts';
import { startPostern } from './harness.ts';

/** A port where nobody answers. */
async function closedOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server has an address and a port
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

async function startClaimed(t: TestContext, options: Parameters<typeof startPostern>[1] = {}) {
  const postern = await startPostern(t, options);
  await claim(postern);
  return { postern, presence: await showPresence(postern) };
}

test('without presence nothing is joined; the user of the process, present, may name any control server', async (t) => {
  const { postern, presence } = await startClaimed(t);
  const server = await closedOrigin();
  const body = { login_server: server, auth_key: 'hskey-auth-of-this-test' };
  const refused = await post(postern, '/api/v1/network/up', body);
  assert.equal(refused.json()['code'], 'presence_required', refused.text);
  const joined = await post(postern, '/api/v1/network/up', body, presence);
  assert.deepEqual([joined.status, joined.json()['state']], [200, 'starting'], joined.text);
  const shown = await eventually(async () => {
    const network = (await postern.call('/api/v1/network')).json();
    return network['problem'] === null ? null : network;
  }, 'it tells that nobody answers');
  assert.equal(shown['state'], 'starting', 'it goes on trying');
  const status = (await postern.call('/api/v1/status')).json();
  assert.deepEqual(status['network'], { state: 'starting', dns_name: '', urls: [] });
  const whoami = (await postern.call('/api/v1/whoami')).json();
  assert.equal(whoami['door'], 'local', 'the other doors are as ever');
  assert.doesNotMatch(postern.logLines.join('\n'), /hskey/);
});

test('an admin’s token names only what the operator listed', async (t) => {
  const [listed, other] = [await closedOrigin(), await closedOrigin()];
  const { postern, presence } = await startClaimed(t, { flags: { allowLoginServer: listed } });
  const minted = await post(postern, '/api/v1/tokens', { name: 'ci', scopes: ['admin'] }, presence);
  assert.equal(minted.status, 201, minted.text);
  const asAdmin = { 'x-postern-authorization': `Bearer ${String(minted.json()['token'])}` };
  const up = (server: string) =>
    postern.call('/api/v1/network/up', { body: { login_server: server }, headers: asAdmin });
  const refused = await up(other);
  assert.deepEqual([refused.status, refused.json()['code']], [403, 'operator_only'], refused.text);
  assert.match(refused.text, /--allow-login-server/);
  const joined = await up(listed);
  assert.equal(joined.status, 200, joined.text);
  const audit = (await postern.call('/api/v1/audit')).text;
  assert.match(audit, /network\.up\.failed/);
});

test('a restart goes on joining what was joined, and not what was left', async (t) => {
  const server = await closedOrigin();
  const { postern, presence } = await startClaimed(t);
  const { stateDir } = postern;
  await post(postern, '/api/v1/network/up', { login_server: server, hostname: 'gateway' }, presence);
  await postern.stop();
  const second = await startPostern(t, { stateDir });
  assert.deepEqual(second.network, { loginServer: server, state: 'starting' });
  assert.equal((await second.call('/api/v1/network')).json()['hostname'], 'gateway');
  const again = await showPresence(second);
  const left = await post(second, '/api/v1/network/down', {}, again);
  assert.equal(left.json()['state'], 'off', left.text);
  await second.stop();
  const third = await startPostern(t, { stateDir });
  assert.equal(third.network, null);
  await third.stop();
});
