/**
 * A TCP connection as a `Duplex` with the surface of `net.Socket` that node:http, node:http2, node:tls
 * and undici use. Back-pressure is the receive window: what nobody reads stays in the stack, and the
 * peer stops when the window is full. Left out: `onread`, `setTypeOfService`, file descriptors.
 */
import { Duplex } from 'node:stream';
import { formatIp } from '../../../wire/ip.ts';
import { ipFromBytes } from '../../../wire/ip-packet.ts';
import type { TcpFailure, TcpHandlers } from '../tcp/block.ts';
import type { TcpConnection } from '../tcp/connection.ts';
import { SocketError } from './socket-error.ts';

/** What a socket needs of the network that it belongs to. */
export interface SocketHost {
  /** Milliseconds that never jump. */
  now(): number;
  /** Something was sent: a timer may be due earlier. */
  afterCall(): void;
  /** The socket is closed. */
  forget(socket: NetstackSocket): void;
}

export interface NetstackSocketOptions {
  /** Keep the writing side open when the peer ends. Default false, as in node:net. */
  readonly allowHalfOpen?: boolean;
  /** Waits for the handshake. */
  readonly connecting: boolean;
}

/** What `address()` gives: the own end. */
export interface SocketAddress {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

type Done = (error?: Error | null) => void;

export class NetstackSocket extends Duplex {
  /** True until the handshake is done. */
  connecting: boolean;
  /** Bytes that came, and bytes given to `write`. */
  bytesRead = 0;
  bytesWritten = 0;
  /** Milliseconds of silence after which `timeout` is emitted, or undefined. */
  timeout: number | undefined;

  readonly #host: SocketHost;
  #connection: TcpConnection | null;
  readonly #ends: { local: SocketAddress; remote: SocketAddress };
  #pending: { chunks: readonly Buffer[]; index: number; offset: number; done: Done } | null = null;
  #afterConnect: (() => void) | null = null;
  #wantsData = false;
  #atEnd = false;
  #timer: NodeJS.Timeout | null = null;

