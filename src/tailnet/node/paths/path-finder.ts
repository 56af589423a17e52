/**
 * Direct paths between nodes: which UDP address of a peer works, how well, and when to use the relay.
 * Pure: times are monotonic ms, what is to be done comes back as actions. By disco (see
 * `wire/disco.ts`), so that official clients take part:
 *
 * - while packets are sent to a peer, every 3 s its path is pinged; a pong is trusted for 6.5 s;
 * - without a trusted path all its addresses are pinged, each every 5 s at most, and it is asked
 *   through the relay to do the same (call me maybe), which opens NATs on both sides;
 * - a good path is looked past once a minute, in case there is a better one;
 * - without trust, packets go both ways; a path that stays silent is given up.
 *
 * Nothing here is an identity: WireGuard checks every packet, whatever way it came.
 */
import type { Random } from '../../../base/random.ts';
import { NaclBox, type X25519PrivateKey, X25519PublicKey } from '../../../crypto/index.ts';
import {
  DISCO_NONCE_BYTES,
  DISCO_TX_BYTES,
  type DiscoMessage,
  encodeDiscoEnvelope,
  encodeDiscoMessage,
  parseDiscoEnvelope,
  parseDiscoMessage,
} from '../../../wire/disco.ts';
import type { IpPort } from '../../../wire/ip-port.ts';
import type { UdpPath } from './path.ts';
import { type Candidate, type PathPeer, PeerPaths, type Route } from './peer-paths.ts';

/** Pings of one address are this far apart. */
const PING_EVERY_MS = 5000;
/** A ping without a pong by then is forgotten. */
const PING_TIMEOUT_MS = 5000;
const HEARTBEAT_MS = 3000;
/** Without a packet of ours for this long, a peer is left in peace. */
const ACTIVE_MS = 45_000;
/** How often a good path is looked past. */
const UPGRADE_MS = 60_000;
/** Nothing better than this is looked for. */
const GOOD_LATENCY_MS = 5;
/** Our addresses are asked for anew before a peer is told them. */
const ENDPOINTS_FRESH_MS = 27_000;
/** Of one peer; each has us ping all its addresses. */
const CALL_HEARD_EVERY_MS = 1000;
/** Of all peers together. */
const PENDING_MAX = 8192;
/** Told to a peer. */
const OWN_ENDPOINTS_MAX = 32;
/** How a relay stands for an address in a pong: 127.3.3.40, the region as port. */
const RELAY_IP = { family: 4, value: 0x7f030328n } as const;

export type PathAction =
  | { readonly type: 'send_udp'; readonly to: UdpPath; readonly datagram: Buffer }
  /** Through the relay of a region, to the peer with this node key (64 hex digits). */
  | { readonly type: 'send_derp'; readonly region: number; readonly peer: string; readonly datagram: Buffer }
  /** The peer is now reached directly at `path`, or through relays if null. */
  | {
      readonly type: 'path';
      readonly peer: string;
      readonly path: UdpPath | null;
      readonly latencyMs: number | null;
    }
  /** Our addresses should be learned anew, by STUN, and set. */
  | { readonly type: 'want_endpoints' }
  /** The answer to `ping`. `path` null: through the relay. */
  | {
      readonly type: 'pong';
      readonly peer: string;
      readonly path: UdpPath | null;
      readonly latencyMs: number;
    };

/** Where a disco message came from. */
export type PathSource =
  | { readonly kind: 'udp'; readonly address: IpPort }
  /** `peer`: the node key (64 hex digits) that the relay says it came from. */
  | { readonly kind: 'derp'; readonly region: number; readonly peer: string };

/** Datagrams that were dropped, by why. */
export interface PathDrops {
  malformed: number;
  /** From a disco key that no peer has. */
  unknownSender: number;
  /** The box does not open, or the sender is not whom it says. */
  forged: number;
  /** A pong that nobody waits for. */
  unexpected: number;
  /** Too many. */
  limited: number;
}

