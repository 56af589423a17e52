/**
 * The door `node` with wireguard-go as the device: a configuration that `postern device add` printed is
 * enough to reach Postern, which knows the device by its key; whoever is removed is out within a second.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { EVERY_MODEL, type GatewayUnderTest, startGateway } from './gateway.ts';
import { createMachineNetwork, type Machine, type MachineNetwork, type RunningProgram } from './machines.ts';
import { findPrograms } from './programs.ts';
import { askFrom } from './request.ts';

const UDP_PORT = 51_820;
const BREAK_GLASS = 'break-glass-of-this-test-0123456789';
/** What the command line presents. */
const ADMIN = { POSTERN_TOKEN: BREAK_GLASS };

let folder = '';
let network: MachineNetwork;
let gatewayMachine: Machine;
let gateway: GatewayUnderTest;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-node-'));
  network = await createMachineNetwork(folder);
  gatewayMachine = await network.add('gateway');
  gateway = await startGateway(
    { machine: gatewayMachine },
    {
      flags: ['--node', '--node-udp-port', String(UDP_PORT), '--node-endpoint', gatewayMachine.address],
      grants: [{ src: ['*'], app: { 'postern.dev/cap/gateway': [EVERY_MODEL] } }],
      env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS },
    },
  );
});

after(async () => {
  await gateway?.stop();
  await network?.close();
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

interface Device {
  readonly name: string;
  readonly machine: Machine;
  readonly daemon: RunningProgram;
  readonly addresses: readonly string[];
  /** The gateway inside. */
  readonly origins: readonly [string, string];
}

/** Adds a device and brings wireguard-go up on a new machine with what was printed. */
async function addDevice(name: string): Promise<Device> {
  const added = await gateway.postern.cli(['device', 'add', name], ADMIN);
  assert.equal(added.code, 0, added.stderr);
  const machine = await network.add(name);
  const daemon = machine.start([findPrograms().wireguardGo, '-f', 'wg0'], { LOG_LEVEL: 'verbose' });
  await eventually(async () => {
    const shown = await machine.exec(['ip', 'link', 'show', 'wg0']);
    return shown.code === 0 ? true : null;
  }, 'wireguard-go made its interface');
  const value = (field: string): string =>
    new RegExp(`^${field} = (.*)$`, 'm').exec(added.stdout)?.[1] ??
    assert.fail(`${field} in ${added.stdout}`);
  const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
  const routes = value('AllowedIPs').split(', ');
  const lines = [
    'set=1',
    `private_key=${hex(value('PrivateKey'))}`,
    `public_key=${hex(value('PublicKey'))}`,
    `endpoint=${value('Endpoint')}`,
    `persistent_keepalive_interval=${value('PersistentKeepalive')}`,
    ...routes.map((route) => `allowed_ip=${route}`),
  ];
  const socket = connect(`/proc/${daemon.pid}/root/run/wireguard/wg0.sock`);
  socket.end(`${lines.join('\n')}\n\n`);
  assert.match(await text(socket), /errno=0/);
  const addresses = value('Address').split(', ');
  const commands = [
    ...addresses.map((address) => ['address', 'add', address, 'dev', 'wg0']),
    ['link', 'set', 'wg0', 'mtu', value('MTU'), 'up'],
    ...routes.map((route) => ['route', 'add', route, 'dev', 'wg0']),
  ];
  for (const command of commands) {
    const done = await machine.exec([
      'ip',
      ...(command.join(' ').includes('::') || command.join(' ').includes('fd') ? ['-6'] : []),
      ...command,
    ]);
    assert.equal(done.code, 0, `${command.join(' ')}: ${done.stderr}`);
  }
  const [v4 = '', v6 = ''] = routes.map((route) => route.replace(/\/\d+$/, ''));
  return {
    name,
    machine,
    daemon,
    addresses: addresses.map((address) => address.replace(/\/\d+$/, '')),
    origins: [`http://${v4}`, `http://[${v6}]`],
  };
}

describe('the door node, with wireguard-go', () => {
  test('a printed configuration is enough; whoami names the device, over both IP versions', async () => {
    const phone = await addDevice('phone');
    for (const origin of phone.origins) {
      const answer = await gateway.whoami(phone.machine, origin);
      assert.equal(answer.status, 200, `${answer.how} ${answer.text} ${gateway.postern.log()}`);
      const { door, device, user } = answer.json();
      assert.equal(door, 'node');
      assert.equal(user, null);
      assert.ok(typeof device === 'object' && device !== null && 'name' in device);
      assert.equal(device.name, 'phone');
      const chat = await gateway.chat(phone.machine, origin);
      assert.equal(chat.status, 200, chat.text);
    }
    const listed = await gateway.postern.cli(['device', 'list', '--json'], ADMIN);
    const { items } = JSON.parse(listed.stdout) as { items: Record<string, unknown>[] };
    assert.equal(items[0]?.['endpoint'] === null, false);
    assert.doesNotMatch(listed.stdout, /private/i);
  });

  test('a Host that the gateway does not have is refused with 421', async () => {
    const tablet = await addDevice('tablet');
    const answer = await askFrom(tablet.machine, `${tablet.origins[0]}/api/v1/whoami`, {
      headers: ['host', 'evil.example'],
    });
    assert.equal(answer.status, 421, answer.text);
  });

  test('devices do not reach each other', async () => {
    const [one, two] = [await addDevice('one'), await addDevice('two')];
    assert.equal((await gateway.whoami(two.machine, two.origins[0])).status, 200);
    const [address = ''] = two.addresses;
    const route = await one.machine.exec(['ip', 'route', 'add', `${address}/32`, 'dev', 'wg0']);
    assert.equal(route.code, 0, route.stderr);
    const ping = `
      const socket = require('node:net').connect(80, '${address}');
      socket.setTimeout(1500, () => { console.log('silence'); process.exit(); });
      socket.on('connect', () => { console.log('connected'); process.exit(); });
      socket.on('error', (error) => { console.log(error.code); process.exit(); });`;
    const result = await one.machine.exec([process.execPath, '-e', ping]);
    assert.match(result.stdout, /silence|EHOSTUNREACH|ENOKEY/, result.stdout);
  });

  test('removal cuts an open stream within a second, and lets nothing in afterwards', async () => {
    const lost = await addDevice('lost');
    const stream = await gateway.openStream(lost.machine, lost.origins[0], 'lost');
    assert.ok(await gateway.isOpen('lost'));
    const removed = gateway.postern.cli(['device', 'remove', 'lost'], ADMIN);
    const done = await removed;
    assert.equal(done.code, 0, done.stderr);
    const cutMs = await gateway.untilCut('lost', 3000);
    assert.ok(cutMs < 1000, `${cutMs} ms after the command had ended`);
    await stream.stop();
    const again = await lost.machine.exec([
      process.execPath,
      '-e',
      `require('node:http').get('${lost.origins[0]}/healthz', () => console.log('in')).on('error', () => console.log('out'));
       setTimeout(() => { console.log('out'); process.exit(); }, 2000);`,
    ]);
    assert.match(again.stdout, /out/);
  });

  test('the list has who is in, and no longer who was removed', async () => {
    const listed = await gateway.postern.cli(['device', 'list'], ADMIN);
    assert.match(listed.stdout, /phone/);
    assert.doesNotMatch(listed.stdout, /lost/);
  });
});
