/** Devices over the API (DESIGN section 5, door `node`): who may see and change them, and what is recorded. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AppError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import type { DevicesPort, DeviceView } from '../ports.ts';
import { caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';

const user = caller('local:1');
const auditor = caller('local:2');
const admin = caller('local:4');
const adminToken = tokenCaller('local:4', ['admin']);
const readToken = tokenCaller('local:4', ['read']);

const PRIVATE = 'a private key that is in the configuration only';
const NAME_MAX = 63;

/** As the real one, in memory; `fault` is what the next change fails with. */
function memoryDevices(): DevicesPort & { fault: Error | null; readonly kept: DeviceView[] } {
  return {
    fault: null,
    kept: [],
    list() {
      return this.kept;
    },
    newKey: () => ({ publicKey: 'made', privateKey: new Secret(PRIVATE) }),
    add({ name, publicKey, createdBy }) {
      if (this.fault !== null) return Promise.reject(this.fault);
      const device: DeviceView = {
        id: `dev_${this.kept.length + 1}`,
        name,
        publicKey,
        principal: `postern:device:${name}`,
        addresses: ['10.37.16.2'],
        createdAt: 1_790_000_000_000,
        createdBy,
        lastHandshakeAt: null,
        endpoint: null,
        receivedBytes: 0,
        sentBytes: 0,
      };
      this.kept.push(device);
      return Promise.resolve({ device, configuration: `PrivateKey = ${PRIVATE}` });
    },
    remove(id) {
      const index = this.kept.findIndex((device) => device.id === id);
      if (index >= 0) this.kept.splice(index, 1);
      if (this.fault !== null) return Promise.reject(this.fault);
      return Promise.resolve(index >= 0);
    },
  };
}