export interface PathFinderOptions {
  readonly discoKey: X25519PrivateKey;
  readonly random: Random;
  /** For tests on one machine. */
  readonly allowLoopback?: boolean;
}

interface Pending {
  readonly paths: PeerPaths;
  /** Null: through the relay. */
  readonly candidate: Candidate | null;
  readonly sentMs: number;
  readonly isAsked: boolean;
}

export class PathFinder {
  readonly drops: PathDrops = { malformed: 0, unknownSender: 0, forged: 0, unexpected: 0, limited: 0 };
  readonly #options: PathFinderOptions;
  readonly #allowLoopback: boolean;
  readonly #peers = new Map<string, PeerPaths>();
  readonly #byDisco = new Map<string, Set<PeerPaths>>();
  /** Those that packets were sent to lately. */
  readonly #active = new Set<PeerPaths>();
  /** By transaction id, oldest first. */
  readonly #pending = new Map<string, Pending>();
  #nodeKey: Buffer;
  #endpoints: readonly IpPort[] = [];
  #endpointsMs = -Infinity;
  #wakeMs = Infinity;

  /** `nodeKey`: our public WireGuard key, 32 bytes. */
  constructor(options: PathFinderOptions, nodeKey: Buffer) {
    this.#options = options;
    this.#allowLoopback = options.allowLoopback === true;
    this.#nodeKey = nodeKey;
  }

  setNodeKey(nodeKey: Buffer): void {
    this.#nodeKey = nodeKey;
  }

