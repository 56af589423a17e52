/** One tailnet sees nothing of another's (DESIGN section 12): over the transport, with the keys of both. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemRandom } from '../../base/random.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import { type ControlConnection, connectControl, fetchControlKey } from '../protocol/control-connection.ts';
import { parseControlUrl } from '../protocol/control-url.ts';
import { RefusedByControl } from '../protocol/errors.ts';
import { loopbackDialer } from '../protocol/fake-control.ts';
import { readMapMessages } from '../protocol/map-stream.ts';
import { type ControlBed, startControlBed } from './control-bed.fixture.ts';
import { keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { MapViewer } from './map-viewer.ts';

interface Machine {
  readonly connection: ControlConnection;
  readonly nodeKey: string;
}

let bed: ControlBed;
/** The same machine in both tailnets, as the official client has it for its profiles. */
const shared = X25519PrivateKey.generate(systemRandom);
const foreign = X25519PrivateKey.generate(systemRandom);
let inFirst: Machine;
let inSecond: Machine;
let stranger: Machine;

async function connect(machineKey: X25519PrivateKey): Promise<ControlConnection> {
  const signal = AbortSignal.timeout(10_000);
  const options = {
    dialer: loopbackDialer,
    url: parseControlUrl(bed.url),
    machineKey,
    random: systemRandom,
    signal,
  };
  return connectControl(options, await fetchControlKey(options));
}

function ask(connection: ControlConnection, path: string, body: object): Promise<Buffer> {
  return connection.request({ path, body: JSON.stringify(body), signal: AbortSignal.timeout(5000) });
}

async function join(machineKey: X25519PrivateKey, authKey: string): Promise<Machine> {
  const connection = await connect(machineKey);
  const key = X25519PrivateKey.generate(systemRandom).publicKey.bytes.toString('hex');
  const nodeKey = `nodekey:${key}`;
  const answer = await ask(connection, '/machine/register', {
    Version: 125,
    NodeKey: nodeKey,
    Auth: { AuthKey: authKey },
    Hostinfo: { Hostname: 'box', OS: 'linux' },
  });
  assert.equal(JSON.parse(answer.toString('utf8')).MachineAuthorized, true);
  return { connection, nodeKey };
}

async function mapOf({ connection, nodeKey }: Machine): Promise<string> {
  const stream = await connection.stream({
    path: '/machine/map',
    body: JSON.stringify({ Version: 125, NodeKey: nodeKey, Stream: true }),
    signal: AbortSignal.timeout(5000),
  });
  for await (const json of readMapMessages(stream, () => undefined)) {
    stream.destroy();
    return json.toString('utf8');
  }
  return '';
}

before(async () => {
  bed = await startControlBed();
  const [first, second] = [await bed.addPeople('first'), await bed.addPeople('second')];
  inFirst = await join(shared, await bed.key(first.tailnet));
  inSecond = await join(shared, await bed.key(second.tailnet));
  stranger = await join(foreign, await bed.key(second.tailnet));
});

after(async () => {
  for (const { connection } of [inFirst, inSecond, stranger]) connection.close();
  await bed.close();
});

