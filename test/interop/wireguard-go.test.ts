/**
 * Our WireGuard against wireguard-go, each on a machine of its own: both roles, with and without a
 * preshared key, both IP versions inside, cookies, restarts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { systemRandom } from '../../src/base/random.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { eventually } from '../scenarios/ask.ts';
import { createMachineNetwork, type Machine, type MachineNetwork, type RunningProgram } from './machines.ts';
import { findPrograms } from './programs.ts';
import type { WireguardNodeSettings } from './wireguard-node-process.ts';

const PROGRAM = resolve(import.meta.dirname, 'wireguard-node-process.ts');
const THEIR_PORT = 51_820;
const OUR_PORT = 51_821;
const [THEIR_IP, OUR_IP] = ['10.9.0.1', '10.9.0.2'];
const [THEIR_IPV6, OUR_IPV6] = ['fd09::1', 'fd09::2'];
const PRESHARED_KEY = '2b'.repeat(32);
const ALLOWED = [`${THEIR_IP}/32`, `${THEIR_IPV6}/128`];

const theirKey = X25519PrivateKey.generate(systemRandom);
const ourKey = X25519PrivateKey.generate(systemRandom);
const hexOf = (key: X25519PrivateKey): string => key.publicKey.bytes.toString('hex');

let folder = '';
let network: MachineNetwork;
let theirMachine: Machine;
let ourMachine: Machine;
let wireguardGo: RunningProgram;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-wireguard-'));
  network = await createMachineNetwork(folder);
  [theirMachine, ourMachine] = [await network.add('theirs'), await network.add('ours')];
  wireguardGo = theirMachine.start([findPrograms().wireguardGo, '-f', 'wg0'], { LOG_LEVEL: 'verbose' });
  await eventually(async () => {
    const shown = await theirMachine.exec(['ip', 'link', 'show', 'wg0']);
    return shown.code === 0 ? true : null;
  }, 'wireguard-go made its interface');
  for (const words of [
    ['ip', 'address', 'add', `${THEIR_IP}/24`, 'dev', 'wg0'],
    ['ip', 'address', 'add', `${THEIR_IPV6}/64`, 'dev', 'wg0', 'nodad'],
    ['ip', 'link', 'set', 'wg0', 'mtu', '1420', 'up'],
  ]) {
    const result = await theirMachine.exec(words);
    assert.equal(result.code, 0, result.stderr);
  }
});

after(async () => {
  await network?.close();
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

/** wireguard-go's configuration protocol over its socket, reached through the mounts of its machine (where `/var/run` would lead out). */
async function control(request: string): Promise<string> {
  const socket = connect(`/proc/${wireguardGo.pid}/root/run/wireguard/wg0.sock`);
  socket.end(`${request}\n\n`);
  return text(socket);
}

/** Makes us wireguard-go's only peer, without any session. */
async function configureTheirs(presharedKey: string | null): Promise<void> {
  const lines = [
    'set=1',
    `private_key=${theirKey.reveal().toString('hex')}`,
    `listen_port=${THEIR_PORT}`,
    'replace_peers=true',
    `public_key=${hexOf(ourKey)}`,
    ...(presharedKey === null ? [] : [`preshared_key=${presharedKey}`]),
    `endpoint=${ourMachine.address}:${OUR_PORT}`,
    `allowed_ip=${OUR_IP}/32`,
    `allowed_ip=${OUR_IPV6}/128`,
  ];
  const answer = await control(lines.join('\n'));
  assert.match(answer, /errno=0/, answer);
}

async function startOurs(more: Partial<WireguardNodeSettings> = {}): Promise<RunningProgram> {
  const settings: WireguardNodeSettings = {
    privateKey: ourKey.reveal().toString('hex'),
    port: OUR_PORT,
    peerPublicKey: hexOf(theirKey),
    presharedKey: null,
    peerAddress: theirMachine.address,
    peerPort: THEIR_PORT,
    allowedIps: ALLOWED,
    ...more,
  };
  const program = ourMachine.start([process.execPath, PROGRAM], { WIREGUARD_NODE: JSON.stringify(settings) });
  await eventually(() => (/^ready /m.test(program.log()) ? true : null), 'our node is up');
  return program;
}

