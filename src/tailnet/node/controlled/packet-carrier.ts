/**
 * How packets travel between this node and its peers: one UDP port for WireGuard, disco and STUN, the
 * relays beside it, and for each packet the path that works now. Whatever way a packet comes, WireGuard
 * alone says whose it is.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import type { X25519PrivateKey } from '../../../crypto/index.ts';
import { looksLikeDisco } from '../../../wire/disco.ts';
import { parseIp } from '../../../wire/ip.ts';
import { type IpPort } from '../../../wire/ip-port.ts';
import { looksLikeStun } from '../../../wire/stun.ts';
import { DerpRelays, type DerpRelaysOptions } from '../../derp/index.ts';
import {
  type Endpoint,
  type PeerKey,
  type UdpEndpoint,
  type UdpSocketCounters,
  type UdpSockets,
  WireguardDevice,
  type WireguardPeerOptions,
} from '../../wireguard/index.ts';
import { type PathAction, PathFinder, type PathPeer, type UdpPath } from '../paths/index.ts';

/** A peer as both WireGuard and the path finder know it. */
export interface CarriedPeer {
  readonly wireguard: WireguardPeerOptions;
  readonly path: PathPeer;
}

export interface PacketCarrierOptions {
  /** Bound, and the carrier's from now on. */
  readonly sockets: UdpSockets;
  readonly nodeKey: X25519PrivateKey;
  readonly discoKey: X25519PrivateKey;
  readonly relays: Pick<DerpRelaysOptions, 'dialer' | 'sleep' | 'plainHost'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly allowLoopback: boolean;
  /** An inner packet whose source is the peer's. */
  readonly deliver: (peer: PeerKey, packet: Buffer) => void;
  /** A datagram that looks like an answer of a STUN server. */
  readonly stun: (datagram: Buffer) => void;
  /** Where we may be reached should be learned anew. */
  readonly wantEndpoints: () => void;
}

/** What was dropped on the way, beside WireGuard's and the path finder's own counters. */
export interface CarrierCounters extends UdpSocketCounters {
  /** No address and no relay is known for the peer. */
  readonly noPath: number;
  /** A relay's queue was full, or it has gone. */
  readonly relayFailed: number;
  /** Through a relay from a key that no peer has. */
  readonly relayStranger: number;
}

/** The path in use for a peer. */
export interface CarriedPath {
  readonly kind: 'direct' | 'relay';
  /** Of the relay; 0 where it is direct. */
  readonly region: number;
  /** `address:port`; null through a relay. */
  readonly address: string | null;
}

/** How a place behind a relay stands for WireGuard. */
interface RelayPlace extends Endpoint {
  readonly region: number;
  readonly peer: PeerKey;
}

/** `setTimeout` takes 31 bits. */
const TIMEOUT_MAX_MS = 2_147_483_647;
/** Places remembered, so that one place stays one object. */
const RELAY_PLACES_MAX = 4_096;

export class PacketCarrier {
  readonly #options: PacketCarrierOptions;
  readonly #paths: PathFinder;
  readonly #relays: DerpRelays;
  readonly #peers = new Map<PeerKey, CarriedPeer>();
  readonly #relayPlaces = new Map<string, RelayPlace>();
  /** One datagram a peer, for the first path that is found. */
  readonly #held = new Map<PeerKey, Buffer>();
  #device: WireguardDevice;
  /** The relay that the datagram in hand came through. */
  #receivedThrough: RelayPlace | null = null;
  #noPath = 0;
  #relayFailed = 0;
  #relayStranger = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  #isClosed = false;

  constructor(options: PacketCarrierOptions) {
    const { nodeKey, discoKey, random, clock, allowLoopback } = options;
    this.#options = options;
    this.#device = this.#createDevice(nodeKey);
    this.#paths = new PathFinder({ discoKey, random, allowLoopback }, nodeKey.publicKey.bytes);
    this.#relays = new DerpRelays(
      {
        ...options.relays,
        clock,
        random,
        onPacket: (region, source, packet) => this.#receiveRelayed(region, source.toString('hex'), packet),
        onPeerGone: (region, peer) => this.#paths.peerGone(region, peer.toString('hex')),
        onState: () => undefined,
      },
      nodeKey,
    );
    options.sockets.listen((datagram, from) => this.#receiveUdp(datagram, from));
  }

  get device(): WireguardDevice {
    return this.#device;
  }

  get relays(): DerpRelays {
    return this.#relays;
  }

