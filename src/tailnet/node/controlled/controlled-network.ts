/**
 * The network of a control server: its map says who the peers are, what may come in, and which relays
 * there are; here each part of the node is told what concerns it. What the map no longer allows ends
 * in the turn in which the map is applied.
 */
import { hmacSha256, X25519PrivateKey, type X25519PublicKey } from '../../../crypto/index.ts';
import type { AppError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { Secret } from '../../../base/secret.ts';
import { formatIp, type IpAddress, parseIp } from '../../../wire/ip.ts';
import { formatIpPort, type IpPort } from '../../../wire/ip-port.ts';
import { IP_PROTOCOL, ipToBytes } from '../../../wire/ip-packet.ts';
import { type NetstackSocket, UserspaceNetwork } from '../../netstack/index.ts';
import {
  ControlClient,
  type ControlEvent,
  type ControlState,
  createNetworkView,
  type HostFacts,
  type NetFacts,
  type Netmap,
  type NetworkNode,
  type NetworkView,
  NO_NET_FACTS,
  type NodeState as KeptState,
  PacketFilter,
  parseControlUrl,
  type Sleep,
  type StreamDialer,
} from '../../protocol/index.ts';
import { UdpSockets, type UdpSocketsOptions, type WireguardDevice } from '../../wireguard/index.ts';
import { nodeError } from '../errors.ts';
import type { ListedPeer, NodeNetwork } from '../node-network.ts';
import { isSamePeer, type NodePeer } from '../node-peer.ts';
import type { ControlCounters, ControlStatus, NodeEvent, NodeState } from '../node-status.ts';
import type { PeerConnections } from '../peer-connections.ts';
import { EndpointSurvey, tellsNews } from './endpoint-survey.ts';
import {
  addressesOf,
  describePeer,
  hostOf,
  isCarriedAlike,
  isMember,
  isSameIdentity,
  membersOf,
  shortName,
  toCarriedPeer,
} from './netmap-peers.ts';
import { PacketCarrier } from './packet-carrier.ts';

export interface ControlledNetworkOptions extends UdpSocketsOptions {
  readonly controlUrl: string;
  readonly state: KeptState;
  /** See `ControlClientOptions.saveState`. */
  readonly saveState: (state: KeptState) => Promise<void>;
  readonly authKey: Secret | null;
  readonly isEphemeral: boolean;
  readonly host: HostFacts;
  readonly dialer: StreamDialer;
  readonly configuredEndpoints: readonly IpPort[];
  readonly acceptRoutes: boolean;
  readonly allowLoopback: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  readonly connections: PeerConnections;
  /** Must not throw. */
  readonly emit: (event: NodeEvent) => void;
}

/** How long an ephemeral device waits at its end for the control server to forget it. */
const FAREWELL_MS = 3_000;
const NO_MEMBERS: ReadonlyMap<string, NetworkNode> = new Map();

export class ControlledNetwork implements NodeNetwork {
  readonly #options: ControlledNetworkOptions;
  readonly #control: ControlClient;
  readonly #carrier: PacketCarrier;
  readonly #survey: EndpointSurvey;
  readonly #sockets: UdpSockets;
  readonly #filter = new PacketFilter();
  readonly #filtered = { malformed: 0, fragment: 0, not_ours: 0, protocol: 0, denied: 0 };
  /** Peers that someone asked about: what they were told must change with the map. */
  readonly #described = new Map<string, { readonly node: NetworkNode; readonly peer: NodePeer }>();
  #members = NO_MEMBERS;
  #view: NetworkView | null = null;
  #stack: UserspaceNetwork | null = null;
  #addresses: readonly string[] = [];
  #derpMap: Netmap['derpMap'] | null = null;
  #nodeKey: X25519PrivateKey;
  #told: NetFacts = NO_NET_FACTS;
  #controlState: ControlState = 'connecting';
  #problem: AppError | null = null;
  #state: NodeState = 'starting';
  #loginUrl: string | null = null;
  #leftOut = 0;
  #refused = 0;
  #applying: NodeJS.Immediate | null = null;
  #closing: Promise<void> | null = null;

  /** Binds. @throws AppError `wireguard_bind`; `control_invalid_setting` for a bad URL or another server's state */
  static async open(options: ControlledNetworkOptions): Promise<ControlledNetwork> {
    parseControlUrl(options.controlUrl);
    const sockets = await UdpSockets.bind(options);
    try {
      return new ControlledNetwork(options, sockets);
    } catch (error) {
      await sockets.close();
      throw error;
    }
  }

  private constructor(options: ControlledNetworkOptions, sockets: UdpSockets) {
    const { clock, random, sleep, dialer, state, allowLoopback } = options;
    const discoKey = X25519PrivateKey.generate(random);
    const plainHost = plainHostOf(options.controlUrl);
    this.#options = options;
    this.#sockets = sockets;
    this.#nodeKey = state.nodeKey;
    this.#control = new ControlClient({
      ...options,
      discoKey: discoKey.publicKey.bytes.toString('hex'),
      onEvent: (event) => this.#onControl(event),
    });
    this.#carrier = new PacketCarrier({
      sockets,
      nodeKey: state.nodeKey,
      discoKey,
      relays: { dialer, sleep, plainHost },
      clock,
      random,
      allowLoopback,
      deliver: (_peer, packet) => this.#deliver(packet),
      stun: (datagram) => this.#survey.receive(datagram),
      wantEndpoints: () => this.#survey.survey(),
    });
    this.#survey = new EndpointSurvey({
      clock,
      random,
      sleep,
      dialer,
      plainHost,
      allowLoopback,
      portIpv4: sockets.has(4) ? sockets.port : null,
      portIpv6: sockets.has(6) ? sockets.port : null,
      configured: options.configuredEndpoints,
      sendUdp: (to, host, datagram) => this.#carrier.sendUdp(to, host, datagram),
      found: (facts) => this.#onFacts(facts),
      networkChanged: () => this.#carrier.networkChanged(),
    });
  }

  /** Begins; what happens comes as events. */
  start(): void {
    this.#control.start();
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Why the state is what it is; null if all is well. */
  get problem(): AppError | null {
    return this.#problem;
  }

  get loginUrl(): string | null {
    return this.#loginUrl;
  }

  get stack(): UserspaceNetwork | null {
    return this.#stack;
  }

  get device(): WireguardDevice {
    return this.#carrier.device;
  }

  get publicKey(): X25519PublicKey {
    return this.#nodeKey.publicKey;
  }

  get udpPort(): number {
    return this.#sockets.port;
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get ownNames(): readonly string[] {
    const name = this.#view?.netmap.self.name ?? '';
    return name === '' ? [] : [name, shortName(name)];
  }

  #onControl(event: ControlEvent): void {
    switch (event.type) {
      case 'state':
        this.#controlState = event.state;
        if (event.problem !== null || event.state === 'running') this.#problem = event.problem;
        if (event.state === 'running') this.#loginUrl = null;
        this.#scheduleApply();
        return;
      case 'login_url':
        this.#loginUrl = event.url;
        this.#options.emit({ type: 'login_url', url: event.url });
        return;
      case 'left_out':
        this.#leftOut += event.count;
        return;
      case 'netmap':
      case 'node_key':
        this.#scheduleApply();
    }
  }

  /** Deltas that come together are applied together. */
  #scheduleApply(): void {
    if (this.#closing === null) this.#applying ??= setImmediate(() => this.#apply());
  }

  #apply(): void {
    this.#applying = null;
    const { netmap } = this.#control;
    const before = this.#view;
    const isNew = netmap !== null && netmap !== before?.netmap;
    if (isNew) this.#view = createNetworkView(netmap);
    const view = this.#view;
    const isUp = view !== null && this.#controlState !== 'stopped' && isMember(view.netmap);
    if (isNew && isUp) this.#takeSelf(netmap);
    const members = isUp ? membersOf(view.netmap) : NO_MEMBERS;
    if (members.size > 0 || this.#members.size > 0) this.#takeMembers(members);
    if (isNew && isUp) this.#takeRules(view, before);
    this.#takeState(isUp);
    if (isNew && view !== null) this.#tellNews(view, before);
  }

  /** Own key, own addresses, relays. */
  #takeSelf({ self, derpMap }: Netmap): void {
    const { nodeKey } = this.#control.state;
    /* A key that no login has confirmed yet is nobody's for the peers. */
    if (nodeKey !== this.#nodeKey && self.nodeKey === nodeKey.publicKey.bytes.toString('hex')) {
      this.#nodeKey = nodeKey;
      this.#carrier.setNodeKey(nodeKey);
    }
    const addresses = addressesOf(self);
    if (this.#stack === null) {
      this.#stack = this.#createStack(addresses);
      this.#survey.start();
    } else if (addresses.join() !== this.#addresses.join()) {
      this.#stack.setAddresses(addresses);
    }
    this.#addresses = addresses;
    if (this.#derpMap === derpMap) return;
    this.#derpMap = derpMap;
    this.#carrier.relays.setMap(derpMap);
    this.#survey.setDerpMap(derpMap);
  }

  #createStack(addresses: readonly string[]): UserspaceNetwork {
    const { clock, random } = this.#options;
    const hashKey = random.bytes(32);
    return new UserspaceNetwork({
      addresses,
      clock,
      random,
      keyedHash: (data) => hmacSha256(hashKey, data),
      output: (packet) => {
        this.#filter.noteSent(packet, clock.monotonicMs());
        this.#carrier.send(packet);
      },
    });
  }

  #deliver(packet: Buffer): void {
    const verdict = this.#filter.check(packet, this.#options.clock.monotonicMs());
    if (verdict === 'accept') this.#stack?.receive(packet);
    else this.#filtered[verdict] += 1;
  }

  #takeMembers(members: ReadonlyMap<string, NetworkNode>): void {
    const before = this.#members;
    this.#members = members;
    for (const [key, node] of before) {
      const now = members.get(key);
      if (now === node) continue;
      /* First the connections: their resets still reach the peer. */
      if (now === undefined || !isSameIdentity(node, now)) this.#end(node);
      if (now === undefined) this.#carrier.removePeer(key);
    }
    for (const [key, node] of members) {
      const known = before.get(key);
      if (known !== undefined && (known === node || isCarriedAlike(known, node))) continue;
      if (!this.#carrier.setPeer(toCarriedPeer(node, this.#options.acceptRoutes))) this.#refused += 1;
    }
  }

  #end(node: NetworkNode): void {
    const known = this.#described.get(node.nodeKey);
    this.#options.connections.cut(node.nodeKey);
    if (known === undefined) return;
    this.#described.delete(node.nodeKey);
    this.#options.emit({ type: 'peer_ended', peer: known.peer });
  }

  #takeRules(view: NetworkView, before: NetworkView | null): void {
    this.#filter.update(
      view.rules,
      view.netmap.self.addresses.map((prefix) => ipToBytes(hostOf(prefix))),
    );
    const { filters, peers, self } = view.netmap;
    const old = before?.netmap;
    if (filters === old?.filters && peers === old.peers && self === old.self) return;
    this.#options.connections.judge((socket) => this.allows(socket));
  }

  #takeState(isUp: boolean): void {
    const state = this.#nextState(isUp);
    if (state === 'running' && this.#controlState === 'running') this.#problem = null;
    if (state === this.#state) return;
    this.#state = state;
    if (state === 'needs_login' && this.#loginUrl === null && this.#problem === null) {
      this.#problem = nodeError(
        'node_needs_approval',
        'the control server has this device wait: its key has expired, or an administrator has to approve it',
      );
    }
    this.#options.emit({ type: 'state', state, problem: this.#problem });
  }

  #nextState(isUp: boolean): NodeState {
    if (this.#controlState === 'stopped') return 'failed';
    if (isUp) return 'running';
    return this.#controlState === 'needs_login' || this.#view !== null ? 'needs_login' : 'starting';
  }

  #tellNews(view: NetworkView, before: NetworkView | null): void {
    const { emit } = this.#options;
    emit({ type: 'network' });
    const { filters, users, domain } = view.netmap;
    const old = before?.netmap;
    const isSameForAll = filters === old?.filters && users === old.users && domain === old.domain;
    for (const [key, { node, peer }] of this.#described) {
      const now = this.#members.get(key);
      if (now === undefined || (now === node && isSameForAll)) continue;
      const described = describePeer(view, now);
      const isSame = isSamePeer(described, peer);
      this.#described.set(key, { node: now, peer: isSame ? peer : described });
      if (!isSame) emit({ type: 'peer_changed', peer: described });
    }
  }

  #onFacts(facts: NetFacts): void {
    this.#carrier.relays.setHome(facts.homeDerp);
    this.#carrier.setEndpoints(facts.endpoints.map(({ address }) => address));
    if (!tellsNews(facts, this.#told)) return;
    this.#told = facts;
    this.#control.setNetFacts(facts);
  }

  peers(): readonly ListedPeer[] {
    const view = this.#view;
    if (view === null) return [];
    return Array.from(this.#members, ([key, node]) => {
      const path = this.#carrier.pathOf(key);
      return {
        peer: this.#describe(view, node),
        path: path?.kind ?? null,
        relayRegion: path?.region ?? 0,
        isOnline: node.isOnline,
      };
    });
  }

  whois(address: IpAddress): NodePeer | null {
    const view = this.#view;
    const node = view?.nodeOf(address) ?? null;
    if (view === null || node === null || this.#members.get(node.nodeKey) !== node) return null;
    /* An address that packets of another key may come from is nobody's, whatever the map says. */
    return this.device.peerOf(ipToBytes(address)) === node.nodeKey ? this.#describe(view, node) : null;
  }

  peerOf(key: string): NodePeer | null {
    const node = this.#members.get(key);
    return node === undefined || this.#view === null ? null : this.#describe(this.#view, node);
  }

  #describe(view: NetworkView, node: NetworkNode): NodePeer {
    const known = this.#described.get(node.nodeKey);
    if (known !== undefined) return known.peer;
    const peer = describePeer(view, node);
    this.#described.set(node.nodeKey, { node, peer });
    return peer;
  }

  allows({ remoteAddress, localAddress, localPort }: NetstackSocket): boolean {
    const source = parseIp(remoteAddress ?? '');
    const destination = parseIp(localAddress ?? '');
    /* A socket that has ended is nobody's risk. */
    if (source === null || destination === null || localPort === undefined) return true;
    const question = { source, destination, protocol: IP_PROTOCOL.tcp, port: localPort };
    return this.#view?.rules.allows(question) ?? false;
  }

  resolve(name: string): readonly string[] {
    return this.#view?.resolve(name).map(formatIp) ?? [];
  }

  get control(): ControlStatus {
    const netmap = this.#view?.netmap ?? null;
    const self = netmap?.self ?? null;
    const user = self === null || self.tags.length > 0 ? null : (netmap?.users.get(self.userId) ?? null);
    return {
      url: this.#options.controlUrl,
      state: this.#controlState,
      problem: this.#problem?.message ?? null,
      loginUrl: this.#loginUrl,
      domain: netmap?.domain ?? '',
      dnsName: self?.name ?? '',
      certificateDomains: netmap?.dns.certificateDomains ?? [],
      keyExpiresAt: self?.keyExpiry ?? null,
      health: netmap?.health ?? [],
      user: user?.loginName ?? null,
      tags: self?.tags ?? [],
      homeDerp: this.#survey.facts.homeDerp,
      relays: this.#carrier.relays.states(),
      endpoints: this.#survey.facts.endpoints.map(({ address }) => formatIpPort(address)),
      counters: this.#counters(),
    };
  }

  #counters(): ControlCounters {
    return {
      filtered: this.#filtered,
      disco: this.#carrier.discoDrops,
      carrier: this.#carrier.counters,
      leftOut: this.#leftOut,
      peersRefused: this.#refused,
      connectionsCut: this.#options.connections.cutCount,
    };
  }

  /** Takes a new node key, before the old one expires. */
  renewKey(): void {
    this.#control.renewKey();
  }

  /** Leaves the network and closes. Rejects if the control server could not be told; closed all the same. */
  async logout(signal: AbortSignal): Promise<void> {
    this.#stack?.close();
    try {
      await this.#control.logout(signal);
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#applying !== null) clearImmediate(this.#applying);
    this.#state = 'stopped';
    this.#stack?.close();
    const { isEphemeral } = this.#options;
    if (isEphemeral && this.#control.state.isRegistered && this.#controlState !== 'stopped') {
      /* A server that is away forgets the device by itself, later. */
      await this.#control.logout(AbortSignal.timeout(FAREWELL_MS)).catch(() => undefined);
    }
    await this.#control.close();
    await this.#survey.close();
    await this.#carrier.close();
    const { machineKey, nodeKey, previousNodeKey } = this.#control.state;
    for (const key of [machineKey, nodeKey, previousNodeKey, this.#nodeKey]) key?.wipe();
  }
}

/** `host:port` of a control server without TLS: its own relay speaks none either. */
function plainHostOf(controlUrl: string): string | null {
  const { target } = parseControlUrl(controlUrl);
  return target.protocol === 'http:' ? `${target.hostname}:${target.port}` : null;
}