/**
 * Sends datagrams of `bytes` to us through wireguard-go, ten of them 50 ms apart, and waits 8 s for
 * those that come back. Gives how many did.
 */
async function ping(address: string, bytes = 64): Promise<number> {
  const program = `
    const socket = require('node:dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
    const back = new Set();
    const done = () => { console.log(back.size); process.exit(); };
    socket.on('message', (message) => {
      if (message.length === ${bytes} && message.every((byte) => byte === message[0])) back.add(message[0]);
      if (back.size === 10) done();
    });
    for (let count = 0; count < 10; count += 1)
      setTimeout(() => socket.send(Buffer.alloc(${bytes}, count), 7, '${address}'), count * 50);
    setTimeout(done, 8000);`;
  const result = await theirMachine.exec([process.execPath, '-e', program]);
  assert.equal(result.code, 0, result.stderr);
  return Number(result.stdout);
}

describe('wireguard-go', () => {
  for (const [words, presharedKey] of [
    ['without a preshared key', null],
    ['with a preshared key', PRESHARED_KEY],
  ] as const) {
    test(`begins, ${words}: datagrams of both IP versions come back`, async () => {
      await configureTheirs(presharedKey);
      const ours = await startOurs({ presharedKey });
      assert.equal(await ping(OUR_IP), 10);
      assert.equal(await ping(OUR_IPV6), 10);
      assert.equal(await ping(OUR_IP, 1392), 10, 'full packets');
      assert.match(ours.log(), /"role":"responder"/);
      await ours.stop();
    });

    test(`answers, ${words}, and takes our next handshake while the first session lasts`, async () => {
      await configureTheirs(presharedKey);
      const echo = { from: OUR_IP, to: THEIR_IP, count: 60 };
      const ours = await startOurs({ presharedKey, echo });
      await eventually(() => (/answered 60\n/.test(ours.log()) ? true : null), 'echoes came back');
      await eventually(
        async () => ((ours.log().match(/"role":"initiator"/g) ?? []).length >= 2 ? true : null),
        'two handshakes',
      );
      assert.equal(await ping(OUR_IP), 10, 'the way back works under the new session');
      await ours.stop();
    });
  }

  test('refuses us with another preshared key, and we it', async () => {
    await configureTheirs(PRESHARED_KEY);
    const ours = await startOurs({ presharedKey: '2c'.repeat(32) });
    assert.equal(await ping(OUR_IP), 0);
    await ours.stop();
  });

  test('finds a node that lost its sessions in a restart as soon as that one begins', async () => {
    await configureTheirs(null);
    const first = await startOurs();
    assert.equal(await ping(OUR_IP), 10);
    await first.stop('SIGKILL');
    const second = await startOurs({ echo: { from: OUR_IP, to: THEIR_IP, count: 1 } });
    await eventually(() => (/answered 1\n/.test(second.log()) ? true : null), 'we began anew');
    assert.equal(await ping(OUR_IP), 10);
    await second.stop();
  });

  test('understands our cookies: under load it proves its address and gets through', async () => {
    await configureTheirs(PRESHARED_KEY);
    const ours = await startOurs({ presharedKey: PRESHARED_KEY, alwaysUnderLoad: true });
    const received = await ping(OUR_IP);
    assert.ok(received > 0, `what waited came through, got ${received}`);
    await ours.stop();
    const counted: unknown = JSON.parse(ours.log().trim().split('\n').at(-1) ?? 'null');
    assert.ok(typeof counted === 'object' && counted !== null && 'counters' in counted);
    const { counters } = counted;
    assert.ok(typeof counters === 'object' && counters !== null && 'cookieRepliesSent' in counters);
    assert.ok(Number(counters.cookieRepliesSent) >= 1);
  });
});
