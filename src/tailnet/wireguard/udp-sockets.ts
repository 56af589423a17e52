/**
 * A UDP port of both families: one socket for IPv4 and, where the machine has it, one for IPv6 on the
 * same port. Senders are told as `UdpEndpoint`s, one object per place.
 */
import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { AppError, describeError } from '../../base/errors.ts';
import { formatIp, parseIp } from '../../wire/ip.ts';
import type { WireguardErrorCode } from './errors.ts';
import type { Endpoint } from './types.ts';
import { bindOffloaded, type SegmentedSends, SegmentRun } from './udp-offload.ts';

/** Socket buffers asked for; the system may give less. A burst of 1,400 datagrams. */
const SOCKET_BUFFER_BYTES = 2 * 1024 * 1024;
/** Bytes that wait in Node for a socket; above it datagrams are dropped, as a full network would. */
const SEND_QUEUE_MAX_BYTES = 4 * 1024 * 1024;
/** Places remembered, so that one place stays one object. */
const PLACES_MAX = 4_096;

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

export interface UdpSocketsOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Local IPv4 address; default all. Null: no IPv4. */
  readonly address4?: string | null;
  /** Local IPv6 address; default all. Null: no IPv6. */
  readonly address6?: string | null;
  /** Whether many datagrams may go out in one system call, where the system can; default true. */
  readonly offload?: boolean;
}

/** What the sockets could not do. Only ever rise. */
export interface UdpSocketCounters {
  /** The socket's queue was full. */
  queueFull: number;
  /** The system refused to send: no route, no such family, too long. */
  sendFailed: number;
  /** Times that several datagrams went out together. */
  batchesSent: number;
}

/** One family's socket. `segments` is null where there is no offload. */
interface Port {
  readonly socket: Socket;
  readonly segments: SegmentedSends | null;
  readonly run: SegmentRun;
}

export class UdpSockets {
  readonly counters: UdpSocketCounters = { queueFull: 0, sendFailed: 0, batchesSent: 0 };
  /** The bound UDP port, the same for both families. */
  readonly port: number;
  readonly #port4: Port | null;
  readonly #port6: Port | null;
  readonly #places = new Map<string, UdpEndpoint>();
  #lastPlace: UdpEndpoint | null = null;
  #isFlushDue = false;
  #closed: Promise<unknown> | null = null;

  /**
   * Binds. Rejects with `wireguard_bind` if no family can be bound; IPv6 may be missing unless an
   * address for it is given. Nothing is received before `listen`.
   */
  static async bind({
    port = 0,
    address4 = '0.0.0.0',
    address6,
    offload = true,
  }: UdpSocketsOptions): Promise<UdpSockets> {
    const port4 = address4 === null ? null : await bind({ family: 4, address: address4, port, offload });
    const number = port4?.socket.address().port ?? port;
    const port6 = await bindIpv6(address6, { port: number, offload }, port4);
    if (port4 === null && port6 === null) {
      throw new AppError<WireguardErrorCode>('wireguard_bind', 'a WireGuard device needs IPv4, IPv6 or both');
    }
    return new UdpSockets(port4, port6);
  }

  private constructor(port4: Port | null, port6: Port | null) {
    this.#port4 = port4;
    this.#port6 = port6;
    this.port = (port4 ?? port6)?.socket.address().port ?? 0;
  }

  has(family: 4 | 6): boolean {
    return (family === 4 ? this.#port4 : this.#port6) !== null;
  }

  /** Called once. The receiver owns each datagram. */
  listen(receive: (datagram: Buffer, from: UdpEndpoint) => void): void {
    this.#attach(this.#port4, 4, receive);
    this.#attach(this.#port6, 6, receive);
  }

  #attach(port: Port | null, family: 4 | 6, receive: (datagram: Buffer, from: UdpEndpoint) => void): void {
    port?.socket.on('message', (datagram, remote) => receive(datagram, this.#placeOf(remote, family)));
    /* Errors of single sends arrive at `#onSent`; what is left are errors of receiving, which pass. */
    port?.socket.on('error', () => {
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

  /** Sends before the event loop turns, or counts why not. The datagram must not change afterwards. */
  send(datagram: Buffer, family: 4 | 6, address: string, port: number): void {
    if (this.#closed !== null) return;
    const own = family === 4 ? this.#port4 : this.#port6;
    if (own === null) {
      this.counters.sendFailed += 1;
      return;
    }
    if (own.segments?.isUsable !== true) {
      this.#sendOne(own.socket, datagram, address, port);
      return;
    }
    if (!own.run.take(datagram, address, port)) {
      this.#flush(own);
      own.run.take(datagram, address, port);
    }
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flushAll);
  }

  readonly #flushAll = (): void => {
    this.#isFlushDue = false;
    if (this.#port4 !== null) this.#flush(this.#port4);
    if (this.#port6 !== null) this.#flush(this.#port6);
  };

  #flush({ socket, segments, run }: Port): void {
    const { datagrams, address, port } = run;
    /* What waits in Node's queue goes first: nothing overtakes it. */
    const mayBatch = datagrams.length > 1 && segments !== null && socket.getSendQueueSize() === 0;
    if (mayBatch && segments.send(datagrams, address, port)) this.counters.batchesSent += 1;
    else for (const datagram of datagrams) this.#sendOne(socket, datagram, address, port);
    run.clear();
  }

  #sendOne(socket: Socket, datagram: Buffer, address: string, port: number): void {
    if (socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.counters.queueFull += 1;
      return;
    }
    socket.send(datagram, 0, datagram.byteLength, port, address, this.#onSent);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error !== null) this.counters.sendFailed += 1;
  };

  /** Resolves when the port is free. */
  async close(): Promise<void> {
    if (this.#closed === null) this.#flushAll();
    const ports = [this.#port4, this.#port6].filter((port) => port !== null);
    this.#closed ??= Promise.all(
      ports.map(async ({ socket }) => {
        const closed = once(socket, 'close');
        socket.close();
        await closed;
      }),
    );
    await this.#closed;
  }
}

/** Addresses only: nothing is looked up, and nothing waits for a look-up. */
function withoutLookup(
  address: string,
  options: { family?: number | 'IPv4' | 'IPv6' },
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  done(null, address, options.family === 6 || address.includes(':') ? 6 : 4);
}

interface BindOptions {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly offload: boolean;
}

async function bind({ family, address, port, offload }: BindOptions): Promise<Port> {
  const offloaded = offload ? bindOffloaded(family, address, port) : null;
  const type = family === 4 ? 'udp4' : 'udp6';
  const socket = createSocket({ type, ipv6Only: family === 6, lookup: withoutLookup });
  try {
    /* Asked for first: without a look-up the socket may listen before `bind` returns. */
    const listening = once(socket, 'listening');
    if (offloaded === null) socket.bind({ port, address, exclusive: true });
    else socket.bind({ fd: offloaded.fd, exclusive: true });
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
  return { socket, segments: offloaded?.segments ?? null, run: new SegmentRun() };
}

/** IPv6 on the port of IPv4. Where nobody asked for it by address, a machine without it is no fault. */
async function bindIpv6(
  address6: string | null | undefined,
  options: Pick<BindOptions, 'port' | 'offload'>,
  port4: Port | null,
): Promise<Port | null> {
  if (address6 === null) return null;
  try {
    return await bind({ ...options, family: 6, address: address6 ?? '::' });
  } catch (error) {
    if (address6 === undefined && port4 !== null) return null;
    port4?.socket.close();
    throw error;
  }
}