  /** A peer is new or different. */
  setPeer(peer: PathPeer, nowMs: number): void {
    const known = this.#peers.get(peer.nodeKey);
    const box =
      known !== undefined && known.peer.discoKey === peer.discoKey ? known.box : this.#boxFor(peer.discoKey);
    const paths = known ?? new PeerPaths(peer, box);
    this.#unlinkDisco(paths);
    paths.update(peer, box, nowMs, this.#allowLoopback);
    this.#peers.set(peer.nodeKey, paths);
    if (this.#active.has(paths) && paths.best === null) {
      /* Packets are waiting for a path, and this may be one. */
      paths.heartbeatMs = nowMs;
      this.#wakeMs = Math.min(this.#wakeMs, nowMs);
    }
    if (peer.discoKey !== null) {
      const sharing = this.#byDisco.get(peer.discoKey) ?? new Set();
      this.#byDisco.set(peer.discoKey, sharing.add(paths));
    }
  }

  removePeer(nodeKey: string): void {
    const paths = this.#peers.get(nodeKey);
    if (paths === undefined) return;
    this.#peers.delete(nodeKey);
    this.#active.delete(paths);
    this.#unlinkDisco(paths);
    for (const [tx, pending] of this.#pending) if (pending.paths === paths) this.#pending.delete(tx);
  }

  #unlinkDisco(paths: PeerPaths): void {
    const { discoKey } = paths.peer;
    const sharing = discoKey === null ? undefined : this.#byDisco.get(discoKey);
    sharing?.delete(paths);
    if (discoKey !== null && sharing?.size === 0) this.#byDisco.delete(discoKey);
  }

  #boxFor(discoKey: string | null): NaclBox | null {
    if (discoKey === null) return null;
    return NaclBox.between(this.#options.discoKey, X25519PublicKey.fromBytes(Buffer.from(discoKey, 'hex')));
  }

  /** Where we may be reached; peers without a direct path are told. */
  setEndpoints(endpoints: readonly IpPort[], nowMs: number): PathAction[] {
    this.#endpoints = endpoints.slice(0, OWN_ENDPOINTS_MAX);
    this.#endpointsMs = nowMs;
    const actions: PathAction[] = [];
    for (const paths of this.#active) {
      if (nowMs >= paths.trustUntilMs) this.#call(paths, nowMs, actions);
    }
    return actions;
  }

  /** Our network is another one: no path is known any more. */
  networkChanged(nowMs: number): PathAction[] {
    const actions: PathAction[] = [];
    for (const paths of this.#peers.values()) {
      if (paths.best !== null)
        actions.push({ type: 'path', peer: paths.peer.nodeKey, path: null, latencyMs: null });
      paths.distrust();
    }
    for (const paths of this.#active) paths.heartbeatMs = nowMs;
    if (this.#active.size > 0) this.#wakeMs = nowMs;
    return actions;
  }

  /**
   * Where to send a packet to this peer; null for an unknown one. Call `tick` when `nextWake` has come,
   * which the first packet makes now. The object is the peer's own and changes: use it at once.
   */
  route(nodeKey: string, nowMs: number): Route | null {
    const paths = this.#peers.get(nodeKey);
    if (paths === undefined) return null;
    paths.sentMs = nowMs;
    if (paths.heartbeatMs === Infinity && paths.box !== null) {
      paths.heartbeatMs = nowMs;
      this.#active.add(paths);
      this.#wakeMs = Math.min(this.#wakeMs, nowMs);
    }
    return paths.currentRoute(nowMs);
  }

  /** When `tick` has something to do; Infinity for never. */
  nextWake(): number {
    return this.#wakeMs;
  }

  tick(nowMs: number): PathAction[] {
    const actions: PathAction[] = [];
    for (const [tx, { sentMs }] of this.#pending) {
      if (nowMs - sentMs < PING_TIMEOUT_MS) break;
      this.#pending.delete(tx);
    }
    let wakeMs = Infinity;
    for (const paths of this.#active) {
      if (nowMs >= paths.heartbeatMs) this.#heartbeat(paths, nowMs, actions);
      wakeMs = Math.min(wakeMs, paths.heartbeatMs);
    }
    this.#wakeMs = wakeMs;
    return actions;
  }

  #heartbeat(paths: PeerPaths, nowMs: number, actions: PathAction[]): void {
    const before = paths.best;
    paths.prune(nowMs);
    if (before !== null && paths.best === null) {
      actions.push({ type: 'path', peer: paths.peer.nodeKey, path: null, latencyMs: null });
    }
    if (nowMs - paths.sentMs > ACTIVE_MS) {
      paths.heartbeatMs = Infinity;
      this.#active.delete(paths);
      return;
    }
    paths.heartbeatMs = nowMs + HEARTBEAT_MS;
    if (paths.best !== null) this.#ping(paths, paths.best, nowMs, actions);
    if (this.#wantsFullPing(paths, nowMs)) this.#pingAll(paths, nowMs, actions);
  }

  #wantsFullPing(paths: PeerPaths, nowMs: number): boolean {
    if (paths.best === null || nowMs >= paths.trustUntilMs) return true;
    if (paths.bestLatencyMs <= GOOD_LATENCY_MS) return false;
    return nowMs - paths.fullPingMs >= UPGRADE_MS;
  }

  #pingAll(paths: PeerPaths, nowMs: number, actions: PathAction[]): void {
    paths.fullPingMs = nowMs;
    for (const candidate of paths.candidates.values()) {
      if (candidate !== paths.best && nowMs - candidate.pingedMs >= PING_EVERY_MS) {
        this.#ping(paths, candidate, nowMs, actions);
      }
    }
    if (nowMs - paths.callSentMs >= PING_EVERY_MS) this.#call(paths, nowMs, actions);
  }

  /** Asks the peer through its relay to ping our addresses. */
  #call(paths: PeerPaths, nowMs: number, actions: PathAction[]): void {
    if (nowMs - this.#endpointsMs > ENDPOINTS_FRESH_MS) actions.push({ type: 'want_endpoints' });
    const region = paths.currentRoute(nowMs).derp || paths.peer.homeDerp;
    if (this.#endpoints.length === 0 || region === 0) return;
    paths.callSentMs = nowMs;
    const datagram = this.#seal(paths, { type: 'call_me_maybe', endpoints: this.#endpoints });
    if (datagram !== null) actions.push({ type: 'send_derp', region, peer: paths.peer.nodeKey, datagram });
  }

  #ping(paths: PeerPaths, candidate: Candidate, nowMs: number, actions: PathAction[]): void {
    candidate.pingedMs = nowMs;
    const datagram = this.#pingDatagram({ paths, candidate, sentMs: nowMs, isAsked: false });
    if (datagram !== null) actions.push({ type: 'send_udp', to: candidate.path, datagram });
  }

  /** Pings a peer by the path in use, for people who want to know; a `pong` action comes if it answers. */
  ping(nodeKey: string, nowMs: number): PathAction[] {
    const paths = this.#peers.get(nodeKey);
    if (paths === undefined) return [];
    const isDirect = paths.best !== null && nowMs < paths.trustUntilMs;
    const candidate = isDirect ? paths.best : null;
    const datagram = this.#pingDatagram({ paths, candidate, sentMs: nowMs, isAsked: true });
    const { derp } = paths.currentRoute(nowMs);
    if (datagram === null) return [];
    if (candidate !== null) return [{ type: 'send_udp', to: candidate.path, datagram }];
    return derp === 0 ? [] : [{ type: 'send_derp', region: derp, peer: nodeKey, datagram }];
  }

  #pingDatagram(pending: Pending): Buffer | null {
    const tx = Buffer.from(this.#options.random.bytes(DISCO_TX_BYTES));
    this.#pending.set(tx.toString('latin1'), pending);
    if (this.#pending.size > PENDING_MAX) {
      for (const oldest of this.#pending.keys()) {
        this.#pending.delete(oldest);
        break;
      }
    }
    return this.#seal(pending.paths, { type: 'ping', tx, nodeKey: this.#nodeKey, paddingBytes: 0 });
  }

  #seal({ box }: PeerPaths, message: DiscoMessage): Buffer | null {
    if (box === null) return null;
    const { discoKey, random } = this.#options;
    const nonce = random.bytes(DISCO_NONCE_BYTES);
    return encodeDiscoEnvelope(discoKey.publicKey.bytes, nonce, box.seal(nonce, encodeDiscoMessage(message)));
  }

