/**
 * A WireGuard device on UDP sockets: one for IPv4 and, where the machine has it, one for IPv6 on the
 * same port, and one timer. For static peers; a node that chooses among paths has a driver of its own.
 */
import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Clock } from '../../base/clock.ts';
import { AppError, describeError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { X25519PrivateKey } from '../../crypto/index.ts';
import { formatIp, parseIp } from '../../wire/ip.ts';
import { WireguardDevice } from './device.ts';
import type { WireguardErrorCode } from './errors.ts';
import type { Endpoint, PeerKey, WireguardEvent, WireguardOutput } from './types.ts';

/** Socket buffers asked for; the system may give less. A burst of 1,400 datagrams. */
const SOCKET_BUFFER_BYTES = 2 * 1024 * 1024;
/** Bytes that wait in Node for a socket; above it datagrams are dropped, as a full network would. */
const SEND_QUEUE_MAX_BYTES = 4 * 1024 * 1024;
/** Places remembered, so that one place stays one object. */
const PLACES_MAX = 4_096;
/** `setTimeout` takes 31 bits. */
const TIMEOUT_MAX_MS = 2_147_483_647;

/** A UDP address of a peer. */
export interface UdpEndpoint extends Endpoint {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly source: string;
}

/** The endpoint of an address (no name) and a port; null for anything else. IPv6 has no brackets, and no zone. */
export function udpEndpoint(address: string, port: number): UdpEndpoint | null {
  const ip = parseIp(address);
  if (ip === null || !Number.isInteger(port) || port < 1 || port > 65_535) return null;
  return makeEndpoint(ip.family, formatIp(ip), port);
}

function makeEndpoint(family: 4 | 6, address: string, port: number): UdpEndpoint {
  const key = family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
  return { key, source: address, family, address, port };
}

/** What the sockets did, beside the device's own counters. */
export interface UdpDriverCounters {
  /** Nothing says where the peer is. */
  noEndpoint: number;
  /** The socket's queue was full. */
  queueFull: number;
  /** The system refused to send: no route, no such family, too long. */
  sendFailed: number;
}

export interface WireguardUdpOptions {
  readonly privateKey: X25519PrivateKey;
  readonly random: Random;
  readonly clock: Clock;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Local IPv4 address; default all. Null: no IPv4. */
  readonly address4?: string | null;
  /** Local IPv6 address; default all. Null: no IPv6. */
  readonly address6?: string | null;
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
  readonly counters: UdpDriverCounters = { noEndpoint: 0, queueFull: 0, sendFailed: 0 };
  /** The bound UDP port, the same for both families. */
  readonly port: number;
  readonly #clock: Clock;
  readonly #socket4: Socket | null;
  readonly #socket6: Socket | null;
  readonly #places = new Map<string, UdpEndpoint>();
  #lastPlace: UdpEndpoint | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Infinity;
  #closed = false;

  /**
   * Binds and starts. Rejects with `wireguard_bind` if no family can be bound; IPv6 may be missing
   * unless an address for it is given.
   */
  static async open(options: WireguardUdpOptions): Promise<WireguardUdp> {
    const { address4 = '0.0.0.0', address6, port = 0 } = options;
    const socket4 = address4 === null ? null : await bind('udp4', address4, port);
    const port4 = socket4?.address().port ?? port;
    const socket6 = await bindIpv6(address6, port4, socket4);
    if (socket4 === null && socket6 === null) {
      throw new AppError<WireguardErrorCode>('wireguard_bind', 'a WireGuard device needs IPv4, IPv6 or both');
    }
    return new WireguardUdp(options, { socket4, socket6 });
  }

  private constructor(
    options: WireguardUdpOptions,
    { socket4, socket6 }: { socket4: Socket | null; socket6: Socket | null },
  ) {
    this.#clock = options.clock;
    this.#socket4 = socket4;
    this.#socket6 = socket6;
    this.port = (socket4 ?? socket6)?.address().port ?? 0;
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
    if (socket4 !== null) this.#listen(socket4, 4);
    if (socket6 !== null) this.#listen(socket6, 6);
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
    const sockets = [this.#socket4, this.#socket6].filter((socket) => socket !== null);
    await Promise.all(
      sockets.map(async (socket) => {
        const closed = once(socket, 'close');
        socket.close();
        await closed;
      }),
    );
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#timerAt = Infinity;
    this.device.tick(this.now());
    this.wake();
  };

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.counters.sendFailed += 1;
  };

  #listen(socket: Socket, family: 4 | 6): void {
    socket.on('message', (datagram, remote) => {
      this.device.receive(datagram, this.#placeOf(remote, family), this.now());
      this.wake();
    });
    /* Errors of single sends arrive at `#onSent`; what is left are errors of receiving, which pass. */
    socket.on('error', () => {
      this.counters.sendFailed += 1;
    });
  }

  #placeOf(remote: RemoteInfo, family: 4 | 6): UdpEndpoint {
    const last = this.#lastPlace;
    if (last !== null && last.port === remote.port && last.address === remote.address) return last;
    const made = makeEndpoint(family, remote.address, remote.port);
    const known = this.#places.get(made.key);
    if (known === undefined) {
      if (this.#places.size >= PLACES_MAX) this.#places.clear();
      this.#places.set(made.key, made);
    }
    this.#lastPlace = known ?? made;
    return this.#lastPlace;
  }

  #transmit(to: Endpoint | null, datagram: Buffer): void {
    if (this.#closed) return;
    if (!isUdpEndpoint(to)) {
      this.counters.noEndpoint += 1;
      return;
    }
    const socket = to.family === 4 ? this.#socket4 : this.#socket6;
    if (socket === null) {
      this.counters.sendFailed += 1;
      return;
    }
    if (socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.counters.queueFull += 1;
      return;
    }
    socket.send(datagram, 0, datagram.byteLength, to.port, to.address, this.#onSent);
  }
}

function isUdpEndpoint(endpoint: Endpoint | null): endpoint is UdpEndpoint {
  return endpoint !== null && 'address' in endpoint && 'port' in endpoint;
}

/** Addresses only: nothing is looked up, and nothing waits for a look-up. */
function withoutLookup(
  address: string,
  options: { family?: number | 'IPv4' | 'IPv6' },
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, options.family === 6 || address.includes(':') ? 6 : 4);
}

async function bind(type: 'udp4' | 'udp6', address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6', lookup: withoutLookup });
  try {
    /* Asked for first: without a look-up the socket may listen before `bind` returns. */
    const listening = once(socket, 'listening');
    socket.bind({ port, address, exclusive: true });
    await listening;
  } catch (cause) {
    socket.close();
    throw new AppError<WireguardErrorCode>(
      'wireguard_bind',
      `cannot bind UDP port ${port} on ${address}; choose another port or address`,
      { cause, detail: describeError(cause) },
    );
  }
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    /* Some systems refuse more than their limit instead of giving less: then it stays as it is. */
  }
  return socket;
}

/** IPv6 on the port of IPv4. Where nobody asked for it by address, a machine without it is no fault. */
async function bindIpv6(
  address6: string | null | undefined,
  port: number,
  socket4: Socket | null,
): Promise<Socket | null> {
  if (address6 === null) return null;
  try {
    return await bind('udp6', address6 ?? '::', port);
  } catch (error) {
    if (address6 === undefined && socket4 !== null) return null;
    socket4?.close();
    throw error;
  }
}
