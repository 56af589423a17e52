/** Joining a network: whose choice it is, what is remembered, and who is behind a connection of it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { silentLogger } from '../base/log.ts';
import { Secret } from '../base/secret.ts';
import type { JoinedPeer } from '../doors/index.ts';
import type { Listener } from '../net/index.ts';
import type { NodeEvent, NodePeer, NodeStatus, TailnetNodeOptions } from '../tailnet/node/index.ts';
import { type JoinableNode, JoinedNetwork, type JoinedNetworkOptions } from './node-join.ts';
import type { JoinRequest } from './node-join-request.ts';
import { createNetworkPort } from './node-view.ts';

const SERVER = 'https://headscale.example.net';
const ASK: JoinRequest = {
  loginServer: SERVER,
  authKey: null,
  hostname: null,
  tags: null,
  isOperator: true,
};

/** A node that does as the test says, and remembers what it was told. */
class FakeNode {
  readonly options: TailnetNodeOptions;
  readonly listening = new Map<number, (socket: Duplex) => void>();
  readonly owners = new Map<object, NodePeer | null>();
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  readonly #isUp = Promise.withResolvers<void>();
  state: NodeStatus['state'] = 'stopped';
  loginUrl: string | null = null;
  problem: string | null = null;
  logoutFails = false;
  isLoggedOut = false;
  isClosed = false;

  constructor(options: TailnetNodeOptions) {
    this.options = options;
  }

  async run(): Promise<void> {
    this.state = 'running';
    this.#isUp.resolve();
    await new Promise(setImmediate);
    this.tell({ type: 'state', state: 'running', problem: null });
  }

  async fail(error: Error): Promise<void> {
    this.state = 'failed';
    this.#isUp.reject(error);
    await new Promise(setImmediate);
  }

  needLogin(url: string): void {
    this.state = 'needs_login';
    this.loginUrl = url;
    this.tell({ type: 'login_url', url });
  }

