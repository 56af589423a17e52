/**
 * A node of a private network inside this process: own addresses, listening, dialling, and knowing who
 * calls, without root, a network device or a daemon. Shaped like tsnet and Node's own `net`.
 *
 * Here: networks without a control server, whose peers are added one by one (`setPeers`). A packet goes
 * from a peer to the node or the other way; nothing is forwarded, so peers cannot reach each other.
 */
import http from 'node:http';
import { systemClock, type Clock } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';
import { systemRandom, type Random } from '../../base/random.ts';
import { hmacSha256, SecretBytes, type X25519PublicKey } from '../../crypto/index.ts';
import { type Cidr, formatIp, parseCidr, parseIp } from '../../wire/ip.ts';
import {
  type DialOptions,
  type NetStackCounters,
  type NetstackServer,
  type NetstackSocket,
  type NetstackUdpSocket,
  UserspaceNetwork,
} from '../netstack/index.ts';
import {
  udpEndpoint,
  type WireguardCounters,
  type WireguardPeerOptions,
  WireguardUdp,
} from '../wireguard/index.ts';
import { answerDns } from './dns-answerer.ts';
import { nodeError } from './errors.ts';
import type { NodePeer, NodePeerStatus, StaticPeer } from './node-peer.ts';
import { PcapFile } from './pcap-file.ts';
import { PeerConnections } from './peer-connections.ts';
import { createStateFile } from './state-file.ts';
import {
  createStaticState,
  parseStaticState,
  revealStaticState,
  staticAddresses,
  type StaticState,
} from './static-state.ts';
import { formatPublicKey, parsePublicKey } from './wg-quick.ts';

export interface TailnetNodeOptions {
  /** Folder of the state file (`node.json`, 0600), made where it is missing. Of this node alone. */
  readonly stateDir: string;
  /** The name that peers' resolvers are told, besides `ai`. Default `postern`. */
  readonly hostname?: string;
  /** UDP port for WireGuard; default 0, any free one. */
  readonly port?: number;
  /** Local addresses of the UDP sockets; default all, null for none of that family. */
  readonly address4?: string | null;
  readonly address6?: string | null;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface NodeListenOptions {
  readonly allowHalfOpen?: boolean;
}

export interface NodeStatus {
  readonly state: 'stopped' | 'running';
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Base64; null before `up`. */
  readonly publicKey: string | null;
  readonly udpPort: number | null;
  readonly peers: readonly NodePeerStatus[];
  readonly wireguard: WireguardCounters | null;
  readonly netstack: Readonly<NetStackCounters> | null;
}

/** The name under which every static network knows its gateway. */
const GATEWAY_NAME = 'ai';
const DNS_PORT = 53;
const NO_CAPABILITIES: ReadonlyMap<string, readonly unknown[]> = new Map();

interface Running {
  readonly state: StaticState;
  readonly addresses: readonly string[];
  readonly wireguard: WireguardUdp;
  readonly network: UserspaceNetwork;
  readonly dns: NetstackUdpSocket;
}

interface KnownPeer {
  readonly peer: NodePeer;
  readonly wireguard: WireguardPeerOptions;
}

export class TailnetNode {
  readonly #options: TailnetNodeOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connections = new PeerConnections();
  readonly #peers = new Map<string, KnownPeer>();
  readonly #listeners = new Set<(peer: NodePeer) => void>();
  #running: Running | null = null;
  #capture: PcapFile | null = null;