  /** The relay of this region says that the peer is not there. */
  peerGone(region: number, nodeKey: string): void {
    this.#peers.get(nodeKey)?.noteGoneFrom(region);
  }

  /** WireGuard took a packet of this peer that came through a relay: it listens there. */
  heardThrough(region: number, nodeKey: string): void {
    this.#peers.get(nodeKey)?.noteHeardThrough(region);
  }

  /** A disco message. Never throws; what is not right is counted in `drops`. */
  receive(datagram: Buffer, from: PathSource, nowMs: number): PathAction[] {
    const envelope = parseDiscoEnvelope(datagram);
    if (envelope === null) return this.#drop('malformed');
    const sharing = this.#byDisco.get(envelope.sender.toString('hex'));
    const [first] = sharing ?? [];
    if (sharing === undefined || first === undefined || first.box === null)
      return this.#drop('unknownSender');
    const plain = first.box.open(envelope.nonce, envelope.box);
    if (plain === null) return this.#drop('forged');
    const message = parseDiscoMessage(plain);
    if (message === null) return this.#drop('malformed');
    if (message.type === 'pong') return this.#receivePong(message.tx, sharing, nowMs);
    const paths = whoSent(sharing, message, from);
    if (paths === null) return this.#drop('forged');
    return message.type === 'ping'
      ? this.#receivePing(paths, message.tx, from, nowMs)
      : this.#receiveCall(paths, message.endpoints, from, nowMs);
  }

