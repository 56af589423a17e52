/**
 * A network without a control server: its peers are added one by one, and each may be an ordinary
 * WireGuard client. A packet goes from a peer to the node or the other way; nothing is forwarded, so
 * peers cannot reach each other.
 */
import type { Clock } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { hmacSha256, SecretBytes, type X25519PublicKey } from '../../crypto/index.ts';
import { type Cidr, formatIp, type IpAddress, parseCidr, parseIp } from '../../wire/ip.ts';
import { ipToBytes } from '../../wire/ip-packet.ts';
import { UserspaceNetwork } from '../netstack/index.ts';
import {
  udpEndpoint,
  type UdpSocketsOptions,
  type WireguardDevice,
  type WireguardPeerOptions,
  WireguardUdp,
} from '../wireguard/index.ts';
import { answerDns } from './dns-answerer.ts';
import { nodeError } from './errors.ts';
import type { ListedPeer, NodeNetwork } from './node-network.ts';
import { isSamePeer, type NodePeer, type StaticPeer } from './node-peer.ts';
import { createStateFile } from './state-file.ts';
import {
  createStaticState,
  parseStaticState,
  revealStaticState,
  type StaticState,
  staticAddresses,
} from './static-state.ts';
import { parsePublicKey } from './wg-quick.ts';

export interface StaticNetworkOptions extends UdpSocketsOptions {
  readonly stateDir: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly random: Random;
  /** A peer was removed, or is another now: before WireGuard forgets it. */
  readonly ended: (peer: NodePeer) => void;
}

/** The name under which every static network knows its gateway. */
const GATEWAY_NAME = 'ai';
const DNS_PORT = 53;
const NO_CAPABILITIES: ReadonlyMap<string, readonly unknown[]> = new Map();

interface KnownPeer {
  readonly peer: NodePeer;
  readonly wireguard: WireguardPeerOptions;
}

/** The peers, which may be set before the network is open and stay after it. */
export class StaticNetwork {
  readonly #options: StaticNetworkOptions;
  readonly #peers = new Map<string, KnownPeer>();
  #open: OpenStaticNetwork | null = null;

  constructor(options: StaticNetworkOptions) {
    this.#options = options;
  }