  /** Made by a network, for a connection that has no other owner. */
  constructor(host: SocketHost, connection: TcpConnection, options: NetstackSocketOptions) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false, emitClose: false, autoDestroy: true });
    this.#host = host;
    this.#connection = connection;
    this.#ends = {
      local: describe(connection.localAddress, connection.localPort),
      remote: describe(connection.remoteAddress, connection.remotePort),
    };
    this.connecting = options.connecting;
    connection.setHandlers(this.#handlers());
    connection.setNoDelay(true);
  }

  #handlers(): TcpHandlers {
    return {
      connected: () => this.#onConnected(),
      readable: () => this.#pump(),
      writable: () => this.#writeRest(),
      failed: (failure) => this.#onFailed(failure),
    };
  }

  get remoteAddress(): string | undefined {
    return this.destroyed ? undefined : this.#ends.remote.address;
  }

  get remotePort(): number | undefined {
    return this.destroyed ? undefined : this.#ends.remote.port;
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.destroyed ? undefined : this.#ends.remote.family;
  }

  get localAddress(): string | undefined {
    return this.destroyed ? undefined : this.#ends.local.address;
  }

  get localPort(): number | undefined {
    return this.destroyed ? undefined : this.#ends.local.port;
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.destroyed ? undefined : this.#ends.local.family;
  }

  address(): SocketAddress | Record<string, never> {
    return this.destroyed ? {} : this.#ends.local;
  }

  get pending(): boolean {
    return this.connecting || this.#connection === null;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    if (this.readable) return 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Bytes that wait to be taken by the stack. */
  get bufferSize(): number {
    return this.writableLength;
  }

  #onConnected(): void {
    this.connecting = false;
    this.#touch();
    const resume = this.#afterConnect;
    this.#afterConnect = null;
    this.emit('connect');
    this.emit('ready');
    resume?.();
    this.#pump();
  }

  #onFailed(failure: TcpFailure): void {
    const syscall = this.connecting ? 'connect' : 'read';
    const { address, port } = this.#ends.remote;
    this.#connection?.close(this.#host.now());
    this.#connection = null;
    const error = new SocketError(failure, this.connecting ? { syscall, address, port } : { syscall });
    this.connecting = false;
    this.destroy(error);
  }

  override _read(): void {
    this.#wantsData = true;
    this.#pump();
  }

  /** Gives on what has come, as long as it is wanted. */
  #pump(): void {
    const connection = this.#connection;
    if (connection === null || this.connecting || this.#atEnd) return;
    let hasRead = false;
    while (this.#wantsData && this.#connection !== null) {
      const chunk = connection.read();
      if (chunk === null) break;
      hasRead = true;
      this.bytesRead += chunk.length;
      this.#wantsData = this.push(chunk);
    }
    if (hasRead) {
      this.#touch();
      /* Reading may have closed it. */
      this.#connection?.noteRead(this.#host.now());
      this.#host.afterCall();
    }
    if (connection.isAtEnd && !this.#atEnd) {
      this.#atEnd = true;
      this.push(null);
      /* `end` must come also where nobody reads: there is nothing left to read. */
      if (this.readableLength === 0 && !this.destroyed) this.read(0);
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: readonly { chunk: Buffer }[], done: Done): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #send(chunks: readonly Buffer[], done: Done): void {
    for (const chunk of chunks) this.bytesWritten += chunk.length;
    this.#pending = { chunks, index: 0, offset: 0, done };
    if (this.connecting) this.#afterConnect = () => this.#writeRest();
    else this.#writeRest();
  }

  #writeRest(): void {
    const pending = this.#pending;
    const connection = this.#connection;
    if (pending === null) return;
    if (connection === null) {
      this.#pending = null;
      pending.done(new SocketError('EPIPE', { syscall: 'write' }));
      return;
    }
    for (; pending.index < pending.chunks.length; pending.index += 1) {
      const chunk = pending.chunks[pending.index];
      if (chunk === undefined) break;
      pending.offset += connection.write(chunk, pending.offset);
      if (pending.offset < chunk.length) break;
      pending.offset = 0;
    }
    const isDone = pending.index === pending.chunks.length;
    if (isDone) this.#pending = null;
    connection.flush(this.#host.now());
    this.#host.afterCall();
    this.#touch();
    if (isDone) pending.done();
  }

  override _final(done: Done): void {
    if (this.connecting) {
      this.#afterConnect = () => this._final(done);
      return;
    }
    this.#connection?.end(this.#host.now());
    this.#host.afterCall();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.connecting = false;
    this.#clearTimer();
    const connection = this.#connection;
    this.#connection = null;
    const pending = this.#pending;
    this.#pending = null;
    this.#afterConnect = null;
    connection?.close(this.#host.now());
    this.#host.afterCall();
    this.#host.forget(this);
    done(error);
    pending?.done(error ?? new SocketError('ECONNRESET', { syscall: 'write' }));
    process.nextTick(() => this.emit('close', error !== null));
  }

  /** Ends after what was written, then destroys. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Resets the connection. */
  resetAndDestroy(): this {
    this.#connection?.abort(this.#host.now());
    this.#connection = null;
    return this.destroy();
  }

  /** Off: small writes wait for acknowledgments (Nagle). On by default, as node:http has it; node:net has not. */
  setNoDelay(isOn = true): this {
    this.#connection?.setNoDelay(isOn);
    return this;
  }

  /** Probes after `initialDelayMs` of silence; 0 takes the system's usual two hours. */
  setKeepAlive(isOn = false, initialDelayMs = 0): this {
    const idleMs = initialDelayMs > 0 ? initialDelayMs : 7_200_000;
    this.#connection?.setKeepAlive(isOn ? idleMs : 0, this.#host.now());
    this.#host.afterCall();
    return this;
  }

  /** Emits `timeout` after so many milliseconds without traffic; 0 turns it off. The socket stays open. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    this.#clearTimer();
    this.timeout = timeoutMs;
    if (timeoutMs > 0) this.#timer = setTimeout(() => this.emit('timeout'), timeoutMs).unref();
    if (listener !== undefined) {
      if (timeoutMs > 0) this.once('timeout', listener);
      else this.removeListener('timeout', listener);
    }
    return this;
  }

  #touch(): void {
    this.#timer?.refresh();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The network keeps the process alive, not its sockets. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

function describe(address: Buffer, port: number): SocketAddress {
  return {
    address: formatIp(ipFromBytes(address)),
    family: address.length === 4 ? 'IPv4' : 'IPv6',
    port,
  };
}