  #drop(why: keyof PathDrops): PathAction[] {
    this.drops[why] += 1;
    return [];
  }

  #receivePing(paths: PeerPaths, tx: Buffer, from: PathSource, nowMs: number): PathAction[] {
    if (from.kind === 'derp') {
      paths.noteHeardThrough(from.region);
      const source = { ip: RELAY_IP, port: from.region & 0xffff };
      const datagram = this.#seal(paths, { type: 'pong', tx, source });
      return datagram === null ? [] : [{ type: 'send_derp', region: from.region, peer: from.peer, datagram }];
    }
    const candidate = paths.addCandidate(from.address, nowMs, this.#allowLoopback);
    const datagram = this.#seal(paths, { type: 'pong', tx, source: from.address });
    if (candidate === null || datagram === null) return this.#drop('limited');
    const actions: PathAction[] = [{ type: 'send_udp', to: candidate.path, datagram }];
    const isWanted = paths.best === null || nowMs >= paths.trustUntilMs;
    if (isWanted && nowMs - candidate.pingedMs >= PING_EVERY_MS) this.#ping(paths, candidate, nowMs, actions);
    return actions;
  }

  #receivePong(tx: Buffer, sharing: ReadonlySet<PeerPaths>, nowMs: number): PathAction[] {
    const key = tx.toString('latin1');
    const pending = this.#pending.get(key);
    if (pending === undefined || !sharing.has(pending.paths)) return this.#drop('unexpected');
    this.#pending.delete(key);
    const { paths, candidate, sentMs, isAsked } = pending;
    const peer = paths.peer.nodeKey;
    const latencyMs = Math.max(nowMs - sentMs, 0);
    const actions: PathAction[] = [];
    if (isAsked) actions.push({ type: 'pong', peer, path: candidate?.path ?? null, latencyMs });
    /* A candidate that was dropped meanwhile is no path: its address is not kept up. */
    if (candidate !== null && paths.candidates.get(candidate.path.key) === candidate) {
      if (paths.notePong(candidate, latencyMs, nowMs)) {
        actions.push({ type: 'path', peer, path: candidate.path, latencyMs });
      }
    }
    return actions;
  }

  #receiveCall(
    paths: PeerPaths,
    endpoints: readonly IpPort[],
    from: PathSource,
    nowMs: number,
  ): PathAction[] {
    /* Over UDP it would tell nothing that a ping does not. */
    if (from.kind !== 'derp') return this.#drop('malformed');
    if (nowMs - paths.callHeardMs < CALL_HEARD_EVERY_MS) return this.#drop('limited');
    paths.callHeardMs = nowMs;
    const actions: PathAction[] = [];
    for (const endpoint of endpoints) {
      const candidate = paths.addCandidate(endpoint, nowMs, this.#allowLoopback);
      if (candidate !== null) this.#ping(paths, candidate, nowMs, actions);
    }
    return actions;
  }

  /** The path in use, for status: null is through relays. */
  pathOf(nodeKey: string, nowMs: number): { readonly path: UdpPath; readonly latencyMs: number } | null {
    const paths = this.#peers.get(nodeKey);
    if (paths?.best === undefined || paths.best === null || nowMs >= paths.trustUntilMs) return null;
    return { path: paths.best.path, latencyMs: paths.bestLatencyMs };
  }
}

/** The peer a message is from: that of the relay's word, of the ping's claim, or the only one with its disco key. */
function whoSent(
  sharing: ReadonlySet<PeerPaths>,
  message: Exclude<DiscoMessage, { type: 'pong' }>,
  from: PathSource,
): PeerPaths | null {
  const claimed = message.type === 'ping' ? (message.nodeKey?.toString('hex') ?? null) : null;
  const stated = from.kind === 'derp' ? from.peer : null;
  if (claimed !== null && stated !== null && claimed !== stated) return null;
  const key = stated ?? claimed;
  for (const paths of sharing) {
    if (key === null ? sharing.size === 1 : paths.peer.nodeKey === key) return paths;
  }
  return null;
}
