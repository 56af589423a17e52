/**
 * The connections to one origin and the requests that wait for one. A request takes the connection
 * that was free last; where none is, one is dialled for it, up to a limit, and whichever comes first
 * serves whoever waits longest.
 */
import { type UpstreamErrorCode, netError } from './errors.ts';
import type { AppError } from '../base/errors.ts';
import type { Dialer } from './dialer.ts';
import type { CoarseClock } from './http1/coarse-clock.ts';
import { Connection, type ConnectionOwner } from './http1/connection.ts';
import type { Exchange, ExchangeOwner } from './http1/exchange.ts';

export interface OriginPoolOptions {
  /** Of the form that `URL` gives: scheme, host and port. */
  readonly url: URL;
  readonly dialer: Dialer;
  readonly clock: CoarseClock;
  readonly readBuffer: Buffer | null;
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  /** The last connection is gone and nothing is under way. */
  readonly onEmpty: () => void;
}

export class OriginPool implements ConnectionOwner, ExchangeOwner {
  readonly #options: OriginPoolOptions;
  /** Connected and not yet gone, free ones included. */
  readonly #open = new Set<Connection>();
  /** Free, the last freed last; some may be gone since. */
  #free: Connection[] = [];
  /** Free since this turn of the loop: what the server sent beyond its answer shows first. */
  #resting: Connection[] = [];
  #isPromoting = false;
  /** A count, for a set of all would keep the ended ones from being collected young. */
  #running = 0;
  /** Those that no connection carries any more. */
  readonly #held = new Set<Exchange>();
  readonly #waiting = new Set<Exchange>();
  readonly #dials = new Set<AbortController>();
  #isClosed = false;
  /** By the coarse clock. */
  usedMs = 0;

  constructor(options: OriginPoolOptions) {
    this.#options = options;
  }

  /** For the `host` header: without a default port. */
  get host(): string {
    return this.#options.url.host;
  }

  /** Requests under way, those that wait included. */
  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** Whether neither a connection nor a request is left. */
  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#dials.size === 0 && this.#running === 0;
  }

  /** Gives it a connection as soon as there is one. */
  submit(exchange: Exchange): void {
    this.usedMs = this.#options.clock.nowMs;
    this.#running += 1;
    if (!exchange.watchSignal()) return;
    const connection = this.#takeFree();
    if (connection !== null) return this.#assign(connection, exchange);
    this.#waiting.add(exchange);
    this.#dialForWaiting();
  }

  leave(exchange: Exchange): void {
    this.#running -= 1;
    if (this.#held.size > 0) this.#held.delete(exchange);
    if (this.#waiting.size > 0) this.#waiting.delete(exchange);
    this.#noteEmpty();
  }

  hold(exchange: Exchange): void {
    this.#held.add(exchange);
  }

  onFree(connection: Connection): void {
    if (this.#isClosed && this.#waiting.size === 0) return connection.drop();
    this.#resting.push(connection);
    if (this.#isPromoting) return;
    this.#isPromoting = true;
    setImmediate(() => this.#promote());
  }

  onGone(connection: Connection): void {
    this.#open.delete(connection);
    // One that waits at the limit can have its place.
    if (this.#waiting.size > 0) this.#dialForWaiting();
    this.#noteEmpty();
  }

  /** Ends what is late and forgets free connections that are gone. */
  check(nowMs: number): void {
    for (const connection of this.#open) connection.check(nowMs);
    this.#free = this.#free.filter((connection) => connection.isUsable);
  }

  /** No new requests are submitted from now on; what runs goes on, unless `reason` ends it. */
  close(reason: AppError<UpstreamErrorCode> | null): void {
    this.#isClosed = true;
    for (const connection of [...this.#free, ...this.#resting]) connection.drop();
    this.#free = [];
    this.#resting = [];
    if (reason !== null) {
      for (const connection of this.#open) connection.fail(reason);
      for (const exchange of this.#held) exchange.fail(reason);
      for (const exchange of this.#waiting) exchange.fail(reason);
    }
    if (this.#waiting.size === 0) for (const dial of this.#dials) dial.abort(reason);
    this.#noteEmpty();
  }

  #takeFree(): Connection | null {
    for (let connection = this.#free.pop(); connection !== undefined; connection = this.#free.pop()) {
      if (connection.isUsable) return connection;
    }
    return null;
  }

  #promote(): void {
    this.#isPromoting = false;
    const resting = this.#resting;
    this.#resting = [];
    for (const connection of resting) this.#serve(connection);
    // Some may not have been usable after all.
    if (this.#waiting.size > 0) this.#dialForWaiting();
  }

  /** A connection that is free: for who waits longest, or kept. */
  #serve(connection: Connection): void {
    for (const exchange of this.#waiting) {
      if (!connection.isUsable) return;
      this.#waiting.delete(exchange);
      if (!exchange.begin()) continue;
      return connection.send(exchange);
    }
    if (this.#isClosed) connection.drop();
    else if (connection.isUsable) this.#free.push(connection);
  }

  #assign(connection: Connection, exchange: Exchange): void {
    if (exchange.begin()) connection.send(exchange);
    else this.#serve(connection);
  }

  /** As many dials as requests that wait for no connection that is about to be free. */
  #dialForWaiting(): void {
    const { maxConnections } = this.#options;
    const wanted = this.#waiting.size - this.#resting.length;
    while (this.#dials.size < wanted && this.#open.size + this.#dials.size < maxConnections) this.#dial();
  }

  #dial(): void {
    const { url, dialer, clock, readBuffer, keepAliveMs } = this.#options;
    const protocol = url.protocol === 'https:' ? 'https:' : 'http:';
    const isPlain = protocol === 'http:';
    const connection = new Connection({
      origin: url.origin,
      owner: this,
      clock,
      readBuffer: isPlain ? readBuffer : null,
      keepAliveMs,
    });
    const ending = new AbortController();
    this.#dials.add(ending);
    dialer
      .dial({
        protocol,
        hostname: url.hostname,
        port: Number(url.port) || (isPlain ? 80 : 443),
        signal: ending.signal,
        ...(connection.onread === undefined ? {} : { onread: connection.onread }),
      })
      .then(
        (socket) => {
          this.#dials.delete(ending);
          this.#open.add(connection);
          connection.attach(socket);
          if (connection.isUsable) return this.#serve(connection);
          // Dialling again at once could go on for ever.
          connection.drop();
          this.#failOne(netError('upstream_closed', `${url.origin} closed the connection at once`));
        },
        (error: unknown) => {
          this.#dials.delete(ending);
          this.#failOne(error);
        },
      );
  }

  /** A dial failed: so does who waits longest, unless others are on their way for all. */
  #failOne(error: unknown): void {
    const [first] = this.#waiting;
    if (first !== undefined && this.#waiting.size > this.#dials.size) first.fail(error);
    if (this.#waiting.size > 0) this.#dialForWaiting();
    this.#noteEmpty();
  }

  #noteEmpty(): void {
    if (this.isEmpty) this.#options.onEmpty();
  }
}

/** Why requests end when the process does. */
export function stopping(): AppError<UpstreamErrorCode> {
  return netError('upstream_aborted', 'the process is stopping');
}
