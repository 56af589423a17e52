/**
 * A WireGuard device on a UDP port of both families, with one timer. For static peers; a node that
 * chooses among paths has a driver of its own.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { X25519PrivateKey } from '../../crypto/index.ts';
import { WireguardDevice } from './device.ts';
import type { Endpoint, PeerKey, WireguardEvent, WireguardOutput } from './types.ts';
import {
  type UdpEndpoint,
  type UdpSocketCounters,
  UdpSockets,
  type UdpSocketsOptions,
} from './udp-sockets.ts';

/** `setTimeout` takes 31 bits. */
const TIMEOUT_MAX_MS = 2_147_483_647;

/** What the driver did, beside the device's own counters. */
export interface UdpDriverCounters extends UdpSocketCounters {
  /** Nothing says where the peer is. */
  noEndpoint: number;
}

export interface WireguardUdpOptions extends UdpSocketsOptions {
  readonly privateKey: X25519PrivateKey;
  readonly random: Random;
  readonly clock: Clock;
  /** See `WireguardDeviceOptions.mtu`. */
  readonly mtu?: number;
  /** See `WireguardDeviceOptions.underLoadPerSec`. */
  readonly underLoadPerSec?: number;
  /** Inner packets from peers. */
  readonly deliver: (peer: PeerKey, packet: Buffer) => void;
  readonly event?: (event: WireguardEvent) => void;
}

/** A running device. Set peers through `device`, send inner packets through `send`. */
export class WireguardUdp {
  readonly device: WireguardDevice;
  readonly #clock: Clock;
  readonly #sockets: UdpSockets;
  #noEndpoint = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  #closed = false;

  /** Binds as `UdpSockets.bind` does, and starts. */
  static async open(options: WireguardUdpOptions): Promise<WireguardUdp> {
    return new WireguardUdp(options, await UdpSockets.bind(options));
  }

  private constructor(options: WireguardUdpOptions, sockets: UdpSockets) {
    this.#clock = options.clock;
    this.#sockets = sockets;
    const output: WireguardOutput = {
      send: (_peer, to, datagram) => this.#transmit(to, datagram),
      deliver: options.deliver,
      event: options.event ?? ((): void => undefined),
    };
    this.device = new WireguardDevice({
      privateKey: options.privateKey,
      random: options.random,
      wallClock: options.clock,
      output,
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
      ...(options.underLoadPerSec === undefined ? {} : { underLoadPerSec: options.underLoadPerSec }),
    });
    sockets.listen((datagram, from) => {
      this.device.receive(datagram, from, this.now());
      this.wake();
    });
  }

  /** The bound UDP port, the same for both families. */
  get port(): number {
    return this.#sockets.port;
  }

  get counters(): Readonly<UdpDriverCounters> {
    return { ...this.#sockets.counters, noEndpoint: this.#noEndpoint };
  }

  /** Monotonic milliseconds, as the device counts them. */
  now(): number {
    return this.#clock.monotonicMs();
  }

  /** Sends an inner packet; see `WireguardDevice.send`. */
  send(packet: Buffer): boolean {
    const sent = this.device.send(packet, this.now());
    this.wake();
    return sent;
  }

  /** Sets the timer anew. To be called after peers were changed through `device`. */
  wake(): void {
    const at = this.device.nextWake();
    if (at >= this.#timerAt || this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    const waitMs = Math.min(TIMEOUT_MAX_MS, Math.max(0, Math.ceil(at - this.now())));
    this.#timer = setTimeout(this.#onTimer, waitMs);
  }

  /** Ends the device: keys are wiped, sockets closed. Resolves when the port is free. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.device.close();
    await this.#sockets.close();
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#timerAt = Infinity;
    this.device.tick(this.now());
    this.wake();
  };

  #transmit(to: Endpoint | null, datagram: Buffer): void {
    if (!isUdpEndpoint(to)) {
      this.#noEndpoint += 1;
      return;
    }
    this.#sockets.send(datagram, to.family, to.address, to.port);
  }
}

function isUdpEndpoint(endpoint: Endpoint | null): endpoint is UdpEndpoint {
  return endpoint !== null && 'address' in endpoint && 'port' in endpoint;
}