  constructor(options: TailnetNodeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /** Reads or makes the state, binds and starts. Rejects with `node_state` or `wireguard_bind`. */
  async up(): Promise<NodeStatus> {
    if (this.#running !== null) return this.status();
    const state = await this.#loadState();
    const addresses = staticAddresses(state, 1);
    const { port, address4, address6 } = this.#options;
    const wireguard = await WireguardUdp.open({
      privateKey: state.privateKey,
      random: this.#random,
      clock: this.#clock,
      ...(port === undefined ? {} : { port }),
      ...(address4 === undefined ? {} : { address4 }),
      ...(address6 === undefined ? {} : { address6 }),
      deliver: (_peer, packet) => network.receive(packet),
    });
    const hashKey = this.#random.bytes(32);
    const network = new UserspaceNetwork({
      addresses,
      clock: this.#clock,
      random: this.#random,
      keyedHash: (data) => hmacSha256(hashKey, data),
      output: (packet) => void wireguard.send(packet),
    });
    const dns = network.bindUdp({ port: DNS_PORT });
    dns.on('message', (datagram: Buffer, from: { address: string; port: number }) => {
      const answer = answerDns(datagram, this.#names());
      if (answer !== null) dns.send(answer, from.port, from.address);
    });
    this.#running = { state, addresses, wireguard, network, dns };
    for (const known of this.#peers.values()) wireguard.device.setPeer(known.wireguard, wireguard.now());
    wireguard.wake();
    return this.status();
  }

  async #loadState(): Promise<StaticState> {
    const file = createStateFile(this.#options.stateDir);
    const text = await file.read();
    if (text !== null) return parseStaticState(text);
    const state = createStaticState(this.#random);
    await file.write(revealStaticState(state));
    return state;
  }

  /** Own addresses, IPv4 first. Throws `node_not_up`. */
  get addresses(): readonly string[] {
    return this.#up().addresses;
  }

  get publicKey(): X25519PublicKey {
    return this.#up().state.privateKey.publicKey;
  }

  get udpPort(): number {
    return this.#up().wireguard.port;
  }

  /** The addresses of the device with this number, 2 to 4,094. */
  addressesOf(index: number): readonly [string, string] {
    return staticAddresses(this.#up().state, index);
  }

  /**
   * Adds a peer, or changes one by its key; a changed identity cuts its connections. Throws
   * `node_peer_invalid` for a bad key, or addresses that are none, another's, or the node's own.
   */
  setPeer(given: StaticPeer): NodePeer {
    const known = this.#read(given);
    const { key } = known.peer;
    const running = this.#running;
    if (running !== null) {
      try {
        running.wireguard.device.setPeer(known.wireguard, running.wireguard.now());
      } catch (cause) {
        throw nodeError('node_peer_invalid', `the peer ${given.name} cannot be added: its key is no peer's`, {
          cause,
        });
      }
      running.wireguard.wake();
    }
    const before = this.#peers.get(key)?.peer;
    if (before !== undefined && isSamePeer(before, known.peer)) {
      /* The same identity keeps its object, and its connections. */
      this.#peers.set(key, { ...known, peer: before });
      return before;
    }
    this.#peers.set(key, known);
    if (before !== undefined) this.#end(before);
    return known.peer;
  }

  /** Removes a peer by its public key (base64 or hex): its keys are wiped and its connections cut, now. */
  removePeer(publicKey: string): boolean {
    const key = parsePublicKey(publicKey)?.bytes.toString('hex') ?? publicKey;
    const known = this.#peers.get(key);
    if (known === undefined) return false;
    this.#peers.delete(key);
    this.#end(known.peer);
    this.#running?.wireguard.device.removePeer(key);
    return true;
  }

  #end(peer: NodePeer): void {
    this.#connections.cut(peer.key);
    for (const listener of this.#listeners) listener(peer);
  }

  #read(given: StaticPeer): KnownPeer {
    const { name } = given;
    const publicKey = parsePublicKey(given.publicKey);
    if (publicKey === null) {
      throw nodeError(
        'node_peer_invalid',
        `the public key of ${name} must be the 44 characters that "wg pubkey" prints`,
      );
    }
    const key = publicKey.bytes.toString('hex');
    const addresses = given.addresses.map((text) => this.#checkedAddress(text, key, name));
    if (addresses.length === 0) throw nodeError('node_peer_invalid', `the peer ${name} needs an address`);
    const endpoint = given.endpoint && udpEndpoint(given.endpoint.address, given.endpoint.port);
    if (endpoint === null)
      throw nodeError('node_peer_invalid', `the endpoint of ${name} must be an address and a port`);
    const presharedKey = given.presharedKey === undefined ? null : readPresharedKey(given.presharedKey, name);
    return {
      peer: {
        key,
        stableId: given.stableId ?? key,
        name,
        addresses,
        tags: given.tags ?? [],
        user: null,
        capabilities: NO_CAPABILITIES,
      },
      wireguard: {
        publicKey,
        presharedKey,
        allowedIps: addresses.map(hostRoute),
        endpoint: endpoint ?? null,
        persistentKeepaliveMs: (given.keepaliveSec ?? 0) * 1000,
      },
    };
  }

  #checkedAddress(text: string, key: string, name: string): string {
    const ip = parseIp(text);
    if (ip === null) throw nodeError('node_peer_invalid', `"${text}" of ${name} is no address`);
    const address = formatIp(ip);
    const other = [...this.#peers.values()].find(
      ({ peer }) => peer.key !== key && peer.addresses.includes(address),
    );
    if (other !== undefined)
      throw nodeError('node_peer_invalid', `${address} belongs to ${other.peer.name} already`);
    if (this.#running?.addresses.includes(address) === true)
      throw nodeError('node_peer_invalid', `${address} is the node's own address`);
    return address;
  }

  /** Called when a peer was removed or became another; returns the function that ends the subscription. */
  onPeerEnded(listener: (peer: NodePeer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Who has this inner address; null for nobody. */
  whois(address: string): NodePeer | null {
    const ip = parseIp(address);
    if (ip === null || this.#running === null) return null;
    const bytes = Buffer.from(ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, '0'), 'hex');
    const key = this.#running.wireguard.device.peerOf(bytes);
    return key === null ? null : (this.#peers.get(key)?.peer ?? null);
  }

  /** Whose connection this is: null if its peer is gone, undefined if it was not accepted by this node. */
  peerOf(socket: object): NodePeer | null | undefined {
    const key = this.#connections.keyOf(socket);
    if (key === undefined) return undefined;
    return this.#peers.get(key)?.peer ?? null;
  }

  /**
   * Listens on a TCP port of all own addresses. TLS over these sockets wants `allowHalfOpen`. Throws
   * `EADDRINUSE`.
   */
  listen(
    port: number,
    onConnection?: (socket: NetstackSocket) => void,
    options: NodeListenOptions = {},
  ): NetstackServer {
    const { network } = this.#up();
    return network.listen({ port, ...options }, (socket) => {
      const peer = socket.remoteAddress === undefined ? null : this.whois(socket.remoteAddress);
      /* The node itself may call, too; it is nobody's peer. */
      if (peer !== null) this.#connections.add(peer, socket);
      if (onConnection === undefined) socket.resetAndDestroy();
      else onConnection(socket);
    });
  }

  /** A connected socket; `host` is a name of the network or an address. Rejects as `net.connect` fails. */
  dial(host: string, port: number, options?: DialOptions): Promise<NetstackSocket> {
    return this.#up().network.dial(this.#resolve(host), port, options);
  }

  /** Takes a UDP port; absent: a random one. Throws `EADDRINUSE`. */
  bindUdp(port?: number): NetstackUdpSocket {
    return this.#up().network.bindUdp(port === undefined ? {} : { port });
  }

  /** Addresses of a name of this network; empty for an unknown one. */
  lookup(name: string): readonly string[] {
    return this.#names().get(name.toLowerCase().replace(/\.$/, '')) ?? [];
  }

  #resolve(host: string): string {
    return parseIp(host) === null ? (this.lookup(host)[0] ?? host) : host;
  }

  #names(): ReadonlyMap<string, readonly string[]> {
    const own = this.#running?.addresses ?? [];
    const names = new Map<string, readonly string[]>();
    for (const { peer } of this.#peers.values()) names.set(peer.name.toLowerCase(), peer.addresses);
    /* Last, so that no device takes the gateway's names. */
    return names.set(this.hostname, own).set(GATEWAY_NAME, own);
  }

  get hostname(): string {
    return (this.#options.hostname ?? 'postern').toLowerCase();
  }

  /** For `node:http`: its connections go through this network. */
  httpAgent(options: http.AgentOptions = {}): http.Agent {
    const { network } = this.#up();
    const agent = new http.Agent(options);
    agent.createConnection = ({ host, port }) =>
      network.connect(this.#resolve(host ?? ''), Number(port ?? 80), { allowHalfOpen: true });
    return agent;
  }

  status(): NodeStatus {
    const running = this.#running;
    const now = running?.wireguard.now() ?? 0;
    return {
      state: running === null ? 'stopped' : 'running',
      hostname: this.hostname,
      addresses: running?.addresses ?? [],
      publicKey: running === null ? null : formatPublicKey(running.state.privateKey.publicKey),
      udpPort: running?.wireguard.port ?? null,
      peers: [...this.#peers.values()].map(({ peer }) => {
        const seen = running?.wireguard.device.peer(peer.key, now) ?? null;
        return {
          peer,
          endpoint: seen?.endpoint?.key ?? null,
          handshakeAgeMs: seen?.lastHandshakeAt == null ? null : now - seen.lastHandshakeAt,
          receivedBytes: seen?.receivedBytes ?? 0,
          sentBytes: seen?.sentBytes ?? 0,
          connections: this.#connections.count(peer.key),
        };
      }),
      wireguard: running?.wireguard.device.counters ?? null,
      netstack: running?.network.counters ?? null,
    };
  }

  /** Writes inner packets to a new file until `close` or the returned function; for Wireshark. */
  async capturePcap(path: string): Promise<() => Promise<void>> {
    const { device } = this.#up().wireguard;
    if (this.#capture !== null) throw nodeError('node_invalid_setting', 'packets are captured already');
    const file = await PcapFile.open(path, this.#clock);
    this.#capture = file;
    device.capture = (_direction, _peer, packet) => file.write(packet);
    return async () => {
      if (this.#capture !== file) return;
      this.#capture = null;
      device.capture = null;
      await file.close();
    };
  }

  /** Ends connections and listeners, wipes session keys. Safe to call twice. */
  async close(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.network.close();
    const capture = this.#capture;
    this.#capture = null;
    running.wireguard.device.capture = null;
    await capture?.close();
    await running.wireguard.close();
    running.state.privateKey.wipe();
  }

  #up(): Running {
    if (this.#running === null)
      throw nodeError('node_not_up', 'the node is not up: await up() first, and not after close()');
    return this.#running;
  }
}

function isSamePeer(a: NodePeer, b: NodePeer): boolean {
  return (
    a.stableId === b.stableId &&
    a.name === b.name &&
    a.addresses.join() === b.addresses.join() &&
    a.tags.join() === b.tags.join()
  );
}

function hostRoute(address: string): Cidr {
  const cidr = parseCidr(`${address}/${address.includes(':') ? 128 : 32}`);
  assert(cidr !== null, 'an address that was parsed has a host route');
  return cidr;
}

function readPresharedKey(text: string, name: string): SecretBytes {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.byteLength !== 32)
    throw nodeError('node_peer_invalid', `the preshared key of ${name} must be 32 bytes in base64`);
  return new SecretBytes(bytes);
}
