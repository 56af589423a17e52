/**
 * Requests to other servers over kept HTTP/1.1 connections of the guarded dialer. No redirects, no
 * retries: both are decisions of the pipeline. HTTP/2 is left out: over a few long-lived
 * connections to one provider it was never faster.
 */
import type { Readable } from 'node:stream';
import type { Dialer } from './dialer.ts';
import { netError } from './errors.ts';
import { CoarseClock } from './http1/coarse-clock.ts';
import { Exchange, type UpstreamHandler } from './http1/exchange.ts';
import { createRequestHead } from './http1/request-head.ts';
import { OriginPool, stopping } from './origin-pool.ts';
import { toUpstreamError } from './upstream-errors.ts';

export type { UpstreamControl, UpstreamHandler } from './http1/exchange.ts';

export interface UpstreamTimeouts {
  /** From sending to the answer's head. Default 600,000: unstreamed reasoning takes minutes. */
  readonly firstByteMs: number;
  /** Longest silence within an answer. Default 300,000. */
  readonly idleMs: number;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, beginning with `/`. */
  readonly path: string;
  /** Flat list: name, value, name, value … `host` is set from the origin if absent. */
  readonly headers: string[];
  /** A stream is destroyed when the exchange ends. */
  readonly body: Buffer | Readable | null;
  readonly signal?: AbortSignal;
  /** Instead of the timeouts of the pool. */
  readonly timeouts?: Partial<UpstreamTimeouts>;
}

export interface Upstreams {
  /** Never throws: every failure reaches `handler.onError`. */
  dispatch(origin: string, request: UpstreamRequest, handler: UpstreamHandler): void;
  /** Origins with open connections, for metrics. */
  stats(): readonly { readonly origin: string; readonly running: number; readonly queued: number }[];
  /** Waits for what runs, then closes; `abort` ends it at once. */
  close(options?: { readonly abort?: boolean }): Promise<void>;
}

export interface UpstreamsOptions {
  readonly dialer: Dialer;
  readonly timeouts?: Partial<UpstreamTimeouts>;
  /** Connections to one origin. Default 8,192: one stream holds one, and the listeners take 10,000 callers. */
  readonly maxPerOrigin?: number;
  /** Requests that may wait for a connection of one origin. Default 1,024. */
  readonly maxQueuedPerOrigin?: number;
  /** Origins kept; an idle one makes room. Default 256. */
  readonly maxOrigins?: number;
  /** Unused connections are kept this long unless the server asks for less. Default 30,000. */
  readonly keepAliveMs?: number;
  /** Default: the monotonic clock of the process. */
  readonly monotonicMs?: () => number;
}

/** What one read of a socket takes at most, as Node's own buffers do. */
const READ_BUFFER_BYTES = 64 * 1024;

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  return new PooledUpstreams(options);
}

class PooledUpstreams implements Upstreams {
  readonly #options: UpstreamsOptions;
  readonly #pools = new Map<string, OriginPool>();
  /** Pools that made room for others and still have connections to close. */
  readonly #leaving = new Set<OriginPool>();
  readonly #clock: CoarseClock;
  /*
   * On Unix systems libuv asks for a buffer, reads into it and reports in one go, so one is enough
   * for all; on Windows it may hand a buffer to the kernel long before, so none is shared there.
   */
  readonly #readBuffer = process.platform === 'win32' ? null : Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly #firstByteMs: number;
  readonly #idleMs: number;
  readonly #maxPerOrigin: number;
  readonly #maxInFlight: number;
  #isClosed = false;
  #onAllEmpty: (() => void) | null = null;

