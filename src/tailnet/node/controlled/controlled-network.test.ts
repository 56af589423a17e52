/** Nodes in the network of a control server on loopback, and what hostile servers get to hear. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { NetstackSocket } from '../../netstack/index.ts';
import { ALLOW_ALL, FakeNetwork, type JoinedNode } from './network.fixture.ts';

let network: FakeNetwork;

beforeEach(async () => {
  network = await FakeNetwork.start();
});
afterEach(() => network.close());

interface OpenConnection {
  /** At the one that called. */
  readonly calling: NetstackSocket;
  /** At the one that listens. */
  readonly called: NetstackSocket;
  /** Both ends are gone. */
  readonly ended: Promise<unknown>;
}

async function openConnection(from: JoinedNode, to: JoinedNode, port = 7): Promise<OpenConnection> {
  const accepted = Promise.withResolvers<NetstackSocket>();
  to.node.listen(port, (socket) => accepted.resolve(socket.on('error', () => undefined)));
  const calling = await from.node.dial(to.node.ownNames[0] ?? '', port, { timeoutMs: 5000 });
  calling.on('error', () => undefined);
  const called = await accepted.promise;
  return { calling, called, ended: Promise.all([closed(calling), closed(called)]) };
}

/** Whatever way it ended. */
function closed(socket: NetstackSocket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

const isEnded = ({ type }: { type: string }): boolean => type === 'peer_ended';

describe('in a network', () => {
  test('nodes reach each other by name, directly, and know who calls', async () => {
    const { ay, bee } = await network.pair();
    assert.deepEqual(ay.node.addresses, ['100.64.0.1', 'fd7a:115c:a1e0::1']);
    assert.deepEqual(ay.node.ownNames, ['ay.net.test', 'ay']);
    assert.deepEqual(bee.node.lookup('AY.net.test.'), ay.node.addresses);
    assert.deepEqual(bee.node.lookup('nobody'), []);
    const server = http.createServer((request, response) => {
      const peer = ay.node.peerOf(request.socket);
      response.end(`${peer?.name} ${peer?.user?.login} ${peer?.network}`);
    });
    ay.node.listen(80, (socket) => server.emit('connection', socket));
    const agent = bee.node.httpAgent();
    const [response] = (await once(http.get({ agent, host: 'ay' }), 'response')) as [http.IncomingMessage];
    assert.equal(await text(response), 'bee alice@example.com example.com');
    agent.destroy();
    assert.equal(ay.node.whois('100.64.0.2')?.name, 'bee');
    assert.equal(ay.node.whois('100.64.0.1'), null, 'the node is not its own peer');
    assert.equal(ay.node.whois('100.64.0.9'), null);
    const [peer] = ay.node.status().peers;
    assert.deepEqual([peer?.path, peer?.endpoint], ['direct', `127.0.0.1:${bee.node.udpPort}`]);
  });

  test('a connection that no rule allows is dropped and counted: without rules everything', async () => {
    network.filter = [];
    const { ay, bee } = await network.pair();
    ay.node.listen(80, () => assert.fail('nobody gets in'));
    await assert.rejects(bee.node.dial('ay', 80, { timeoutMs: 300 }), { code: 'ETIMEDOUT' });
    assert.ok((ay.node.status().control?.counters.filtered.denied ?? 0) > 0);
  });

  test('a connection that the rules no longer allow is cut with the map; one that they allow stays', async () => {
    const { ay, bee } = await network.pair();
    const cut = await openConnection(bee, ay, 80);
    const kept = await openConnection(bee, ay, 443);
    const out = await openConnection(ay, bee, 80);
    network.filter = [{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 443, Last: 443 } }] }];
    network.tell();
    await Promise.all([cut.ended, out.ended]);
    assert.equal(kept.called.destroyed, false);
    assert.equal(ay.node.status().control?.counters.connectionsCut, 1);
  });

  test('a peer that is removed loses what it opened and what was opened to it', async () => {
    const { ay, bee } = await network.pair();
    const asked = ay.node.whois('100.64.0.2');
    const [inward, outward] = [await openConnection(bee, ay, 7), await openConnection(ay, bee, 8)];
    network.hide('bee');
    const event = await ay.event(isEnded);
    assert.deepEqual(event, { type: 'peer_ended', peer: asked });
    assert.ok(inward.called.destroyed && outward.calling.destroyed, 'before anybody is told');
    assert.equal(ay.node.peerOf(inward.called), null);
    assert.equal(ay.node.whois('100.64.0.2'), null);
  });

  for (const [what, fields] of [
    ['tags', { Tags: ['tag:ci'] }],
    ['owner', { User: 2 }],
    ['id', { StableID: 'n99' }],
    ['address', { Addresses: ['100.64.0.77/32'] }],
    ['network', { Sharer: 7 }],
    ['role as a router', { AllowedIPs: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128', '10.0.0.0/8'] }],
  ] as const) {
    test(`another ${what} is another identity: its connections end`, async () => {
      const { ay, bee } = await network.pair();
      const { called } = await openConnection(bee, ay);
      const before = ay.node.peerOf(called);
      network.fields.set('bee', fields);
      network.tell();
      const event = await ay.event(isEnded);
      assert.equal(event.type === 'peer_ended' && event.peer, before);
      assert.ok(called.destroyed);
    });
  }

  test('other capabilities or names leave connections alone; who asks is told what is true now', async () => {
    const { ay, bee } = await network.pair();
    const { called } = await openConnection(bee, ay);
    const before = ay.node.peerOf(called);
    assert.equal(before?.capabilities.size, 0);
    await network.settle(ay);
    assert.equal(ay.node.peerOf(called), before, 'one object as long as nothing changes');
    network.filter = [
      ...ALLOW_ALL,
      { SrcIPs: ['100.64.0.2'], CapGrant: [{ Dsts: ['100.64.0.1/32'], CapMap: { 'example.com/cap': [1] } }] },
    ];
    network.tell();
    const event = await ay.event(({ type }) => type === 'peer_changed');
    const now = ay.node.peerOf(called);
    assert.equal(event.type === 'peer_changed' && event.peer, now);
    assert.deepEqual(now?.capabilities.get('example.com/cap'), [1]);
    assert.equal(ay.node.whois('100.64.0.2'), now);
    assert.equal(called.destroyed, false);
    assert.ok(!ay.events.some(isEnded));
  });

  test('another address of our own: connections of the old one end, listeners stay', async () => {
    const { ay, bee } = await network.pair();
    const { called } = await openConnection(bee, ay);
    const server = ay.node.listen(9, (socket) => socket.end('here'));
    network.fields.set('ay', { Addresses: ['100.64.0.50/32'] });
    network.tell();
    await closed(called);
    assert.deepEqual(ay.node.addresses, ['100.64.0.50']);
    await bee.event(({ type }) => type === 'network' && bee.node.lookup('ay')[0] === '100.64.0.50');
    assert.equal(await text(await bee.node.dial('ay', 9, { timeoutMs: 5000 })), 'here');
    assert.ok(server.listening);
  });

  test('subnets of routers are sent to only where the embedder asked for it, and stand for nobody', async () => {
    network.fields.set('bee', { AllowedIPs: ['100.64.0.2/32', '10.9.0.0/16', '0.0.0.0/0'] });
    const ay = await network.join('ay');
    const cee = await network.join('cee', { acceptRoutes: true });
    await network.join('bee');
    await network.settle(ay, cee);
    const dropped = (node: JoinedNode): number => node.node.status().wireguard?.dropped.no_peer ?? 0;
    for (const [node, host, drops] of [
      [ay, '10.9.0.1', true],
      [cee, '10.9.0.1', false],
      [cee, '192.0.2.1', true],
    ] as const) {
      const before = dropped(node);
      await assert.rejects(node.node.dial(host, 80, { timeoutMs: 50 }), { code: 'ETIMEDOUT' });
      assert.equal(dropped(node) > before, drops, `${node.node.hostname} to ${host}`);
    }
    assert.equal(cee.node.whois('10.9.0.1'), null);
    assert.equal(cee.node.whois('100.64.0.3')?.carriesOthers, true);
  });

  test('peers are the control server’s to say', async () => {
    const { node } = await network.join('ay');
    const refused = { code: 'node_invalid_setting' };
    assert.throws(() => node.setPeer({ publicKey: '', name: 'x', addresses: [] }), refused);
    assert.throws(() => node.removePeer(''), refused);
    assert.throws(() => node.addressesOf(2), refused);
  });
});

