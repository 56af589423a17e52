/** What is known of the ways to one peer. Pure; times are monotonic ms. */
import type { NaclBox } from '../../../crypto/index.ts';
import type { IpPort } from '../../../wire/ip-port.ts';
import { formatIpPort } from '../../../wire/ip-port.ts';
import { createUdpPath, isBetterPath, isReachable, type UdpPath } from './path.ts';

/** A path is used alone for this long after a pong; then the relay is used beside it. */
export const TRUST_MS = 6500;
/** A path that has been out of trust this long is given up. */
const FORGET_MS = 15_000;
/** Addresses tried for one peer; the longest unused goes first. */
const CANDIDATES_MAX = 32;
/** An address that a peer named or came from, and that never answered, is tried this long. */
const CANDIDATE_MS = 300_000;

export interface Candidate {
  readonly path: UdpPath;
  /** The network map names it; it stays while it does. */
  isMapped: boolean;
  /** When it was last named, or seen. */
  namedMs: number;
  /** -Infinity: never. */
  pingedMs: number;
  pongedMs: number;
}

/** What the rest of the node knows of a peer. */
export interface PathPeer {
  /** 64 hex digits. */
  readonly nodeKey: string;
  /** Null: it takes no discovery. */
  readonly discoKey: string | null;
  /** 0: not known. */
  readonly homeDerp: number;
  readonly endpoints: readonly IpPort[];
  /** An ordinary WireGuard peer: its first endpoint is its path. */
  readonly isWireguardOnly: boolean;
}

/** Where to send to a peer now. One object per peer, which changes. */
export interface Route {
  udp: UdpPath | null;
  /** Region of the relay; 0: not through one. With both, send to both. */
  derp: number;
}

export class PeerPaths {
  peer: PathPeer;
  /** Null for a peer without discovery, or with a key that is none. */
  box: NaclBox | null;
  readonly route: Route = { udp: null, derp: 0 };
  readonly candidates = new Map<string, Candidate>();
  best: Candidate | null = null;
  bestLatencyMs = 0;
  trustUntilMs = -Infinity;
  /** Of a packet of ours to it. */
  sentMs = -Infinity;
  heartbeatMs = Infinity;
  fullPingMs = -Infinity;
  callSentMs = -Infinity;
  callHeardMs = -Infinity;
  /** The relay it was last heard through, where that is not its home. */
  #heardDerp = 0;

  constructor(peer: PathPeer, box: NaclBox | null) {
    this.peer = peer;
    this.box = box;
  }

  /** Takes the network map's word: addresses that it no longer has are tried no more. */
  update(peer: PathPeer, box: NaclBox | null, nowMs: number, allowLoopback: boolean): void {
    const hasRestarted = peer.discoKey !== this.peer.discoKey;
    this.peer = peer;
    this.box = box;
    if (hasRestarted) this.distrust();
    const named = new Set<string>();
    for (const endpoint of peer.endpoints) {
      const candidate = this.addCandidate(endpoint, nowMs, allowLoopback);
      if (candidate === null) continue;
      candidate.isMapped = true;
      named.add(candidate.path.key);
    }
    for (const [key, candidate] of this.candidates) {
      if (!named.has(key)) candidate.isMapped = false;
    }
  }

  /** Null if it may not be sent to. */
  addCandidate(address: IpPort, nowMs: number, allowLoopback: boolean): Candidate | null {
    const key = formatIpPort(address);
    const known = this.candidates.get(key);
    if (known !== undefined) {
      known.namedMs = nowMs;
      return known;
    }
    if (!isReachable(address, allowLoopback)) return null;
    if (this.candidates.size >= CANDIDATES_MAX && !this.#dropOldest()) return null;
    const candidate: Candidate = {
      path: createUdpPath(address),
      isMapped: false,
      namedMs: nowMs,
      pingedMs: -Infinity,
      pongedMs: -Infinity,
    };
    this.candidates.set(key, candidate);
    return candidate;
  }

  #dropOldest(): boolean {
    let oldest: Candidate | null = null;
    for (const candidate of this.candidates.values()) {
      if (candidate === this.best || candidate.isMapped) continue;
      if (oldest === null || lastUse(candidate) < lastUse(oldest)) oldest = candidate;
    }
    return oldest !== null && this.candidates.delete(oldest.path.key);
  }

  /** Forgets addresses that nobody names any more, and a path that no longer answers. */
  prune(nowMs: number): void {
    for (const [key, candidate] of this.candidates) {
      if (candidate === this.best || candidate.isMapped) continue;
      if (nowMs - lastUse(candidate) > CANDIDATE_MS) this.candidates.delete(key);
    }
    if (this.best !== null && nowMs - this.trustUntilMs > FORGET_MS) this.distrust();
  }

  /** A pong came back over this path. True if the path that is used changed. */
  notePong(candidate: Candidate, latencyMs: number, nowMs: number): boolean {
    candidate.pongedMs = nowMs;
    const isTrusted = nowMs < this.trustUntilMs;
    const current =
      this.best === null || !isTrusted ? null : { path: this.best.path, latencyMs: this.bestLatencyMs };
    if (candidate === this.best) {
      this.bestLatencyMs = latencyMs;
      this.trustUntilMs = nowMs + TRUST_MS;
      return !isTrusted;
    }
    if (!isBetterPath({ path: candidate.path, latencyMs }, current)) return false;
    this.best = candidate;
    this.bestLatencyMs = latencyMs;
    this.trustUntilMs = nowMs + TRUST_MS;
    return true;
  }

  /** The network has changed: nothing measured before says anything. */
  distrust(): void {
    this.best = null;
    this.trustUntilMs = -Infinity;
    this.fullPingMs = -Infinity;
    for (const candidate of this.candidates.values()) candidate.pingedMs = -Infinity;
  }

  noteHeardThrough(region: number): void {
    this.#heardDerp = region === this.peer.homeDerp ? 0 : region;
  }

  /** The relay does not know the peer: back to its home. */
  noteGoneFrom(region: number): void {
    if (this.#heardDerp === region) this.#heardDerp = 0;
  }

  /** The route as it is now; the same object each time. */
  currentRoute(nowMs: number): Route {
    const { route, peer } = this;
    if (peer.isWireguardOnly) {
      route.udp = this.candidates.values().next().value?.path ?? null;
      route.derp = 0;
      return route;
    }
    route.udp = this.best?.path ?? null;
    const isTrusted = this.best !== null && nowMs < this.trustUntilMs;
    route.derp = isTrusted ? 0 : this.#heardDerp === 0 ? peer.homeDerp : this.#heardDerp;
    return route;
  }
}

function lastUse({ namedMs, pongedMs }: Candidate): number {
  return Math.max(namedMs, pongedMs);
}
