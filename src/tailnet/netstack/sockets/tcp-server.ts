/** A listening port with the surface of `net.Server`: `connection`, `listening`, `close` and `error` events. */
import { EventEmitter } from 'node:events';
import type { TcpConnection } from '../tcp/connection.ts';
import type { TcpListener } from '../tcp/listener.ts';
import { NetstackSocket, type SocketAddress, type SocketHost } from './tcp-socket.ts';

/** What a server needs of its network. */
export interface ServerHost extends SocketHost {
  adopt(socket: NetstackSocket): void;
}

export interface NetstackServerOptions {
  readonly allowHalfOpen?: boolean;
}

/** Events: `connection(socket)`, `drop`, `close`. Without a `connection` listener a connection is reset. */
export class NetstackServer extends EventEmitter {
  /** Connections beyond this are reset, and `drop` is emitted; undefined: the stack's limit. */
  maxConnections: number | undefined;
  readonly #host: ServerHost;
  readonly #options: NetstackServerOptions;
  readonly #sockets = new Set<NetstackSocket>();
  #listener: TcpListener | null = null;
  #address: SocketAddress | null = null;
  #isClosing = false;

  constructor(host: ServerHost, options: NetstackServerOptions) {
    super();
    this.#host = host;
    this.#options = options;
  }

  /** Called once by the network that made it. */
  open(listener: TcpListener, address: SocketAddress): void {
    this.#listener = listener;
    this.#address = address;
    process.nextTick(() => {
      if (this.listening) this.emit('listening');
    });
  }

  get listening(): boolean {
    return this.#listener !== null;
  }

  /** Where it listens; null when closed. */
  address(): SocketAddress | null {
    return this.listening ? this.#address : null;
  }

  getConnections(done: (error: Error | null, count: number) => void): void {
    process.nextTick(done, null, this.#sockets.size);
  }

  /** The stack has a connection for this port. */
  accept(connection: TcpConnection, now: number): void {
    const isFull = this.maxConnections !== undefined && this.#sockets.size >= this.maxConnections;
    if (isFull || this.listenerCount('connection') === 0) {
      connection.abort(now);
      if (isFull) this.emit('drop', { remotePort: connection.remotePort, localPort: connection.localPort });
      return;
    }
    const { allowHalfOpen = false } = this.#options;
    const socket = new NetstackSocket(this.#host, connection, { allowHalfOpen, connecting: false });
    this.#host.adopt(socket);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#emitCloseIfDone();
    });
    this.emit('connection', socket);
  }

  /** Takes no more connections; `close` comes when the last one is gone. */
  close(done?: (error?: Error) => void): this {
    if (this.#isClosing || this.#listener === null) {
      if (done !== undefined) process.nextTick(done, new Error('the server is not listening'));
      return this;
    }
    if (done !== undefined) this.once('close', () => done());
    this.#isClosing = true;
    this.#listener.close(this.#host.now());
    this.#listener = null;
    this.#host.afterCall();
    this.#emitCloseIfDone();
    return this;
  }

  #emitCloseIfDone(): void {
    if (!this.#isClosing || this.#sockets.size > 0) return;
    this.#isClosing = false;
    process.nextTick(() => this.emit('close'));
  }

  /** The network keeps the process alive, not its servers. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.listening) await new Promise<void>((resolve) => this.close(() => resolve()));
  }
}