describe('two tailnets with the same machine, host names and users', () => {
  test('each map has its own tailnet alone: no node, name, user, address of the other', async () => {
    const [first, second] = [await mapOf(inFirst), await mapOf(inSecond)];
    const [one, two] = bed.admin.tailnets();
    assert.ok(one !== undefined && two !== undefined);
    for (const [map, own, other] of [
      [first, one, two],
      [second, two, one],
    ] as const) {
      assert.ok(map.includes(own.domain));
      assert.ok(!map.includes(other.domain));
      for (const node of other.nodes()) {
        const marks = [node.stableId, node.nodeKey, node.ipv4, node.ipv6, `"ID":${node.id},`];
        for (const mark of marks) assert.ok(!map.includes(mark), mark);
      }
      for (const user of other.users()) assert.ok(!map.includes(user.login));
      assert.ok(!map.includes(`"ID":${other.record.taggedUserId},`));
    }
    assert.equal(JSON.parse(first).Peers, undefined);
    assert.equal(JSON.parse(second).Peers.length, 1);
  });

  test('what clients merge profiles by differs: user, tagged user, stable id (section 14.3)', () => {
    const [one, two] = bed.admin.tailnets();
    assert.ok(one !== undefined && two !== undefined);
    assert.notEqual(one.users()[0]?.id, two.users()[0]?.id);
    assert.notEqual(one.record.taggedUserId, two.record.taggedUserId);
    const ids = [...one.nodes(), ...two.nodes()].flatMap(({ id, stableId, ipv4 }) => [id, stableId, ipv4]);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('every question with the node key of another machine is refused, and changes nothing', async () => {
    const before = JSON.stringify(bed.admin.tailnets().map((tailnet) => tailnet.nodes()));
    const { connection } = stranger;
    for (const { nodeKey } of [inFirst, inSecond]) {
      const lite = {
        Version: 125,
        NodeKey: nodeKey,
        OmitPeers: true,
        DiscoKey: `discokey:${'9'.repeat(64)}`,
      };
      for (const body of [lite, { ...lite, Stream: true }, { ...lite, OmitPeers: false }])
        await assert.rejects(
          ask(connection, '/machine/map', body),
          (error) => error instanceof RefusedByControl && error.status === 404,
        );
      for (const body of [
        { Version: 125, NodeKey: nodeKey },
        { Version: 125, NodeKey: nodeKey, Expiry: '1970-01-01T00:02:03Z' },
        { Version: 125, NodeKey: nodeKey, Auth: { AuthKey: 'x' } },
      ]) {
        const answer = JSON.parse((await ask(connection, '/machine/register', body)).toString('utf8'));
        assert.deepEqual(answer, { NodeKeyExpired: true, MachineAuthorized: false, AuthURL: '' });
      }
      const renewing = { Version: 125, NodeKey: `nodekey:${'8'.repeat(64)}`, OldNodeKey: nodeKey };
      const answer = JSON.parse((await ask(connection, '/machine/register', renewing)).toString('utf8'));
      assert.match(answer.AuthURL, /\/a\//, 'its own login, and not a renewal');
    }
    await assert.rejects(ask(connection, '/machine/c2n/abc', {}), RefusedByControl);
    await assert.rejects(ask(connection, '/machine/ping-response?id=abc', {}), RefusedByControl);
    assert.equal(JSON.stringify(bed.admin.tailnets().map((tailnet) => tailnet.nodes())), before);
  });

  test('a good auth key of the other tailnet moves no device', async () => {
    const second = bed.admin.tailnet('second');
    const body = { Version: 125, NodeKey: inFirst.nodeKey, Auth: { AuthKey: await bed.key(second) } };
    const answer = JSON.parse((await ask(inFirst.connection, '/machine/register', body)).toString('utf8'));
    assert.match(answer.Error, /another tailnet/);
    assert.equal(bed.admin.tailnet('first').nodes().length, 1);
  });
});

describe('work', () => {
  test('a change in one tailnet wakes nobody of another; deleting one cuts its devices alone', async () => {
    const pure = await openCoordinatorBed();
    const [one, two] = [await pure.add('one'), await pure.add('two')];
    const nodes = [one, two].map(async (tailnet, at) =>
      pure.join(keyOf(`m${at}`), { nodeKey: keyOf(`n${at}`), authKey: await pure.key(tailnet) }),
    );
    const [a, b] = await Promise.all(nodes);
    assert.ok(a !== undefined && b !== undefined);
    let woken = 0;
    const viewer = new MapViewer(b.id, two.source, () => {
      woken += 1;
    });
    two.attach(viewer, pure.coordinator.now());
    viewer.take(pure.coordinator.now());
    await pure.admin.changeTailnet(one, { policy: '{}' });
    pure.join(keyOf('m9'), { nodeKey: keyOf('n9'), authKey: await pure.key(one) });
    const ended: number[] = [];
    pure.coordinator.onDeviceEnd(({ nodeId }) => ended.push(nodeId));
    const count = one.nodes().length;
    await pure.admin.deleteTailnet(one);
    assert.equal(woken, 0);
    assert.equal(ended.length, count);
    assert.ok(!ended.includes(b.id));
    assert.equal(pure.coordinator.device(a.machineKey, a.nodeKey), null);
    const later = await pure.reopen();
    assert.deepEqual(
      later.admin.tailnets().map(({ record }) => record.name),
      ['two'],
    );
  });
});