  tell(event: NodeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  asNode(): JoinableNode {
    const node: unknown = {
      up: () => this.#isUp.promise,
      onEvent: (listener: (event: NodeEvent) => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      listen: (port: number, take: (socket: Duplex) => void) => void this.listening.set(port, take),
      peerOf: (socket: object) => this.owners.get(socket),
      ownNames: ['ai.example.ts.net', 'ai'],
      status: () => this.#status(),
      logout: () => {
        this.isLoggedOut = true;
        this.isClosed = true;
        return this.logoutFails ? Promise.reject(new Error('unreachable')) : Promise.resolve();
      },
      close: () => {
        this.isClosed = true;
        return Promise.resolve();
      },
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that are used
    return node as JoinableNode;
  }

  #status(): object {
    const { state, problem, loginUrl } = this;
    return {
      state,
      hostname: this.options.hostname,
      addresses: state === 'running' ? ['100.64.0.5', 'fd7a::5'] : [],
      peers: [],
      wireguard: null,
      netstack: null,
      control: { state: 'running', problem, loginUrl, dnsName: 'ai.example.ts.net' },
    };
  }
}

interface World {
  readonly network: JoinedNetwork;
  readonly nodes: FakeNode[];
  readonly announced: string[];
  readonly fed: Duplex[];
  readonly hosts: (readonly string[])[];
  readonly stateDir: string;
  /** As after a restart. */
  reopen(): Promise<JoinedNetwork>;
  last(): FakeNode;
}

/** Postern's own network, where no gateway was yet; `keys` are those that were made. */
interface Home {
  readonly loginServer: string;
  readonly keys: string[];
  hasGateway: boolean;
  isLocal: boolean;
}

const homeNetwork = (): Home => ({
  loginServer: 'http://coordination.example',
  keys: [],
  hasGateway: false,
  isLocal: true,
});

async function setUp(t: TestContext, loginServers: string[] = [], home: Home | null = null): Promise<World> {
  const stateDir = await mkdtemp(join(tmpdir(), 'postern-join-'));
  t.after(() => rm(stateDir, { recursive: true, force: true }));
  const nodes: FakeNode[] = [];
  const announced: string[] = [];
  const fed: Duplex[] = [];
  const hosts: (readonly string[])[] = [];
  const reopen = async (): Promise<JoinedNetwork> => {
    const opened = new JoinedNetwork({
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the settings that are read
      settings: {
        stateDir,
        hosts: ['ai.example.org'],
        doors: { node: { loginServers, tailnetUdpPort: 0 } },
        allowUpstream: [],
        caFiles: [],
        timeouts: { connectMs: 1000 },
      } as unknown as JoinedNetworkOptions['settings'],
      ownAddresses: () => [],
      createNode(options) {
        const node = new FakeNode(options);
        nodes.push(node);
        return node.asNode();
      },
      home:
        home === null
          ? null
          : {
              loginServer: home.loginServer,
              isLocal: home.isLocal,
              dialer: { dial: () => Promise.reject(new Error('nothing is dialled')) },
              hasGateway: () => home.hasGateway,
              createKey() {
                home.keys.push(`key-${home.keys.length + 1}`);
                return Promise.resolve(new Secret(home.keys.at(-1) ?? ''));
              },
            },
      announce: (text) => announced.push(text),
      logger: silentLogger,
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is used
    const http = { feed: () => (socket: Duplex) => void fed.push(socket) } as unknown as Listener;
    await opened.resume();
    opened.serve({ http, certificate: null, onHosts: (names) => hosts.push(names) });
    return opened;
  };
  const last = (): FakeNode => nodes.at(-1) ?? assert.fail('no node was made');
  return { network: await reopen(), nodes, announced, fed, hosts, stateDir, reopen, last };
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof AppError && error.code === expected;

test('a control server is the operator’s to name; an admin may name what the operator listed (DESIGN section 12)', async (t) => {
  const { network, nodes } = await setUp(t, ['https://listed.example.net']);
  await assert.rejects(network.up({ ...ASK, isOperator: false }), code('network_server_refused'));
  assert.equal(nodes.length, 0);
  const listed = await network.up({ ...ASK, loginServer: 'https://listed.example.net/', isOperator: false });
  assert.equal(listed.state, 'starting');
  await network.down();
  assert.equal((await network.up(ASK)).loginServer, SERVER);
  await network.down();
  assert.equal((await network.up({ ...ASK, isOperator: false })).loginServer, SERVER, 'it was named before');
});

test('a server that the operator has taken off the list is not joined again', async (t) => {
  const listed = [SERVER];
  const { network, nodes, reopen } = await setUp(t, listed);
  await network.up({ ...ASK, isOperator: false });
  await network.close();
  listed.pop();
  const again = await reopen();
  assert.deepEqual([again.status().state, nodes.length], ['off', 1]);
  assert.match(again.status().problem ?? '', /does not allow/);
  await assert.rejects(again.up({ ...ASK, isOperator: false }), code('network_server_refused'));
  await again.up(ASK);
  await again.close();
  assert.equal((await reopen()).status().state, 'starting', 'the operator in person');
});

test('addresses, names and tags that cannot be are refused', async (t) => {
  const { network } = await setUp(t);
  const bad: readonly Partial<JoinRequest>[] = [
    { loginServer: null },
    { loginServer: 'headscale.example.net' },
    { loginServer: 'ftp://headscale.example.net' },
    { loginServer: 'https://user@headscale.example.net' },
    { loginServer: 'https://headscale.example.net/path' },
    { loginServer: 'https://login' },
    { loginServer: 'https://userid:8443' },
    { loginServer: 'http://NodeID' },
    { hostname: '' },
    { hostname: 'a b' },
    { hostname: 'x'.repeat(64) },
    { tags: ['gateway'] },
    { tags: Array.from({ length: 33 }, (_, index) => `tag:t${index}`) },
  ];
  for (const change of bad)
    await assert.rejects(network.up({ ...ASK, ...change }), code('network_invalid'), JSON.stringify(change));
});

test('what is joined is joined again after a restart, without the key, which is kept nowhere', async (t) => {
  const { network, stateDir, reopen, last, announced } = await setUp(t);
  await network.up({ ...ASK, authKey: new Secret('hskey-auth-123'), hostname: 'AI2', tags: ['tag:gateway'] });
  assert.deepEqual(
    [last().options.hostname, last().options.controlUrl, last().options.tags],
    ['ai2', SERVER, ['tag:gateway']],
  );
  assert.equal(String(last().options.authKey), '[secret]');
  await last().run();
  assert.deepEqual(announced, [`This gateway is in the network of ${SERVER}: http://ai.example.ts.net`]);
  await network.close();
  assert.ok(last().isClosed);
  const folder = join(stateDir, 'network');
  for (const name of await readdir(folder)) {
    assert.doesNotMatch(await readFile(join(folder, name), 'utf8'), /hskey/);
    assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600);
  }
  const again = await reopen();
  assert.deepEqual([again.status().state, last().options.hostname], ['starting', 'ai2']);
  assert.equal(last().options.authKey, undefined);
  await again.down();
  const third = await reopen();
  assert.deepEqual([third.status().state, third.status().loginServer], ['off', SERVER]);
  await third.up({ ...ASK, loginServer: null, isOperator: false });
  assert.deepEqual([last().options.hostname, last().options.tags], ['ai2', ['tag:gateway']]);
});

test('a damaged memory is told, joins nothing, and does not keep the gateway from starting', async (t) => {
  const { network, stateDir, reopen, nodes } = await setUp(t);
  await network.up(ASK);
  await network.close();
  await writeFile(join(stateDir, 'network', 'joined.json'), '{"loginServer":7}');
  const made = nodes.length;
  const again = await reopen();
  assert.equal(nodes.length, made);
  assert.match(again.status().problem ?? '', /damaged/);
  await again.up(ASK);
  assert.equal(again.status().problem, null);
});

test('up is no news while it is under way; with a key, or after a failure, it begins anew', async (t) => {
  const { network, nodes, last } = await setUp(t);
  await network.up(ASK);
  await network.up(ASK);
  assert.equal(nodes.length, 1);
  await network.up({ ...ASK, authKey: new Secret('key') });
  assert.equal(nodes.length, 2);
  assert.ok(nodes[0]?.isClosed);
  await last().fail(new AppError('control_login_refused', 'the auth key is not valid'));
  assert.deepEqual(
    [network.status().state, network.status().problem],
    ['failed', 'the auth key is not valid'],
  );
  await network.up(ASK);
  assert.equal(nodes.length, 3);
  await last().run();
  await network.up({ ...ASK, authKey: new Secret('key') });
  assert.equal(nodes.length, 3, 'it is in: a key is not needed');
  await network.up({ ...ASK, hostname: 'other' });
  assert.equal(nodes.length, 4, 'another name is another start');
});

test('one network at a time: another is refused while this one runs', async (t) => {
  const { network, last, nodes } = await setUp(t);
  await network.up(ASK);
  await last().run();
  const other = { ...ASK, loginServer: 'http://10.0.0.1:8080' };
  await assert.rejects(network.up(other), code('network_joined'));
  await network.down();
  await network.up(other);
  assert.notEqual(last().options.stateDir, nodes[0]?.options.stateDir, 'keys of its own');
});

test('the login URL goes to the operator’s terminal and to admins, as a page only', async (t) => {
  const { network, last, announced } = await setUp(t);
  const port = createNetworkPort({ network, ownUid: 1000, clock: { now: () => 0, monotonicMs: () => 0 } });
  await network.up(ASK);
  last().needLogin('https://headscale.example.net/register/abc');
  assert.match(announced[0] ?? '', /visit https:\/\/headscale\.example\.net\/register\/abc$/);
  assert.equal(port.status().loginUrl, 'https://headscale.example.net/register/abc');
  last().needLogin('javascript:alert(1)');
  assert.equal(port.status().loginUrl, null);
});

test('names lead here only while the network runs', async (t) => {
  const { network, last, hosts } = await setUp(t);
  await network.up(ASK);
  await last().run();
  const names = hosts.at(-1) ?? [];
  for (const name of ['ai', 'ai:80', 'ai.example.ts.net', '100.64.0.5', '[fd7a::5]', 'ai.example.org'])
    assert.ok(names.includes(name), `${name} in ${names.join()}`);
  assert.deepEqual(network.urls[0], 'http://ai.example.ts.net');
  last().state = 'needs_login';
  last().tell({ type: 'state', state: 'needs_login', problem: null });
  assert.deepEqual([hosts.at(-1), network.urls], [[], []]);
  await last().run();
  await network.down();
  assert.deepEqual([hosts.at(-1), network.urls], [[], []]);
});

test('a connection is its peer’s while that network is joined, and nobody’s afterwards', async (t) => {
  const { network, last, fed } = await setUp(t);
  await network.up(ASK);
  await last().run();
  const node = last();
  assert.deepEqual([...node.listening.keys()], [80], 'no HTTPS without a certificate');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is used
  const peer = { stableId: '7' } as NodePeer;
  const socket = new Duplex();
  node.owners.set(socket, peer);
  node.listening.get(80)?.(socket);
  assert.deepEqual(fed, [socket]);
  const asked = { destroyed: false, once: () => undefined };
  assert.equal(network.peers.peerOf(socket), peer);
  assert.equal(network.peers.peerOf(asked), undefined);
  await network.down();
  assert.equal(network.peers.peerOf(socket), null);
  await network.up(ASK);
  assert.equal(network.peers.peerOf(socket), null, 'nor in the next');
});

test('events of a network that was left are nobody’s', async (t) => {
  const { network, last } = await setUp(t);
  const ended: JoinedPeer[] = [];
  network.peers.onPeerEnded((peer) => ended.push(peer));
  await network.up(ASK);
  await last().run();
  const node = last();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the part that is used
  const peer = { stableId: '7' } as NodePeer;
  node.tell({ type: 'peer_ended', peer });
  assert.deepEqual(ended, [peer]);
  await network.down();
  node.tell({ type: 'peer_ended', peer });
  assert.equal(ended.length, 1);
});

test('logout tells the control server, also from outside; one that is away leaves no key behind', async (t) => {
  const { network, last, stateDir } = await setUp(t);
  await assert.rejects(network.logout(), code('network_off'));
  await assert.rejects(network.down(), code('network_off'));
  await network.up(ASK);
  await last().run();
  await network.logout();
  assert.ok(last().isLoggedOut);
  assert.deepEqual([network.status().state, network.status().loginServer], ['off', null]);
  assert.deepEqual(await readdir(join(stateDir, 'network')), []);
  await network.up(ASK);
  const { stateDir: keys } = last().options;
  await network.down();
  const leaving = network.logout();
  while (last().options.stateDir === keys && last().isClosed) await new Promise(setImmediate);
  last().logoutFails = true;
  await last().run();
  await leaving;
  await assert.rejects(stat(keys), { code: 'ENOENT' });
});

test('only the operator in person may name any server: the process’s own user here, or break-glass', async (t) => {
  const { network } = await setUp(t);
  const port = createNetworkPort({ network, ownUid: 1000, clock: { now: () => 0, monotonicMs: () => 0 } });
  const request = { loginServer: SERVER, authKey: null, hostname: null, tags: null };
  const up = (principal: string, door: string) => port.up({ ...request, actor: { principal, door } });
  for (const [principal, door] of [
    ['local:1001', 'local'],
    ['local:1000', 'token'],
    ['local:1000', 'node'],
    ['tailscale:userid:1', 'tailscaled'],
  ] as const)
    await assert.rejects(up(principal, door), code('network_server_refused'), `${principal} by ${door}`);
  for (const [principal, door] of [
    ['local:1000', 'local'],
    ['operator', 'operator'],
    ['operator:break-glass', 'token'],
  ] as const) {
    assert.equal((await up(principal, door)).state, 'starting');
    await port.logout().catch(() => undefined);
  }
});

test('a gateway that was told nothing is in Postern’s own network, on loopback while no other device can join', async (t) => {
  const home = homeNetwork();
  const { network, last, announced, hosts, reopen } = await setUp(t, [], home);
  const { options } = last();
  assert.equal(options.controlUrl, home.loginServer);
  assert.deepEqual([options.address4, options.address6], ['127.0.0.1', '::1']);
  assert.deepEqual(home.keys, ['key-1']);
  await last().run();
  assert.equal(network.status().state, 'running');
  assert.deepEqual([network.urls, announced], [[], []], 'nobody is told of what nobody reaches');
  assert.ok(hosts.at(-1)?.includes('ai'));
  home.isLocal = false;
  home.hasGateway = true;
  await mkdir(last().options.stateDir, { recursive: true });
  await writeFile(join(last().options.stateDir, 'node.json'), '{}');
  const again = await reopen();
  assert.deepEqual(home.keys, ['key-1'], 'a device that is known needs no key');
  assert.equal(last().options.address4, undefined);
  await last().run();
  assert.ok(again.urls.includes('http://ai'));
});

test('`down` keeps the gateway out of its own network, over restarts; `up` alone puts it back with a key of its own', async (t) => {
  const home = homeNetwork();
  const { network, nodes, reopen } = await setUp(t, [], home);
  await network.logout();
  assert.equal(network.status().state, 'off');
  const again = await reopen();
  assert.equal(nodes.length, 1);
  const status = await again.up({ ...ASK, loginServer: null, isOperator: false });
  assert.equal(status.loginServer, home.loginServer);
  assert.deepEqual(home.keys, ['key-1', 'key-2']);
});

test('another network takes the place of Postern’s own without a logout; the other way it needs one', async (t) => {
  const home = homeNetwork();
  const { network, last } = await setUp(t, [], home);
  await last().run();
  assert.equal((await network.up(ASK)).loginServer, SERVER);
  await last().run();
  await assert.rejects(network.up({ ...ASK, loginServer: home.loginServer }), code('network_joined'));
});

test('without a tailnet to join the gateway stands all the same, and says what is missing', async (t) => {
  const { reopen } = await setUp(t);
  const network = await reopen();
  await assert.rejects(network.up({ ...ASK, loginServer: null }), code('network_invalid'));
});
