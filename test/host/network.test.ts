/**
 * Listeners on a real network (DESIGN section 4): the server in one network namespace, its peers in
 * another, a cable between them. The tailscaled is a fake that speaks the LocalAPI. Needs root and
 * Linux; `install.sh` brings `ip`, `nsenter`, `setpriv` and `unshare`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { before, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import {
  type FakeTailscaled,
  person,
  startFakeTailscaled,
} from '../../src/doors/tailscaled/fake-local-api.ts';
import { type PosternProcess, startPostern } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';

const HOST = '100.64.0.1';
const ALICE = '100.64.0.9';
const STRANGER = '100.64.0.10';
const CAP = 'postern.dev/cap/gateway';
const DOCUMENT = {
  providers: {},
  grants: [{ src: ['*', '(loopback)'], app: { [CAP]: [{ role: 'user', models: '**' }] } }],
};

const runFile = promisify(execFile);

before(() => {
  assert.equal(process.platform, 'linux', 'these tests make network namespaces');
  assert.equal(process.getuid?.(), 0, 'these tests make network namespaces: run them as root');
});

interface Network {
  /** Words that run a program where the server is. */
  readonly here: readonly string[];
  /** Words that run a program where the peers are. */
  readonly there: readonly string[];
}

/** Two namespaces; they end with the processes that hold them. */
async function makeNetwork(t: TestContext): Promise<Network> {
  const [here, there] = [await holdNamespace(t), await holdNamespace(t)];
  await run(here, 'ip', 'link', 'set', 'lo', 'up');
  await run(here, 'ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', there[2] ?? '');
  await run(here, 'ip', 'address', 'add', `${HOST}/24`, 'dev', 'v0');
  await run(here, 'ip', 'link', 'set', 'v0', 'up');
  for (const address of [ALICE, STRANGER])
    await run(there, 'ip', 'address', 'add', `${address}/24`, 'dev', 'v1');
  await run(there, 'ip', 'link', 'set', 'v1', 'up');
  return { here, there };
}

async function holdNamespace(t: TestContext): Promise<readonly string[]> {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => holder.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('exit', () => reject(new Error('no network namespace could be made')));
  });
  return ['nsenter', '-t', String(holder.pid), '-n'];
}

async function run(prefix: readonly string[], ...words: readonly string[]): Promise<string> {
  const [program = '', ...rest] = [...prefix, ...words];
  return (await runFile(program, rest, { timeout: 20_000 })).stdout;
}

/** `status body` of a request from one of the peers' addresses, or the code of the error. */
function get(
  network: readonly string[],
  url: string,
  options: { readonly from?: string; readonly host?: string } = {},
): Promise<string> {
  const program = `const { protocol, hostname, port, pathname } = new URL(${JSON.stringify(url)});
    require(protocol === 'https:' ? 'node:https' : 'node:http').get({ host: hostname, port, path: pathname, agent: false,
      rejectUnauthorized: false, timeout: 5000, localAddress: ${JSON.stringify(options.from)},
      headers: ${JSON.stringify(options.host === undefined ? {} : { host: options.host })} }, (res) => {
      let body = '';
      res.on('data', (chunk) => (body += chunk)).on('end', () => console.log(res.statusCode + ' ' + body));
    }).on('error', (error) => console.log(error.code));`;
  return run(network, process.execPath, '-e', program);
}

async function startHere(
  t: TestContext,
  network: Network,
  daemon: FakeTailscaled | null,
  options: { prefix?: readonly string[]; flags?: readonly string[] } = {},
): Promise<PosternProcess> {
  const postern = await startPostern({
    document: DOCUMENT,
    prefix: [...network.here, ...(options.prefix ?? [])],
    flags: [
      ...(daemon === null ? [] : ['--tailscaled', '--tailscaled-socket', daemon.socketPath]),
      ...(options.flags ?? []),
    ],
  });
  t.after(() => postern.stop());
  return postern;
}

async function startDaemon(t: TestContext): Promise<FakeTailscaled> {
  const daemon = await startFakeTailscaled();
  t.after(() => daemon.close());
  daemon.ownAddresses.splice(0, 2, HOST);
  daemon.peers.set(ALICE, person({ address: ALICE }));
  return daemon;
}

describe('on a real network', () => {
  test('the tailnet listener is on port 80 of the device’s address; peers are known, strangers are not, and the host itself is local', async (t) => {
    const network = await makeNetwork(t);
    const postern = await startHere(t, network, await startDaemon(t));
    const url = `http://${HOST}/api/v1/whoami`;
    assert.match(
      await get(network.there, url, { from: ALICE }),
      /^200 .*"principal":"tailscale:userid:7001"/,
      postern.log(),
    );
    assert.match(await get(network.there, url, { from: ALICE, host: 'gateway.tail1.ts.net' }), /^200 /);
    assert.match(await get(network.there, url, { from: ALICE, host: 'evil.example' }), /^421 /);
    assert.match(await get(network.there, url, { from: STRANGER }), /^401 /);
    assert.match(await get(network.here, url), /^200 .*"principal":"local:0"/);
    assert.match(await get(network.here, `${postern.url}/api/v1/whoami`), /^200 .*"principal":"local:0"/);
    assert.match(
      await get(network.there, `http://${HOST}:${new URL(postern.url).port}/api/v1/whoami`, { from: ALICE }),
      /^ECONNREFUSED/,
    );
  });

  test('without the right to port 80 the port of `listen` is used, and it says so', async (t) => {
    const network = await makeNetwork(t);
    const postern = await startHere(t, network, await startDaemon(t), {
      prefix: ['setpriv', '--bounding-set', '-net_bind_service'],
    });
    assert.match(postern.log(), /may not use port 80/);
    const { port } = new URL(postern.url);
    assert.match(
      await get(network.there, `http://${HOST}:${port}/api/v1/whoami`, { from: ALICE }),
      /^200 .*"door":"tailscaled"/,
    );
  });

  test('`lan` opens on every address of the machine, follows them, and asks for a token over TLS', async (t) => {
    const network = await makeNetwork(t);
    const postern = await startHere(t, network, null, { flags: ['--lan'] });
    const { port } = new URL(postern.url);
    assert.match(await get(network.there, `https://${HOST}:${port}/v1/models`, { from: ALICE }), /^401 /);
    assert.match(await get(network.there, `https://${HOST}:${port}/api/v1/whoami`, { from: ALICE }), /^404 /);
    assert.match(
      await get(network.here, `https://${HOST}:${port}/v1/models`),
      /^401 /,
      'the host itself is nobody there either',
    );
    assert.doesNotMatch(await get(network.there, `http://${HOST}:${port}/v1/models`, { from: ALICE }), /^2/);
    await run(network.here, 'ip', 'address', 'add', '198.51.100.7/24', 'dev', 'v0');
    await run(network.there, 'ip', 'address', 'add', '198.51.100.8/24', 'dev', 'v1');
    await eventually(
      async () => (postern.log().includes('https://198.51.100.7:') ? true : null),
      'the new address is open',
      15_000,
    );
    assert.match(await get(network.there, `https://198.51.100.7:${port}/v1/models`), /^401 /);
  });
});