describe('joining', () => {
  test('a login by hand: the URL is told, `up` waits for the approval', async () => {
    const approval = Promise.withResolvers<void>();
    network.register = (call) => {
      if (call.body['Followup'] === undefined) call.answer(200, { AuthURL: 'https://login.example/a' });
      else void approval.promise.then(() => call.answer(200, { MachineAuthorized: true }));
      return true;
    };
    const { node, events, event } = network.make('ay', { authKey: undefined as never });
    const urls: string[] = [];
    const up = node.up({ onLoginUrl: (url) => urls.push(url) });
    await event(({ type }) => type === 'login_url');
    await event((next) => next.type === 'state' && next.state === 'needs_login');
    assert.deepEqual(urls, ['https://login.example/a']);
    assert.equal(node.status().control?.loginUrl, 'https://login.example/a');
    assert.throws(() => node.listen(80), { code: 'node_not_up' });
    approval.resolve();
    assert.equal((await up).state, 'running');
    assert.equal(node.status().control?.loginUrl, null);
    assert.equal(events.filter(({ type }) => type === 'state').length, 2);
  });

  test('keeps its keys in a file that only its owner reads, and joins again with them and no auth key', async () => {
    const first = await network.join('ay');
    const { publicKey } = first.node.status();
    await first.node.close();
    const path = join(network.folder, 'ay', 'node.json');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const calls = network.control.calls.length;
    const again = await network.join('ay', { controlUrl: `${network.control.url}/` });
    assert.equal(again.node.status().publicKey, publicKey);
    const [register] = network.control.calls.slice(calls);
    assert.equal(register?.body['Auth'], undefined);
    assert.doesNotMatch(JSON.stringify(again.node.status()), /privkey|"key"/);
  });

  test('a refused auth key is told, not tried again; nothing runs afterwards', async () => {
    network.register = (call) => {
      call.answer(200, { Error: 'invalid key' });
      return true;
    };
    const { node, event } = network.make('ay');
    await assert.rejects(node.up(), { code: 'control_login_refused', message: /invalid key/ });
    await event((next) => next.type === 'state' && next.state === 'failed');
    assert.equal(node.status().state, 'failed');
    assert.equal(network.control.calls.length, 1);
  });

  test('a control server that is not there: tried until the signal, which says why; then closed', async () => {
    await network.control.close();
    const { node } = network.make('ay');
    await assert.rejects(node.up({ signal: AbortSignal.timeout(200) }), {
      code: 'node_not_up',
      message: /cannot connect to 127\.0\.0\.1/,
    });
    assert.equal(node.status().state, 'stopped');
    await assert.rejects(node.up({ signal: AbortSignal.abort() }), { code: 'node_not_up' });
  });

  test('`close` while it is coming up ends `up`', async () => {
    const { node } = network.make('ay');
    const asked = Promise.withResolvers<void>();
    network.register = () => {
      asked.resolve();
      return true;
    };
    const refused = assert.rejects(node.up(), { code: 'node_not_up' });
    await asked.promise;
    await node.close();
    await refused;
  });

  test('settings that cannot be are refused before anything is sent', async () => {
    const invalid = { code: 'node_invalid_setting' };
    await assert.rejects(network.make('a', { tags: ['ci'] }).node.up(), invalid);
    await assert.rejects(network.make('a', { endpoints: ['here:1'] }).node.up(), invalid);
    await assert.rejects(network.make('a', { endpoints: ['192.0.2.1:0'] }).node.up(), invalid);
    await assert.rejects(network.make('b', { controlUrl: 'ftp://x' }).node.up(), {
      code: 'control_invalid_setting',
    });
    assert.equal(network.control.calls.length, 0);
  });

  test('a state that is damaged, of another kind or of another server is refused and never replaced', async () => {
    const { node } = await network.join('ay');
    await node.close();
    const path = join(network.folder, 'ay', 'node.json');
    const other = network.make('ay', { controlUrl: 'http://127.0.0.1:9' });
    await assert.rejects(other.node.up(), {
      code: 'control_invalid_setting',
      message: /another control server/,
    });
    for (const broken of ['', '{"kind":"static"}', 'privkey:secret']) {
      await writeFile(path, broken);
      await assert.rejects(network.make('ay').node.up(), { code: 'node_state' });
      assert.equal(await readFile(path, 'utf8'), broken);
    }
  });

  test('an ephemeral node says farewell; another does not', async () => {
    const brief = await network.join('brief', { ephemeral: true });
    const lasting = await network.join('lasting');
    const before = network.control.calls.length;
    await lasting.node.close();
    await brief.node.close();
    const after = network.control.calls.slice(before).filter(({ body }) => body['Expiry'] !== undefined);
    assert.deepEqual(
      after.map(({ body }) => Object(body['Hostinfo'])['Hostname']),
      ['brief'],
    );
  });
});

