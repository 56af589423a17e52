/**
 * A stack with a clock, a timer and Node's sockets: what programs listen and dial on. Packets come by
 * `receive` and leave by `output`, so it runs over WireGuard, over a TUN device, or back to back.
 */
import type { Clock } from '../../../base/clock.ts';
import { AppError } from '../../../base/errors.ts';
import { parseIp } from '../../../wire/ip.ts';
import { ipToBytes } from '../../../wire/ip-packet.ts';
import type { NetStackCounters } from '../counters.ts';
import { NetStack, type NetStackOptions } from '../stack.ts';
import type { TcpHandlers } from '../tcp/block.ts';
import type { TcpConnection } from '../tcp/connection.ts';
import { BACKLOG_DEFAULT } from '../tcp/listener.ts';
import type { NetStackErrorCode } from '../tcp/table.ts';
import { SocketError, type SocketErrorCode, type SocketErrorFacts } from './socket-error.ts';
import { NetstackServer, type NetstackServerOptions } from './tcp-server.ts';
import { NetstackSocket } from './tcp-socket.ts';
import { NetstackUdpSocket } from './udp-socket.ts';

/** Own addresses as text, such as `100.64.0.1` and `fd7a::1`; the rest as the stack's. */
export interface UserspaceNetworkOptions extends Omit<NetStackOptions, 'addresses' | 'batches'> {
  readonly addresses: readonly string[];
  readonly clock: Clock;
}

export interface ListenOptions extends NetstackServerOptions {
  /** 0: a free one. */
  readonly port: number;
  /** One of the own addresses; absent: all of them. */
  readonly address?: string;
  /** Half-open connections at once; default 1024. */
  readonly backlog?: number;
}

export interface DialOptions {
  readonly signal?: AbortSignal;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  readonly allowHalfOpen?: boolean;
}

const DIAL_TIMEOUT_MS = 30_000;
/** `setTimeout` takes no more. */
const TIMER_MAX_MS = 2_147_483_647;

export class UserspaceNetwork {
  readonly #stack: NetStack;
  readonly #clock: Clock;
  readonly #sockets = new Set<NetstackSocket>();
  readonly #servers = new Set<NetstackServer>();
  readonly #udpSockets = new Set<NetstackUdpSocket>();
  #timer: NodeJS.Timeout | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #immediate: NodeJS.Immediate | null = null;
  #isClosed = false;