  get discoDrops(): PathFinder['drops'] {
    return this.#paths.drops;
  }

  get counters(): CarrierCounters {
    return {
      ...this.#options.sockets.counters,
      noPath: this.#noPath,
      relayFailed: this.#relayFailed,
      relayStranger: this.#relayStranger,
    };
  }

  #createDevice(privateKey: X25519PrivateKey): WireguardDevice {
    const { random, clock, deliver } = this.#options;
    return new WireguardDevice({
      privateKey,
      random,
      wallClock: clock,
      output: {
        send: (peer, to, datagram) => this.#transmit(peer, to, datagram),
        deliver: (peer, packet) => {
          this.#noteRelay(peer);
          deliver(peer, packet);
        },
        event: (event) => this.#noteRelay(event.peer),
      },
    });
  }

  #now(): number {
    return this.#options.clock.monotonicMs();
  }

  /** Another key of our own: sessions begin anew. A peer that cannot be with this key is left out. */
  setNodeKey(nodeKey: X25519PrivateKey): void {
    const { capture } = this.#device;
    this.#held.clear();
    this.#device.close();
    this.#device = this.#createDevice(nodeKey);
    this.#device.capture = capture;
    this.#paths.setNodeKey(nodeKey.publicKey.bytes);
    this.#relays.setNodeKey(nodeKey);
    for (const peer of this.#peers.values()) this.setPeer(peer);
  }

  /** New or different. False for one that WireGuard refuses: our own key, a weak one, too many. */
  setPeer(peer: CarriedPeer): boolean {
    const key = peer.path.nodeKey;
    try {
      this.#device.setPeer(peer.wireguard, this.#now());
    } catch {
      this.removePeer(key);
      return false;
    }
    this.#paths.setPeer(peer.path, this.#now());
    this.#peers.set(key, peer);
    this.#wake();
    return true;
  }

  removePeer(key: PeerKey): void {
    this.#peers.delete(key);
    this.#held.delete(key);
    this.#device.removePeer(key);
    this.#paths.removePeer(key);
  }

  /** Where we may be reached from now on. */
  setEndpoints(endpoints: readonly IpPort[]): void {
    this.#act(this.#paths.setEndpoints(endpoints, this.#now()));
  }

  /** Addresses of this machine changed: paths are found anew. */
  networkChanged(): void {
    this.#act(this.#paths.networkChanged(this.#now()));
    this.#wake();
  }

  /** An inner packet of ours; not kept. */
  send(packet: Buffer): void {
    this.#device.send(packet, this.#now());
    this.#wake();
  }

  /** A datagram that is nobody's packet: a question to a STUN server. */
  sendUdp({ ip, port }: IpPort, host: string, datagram: Buffer): void {
    this.#options.sockets.send(datagram, ip.family, host, port);
  }

  /** Null for an unknown peer, or one that nothing was heard of. */
  pathOf(key: PeerKey): CarriedPath | null {
    const peer = this.#peers.get(key);
    if (peer === undefined) return null;
    const now = this.#now();
    const direct = this.#paths.pathOf(key, now);
    if (direct !== null) return { kind: 'direct', region: 0, address: direct.path.key };
    const place = this.#device.peer(key, now)?.endpoint ?? null;
    if (place === null) return null;
    if (isRelayPlace(place)) return { kind: 'relay', region: place.region, address: null };
    if (peer.path.isWireguardOnly) return { kind: 'direct', region: 0, address: place.key };
    return peer.path.homeDerp === 0 ? null : { kind: 'relay', region: peer.path.homeDerp, address: null };
  }

  #receiveUdp(datagram: Buffer, from: UdpEndpoint): void {
    if (looksLikeDisco(datagram)) {
      const ip = parseIp(from.address.split('%')[0] ?? '');
      if (ip === null) return;
      const address = { ip, port: from.port };
      this.#act(this.#paths.receive(datagram, { kind: 'udp', address }, this.#now()));
    } else if (looksLikeStun(datagram)) {
      this.#options.stun(datagram);
    } else {
      this.#device.receive(datagram, from, this.#now());
    }
    this.#wake();
  }

  #receiveRelayed(region: number, peer: PeerKey, packet: Buffer): void {
    if (!this.#peers.has(peer)) {
      this.#relayStranger += 1;
      return;
    }
    if (looksLikeDisco(packet)) {
      this.#act(this.#paths.receive(packet, { kind: 'derp', region, peer }, this.#now()));
    } else {
      const place = this.#relayPlace(region, peer);
      this.#receivedThrough = place;
      this.#device.receive(packet, place, this.#now());
      this.#receivedThrough = null;
    }
    this.#wake();
  }

  #relayPlace(region: number, peer: PeerKey): RelayPlace {
    const key = `relay ${region} ${peer}`;
    const known = this.#relayPlaces.get(key);
    if (known !== undefined) return known;
    if (this.#relayPlaces.size >= RELAY_PLACES_MAX) this.#relayPlaces.clear();
    const made = { key, source: peer, region, peer };
    this.#relayPlaces.set(key, made);
    return made;
  }

  /** WireGuard took what came through a relay from the peer that the relay names: it listens there. */
  #noteRelay(peer: PeerKey): void {
    const place = this.#receivedThrough;
    if (place !== null && place.peer === peer) this.#paths.heardThrough(place.region, peer);
  }

  #transmit(key: PeerKey | null, to: Endpoint | null, datagram: Buffer): void {
    if (this.#isClosed) return;
    const peer = key === null ? undefined : this.#peers.get(key);
    if (key === null || peer === undefined) {
      this.#answer(to, datagram);
      return;
    }
    const route = this.#paths.route(key, this.#now());
    const udp = route?.udp ?? null;
    const region = route?.derp ?? 0;
    if (udp !== null) this.#sendPath(udp, datagram);
    if (region !== 0) this.#sendRelay(region, peer.wireguard.publicKey.bytes, datagram);
    if (udp !== null || region !== 0) return;
    /* The next try of a handshake is 5 s away; a path may be found in an instant. */
    if (to === null) this.#held.set(key, datagram);
    /* Back to where WireGuard last heard it, which nothing but a genuine packet moves. */
    this.#answer(to, datagram);
  }

  /** What the peer was sent last while there was no way to it. */
  #sendHeld(key: PeerKey, path: UdpPath): void {
    const datagram = this.#held.get(key);
    if (datagram === undefined) return;
    this.#held.delete(key);
    this.#sendPath(path, datagram);
  }

  /** Sends to where a datagram came from. */
  #answer(to: Endpoint | null, datagram: Buffer): void {
    if (to !== null && isRelayPlace(to)) {
      this.#sendRelay(to.region, Buffer.from(to.peer, 'hex'), datagram);
    } else if (isUdpEndpoint(to)) {
      this.#options.sockets.send(datagram, to.family, to.address, to.port);
    } else {
      this.#noPath += 1;
    }
  }

  #sendPath({ address, host, port }: UdpPath, datagram: Buffer): void {
    this.#options.sockets.send(datagram, address.ip.family, host, port);
  }

  #sendRelay(region: number, peer: Uint8Array, datagram: Buffer): void {
    const sent = this.#relays.send(region, peer, datagram);
    if (sent !== 'sent' && sent !== 'queued') this.#relayFailed += 1;
  }

  #act(actions: readonly PathAction[]): void {
    for (const action of actions) {
      if (action.type === 'send_udp') this.#sendPath(action.to, action.datagram);
      else if (action.type === 'send_derp')
        this.#sendRelay(action.region, Buffer.from(action.peer, 'hex'), action.datagram);
      else if (action.type === 'want_endpoints') this.#options.wantEndpoints();
      else if (action.type === 'path' && action.path !== null) this.#sendHeld(action.peer, action.path);
    }
  }

  /** Sets the timer for what is due next, if that is earlier than what is set. */
  #wake(): void {
    const at = Math.min(this.#device.nextWake(), this.#paths.nextWake());
    if (at >= this.#timerAt || this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    const waitMs = Math.min(TIMEOUT_MAX_MS, Math.max(0, Math.ceil(at - this.#now())));
    this.#timer = setTimeout(this.#onTimer, waitMs);
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#timerAt = Infinity;
    const now = this.#now();
    this.#device.tick(now);
    if (this.#paths.nextWake() <= now) this.#act(this.#paths.tick(now));
    this.#wake();
  };

  /** Keys of sessions are wiped. Resolves when the port is free and no relay is connected. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#device.close();
    await Promise.all([this.#relays.close(), this.#options.sockets.close()]);
  }
}

function isRelayPlace(place: Endpoint): place is RelayPlace {
  return 'region' in place;
}

function isUdpEndpoint(place: Endpoint | null): place is UdpEndpoint {
  return place !== null && 'family' in place;
}