describe('what ends traffic', () => {
  test('our own key has expired: needs_login, every connection cut', async () => {
    const { ay, bee } = await network.pair();
    const { called } = await openConnection(bee, ay);
    network.register = (call) => {
      call.answer(200, { AuthURL: 'https://login.example/again' });
      return true;
    };
    network.fields.set('ay', { Expired: true });
    network.tell();
    await ay.event((event) => event.type === 'state' && event.state === 'needs_login');
    assert.ok(called.destroyed);
    assert.deepEqual(ay.node.status().peers, []);
    await assert.rejects(ay.node.dial('bee', 7, { timeoutMs: 50 }));
  });

  test('nobody has approved the device: no traffic, and status says so', async () => {
    network.fields.set('ay', { MachineAuthorized: false });
    const { node, event } = network.make('ay');
    const up = node.up({ signal: AbortSignal.timeout(10_000) });
    const waiting = await event((next) => next.type === 'state' && next.state === 'needs_login');
    assert.equal(waiting.type === 'state' && waiting.problem?.code, 'node_needs_approval');
    network.fields.delete('ay');
    network.tell();
    await up;
    assert.equal(node.status().control?.problem, null);
  });

  test('tailnet lock is turned on: failed, and what the map said is used no more', async () => {
    const { ay, bee } = await network.pair();
    const { called } = await openConnection(bee, ay);
    network.extra = { TKAInfo: { Head: 'x' } };
    network.tell();
    const failed = await ay.event((event) => event.type === 'state' && event.state === 'failed');
    assert.equal(failed.type === 'state' && failed.problem?.code, 'control_tailnet_lock');
    assert.ok(called.destroyed);
    assert.deepEqual(ay.node.status().peers, []);
  });

  test('a new key that cannot be kept, as on a full disk: failed with the reason', async () => {
    const { node, event } = await network.join('ay');
    await rm(join(network.folder, 'ay'), { recursive: true });
    await writeFile(join(network.folder, 'ay'), '');
    node.renewKey();
    const failed = await event((next) => next.type === 'state' && next.state === 'failed');
    assert.match(
      failed.type === 'state' ? (failed.problem?.message ?? '') : '',
      /cannot write the node's state/,
    );
  });

  test('a renewed node key is another identity to peers: what was open ends, and all can begin anew', async () => {
    const { ay, bee } = await network.pair();
    const { called, ended } = await openConnection(ay, bee);
    const before = ay.node.status().publicKey;
    ay.node.renewKey();
    await ended;
    assert.equal(bee.node.peerOf(called), null);
    await ay.event(({ type }) => type === 'network' && ay.node.status().publicKey !== before);
    const again = await openConnection(ay, bee, 8);
    assert.equal(bee.node.peerOf(again.called)?.name, 'ay');
  });
});

