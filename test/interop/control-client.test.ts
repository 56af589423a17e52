/** Our control client and relay client against a real Headscale and its relay. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { chooseHome, DerpConnection, DerpRelays, StunProbes } from '../../src/tailnet/derp/index.ts';
import { createNetworkView, systemSleep } from '../../src/tailnet/protocol/index.ts';
import { parseIp } from '../../src/wire/ip.ts';
import { parseIpPort } from '../../src/wire/ip-port.ts';
import { eventually } from '../scenarios/ask.ts';
import { machineDialer, startTestNode, type TestNode } from './control-client-bed.ts';
import { type BedUser, type Machine, startTailnetBed, type TailnetBed } from './tailnet-bed.ts';

let bed: TailnetBed;
let machine: Machine;
let alice: BedUser;
let ours: TestNode;

before(async () => {
  bed = await startTailnetBed();
  alice = await bed.headscale.addUser('alice');
  machine = await bed.addMachine('ours');
  ours = startTestNode({
    controlUrl: bed.headscale.url,
    machine,
    hostname: 'ours',
    authKey: await bed.headscale.authKey({ user: alice }),
  });
  await ours.sees(({ self }) => self.addresses[0], 'itself');
});

after(async () => {
  await ours?.client.close();
  await bed?.close();
});

describe('the control client against Headscale', () => {
  test('joins by auth key, as the device it says it is', async () => {
    const { self, users, derpMap } = ours.netmap();
    assert.equal(self.name, 'ours.bed.test');
    assert.equal(self.isAuthorized, true);
    assert.equal(users.get(self.userId)?.loginName, alice.login);
    assert.ok(derpMap.regions.has(999));
    await eventually(
      async () => ((await bed.headscale.node('ours')).online ? true : null),
      'headscale has it online',
    );
  });

  test('an official device that joins is a peer, with its disco key and home relay, and WhoIs knows it', async () => {
    const one = await bed.join('one', { user: alice });
    const peer = await ours.sees(() => {
      const found = ours.peer('one');
      return found !== null && found.discoKey !== null && found.homeDerp === 999 ? found : null;
    }, 'a new device with its home');
    const view = createNetworkView(ours.netmap());
    const address = parseIp(one.addresses[0]);
    assert.ok(address !== null);
    assert.equal(view.whois(address)?.node.id, peer.id);
    assert.equal(view.whois(address)?.user?.loginName, alice.login);
    assert.deepEqual(view.resolve('one')[0], address);
    assert.deepEqual(view.resolve('one.bed.test')[0], address);
  });

  test('it sees us, with the home relay that we state', async () => {
    ours.client.setNetFacts({
      homeDerp: 999,
      derpLatency: new Map([['999-v4', 0.001]]),
      hasUdp: true,
      hasIpv6: false,
      mappingVaries: false,
      endpoints: [],
    });
    const self = await ours.sees(
      (netmap) => (netmap.self.homeDerp === 999 ? netmap.self : null),
      'its own home',
    );
    assert.equal(self.homeDerp, 999);
  });

  test('a policy change replaces the filter and brings capabilities', async () => {
    const view = createNetworkView(ours.netmap());
    const [own] = view.netmap.self.addresses;
    const peer = ours.peer('one')?.addresses[0];
    assert.ok(own !== undefined && peer !== undefined);
    const question = {
      source: { family: peer.family, value: peer.base },
      destination: { family: own.family, value: own.base },
      protocol: 6,
    };
    assert.equal(view.rules.allows({ ...question, port: 80 }), true, 'without a policy all may reach all');
    await bed.headscale.setPolicy({
      grants: [
        { src: ['alice@example.com'], dst: ['*'], ip: ['tcp:443'] },
        { src: ['alice@example.com'], dst: ['*'], app: { 'example.com/cap/ai': [{ role: 'user' }] } },
      ],
    });
    await ours.sees(
      (netmap) => (createNetworkView(netmap).rules.allows({ ...question, port: 80 }) ? null : true),
      'port 80 closed',
    );
    const next = createNetworkView(ours.netmap());
    assert.equal(next.rules.allows({ ...question, port: 443 }), true);
    assert.deepEqual(next.whois(question.source)?.capabilities.get('example.com/cap/ai'), [{ role: 'user' }]);
  });

  test('a rename and a removal arrive as deltas', async () => {
    const id = String((await bed.headscale.node('one')).id);
    await bed.headscale.command(['nodes', 'rename', 'uno', '--identifier', id]);
    await ours.sees(() => ours.peer('uno'), 'the new name');
    await bed.headscale.removeNode('uno');
    await ours.sees((netmap) => (netmap.peers.size === 0 ? true : null), 'nobody');
  });

  test('a restart of the server is survived; the last map stays meanwhile', async () => {
    await bed.headscale.stop();
    await eventually(
      () => Promise.resolve(ours.events.at(-1)?.type === 'state' ? true : null),
      'the client notices',
      30_000,
    );
    assert.equal(ours.netmap().self.name, 'ours.bed.test');
    const before = ours.events.length;
    await bed.headscale.start();
    await eventually(
      () =>
        Promise.resolve(
          ours.events.slice(before).some((event) => event.type === 'state' && event.state === 'running')
            ? true
            : null,
        ),
      'it is back',
      60_000,
    );
  });

  test('a key that expires is renewed where the auth key allows it, else a login is asked for', async () => {
    const key = ours.netmap().self.nodeKey;
    await bed.headscale.expireNode('ours');
    await eventually(() => Promise.resolve(ours.loginUrl()), 'a login URL', 30_000);
    assert.match(ours.loginUrl() ?? '', /^http:\/\/.*\/register\//);
    assert.notEqual(ours.state().nodeKey.publicKey.bytes.toString('hex'), key);
  });

  test('a wrong auth key is refused for good, without trying again', async () => {
    const wrong = startTestNode({
      controlUrl: bed.headscale.url,
      machine,
      hostname: 'wrong',
      authKey: 'hskey-auth-wrong',
    });
    const end = await eventually(
      () =>
        Promise.resolve(
          wrong.events.find((event) => event.type === 'state' && event.state === 'stopped') ?? null,
        ),
      'it stops',
      30_000,
    );
    assert.equal(end.type === 'state' ? end.problem?.code : '', 'control_login_refused');
    await wrong.client.close();
  });

  test('an ephemeral device that logs out is forgotten; a restart with kept keys is the same device', async () => {
    const options = { controlUrl: bed.headscale.url, machine, hostname: 'brief' };
    const authKey = await bed.headscale.authKey({ user: alice, ephemeral: true });
    const first = startTestNode({ ...options, authKey, isEphemeral: true });
    await first.sees(({ self }) => self.addresses[0], 'itself');
    const { id } = await bed.headscale.node('brief');
    await first.client.close();
    const again = startTestNode({ ...options, state: first.state(), isEphemeral: true });
    await again.sees(({ self }) => self.addresses[0], 'itself again');
    assert.equal((await bed.headscale.node('brief')).id, id);
    await again.client.logout(AbortSignal.timeout(20_000));
    await eventually(
      async () => ((await bed.headscale.nodes()).every(({ name }) => name !== 'brief') ? true : null),
      'headscale has forgotten it',
    );
  });
});

describe('the relay client against Headscale’s relay', () => {
  test('two devices exchange packets, and a stranger to the network gets in nowhere', async () => {
    const names = ['left', 'right'];
    const nodes = await Promise.all(
      names.map(async (hostname) => {
        const authKey = await bed.headscale.authKey({ user: alice });
        const node = startTestNode({ controlUrl: bed.headscale.url, machine, hostname, authKey });
        await node.sees(({ self }) => self.addresses[0], 'itself');
        return node;
      }),
    );
    const received: { region: number; source: string; text: string }[] = [];
    const relays = nodes.map((node) => {
      const relay = new DerpRelays(
        {
          dialer: machineDialer(machine),
          clock: systemClock,
          random: systemRandom,
          sleep: systemSleep,
          plainHost: new URL(bed.headscale.url).host,
          onPacket: (region, source, packet) =>
            received.push({ region, source: source.toString('hex'), text: packet.toString('latin1') }),
          onPeerGone: () => undefined,
          onState: () => undefined,
        },
        node.state().nodeKey,
      );
      relay.setMap(node.netmap().derpMap);
      relay.setHome(chooseHome({ map: node.netmap().derpMap, latencies: new Map(), current: 0 }));
      return relay;
    });
    const [left, right] = relays;
    const [leftNode, rightNode] = nodes;
    assert.ok(left !== undefined && right !== undefined && leftNode !== undefined && rightNode !== undefined);
    await eventually(
      () => Promise.resolve(relays.every((relay) => relay.states()[0]?.state === 'connected') ? true : null),
      'both are connected',
      20_000,
    );
    assert.equal(left.send(999, rightNode.state().nodeKey.publicKey.bytes, Buffer.from('hello')), 'sent');
    assert.equal(left.send(7, rightNode.state().nodeKey.publicKey.bytes, Buffer.from('hello')), 'no_relay');
    await eventually(() => Promise.resolve(received[0] ?? null), 'the packet arrives');
    assert.deepEqual(received, [
      { region: 999, source: leftNode.state().nodeKey.publicKey.bytes.toString('hex'), text: 'hello' },
    ]);
    await assert.rejects(
      DerpConnection.connect({
        dialer: machineDialer(machine),
        target: {
          protocol: 'http:',
          hostname: machine.name,
          address: new URL(bed.headscale.url).hostname,
          port: 8080,
        },
        nodeKey: X25519PrivateKey.generate(systemRandom),
        clock: systemClock,
        random: systemRandom,
        signal: AbortSignal.timeout(15_000),
        onPacket: () => undefined,
        onPeerGone: () => undefined,
        onHealth: () => undefined,
        onRestarting: () => undefined,
      }),
      /relay/,
    );
    await Promise.all(relays.map((relay) => relay.close()));
    await Promise.all(nodes.map((node) => node.client.close()));
  });

  test('its STUN server answers our request with where it sees us', async () => {
    const server = parseIpPort(`${new URL(bed.headscale.url).hostname}:3478`);
    assert.ok(server !== null);
    const probes = new StunProbes([{ region: 999, address: server }], systemRandom);
    const [question] = probes.ask(0);
    assert.ok(question !== undefined);
    const ask = `const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', (answer) => { console.log(answer.toString('hex')); process.exit(0); });
      socket.send(Buffer.from(process.argv[1], 'hex'), 3478, process.argv[2]);`;
    const words = [
      process.execPath,
      '-e',
      ask,
      question.datagram.toString('hex'),
      new URL(bed.headscale.url).hostname,
    ];
    const { stdout } = await machine.exec(words, { timeoutMs: 10_000 });
    assert.equal(probes.receive(Buffer.from(stdout.trim(), 'hex'), 12), true);
    const report = probes.report();
    assert.equal(report.latencies.get(999), 12);
    assert.deepEqual(report.ipv4?.ip, parseIp(machine.address));
  });
});