  /** Reads or makes the state, binds and starts. Rejects with `node_state` or `wireguard_bind`. */
  async open(): Promise<NodeNetwork> {
    const forget = (): void => {
      this.#open = null;
    };
    const network = await OpenStaticNetwork.open(this.#options, { peers: this.#peers, forget });
    this.#open = network;
    return network;
  }

  /** For `status` before the network is open. */
  listed(): readonly ListedPeer[] {
    return listed(this.#peers);
  }

  /** The addresses of the device with this number, 2 to 4,094. Throws `node_not_up`. */
  addressesOf(index: number): readonly [string, string] {
    if (this.#open === null) throw nodeError('node_not_up', 'addresses are known once the node is up');
    return this.#open.addressesOf(index);
  }

  /** See `TailnetNode.setPeer`. */
  set(given: StaticPeer): NodePeer {
    const known = this.#read(given);
    const { key } = known.peer;
    this.#open?.admit(known.wireguard, given.name);
    const before = this.#peers.get(key)?.peer;
    if (before !== undefined && isSamePeer(before, known.peer)) {
      /* The same identity keeps its object, and its connections. */
      this.#peers.set(key, { ...known, peer: before });
      return before;
    }
    this.#peers.set(key, known);
    if (before !== undefined) this.#options.ended(before);
    return known.peer;
  }

  /** See `TailnetNode.removePeer`. */
  remove(publicKey: string): boolean {
    const key = parsePublicKey(publicKey)?.bytes.toString('hex') ?? publicKey;
    const known = this.#peers.get(key);
    if (known === undefined) return false;
    this.#peers.delete(key);
    this.#options.ended(known.peer);
    this.#open?.device.removePeer(key);
    return true;
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
        dnsName: '',
        addresses,
        tags: given.tags ?? [],
        user: null,
        capabilities: NO_CAPABILITIES,
        isSharedIn: false,
        carriesOthers: false,
        network: null,
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
    if (this.#open?.addresses.includes(address) === true)
      throw nodeError('node_peer_invalid', `${address} is the node's own address`);
    return address;
  }
}

class OpenStaticNetwork implements NodeNetwork {
  readonly state = 'running';
  readonly control = null;
  readonly addresses: readonly string[];
  readonly ownNames: readonly string[];
  readonly stack: UserspaceNetwork;
  readonly #state: StaticState;
  readonly #peers: ReadonlyMap<string, KnownPeer>;
  readonly #wireguard: WireguardUdp;
  readonly #forget: () => void;

  static async open(
    options: StaticNetworkOptions,
    registry: { peers: ReadonlyMap<string, KnownPeer>; forget: () => void },
  ): Promise<OpenStaticNetwork> {
    const state = await loadState(options);
    const wireguard = await WireguardUdp.open({
      ...options,
      privateKey: state.privateKey,
      deliver: (_peer, packet) => network.stack.receive(packet),
    });
    const network = new OpenStaticNetwork(options, { ...registry, state, wireguard });
    return network;
  }

  private constructor(
    { hostname, clock, random }: StaticNetworkOptions,
    parts: {
      state: StaticState;
      peers: ReadonlyMap<string, KnownPeer>;
      wireguard: WireguardUdp;
      forget: () => void;
    },
  ) {
    const { state, peers, wireguard } = parts;
    this.#forget = parts.forget;
    this.#state = state;
    this.#peers = peers;
    this.#wireguard = wireguard;
    this.addresses = staticAddresses(state, 1);
    this.ownNames = [...new Set([hostname, GATEWAY_NAME])];
    const hashKey = random.bytes(32);
    this.stack = new UserspaceNetwork({
      addresses: this.addresses,
      clock,
      random,
      keyedHash: (data) => hmacSha256(hashKey, data),
      output: (packet) => void wireguard.send(packet),
    });
    this.#serveDns();
    for (const known of peers.values()) wireguard.device.setPeer(known.wireguard, wireguard.now());
    wireguard.wake();
  }

  #serveDns(): void {
    const dns = this.stack.bindUdp({ port: DNS_PORT });
    dns.on('message', (datagram: Buffer, from: { address: string; port: number }) => {
      const answer = answerDns(datagram, this.#names());
      if (answer !== null) dns.send(answer, from.port, from.address);
    });
  }

  get device(): WireguardDevice {
    return this.#wireguard.device;
  }

  get publicKey(): X25519PublicKey {
    return this.#state.privateKey.publicKey;
  }

  get udpPort(): number {
    return this.#wireguard.port;
  }

  addressesOf(index: number): readonly [string, string] {
    return staticAddresses(this.#state, index);
  }

  /** Throws `node_peer_invalid` for a key that WireGuard refuses. */
  admit(peer: WireguardPeerOptions, name: string): void {
    try {
      this.device.setPeer(peer, this.#wireguard.now());
    } catch (cause) {
      throw nodeError('node_peer_invalid', `the peer ${name} cannot be added: its key is no peer's`, {
        cause,
      });
    }
    this.#wireguard.wake();
  }

  peers(): readonly ListedPeer[] {
    return listed(this.#peers);
  }

  whois(address: IpAddress): NodePeer | null {
    const key = this.device.peerOf(ipToBytes(address));
    return key === null ? null : this.peerOf(key);
  }

  peerOf(key: string): NodePeer | null {
    return this.#peers.get(key)?.peer ?? null;
  }

  /** WireGuard has let it in, and there are no rules beside. */
  allows(): boolean {
    return true;
  }

  resolve(name: string): readonly string[] {
    return this.#names().get(name) ?? [];
  }

  #names(): ReadonlyMap<string, readonly string[]> {
    const names = new Map<string, readonly string[]>();
    for (const { peer } of this.#peers.values()) names.set(peer.name.toLowerCase(), peer.addresses);
    /* Last, so that no device takes the gateway's names. */
    for (const name of this.ownNames) names.set(name, this.addresses);
    return names;
  }

  async close(): Promise<void> {
    this.#forget();
    this.stack.close();
    await this.#wireguard.close();
    this.#state.privateKey.wipe();
  }
}

function listed(peers: ReadonlyMap<string, KnownPeer>): readonly ListedPeer[] {
  return Array.from(peers.values(), ({ peer }) => ({ peer, path: null, relayRegion: 0, isOnline: null }));
}

async function loadState({ stateDir, random }: StaticNetworkOptions): Promise<StaticState> {
  const file = createStateFile(stateDir);
  const text = await file.read();
  if (text !== null) return parseStaticState(text);
  const state = createStaticState(random);
  await file.write(revealStaticState(state));
  return state;
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
