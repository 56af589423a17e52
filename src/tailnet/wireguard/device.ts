/**
 * A WireGuard device as a pure core: datagrams, inner packets and the time go in; what is to be sent,
 * delivered and told comes out through `WireguardOutput`. No sockets, no timers, no clock of its own
 * but the wall clock for timestamps. Source: WireGuard white paper, sections 5 and 6.
 *
 * Nothing that arrives throws or makes it keep memory: strangers cost a few counters and, under load,
 * a bounded table of sources. Per peer there are at most three sessions, one handshake and 128 waiting
 * packets, and all peers together keep at most 16 MiB of these. Left out: fwmarks and anything of a
 * kernel's interface.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { SecretBytes } from '../../crypto/index.ts';
import type { X25519PrivateKey, X25519PublicKey } from '../../crypto/index.ts';
import { dataCounter, dataReceiver, WIREGUARD_TYPE, wireguardType } from '../../wire/wireguard.ts';
import { AllowedIps } from './allowed-ips.ts';
import {
  HANDSHAKE_TRIES_MAX,
  PEERS_MAX,
  REJECT_AFTER_MESSAGES,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_MS,
  REKEY_WHEN_RECEIVING_MS,
  STAGED_BYTES_MAX,
  STAGED_PACKETS_MAX,
} from './constants.ts';
import { createWireguardCounters } from './counters.ts';
import type { WireguardCounters, WireguardDrop } from './counters.ts';
import type { WireguardErrorCode } from './errors.ts';
import { UNDER_LOAD_PER_SEC } from './handshake-load.ts';
import { drawJitterMs, Handshakes } from './handshakes.ts';
import { IndexTable } from './index-table.ts';
import {
  innerFamily,
  innerLength,
  IPV4_DESTINATION_AT,
  IPV4_SOURCE_AT,
  IPV6_DESTINATION_AT,
  IPV6_SOURCE_AT,
} from './inner-packet.ts';
import { Peer } from './peer.ts';
import type { Session, SessionLimits } from './session.ts';
import type {
  Endpoint,
  PeerKey,
  WireguardOutput,
  WireguardPeerOptions,
  WireguardPeerStatus,
} from './types.ts';
import { WakeHeap } from './wake-heap.ts';

const EMPTY = Buffer.alloc(0);
/** Peers woken in one `tick`: a handshake takes some 200 µs, so this keeps the event loop free. */
const WAKES_PER_TICK = 64;

/** Sees inner packets as they pass, for a capture file. Must not alter or keep them. */
export type WireguardCapture = (direction: 'in' | 'out', peer: PeerKey, packet: Buffer) => void;

export interface WireguardDeviceOptions {
  readonly privateKey: X25519PrivateKey;
  readonly output: WireguardOutput;
  readonly random: Random;
  /** Wall time for the timestamps of handshakes; may jump. Durations come from `now` arguments. */
  readonly wallClock: Pick<Clock, 'now'>;
  /** Bytes of an inner packet up to which padding goes; default 1280. */
  readonly mtu?: number;
  /** Handshake messages per second above which senders must prove their address; default 250. */
  readonly underLoadPerSec?: number;
  /** For tests only: counts that no session reaches otherwise. */
  readonly sessionLimits?: SessionLimits;
}

/** See the file's header. `now` is always in monotonic milliseconds and never falls. */
export class WireguardDevice {
  readonly counters: WireguardCounters = createWireguardCounters();
  readonly publicKey: X25519PublicKey;
  /** Null costs nothing. */
  capture: WireguardCapture | null = null;
  readonly #privateKey: X25519PrivateKey;
  readonly #output: WireguardOutput;
  readonly #random: Random;
  readonly #mtu: number;
  readonly #peers = new Map<PeerKey, Peer>();
  readonly #routes = new AllowedIps<Peer>();
  readonly #wakes = new WakeHeap<Peer>();
  readonly #indices: IndexTable;
  readonly #handshakes: Handshakes;
  #stagedBytes = 0;

