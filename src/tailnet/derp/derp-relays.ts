/**
 * The relays of a network: always connected to the home region, to others while they are in use.
 * Connections that break are made again with back-off; packets for a region that is being connected
 * wait in a short queue.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { X25519PrivateKey } from '../../crypto/index.ts';
import type { DerpGoneReason } from '../../wire/derp.ts';
import { type DerpMap, EMPTY_DERP_MAP } from '../protocol/derp-map.ts';
import type { Sleep, StreamDialer } from '../protocol/ports.ts';
import type { DerpSent } from './derp-connection.ts';
import { RegionLink } from './region-link.ts';

/** Regions connected at once beside home; peers choose their homes, so they choose this. */
const REGIONS_MAX = 32;

export interface DerpRelaysOptions {
  readonly dialer: StreamDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  /**
   * `host:port` of a relay that is spoken to without TLS: that of a control server whose own URL is
   * `http:`. Null: none. What goes through relays is encrypted by WireGuard; what is told is who talks to whom.
   */
  readonly plainHost: string | null;
  /** `source` (32 bytes) and `packet` share memory: copy what stays. */
  readonly onPacket: (region: number, source: Buffer, packet: Buffer) => void;
  /** The relay of this region does not know the peer (any more). */
  readonly onPeerGone: (region: number, peer: Buffer, reason: DerpGoneReason) => void;
  readonly onState: (state: RelayState) => void;
}

export interface RelayState {
  readonly region: number;
  readonly state: 'connecting' | 'connected' | 'waiting' | 'idle';
  /** Why it is not connected, or what the relay says of itself; null if all is well. */
  readonly problem: string | null;
}

/** Or `no_relay`: a region that the map does not have, or too many regions. */
export type RelaySent = DerpSent | 'queued' | 'no_relay';

export class DerpRelays {
  readonly #options: DerpRelaysOptions;
  readonly #links = new Map<number, RegionLink>();
  #map: DerpMap = EMPTY_DERP_MAP;
  #home = 0;
  #nodeKey: X25519PrivateKey;
  #isClosed = false;

  constructor(options: DerpRelaysOptions, nodeKey: X25519PrivateKey) {
    this.#options = options;
    this.#nodeKey = nodeKey;
  }

  /** The regions from now on. Connections to relays that are no longer in it are ended. */
  setMap(map: DerpMap): void {
    const before = this.#map;
    this.#map = map;
    for (const [id, link] of this.#links) {
      const region = map.regions.get(id);
      if (region === undefined || JSON.stringify(region) !== JSON.stringify(before.regions.get(id))) {
        this.#links.delete(id);
        link.close();
      }
    }
    this.#connectHome();
  }

  /** The region to stay connected to; 0 for none. */
  setHome(region: number): void {
    if (region === this.#home) return;
    const before = this.#links.get(this.#home);
    this.#home = region;
    before?.setHome(false);
    this.#connectHome();
  }

  /** A new key logs in anew everywhere. */
  setNodeKey(nodeKey: X25519PrivateKey): void {
    this.#nodeKey = nodeKey;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#connectHome();
  }

  /** Sends through a region, connecting to it if need be. `packet` may be kept until it is sent. */
  send(region: number, destination: Uint8Array, packet: Uint8Array): RelaySent {
    const link = this.#links.get(region) ?? this.#open(region);
    return link === null ? 'no_relay' : link.send(destination, packet);
  }

  /** Every region that has a connection, or tries to. */
  states(): readonly RelayState[] {
    return [...this.#links.values()].map((link) => link.state());
  }

  /** Resolves when every connection is gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const link of links) link.close();
    await Promise.all(links.map((link) => link.done));
  }

  #connectHome(): void {
    if (this.#home === 0) return;
    const link = this.#links.get(this.#home) ?? this.#open(this.#home);
    link?.setHome(true);
  }

  #open(id: number): RegionLink | null {
    const region = this.#map.regions.get(id);
    if (this.#isClosed || region === undefined) return null;
    if (this.#links.size > REGIONS_MAX && id !== this.#home) return null;
    const link = new RegionLink({ ...this.#options, region, nodeKey: this.#nodeKey });
    this.#links.set(id, link);
    void link.done.then(() => {
      if (this.#links.get(id) === link) this.#links.delete(id);
    });
    return link;
  }
}