describe('a lying control server', () => {
  const KEY = 'nodekey:';

  test('an address that two devices claim is nobody’s', async () => {
    const { ay, bee } = await network.pair();
    network.strangers.push({
      ID: 50,
      StableID: 'n50',
      Name: 'thief.net.test.',
      Key: KEY + 'ab'.repeat(32),
      DiscoKey: `discokey:${'cd'.repeat(32)}`,
      Addresses: ['100.64.0.2/32'],
    });
    await network.settle(ay);
    assert.equal(ay.node.whois('100.64.0.2'), null);
    assert.equal(ay.node.whois('fd7a:115c:a1e0::2')?.name, 'bee');
    assert.equal(bee.node.status().state, 'running');
  });

  test('a route that takes a device’s address makes it nobody’s, too', async () => {
    const ay = await network.join('ay', { acceptRoutes: true });
    await network.join('bee');
    network.strangers.push({
      ID: 50,
      StableID: 'n50',
      Name: 'router.net.test.',
      Key: KEY + 'ab'.repeat(32),
      Addresses: ['100.64.0.50/32'],
      AllowedIPs: ['100.64.0.50/32', '100.64.0.2/32'],
    });
    await network.settle(ay);
    assert.equal(ay.node.whois('100.64.0.2'), null);
  });

  test('weak keys, our own key and a key twice are left out and counted', async () => {
    const { ay, bee } = await network.pair();
    const own = Buffer.from(ay.node.status().publicKey ?? '', 'base64').toString('hex');
    const stranger = { StableID: 's', Name: 's.net.test.', DiscoKey: `discokey:${'0'.repeat(64)}` };
    network.strangers.push(
      { ...stranger, ID: 50, Key: `${KEY}01${'0'.repeat(62)}`, Addresses: ['100.64.0.50/32'] },
      { ...stranger, ID: 51, Key: KEY + own, Addresses: ['100.64.0.51/32'] },
      {
        ...stranger,
        ID: 52,
        Key: KEY + Buffer.from(bee.node.publicKey.bytes).toString('hex'),
        Addresses: ['100.64.0.52/32'],
      },
      { ...stranger, ID: 53, Key: 'nonsense', Addresses: ['100.64.0.53/32'] },
      { ...stranger, ID: 54, Key: KEY + '7'.repeat(64), Addresses: [] },
    );
    await network.settle(ay);
    const counters = ay.node.status().control?.counters;
    assert.deepEqual([counters?.leftOut, counters?.peersRefused], [1, 1]);
    for (const last of [50, 51, 52, 53, 54]) assert.equal(ay.node.whois(`100.64.0.${last}`), null, `${last}`);
    assert.equal(ay.node.whois('100.64.0.2')?.name, 'bee');
    await openConnection(bee, ay);
  });

  test('a map without addresses of ours is no network to be in', async () => {
    network.fields.set('ay', { Addresses: [] });
    const { node, event } = network.make('ay');
    const up = assert.rejects(node.up({ signal: AbortSignal.timeout(500) }), { code: 'node_not_up' });
    await event((next) => next.type === 'state' && next.state === 'needs_login');
    assert.deepEqual(node.status().addresses, []);
    assert.throws(() => node.listen(80), { code: 'node_not_up' });
    await up;
  });
});
