/**
 * Requests to other servers over pooled HTTP/1.1 connections of the guarded dialer. The interface
 * is small on purpose, so that another client can take undici's place. No redirects, no retries:
 * both are decisions of the pipeline.
 */
import type { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { AppError } from '../base/errors.ts';
import type { Dialer } from './dialer.ts';
import { type UpstreamErrorCode, netError } from './errors.ts';
import { toUpstreamError } from './upstream-errors.ts';

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
  readonly body: Buffer | Readable | null;
  readonly signal?: AbortSignal;
  /** Instead of the timeouts of the pool. */
  readonly timeouts?: Partial<UpstreamTimeouts>;
}

/** Stops, slows and resumes an exchange. */
export interface UpstreamControl {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/** Receives an answer. Exactly one of `onEnd` and `onError` is called, last. */
export interface UpstreamHandler {
  /** The request is about to be written to a connection. */
  onStart(control: UpstreamControl): void;
  /** Final status and headers (informational answers are dropped); a flat list as received. */
  onHeaders(status: number, rawHeaders: readonly (Buffer | string)[]): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: AppError<UpstreamErrorCode>): void;
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
}

/** 64 KiB: some providers send long lists of rate-limit headers and cookies; Node's own limit is 16 KiB. */
const HEADER_MAX_BYTES = 64 * 1024;
/** Idle connections are kept this long unless the server asks for less. */
const KEEP_ALIVE_MS = 30_000;

/** Informational answers to one request; more than any honest server sends. */
const INFORMATIONAL_MAX = 1000;

interface OriginPool {
  readonly pool: Pool;
  running: number;
}

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const pools = new Map<string, OriginPool>();
  const maxPerOrigin = options.maxPerOrigin ?? 8192;
  const maxInFlight = maxPerOrigin + (options.maxQueuedPerOrigin ?? 1024);
  const firstByteMs = options.timeouts?.firstByteMs ?? 600_000;
  const idleMs = options.timeouts?.idleMs ?? 300_000;
  let closed = false;

  const poolOf = (origin: string): OriginPool | null => {
    const known = pools.get(origin);
    if (known !== undefined) return known;
    if (pools.size >= (options.maxOrigins ?? 256) && !dropIdle(pools)) return null;
    const pool = new Pool(origin, {
      connect: options.dialer.connector,
      connections: maxPerOrigin,
      pipelining: 1,
      allowH2: false,
      headersTimeout: firstByteMs,
      bodyTimeout: idleMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS * 4,
      maxHeaderSize: HEADER_MAX_BYTES,
    });
    const made = { pool, running: 0 };
    pools.set(origin, made);
    return made;
  };

  return {
    dispatch(origin, request, handler) {
      if (closed) return handler.onError(netError('upstream_aborted', 'the process is stopping'));
      try {
        const entry = poolOf(origin);
        if (entry === null || entry.running >= maxInFlight) {
          return handler.onError(netError('upstream_busy', `too many requests wait for ${origin}`));
        }
        new Exchange(entry, request, handler).begin(origin, request.timeouts?.firstByteMs ?? firstByteMs);
      } catch (error) {
        handler.onError(toUpstreamError(error, origin));
      }
    },
    stats: () =>
      [...pools].map(([origin, { pool, running }]) => ({ origin, running, queued: pool.stats.queued })),
    async close({ abort = false } = {}) {
      closed = true;
      const reason = netError('upstream_aborted', 'the process is stopping');
      await Promise.all([...pools.values()].map(({ pool }) => (abort ? pool.destroy(reason) : pool.close())));
      pools.clear();
    },
  };
}

/** Closes the pool that has been unused longest among those without work. */
function dropIdle(pools: Map<string, OriginPool>): boolean {
  for (const [origin, entry] of pools) {
    if (entry.running > 0) continue;
    pools.delete(origin);
    entry.pool.close().catch(() => entry.pool.destroy());
    return true;
  }
  return false;
}

/** One request under way: undici's handler and our control in one object. */
class Exchange implements Dispatcher.DispatchHandler, UpstreamControl {
  readonly #entry: OriginPool;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  #origin = '';
  #controller: Dispatcher.DispatchController | null = null;
  #abortReason: Error | null = null;
  #onAbort: (() => void) | null = null;
  #isOver = false;
  #firstByteMs = 0;
  #informational = 0;
  /** Why we end it though nobody asked us to. */
  #fault: AppError<UpstreamErrorCode> | null = null;
  #finalHeadTimer: NodeJS.Timeout | null = null;

  constructor(entry: OriginPool, request: UpstreamRequest, handler: UpstreamHandler) {
    this.#entry = entry;
    this.#request = request;
    this.#handler = handler;
  }

  begin(origin: string, firstByteMs: number): void {
    this.#origin = origin;
    this.#firstByteMs = firstByteMs;
    const { signal, timeouts } = this.#request;
    if (signal !== undefined) {
      if (signal.aborted) {
        this.#abortReason = toError(signal.reason);
        return this.#fail(this.#abortReason);
      }
      this.#onAbort = () => this.abort(toError(signal.reason));
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    this.#entry.running += 1;
    try {
      this.#entry.pool.dispatch(
        {
          method: this.#request.method,
          path: this.#request.path,
          headers: this.#request.headers,
          body: this.#request.body,
          ...(timeouts?.firstByteMs === undefined ? {} : { headersTimeout: timeouts.firstByteMs }),
          ...(timeouts?.idleMs === undefined ? {} : { bodyTimeout: timeouts.idleMs }),
        },
        this,
      );
    } catch (error) {
      this.#leave();
      this.#fail(error);
    }
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(reason: Error): void {
    if (this.#isOver) return;
    this.#abortReason ??= reason;
    if (this.#controller !== null) this.#controller.abort(this.#abortReason);
    else this.#end(this.#abortReason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#abortReason !== null || this.#isOver) {
      controller.abort(this.#abortReason ?? new Error('the exchange has ended'));
      return;
    }
    this.#handler.onStart(this);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#isOver) return;
    if (status < 200) return this.#waitForFinalHead();
    this.#stopWaiting();
    const raw = controller.rawHeaders;
    this.#handler.onHeaders(status, Array.isArray(raw) ? raw : []);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isOver) this.#handler.onData(chunk);
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#handler.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error);
  }

  /** The client's own timer begins anew with every informational answer, so a server could put it off for ever. */
  #waitForFinalHead(): void {
    this.#informational += 1;
    if (this.#informational > INFORMATIONAL_MAX) {
      return this.#giveUp(
        netError('upstream_protocol', `${this.#origin} sent too many informational answers`),
      );
    }
    this.#finalHeadTimer ??= setTimeout(() => {
      this.#giveUp(netError('upstream_first_byte_timeout', `${this.#origin} did not answer in time`));
    }, this.#firstByteMs);
  }

  #giveUp(fault: AppError<UpstreamErrorCode>): void {
    this.#fault = fault;
    this.abort(fault);
  }

  #stopWaiting(): void {
    if (this.#finalHeadTimer !== null) clearTimeout(this.#finalHeadTimer);
    this.#finalHeadTimer = null;
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#leave();
    this.#fail(error);
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    const failure =
      this.#abortReason !== null && error === this.#abortReason && error !== this.#fault
        ? netError('upstream_aborted', 'the exchange was stopped', error)
        : toUpstreamError(error, this.#origin);
    this.#handler.onError(failure);
  }

  #leave(): void {
    this.#entry.running -= 1;
    this.#stopWaiting();
    if (this.#onAbort !== null) this.#request.signal?.removeEventListener('abort', this.#onAbort);
    this.#onAbort = null;
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