  constructor(options: UpstreamsOptions) {
    this.#options = options;
    this.#firstByteMs = options.timeouts?.firstByteMs ?? 600_000;
    this.#idleMs = options.timeouts?.idleMs ?? 300_000;
    this.#maxPerOrigin = options.maxPerOrigin ?? 8192;
    this.#maxInFlight = this.#maxPerOrigin + (options.maxQueuedPerOrigin ?? 1024);
    this.#clock = new CoarseClock({
      onTurn: (nowMs) => this.#check(nowMs),
      monotonicMs: options.monotonicMs ?? (() => performance.now()),
    });
  }

  dispatch(origin: string, request: UpstreamRequest, handler: UpstreamHandler): void {
    try {
      const exchange = this.#open(origin, request, handler);
      exchange.pool.submit(exchange.made);
    } catch (error) {
      if (request.body !== null && !Buffer.isBuffer(request.body)) request.body.destroy();
      handler.onError(toUpstreamError(error, origin));
    }
  }

  stats(): { readonly origin: string; readonly running: number; readonly queued: number }[] {
    return [...this.#pools].map(([origin, { running, queued }]) => ({ origin, running, queued }));
  }

  async close({ abort = false }: { readonly abort?: boolean } = {}): Promise<void> {
    this.#isClosed = true;
    const reason = abort ? stopping() : null;
    const emptied = new Promise<void>((resolve) => {
      this.#onAllEmpty = resolve;
    });
    for (const pool of [...this.#pools.values(), ...this.#leaving]) pool.close(reason);
    this.#noteEmpty();
    await emptied;
    this.#pools.clear();
  }

  /** @throws AppError<UpstreamErrorCode> where the request cannot be sent, or not now. */
  #open(
    origin: string,
    request: UpstreamRequest,
    handler: UpstreamHandler,
  ): { readonly pool: OriginPool; readonly made: Exchange } {
    if (this.#isClosed) throw stopping();
    const pool = this.#poolOf(origin);
    if (pool === null || pool.running >= this.#maxInFlight) {
      throw netError('upstream_busy', `too many requests wait for ${origin}`);
    }
    const { method, path, headers, body, signal, timeouts } = request;
    const firstByteMs = timeouts?.firstByteMs ?? this.#firstByteMs;
    const idleMs = timeouts?.idleMs ?? this.#idleMs;
    const made = new Exchange({
      origin,
      handler,
      head: createRequestHead({ method, path, headers, body, host: pool.host }),
      isHeadRequest: method === 'HEAD',
      body: body !== null && Buffer.isBuffer(body) && body.length === 0 ? null : body,
      signal,
      firstByteMs,
      idleMs,
      owner: pool,
    });
    this.#clock.keep(Math.min(firstByteMs, idleMs));
    return { pool, made };
  }

  #poolOf(origin: string): OriginPool | null {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const url = URL.parse(origin);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      throw netError('upstream_protocol', `"${origin}" is no origin of http or https`);
    }
    if (this.#pools.size >= (this.#options.maxOrigins ?? 256) && !this.#dropIdle()) return null;
    const pool: OriginPool = new OriginPool({
      url,
      dialer: this.#options.dialer,
      clock: this.#clock,
      readBuffer: this.#readBuffer,
      keepAliveMs: this.#options.keepAliveMs ?? 30_000,
      maxConnections: this.#maxPerOrigin,
      onEmpty: () => {
        this.#leaving.delete(pool);
        this.#noteEmpty();
      },
    });
    this.#pools.set(origin, pool);
    return pool;
  }

  /** Closes the pool that has been unused longest among those without work. */
  #dropIdle(): boolean {
    let oldest: [string, OriginPool] | null = null;
    for (const entry of this.#pools) {
      if (entry[1].running === 0 && (oldest === null || entry[1].usedMs < oldest[1].usedMs)) oldest = entry;
    }
    if (oldest === null) return false;
    const [origin, pool] = oldest;
    this.#pools.delete(origin);
    if (!pool.isEmpty) this.#leaving.add(pool);
    pool.close(null);
    return true;
  }

  #check(nowMs: number): void {
    for (const pool of this.#pools.values()) pool.check(nowMs);
    for (const pool of this.#leaving) pool.check(nowMs);
  }

  /** Nothing is left to time, and perhaps nothing to wait for. */
  #noteEmpty(): void {
    if (this.#leaving.size > 0) return;
    for (const pool of this.#pools.values()) if (!pool.isEmpty) return;
    this.#clock.stop();
    this.#onAllEmpty?.();
  }
}