  constructor(options: WireguardDeviceOptions) {
    this.publicKey = options.privateKey.publicKey;
    this.#privateKey = options.privateKey;
    this.#output = options.output;
    this.#random = options.random;
    this.#mtu = options.mtu ?? 1280;
    this.#indices = new IndexTable(options.random);
    this.#handshakes = new Handshakes(
      {
        counters: this.counters,
        indices: this.#indices,
        find: (key) => this.#peers.get(key) ?? null,
        transmit: (peer, datagram) => this.#transmit(peer, datagram),
        answerStranger: (to, datagram) => this.#output.send(null, to, datagram),
        moveEndpoint: (peer, from) => this.#moveEndpoint(peer, from),
        retire: (session) => this.#retire(session),
        reschedule: (peer) => this.#reschedule(peer),
        ready: (peer, now) => this.#flush(peer, now, true),
        announce: (peer, role) => this.#output.event({ type: 'handshake', peer: peer.key, role }),
      },
      {
        privateKey: options.privateKey,
        random: options.random,
        wallClock: options.wallClock,
        underLoadPerSec: options.underLoadPerSec ?? UNDER_LOAD_PER_SEC,
        limits: options.sessionLimits ?? {
          rekeyAfterMessages: REKEY_AFTER_MESSAGES,
          rejectAfterMessages: REJECT_AFTER_MESSAGES,
        },
      },
    );
  }

  /**
   * Adds a peer, or changes one: sessions go on, except when the preshared key is another. Throws
   * `wireguard_peer_key` for our own key or one of low order, `wireguard_too_many_peers` above 100,000.
   */
  setPeer(options: WireguardPeerOptions, now: number): PeerKey {
    const key = options.publicKey.bytes.toString('hex');
    const known = this.#peers.get(key);
    const peer = known ?? this.#addPeer(key, options.publicKey);
    const presharedKey = options.presharedKey ?? null;
    if (known !== undefined && !samePresharedKey(known.presharedKey, presharedKey)) this.#forgetKeys(known);
    peer.presharedKey = presharedKey;
    for (const cidr of peer.allowedIps) this.#routes.remove(cidr, peer);
    peer.allowedIps = [...options.allowedIps];
    for (const cidr of peer.allowedIps) this.#routes.insert(cidr, peer);
    if (options.endpoint !== undefined && options.endpoint !== null) peer.endpoint = options.endpoint;
    peer.persistentKeepaliveMs = options.persistentKeepaliveMs ?? 0;
    peer.persistentAt = peer.persistentKeepaliveMs > 0 ? now : Infinity;
    this.#reschedule(peer);
    return key;
  }

  /** Makes these the only peers; those that stay keep their sessions. */
  setPeers(list: readonly WireguardPeerOptions[], now: number): void {
    const wanted = new Set(list.map((options) => options.publicKey.bytes.toString('hex')));
    for (const key of this.#peers.keys()) if (!wanted.has(key)) this.removePeer(key);
    for (const options of list) this.setPeer(options, now);
  }

  /** Removes a peer at once: its keys are wiped and its packets dropped. False if there is none. */
  removePeer(key: PeerKey): boolean {
    const peer = this.#peers.get(key);
    if (peer === undefined) return false;
    this.#peers.delete(key);
    for (const cidr of peer.allowedIps) this.#routes.remove(cidr, peer);
    this.#forgetKeys(peer);
    this.#unstage(peer, 'peer_removed');
    this.#wakes.remove(peer);
    peer.staticShared.wipe();
    return true;
  }

  /** Begins a handshake now, unless one began within 5 s. After a start: the peer still has the old session. */
  connect(key: PeerKey, now: number): boolean {
    const peer = this.#peers.get(key);
    if (peer === undefined) return false;
    this.#handshakes.begin(peer, now, false);
    return true;
  }

  /** Sets where a peer is reached, as the driver learned it elsewhere. */
  setEndpoint(key: PeerKey, endpoint: Endpoint | null): boolean {
    const peer = this.#peers.get(key);
    if (peer === undefined) return false;
    peer.endpoint = endpoint;
    return true;
  }

  /** Takes a datagram from the network. The buffer is not kept. */
  receive(datagram: Buffer, from: Endpoint, now: number): void {
    switch (wireguardType(datagram)) {
      case WIREGUARD_TYPE.data:
        this.#receiveData(datagram, from, now);
        return;
      case WIREGUARD_TYPE.initiation:
        this.#handshakes.takeInitiation(datagram, from, now);
        return;
      case WIREGUARD_TYPE.response:
        this.#handshakes.takeResponse(datagram, from, now);
        return;
      case WIREGUARD_TYPE.cookieReply:
        this.#handshakes.takeCookieReply(datagram, now);
        return;
      case null:
        this.#drop('malformed');
    }
  }

  /**
   * Sends an inner IP packet to the peer that has its destination, now or when there is a session.
   * The buffer is not kept. False if no peer has the destination or it is no IP packet.
   */
  send(packet: Buffer, now: number): boolean {
    const family = innerFamily(packet);
    if (family === null) {
      this.#drop('bad_outgoing_packet');
      return false;
    }
    const peer =
      family === 4
        ? this.#routes.find4(packet, IPV4_DESTINATION_AT)
        : this.#routes.find6(packet, IPV6_DESTINATION_AT);
    if (peer === null) {
      this.#drop('no_peer');
      return false;
    }
    if (peer.staged.length === 0 && peer.current?.canSend(now) === true) {
      this.#seal(peer, peer.current, packet, now);
    } else {
      this.#stage(peer, packet);
      this.#handshakes.begin(peer, now, false);
    }
    return true;
  }

  /** The peer that an inner address of 4 or 16 bytes belongs to, or null. */
  peerOf(address: Buffer): PeerKey | null {
    if (address.byteLength === 4) return this.#routes.find4(address, 0)?.key ?? null;
    return address.byteLength === 16 ? (this.#routes.find6(address, 0)?.key ?? null) : null;
  }

  /** Does what is due. At most 64 peers per call; `nextWake` then says "now" again. */
  tick(now: number): void {
    for (let woken = 0; woken < WAKES_PER_TICK; woken += 1) {
      const peer = this.#wakes.due(now);
      if (peer === null) return;
      this.#expire(peer, now);
      if (peer.heapIndex < 0) continue;
      const due = peer.nextDue();
      if (due === Infinity) this.#wakes.remove(peer);
      else this.#wakes.set(peer, due);
    }
  }

  /** When `tick` is wanted; Infinity for never. May be early, is never late. */
  nextWake(): number {
    return this.#wakes.nextWake();
  }

  /** One peer as it stands, or null. */
  peer(key: PeerKey, now: number): WireguardPeerStatus | null {
    const peer = this.#peers.get(key);
    return peer === undefined ? null : statusOf(peer, now);
  }

  /** All peers as they stand. */
  peers(now: number): WireguardPeerStatus[] {
    return Array.from(this.#peers.values(), (peer) => statusOf(peer, now));
  }

  /** What is held at the moment, for metrics and tests of bounds. */
  sizes(): { peers: number; indices: number; timers: number; stagedBytes: number } {
    return {
      peers: this.#peers.size,
      indices: this.#indices.size,
      timers: this.#wakes.size,
      stagedBytes: this.#stagedBytes,
    };
  }

  /** Removes all peers and wipes their keys. The private key is the caller's. */
  close(): void {
    for (const key of this.#peers.keys()) this.removePeer(key);
  }

  #addPeer(key: PeerKey, publicKey: X25519PublicKey): Peer {
    if (this.#peers.size >= PEERS_MAX) {
      throw new AppError<WireguardErrorCode>(
        'wireguard_too_many_peers',
        `a WireGuard device has at most ${PEERS_MAX} peers; remove one first`,
      );
    }
    const shared = publicKey.bytes.equals(this.publicKey.bytes) ? null : this.#privateKey.agree(publicKey);
    if (shared === null) {
      throw new AppError<WireguardErrorCode>(
        'wireguard_peer_key',
        `the public key ${publicKey.bytes.toString('base64')} cannot be a peer's: it is this device's own or a weak one; take the one that "wg pubkey" prints on the peer`,
      );
    }
    const peer = new Peer({ key, publicKey, staticShared: new SecretBytes(shared) });
    shared.fill(0);
    this.#peers.set(key, peer);
    return peer;
  }

  #receiveData(datagram: Buffer, from: Endpoint, now: number): void {
    const session = this.#indices.get(dataReceiver(datagram));
    if (session?.kind !== 'session') {
      this.#drop('unknown_index');
      return;
    }
    const counter = dataCounter(datagram);
    if (!session.canReceive(counter, now)) {
      this.#drop('expired_session');
      return;
    }
    if (!session.replay.isFresh(counter)) {
      this.#drop('replayed');
      return;
    }
    const packet = session.open(datagram, counter);
    if (packet === null) {
      this.#drop('bad_data');
      return;
    }
    session.replay.mark(counter);
    const peer = session.owner;
    this.counters.dataReceived += 1;
    peer.receivedBytes += datagram.byteLength;
    this.#moveEndpoint(peer, from);
    peer.noteReceived(now);
    if (session === peer.next) this.#confirm(peer, now);
    if (packet.byteLength === 0) {
      this.counters.keepalivesReceived += 1;
      this.#renewWhileReceiving(peer, session, now);
      this.#reschedule(peer);
      return;
    }
    this.#accept(peer, session, packet, now);
  }

  /** The other side used the session that it began: now we may. */
  #confirm(peer: Peer, now: number): void {
    this.#retire(peer.promoteNext());
    peer.noteHandshakeDone(now);
    this.#output.event({ type: 'handshake', peer: peer.key, role: 'responder' });
    this.#flush(peer, now, false);
  }

  /** Checks an opened inner packet and hands it on, last of all: whoever gets it may call back. */
  #accept(peer: Peer, session: Session<Peer>, padded: Buffer, now: number): void {
    peer.noteDataReceived(now);
    this.#renewWhileReceiving(peer, session, now);
    this.#reschedule(peer);
    const family = innerFamily(padded);
    const length = family === null ? null : innerLength(padded, family);
    if (family === null || length === null) {
      this.#drop('bad_inner_packet');
      return;
    }
    const owner =
      family === 4 ? this.#routes.find4(padded, IPV4_SOURCE_AT) : this.#routes.find6(padded, IPV6_SOURCE_AT);
    if (owner !== peer) {
      this.#drop('forged_source');
      return;
    }
    const packet = length === padded.byteLength ? padded : padded.subarray(0, length);
    if (this.capture !== null) this.capture('in', peer.key, packet);
    this.#output.deliver(peer.key, packet);
  }

  #renewWhileReceiving(peer: Peer, session: Session<Peer>, now: number): void {
    if (peer.renewedWhileReceiving || !session.isInitiator || session !== peer.current) return;
    if (now - session.createdAt < REKEY_WHEN_RECEIVING_MS) return;
    peer.renewedWhileReceiving = true;
    this.#handshakes.begin(peer, now, false);
  }

  #seal(peer: Peer, session: Session<Peer>, packet: Buffer, now: number): void {
    const isKeepalive = packet.byteLength === 0;
    const datagram = session.seal(packet, this.#mtu);
    this.counters.dataSent += 1;
    peer.noteSent(now);
    if (isKeepalive) this.counters.keepalivesSent += 1;
    else {
      if (this.capture !== null) this.capture('out', peer.key, packet);
      if (peer.lostAt === Infinity) peer.noteDataSent(now, drawJitterMs(this.#random));
    }
    this.#reschedule(peer);
    this.#transmit(peer, datagram);
    const isOld = session.isInitiator && now - session.createdAt >= REKEY_AFTER_MS;
    if (isOld || session.isWorn()) this.#handshakes.begin(peer, now, false);
  }

  #sendKeepalive(peer: Peer, now: number): void {
    if (peer.current?.canSend(now) === true) this.#seal(peer, peer.current, EMPTY, now);
    else this.#handshakes.begin(peer, now, false);
  }

  /** Sends what waited; if nothing did and the other side must hear of the keys, an empty packet. */
  #flush(peer: Peer, now: number, mustSend: boolean): void {
    const session = peer.current;
    if (session === null) return;
    let sent = 0;
    while (session.canSend(now)) {
      const packet = peer.staged.shift();
      if (packet === undefined) break;
      this.#stagedBytes -= packet.byteLength;
      this.#seal(peer, session, packet, now);
      sent += 1;
    }
    if (sent === 0 && mustSend) this.#sendKeepalive(peer, now);
  }

  #stage(peer: Peer, packet: Buffer): void {
    if (peer.staged.length >= STAGED_PACKETS_MAX) {
      this.#stagedBytes -= peer.staged.shift()?.byteLength ?? 0;
      this.#drop('staged_overflow');
    }
    if (this.#stagedBytes + packet.byteLength > STAGED_BYTES_MAX) {
      this.#drop('staged_overflow');
      return;
    }
    peer.staged.push(Buffer.from(packet));
    this.#stagedBytes += packet.byteLength;
  }

  #unstage(peer: Peer, why: WireguardDrop): void {
    for (const packet of peer.staged.splice(0)) {
      this.#stagedBytes -= packet.byteLength;
      this.#drop(why);
    }
  }

  /** Runs every timer of a peer that is due. Each is turned off or moved on before it acts. */
  #expire(peer: Peer, now: number): void {
    if (peer.wipeAt <= now) {
      peer.wipeAt = Infinity;
      this.#forgetKeys(peer);
      this.#output.event({ type: 'keys-wiped', peer: peer.key });
    }
    if (peer.retryAt <= now) this.#retry(peer, now);
    if (peer.keepaliveAt <= now) {
      const again = peer.keepaliveAgain;
      peer.keepaliveAt = Infinity;
      this.#sendKeepalive(peer, now);
      if (again) peer.noteDataReceived(now);
    }
    if (peer.lostAt <= now) {
      peer.lostAt = Infinity;
      this.#handshakes.begin(peer, now, false);
    }
    if (peer.persistentAt <= now) {
      peer.persistentAt = peer.persistentKeepaliveMs > 0 ? now + peer.persistentKeepaliveMs : Infinity;
      this.#sendKeepalive(peer, now);
    }
  }

  #retry(peer: Peer, now: number): void {
    peer.retryAt = Infinity;
    peer.tries += 1;
    if (peer.tries < HANDSHAKE_TRIES_MAX) {
      this.#handshakes.begin(peer, now, true);
      return;
    }
    this.#handshakes.abandon(peer);
    this.#unstage(peer, 'unreachable');
    peer.keepaliveAt = Infinity;
    this.#output.event({ type: 'unreachable', peer: peer.key });
  }

  #forgetKeys(peer: Peer): void {
    this.#handshakes.abandon(peer);
    for (const session of [peer.current, peer.previous, peer.next]) this.#retire(session);
    peer.current = null;
    peer.previous = null;
    peer.next = null;
  }

  #retire(session: Session<Peer> | null): void {
    if (session === null) return;
    this.#indices.delete(session);
    session.wipe();
  }

  #moveEndpoint(peer: Peer, from: Endpoint): void {
    const before = peer.endpoint;
    if (before === from) return;
    peer.endpoint = from;
    if (before !== null && before.key !== from.key) {
      this.#output.event({ type: 'roamed', peer: peer.key, endpoint: from });
    }
  }

  #transmit(peer: Peer, datagram: Buffer): void {
    peer.sentBytes += datagram.byteLength;
    this.#output.send(peer.key, peer.endpoint, datagram);
  }

  /** Timers that moved later are seen when the earlier time comes; only earlier ones cost anything. */
  #reschedule(peer: Peer): void {
    const due = peer.nextDue();
    if (due === Infinity || (peer.heapIndex >= 0 && peer.wakeAt <= due)) return;
    if (this.#peers.get(peer.key) === peer) this.#wakes.set(peer, due);
  }

  #drop(why: WireguardDrop): void {
    this.counters.dropped[why] += 1;
  }
}

function statusOf(peer: Peer, now: number): WireguardPeerStatus {
  return {
    key: peer.key,
    endpoint: peer.endpoint,
    lastHandshakeAt: peer.lastHandshakeAt,
    lastReceivedAt: peer.lastReceivedAt,
    isConnected: peer.current?.canSend(now) ?? false,
    receivedBytes: peer.receivedBytes,
    sentBytes: peer.sentBytes,
  };
}

function samePresharedKey(a: SecretBytes | null, b: SecretBytes | null): boolean {
  if (a === null || b === null) return a === b;
  return a.reveal().equals(b.reveal());
}