describe('devices', () => {
  let devices: ReturnType<typeof memoryDevices>;
  let t: TestApi;
  beforeEach(async () => {
    devices = memoryDevices();
    t = await startTestApi({ devices });
    t.world.access.set('local:1', { roles: new Set(['user']) });
    t.world.access.set('local:2', { roles: new Set(['auditor']) });
    t.world.access.set('local:4', { roles: new Set(['admin']) });
  });
  afterEach(() => t.close());

  const add = (body: unknown, as = adminToken) => t.send(as, 'POST', '/api/v1/devices', { body });
  const audited = () => t.world.store.audit.map(({ action, target }) => [action, target]);

  test('an added device is given its configuration once, which neither the list nor a log keeps', async () => {
    const answer = await add({ name: 'phone' });
    assert.equal(answer.status, 201, answer.text);
    assert.match(String(answer.json['configuration']), new RegExp(PRIVATE));
    assert.equal(answer.json['created_by'], 'local:4');
    const list = await t.send(auditor, 'GET', '/api/v1/devices');
    assert.deepEqual([list.items.length, list.json['enabled']], [1, true]);
    const kept = [list.text, JSON.stringify(t.world.store.audit), JSON.stringify(t.world.logs)].join();
    assert.ok(!kept.includes(PRIVATE));
    assert.deepEqual(audited(), [['device.add', 'phone']]);
    const listed = list.items[0]?.['public_key'];
    assert.equal(typeof listed, 'string');
    assert.equal(t.world.store.audit[0]?.facts['public_key'], listed, 'the row tells which device it was');
  });

  test('a device is online for three minutes after its keys were agreed', async () => {
    await add({ name: 'phone' });
    const isOnline = async (ageMs: number | null): Promise<unknown> => {
      const [device] = devices.kept;
      assert.ok(device !== undefined);
      devices.kept[0] = { ...device, lastHandshakeAt: ageMs === null ? null : t.world.now - ageMs };
      return (await t.send(auditor, 'GET', '/api/v1/devices')).items[0]?.['online'];
    };
    assert.equal(await isOnline(null), false);
    assert.equal(await isOnline(179_999), true);
    assert.equal(await isOnline(180_000), false);
  });

  test('users see no devices; auditors change none; an admin does it in person or with a token for that', async () => {
    await add({ name: 'phone' });
    const before = t.world.store.audit.length;
    assert.equal((await t.send(user, 'GET', '/api/v1/devices')).json['code'], 'role_missing');
    assert.equal((await t.send(readToken, 'GET', '/api/v1/devices')).json['code'], 'role_missing');
    for (const [method, path] of [
      ['POST', '/api/v1/devices'],
      ['DELETE', '/api/v1/devices/dev_1'],
    ] as const) {
      const body = method === 'POST' ? { body: { name: 'x' } } : {};
      for (const [as, code] of [
        [user, 'role_missing'],
        [auditor, 'role_missing'],
        [readToken, 'scope_missing'],
        [admin, 'presence_required'],
      ] as const) {
        const answer = await t.send(as, method, path, body);
        assert.deepEqual([answer.status, answer.json['code']], [403, code], `${as.principal} ${method}`);
      }
      assert.equal((await t.send(null, method, path, body)).status, 401);
    }
    assert.equal(devices.kept.length, 1);
    assert.equal(t.world.store.audit.length, before);
  });

  test('what is no name, no key or an unknown member is refused before anything is asked', async () => {
    for (const body of [
      {},
      { name: '' },
      { name: 'x'.repeat(NAME_MAX + 1) },
      { name: 7 },
      { name: 'x', public_key: 'k'.repeat(65) },
      { name: 'x', private_key: 'mine' },
    ])
      assert.equal((await add(body)).json['code'], 'invalid_request', JSON.stringify(body));
    assert.deepEqual(devices.kept, []);
  });

  test('the refusals of the network have their codes, and the attempt is recorded as failed', async () => {
    for (const [code, status, told] of [
      ['device_invalid', 400, 'invalid_request'],
      ['device_exists', 409, 'conflict'],
      ['device_limit', 429, 'too_many'],
    ] as const) {
      devices.fault = new AppError(code, 'a device named "phone" is here already');
      const answer = await add({ name: 'phone' });
      assert.deepEqual([answer.status, answer.json['code']], [status, told], answer.text);
      assert.match(String(answer.json['detail']), /here already/);
    }
    assert.deepEqual(audited().slice(-2), [
      ['device.add', 'phone'],
      ['device.add.failed', 'phone'],
    ]);
  });

  test('a removal is recorded with the name; what is not there is a 404; where the store fails it is out all the same', async () => {
    await add({ name: 'phone' });
    const remove = (id: string) => t.send(adminToken, 'DELETE', `/api/v1/devices/${id}`);
    assert.equal((await remove('dev_9')).status, 404);
    assert.equal((await remove('dev_1')).status, 204);
    const [last] = t.world.store.audit.slice(-1);
    assert.deepEqual([last?.action, last?.target, last?.presence], ['device.remove', 'dev_1', 'token']);
    assert.equal(Object(last?.facts)['name'], 'phone');
    await add({ name: 'laptop' });
    devices.fault = new Error('the disk is full');
    assert.equal((await remove('dev_1')).status, 500);
    assert.deepEqual(devices.kept, []);
  });

  test('where the log cannot be written nothing is added, but a device is removed', async () => {
    await add({ name: 'phone' });
    t.world.storeDown = true;
    assert.ok((await add({ name: 'laptop' })).status >= 500);
    assert.equal(devices.kept.length, 1);
    assert.ok((await t.send(adminToken, 'DELETE', '/api/v1/devices/dev_1')).status >= 500);
    assert.deepEqual(devices.kept, []);
  });
});

test('where the network is off the list is empty and says so, and changes say who turns it on', async () => {
  const t = await startTestApi();
  t.world.access.set('local:4', { roles: new Set(['admin']) });
  try {
    const list = await t.send(admin, 'GET', '/api/v1/devices');
    assert.deepEqual(list.json, { items: [], next_cursor: null, enabled: false });
    for (const answer of [
      await t.send(adminToken, 'POST', '/api/v1/devices', { body: { name: 'phone' } }),
      await t.send(adminToken, 'DELETE', '/api/v1/devices/dev_1'),
    ]) {
      assert.equal(answer.json['code'], 'conflict');
      assert.match(String(answer.json['detail']), /--node/);
    }
  } finally {
    await t.close();
  }
});