  constructor(options: UserspaceNetworkOptions) {
    this.#clock = options.clock;
    this.#stack = new NetStack({
      ...options,
      addresses: options.addresses.map(mustParse),
      batches: true,
    });
  }

  get counters(): Readonly<NetStackCounters> {
    return this.#stack.counters;
  }

  get usage(): NetStack['usage'] {
    return this.#stack.usage;
  }

  /** Other own addresses from now on; connections of those that are gone are reset. Listeners on all of them stay. */
  setAddresses(addresses: readonly string[]): void {
    const gone = [...this.#sockets].filter(
      ({ localAddress }) => localAddress !== undefined && !addresses.includes(localAddress),
    );
    for (const socket of gone) socket.resetAndDestroy();
    this.#stack.setAddresses(addresses.map(mustParse));
  }

  /** A packet from the network; it belongs to the stack from now on. */
  receive(packet: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#stack.receive(packet, this.#clock.monotonicMs());
    } finally {
      this.#arm();
    }
  }

  /** Listens. Throws `EADDRINUSE`, and `ENOTFOUND` for an address that is not an own one. */
  listen(options: ListenOptions, onConnection?: (socket: NetstackSocket) => void): NetstackServer {
    const own = this.#ownAddress(options.address, 'listen');
    const host = {
      now: () => this.#clock.monotonicMs(),
      afterCall: () => this.#arm(),
      adopt: (socket: NetstackSocket) => this.#sockets.add(socket),
      forget: (socket: NetstackSocket) => this.#sockets.delete(socket),
    };
    const server = new NetstackServer(host, options);
    if (onConnection !== undefined) server.on('connection', onConnection);
    const accept = (connection: TcpConnection, now: number): void => server.accept(connection, now);
    const listener = translated({ syscall: 'listen', port: options.port }, () =>
      this.#stack.listen({
        address: own,
        port: options.port,
        backlog: options.backlog ?? BACKLOG_DEFAULT,
        accept,
      }),
    );
    const address = options.address ?? '::';
    server.open(listener, { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port: listener.port });
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    return server;
  }

  /**
   * Begins a connection, as `net.connect` does: the socket is returned at once, and emits `connect` or
   * `error`. For `createConnection` of node:http. Throws for what is no address.
   */
  connect(address: string, port: number, options: { readonly allowHalfOpen?: boolean } = {}): NetstackSocket {
    const facts = { syscall: 'connect', address, port };
    const ip = parseIp(address);
    if (ip === null) throw new SocketError('ENOTFOUND', facts);
    if (this.#isClosed) throw new SocketError('ENETUNREACH', facts);
    const connection = translated(facts, () =>
      this.#stack.connect(ipToBytes(ip), port, NO_HANDLERS, this.#clock.monotonicMs()),
    );
    if (connection === null) throw new SocketError('ENETUNREACH', facts);
    const host = {
      now: () => this.#clock.monotonicMs(),
      afterCall: () => this.#arm(),
      forget: (socket: NetstackSocket) => this.#sockets.delete(socket),
    };
    const socket = new NetstackSocket(host, connection, { ...options, connecting: true });
    this.#sockets.add(socket);
    this.#arm();
    return socket;
  }

  /** A connected socket. Rejects with the error that `connect` has, `ETIMEDOUT`, or the signal's reason. */
  async dial(address: string, port: number, options: DialOptions = {}): Promise<NetstackSocket> {
    const { signal, timeoutMs = DIAL_TIMEOUT_MS, allowHalfOpen = false } = options;
    signal?.throwIfAborted();
    const socket = this.connect(address, port, { allowHalfOpen });
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        socket.removeListener('connect', onConnect);
        socket.removeListener('error', onError);
      };
      const fail = (reason: unknown): void => {
        settle();
        /* Nobody owns the socket: its error is told by the promise alone. */
        socket.on('error', () => undefined);
        socket.destroy();
        reject(reason instanceof Error ? reason : new Error('the dial was aborted', { cause: reason }));
      };
      const onConnect = (): void => {
        settle();
        resolve(socket);
      };
      const onError = (error: Error): void => fail(error);
      const onAbort = (): void => fail(signal?.reason);
      const timer = setTimeout(
        () => fail(new SocketError('ETIMEDOUT', { syscall: 'connect', address, port })),
        timeoutMs,
      );
      socket.once('connect', onConnect);
      socket.once('error', onError);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Takes a UDP port; absent or 0: a random one. Throws `EADDRINUSE`, `ENOTFOUND`. */
  bindUdp(options: { readonly port?: number; readonly address?: string } = {}): NetstackUdpSocket {
    const own = this.#ownAddress(options.address, 'bind');
    const { port = 0 } = options;
    const host = {
      localAddressFor: (remote: Buffer) => this.#stack.localAddressFor(remote),
      afterCall: () => this.#arm(),
      forgetUdp: (closed: NetstackUdpSocket) => this.#udpSockets.delete(closed),
    };
    const socket = new NetstackUdpSocket(host, own);
    const bound = translated({ syscall: 'bind', port }, () =>
      this.#stack.bindUdp({ address: own, port, receive: (message) => socket.receive(message) }),
    );
    socket.open(bound);
    this.#udpSockets.add(socket);
    return socket;
  }

  #ownAddress(address: string | undefined, syscall: string): Buffer | null {
    if (address === undefined) return null;
    const ip = parseIp(address);
    const bytes = ip === null ? null : ipToBytes(ip);
    const own = this.#stack.addresses.find((candidate) => bytes?.equals(candidate) === true);
    if (own === undefined) throw new SocketError('ENOTFOUND', { syscall, address });
    return own;
  }

  /**
   * Sets the timer for the stack's next wake, if it is earlier than the one that is set. "Now" is after
   * what the event loop reads from its sockets in this turn: the end of a batch.
   */
  #arm(): void {
    const at = this.#stack.nextWake();
    if (at === Number.NEGATIVE_INFINITY) {
      if (!this.#isClosed) this.#immediate ??= setImmediate(this.#wakeSoon);
      return;
    }
    if (this.#isClosed || at >= this.#timerAt || at === Number.POSITIVE_INFINITY) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    const wait = Math.min(Math.max(at - this.#clock.monotonicMs(), 0), TIMER_MAX_MS);
    this.#timer = setTimeout(this.#wakeInTime, Math.ceil(wait));
  }

  readonly #wakeSoon = (): void => {
    this.#immediate = null;
    this.#wake();
  };

  readonly #wakeInTime = (): void => {
    this.#timer = null;
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#wake();
  };

  #wake(): void {
    try {
      this.#stack.tick(this.#clock.monotonicMs());
    } finally {
      this.#arm();
    }
  }

  /** Destroys every socket and server; peers get resets for what was open. */
  close(): void {
    if (this.#isClosed) return;
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    for (const socket of this.#udpSockets) socket.close();
    this.#stack.close(this.#clock.monotonicMs());
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#immediate = null;
  }
}

/** Until the socket is made, in the same call: the stack tells nothing before it returns. */
const NO_HANDLERS: TcpHandlers = {
  connected: () => undefined,
  readable: () => undefined,
  writable: () => undefined,
  failed: () => undefined,
};

function mustParse(text: string): Buffer {
  const ip = parseIp(text);
  if (ip === null) throw new SocketError('ENOTFOUND', { syscall: 'bind', address: text });
  return ipToBytes(ip);
}

const CODES: Readonly<Record<NetStackErrorCode, SocketErrorCode>> = {
  address_in_use: 'EADDRINUSE',
  no_free_port: 'EADDRINUSE',
  too_many_connections: 'EMFILE',
};

/** Runs a call of the stack; its errors become those of node:net. */
function translated<Result>(facts: SocketErrorFacts, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const code = Object.entries(CODES).find(([name]) => name === error.code)?.[1];
    if (code === undefined) throw error;
    throw new SocketError(code, facts);
  }
}
