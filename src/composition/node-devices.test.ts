/** The devices of Postern's own network: what is kept of them, and what is refused. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { formatPublicKey, generateClientKey, TailnetNode } from '../tailnet/node/index.ts';
import { type Devices, openDevices } from './node-devices.ts';

interface World {
  readonly node: TailnetNode;
  readonly kept: Map<string, string>;
  readonly store: {
    fails: boolean;
    getSetting(name: string): Promise<string | null>;
    putSetting(name: string, value: string): Promise<void>;
  };
  readonly devices: Devices;
  reopen(): Promise<Devices>;
}

async function setUp(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-devices-'));
  const node = new TailnetNode({ stateDir: folder, address4: '127.0.0.1', address6: null });
  await node.up();
  t.after(async () => {
    await node.close();
    await rm(folder, { recursive: true, force: true });
  });
  const kept = new Map<string, string>();
  const store = {
    fails: false,
    getSetting: (name: string) => Promise.resolve(kept.get(name) ?? null),
    putSetting(name: string, value: string) {
      if (store.fails) return Promise.reject(new Error('the disk is full'));
      kept.set(name, value);
      return Promise.resolve();
    },
  };
  const reopen = (): Promise<Devices> =>
    openDevices({
      node,
      store,
      tailnet: 'default',
      endpoint: () => 'ai.example.net:51820',
      clock: systemClock,
      random: systemRandom,
    });
  return { node, kept, store, devices: await reopen(), reopen };
}

const NEW = { name: 'phone', createdBy: 'local:1000' };

test('a private key that is made leaves in the configuration and is kept nowhere', async (t) => {
  const { devices, kept, node } = await setUp(t);
  const { device, configuration } = await devices.add({ ...NEW, ...devices.newKey() });
  const privateKey = /^PrivateKey = (.{44})$/m.exec(configuration)?.[1] ?? assert.fail(configuration);
  assert.match(configuration, /^Endpoint = ai\.example\.net:51820$/m);
  assert.match(
    configuration,
    new RegExp(`^PublicKey = ${RegExp.escape(formatPublicKey(node.publicKey))}$`, 'm'),
  );
  assert.ok(![...kept.values()].join().includes(privateKey));
  assert.ok(!JSON.stringify(devices.list()).includes(privateKey));
  assert.equal(node.whois(device.addresses[0] ?? '')?.name, 'phone');
});

test('a given public key is used, and the configuration says where the private one belongs', async (t) => {
  const { devices } = await setUp(t);
  const publicKey = formatPublicKey(generateClientKey(systemRandom).publicKey);
  const { device, configuration } = await devices.add({ ...NEW, publicKey });
  assert.equal(device.publicKey, publicKey);
  assert.match(configuration, /^# PrivateKey = /m);
});

test('the list survives a restart; addresses of a removed device are given out again', async (t) => {
  const { devices, reopen } = await setUp(t);
  const first = await devices.add({ ...NEW, ...devices.newKey() });
  const second = await devices.add({ ...NEW, ...devices.newKey(), name: 'laptop' });
  assert.notDeepEqual(first.device.addresses, second.device.addresses);
  assert.equal(await devices.remove(first.device.id), true);
  assert.equal(await devices.remove(first.device.id), false);
  const again = await reopen();
  assert.deepEqual(
    again.list().map(({ name }) => name),
    ['laptop'],
  );
  assert.deepEqual((await again.add({ ...NEW, ...again.newKey() })).device.addresses, first.device.addresses);
});

test('a removed device is out even where the store fails; one that cannot be kept is not let in', async (t) => {
  const { devices, store, node } = await setUp(t);
  const { device } = await devices.add({ ...NEW, ...devices.newKey() });
  store.fails = true;
  await assert.rejects(devices.add({ ...NEW, ...devices.newKey(), name: 'laptop' }), /the disk is full/);
  assert.equal(node.status().peers.length, 1);
  await assert.rejects(devices.remove(device.id), /the disk is full/);
  assert.equal(node.status().peers.length, 0);
});

test('names and keys that cannot be are refused, and so are those that are here', async (t) => {
  const { devices, node } = await setUp(t);
  const { device } = await devices.add({ ...NEW, ...devices.newKey() });
  for (const name of ['', 'a b', '-a', 'ai', 'Postern', 'x'.repeat(64), 'é'])
    await assert.rejects(
      devices.add({ ...NEW, ...devices.newKey(), name }),
      { code: 'device_invalid' },
      name,
    );
  await assert.rejects(devices.add({ ...NEW, ...devices.newKey(), name: 'PHONE' }), {
    code: 'device_exists',
  });
  const { publicKey } = device;
  await assert.rejects(devices.add({ ...NEW, name: 'b', publicKey }), { code: 'device_exists' });
  const own = formatPublicKey(node.publicKey);
  for (const bad of ['short', own, Buffer.alloc(32).toString('base64')])
    await assert.rejects(devices.add({ ...NEW, name: 'b', publicKey: bad }), { code: 'device_invalid' });
  assert.equal(devices.list().length, 1);
});

test('a stored list that cannot be read is a fault, never an empty list', async (t) => {
  const { kept, reopen } = await setUp(t);
  kept.set('node.devices:default', '[{"id":1}]');
  await assert.rejects(reopen(), /own shape/);
});
