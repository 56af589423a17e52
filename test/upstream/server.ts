/**
 * A provider of our own for tests: OpenAI, Anthropic and Gemini on one loopback port. It records every
 * request with its raw headers and bytes, refuses what a gateway must not send, and misbehaves on
 * demand (`behaviours.ts`). Cloud shapes mount beside it (`mounts`).
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { WELL_BEHAVED, combine } from './behaviours.ts';
import type { Behaviour, BehaviourName } from './behaviours.ts';
import { deliver } from './deliver.ts';
import { FakeError } from './envelopes.ts';
import { createObjectStore } from './objects.ts';
import { BodyTooLarge, DEFAULT_CREDENTIALS, dialectOf, readBody, violationsOf } from './received.ts';
import type { ExpectedCredential, ReceivedRequest, UpstreamDialect } from './received.ts';
import { createPairingState } from './pairing/index.ts';
import { errorDelivery, routeRequest, type CallScript } from './routes.ts';

/** Paths that somebody else answers; strictness is then theirs too. */
export interface Mount {
  /** `/bedrock` takes `/bedrock` and all below it; `/` takes all. */
  readonly prefix: string;
  /** Answers; what it throws becomes a 500. `request` is recorded already. */
  handle(request: ReceivedRequest, response: ServerResponse, signal: AbortSignal): void | Promise<void>;
}

export interface FakeUpstreamOptions {
  /** Overrides of `DEFAULT_CREDENTIALS`. */
  readonly credentials?: Partial<Readonly<Record<UpstreamDialect, ExpectedCredential>>>;
  /** Default true: refuse with 401 what a gateway must not send. False lets any client talk to the fake directly. */
  readonly strict?: boolean;
  /** Default none. The first whose prefix fits wins over the fake's own paths. */
  readonly mounts?: readonly Mount[];
  /** Default false: any history is taken. True refuses with 400 what the providers' pairing rules refuse (`pairing/`). */
  readonly pairing?: boolean;
  /** By what a request asks, the calls to answer it with. Default: as the behaviour says. */
  readonly calls?: CallScript;
  /** Default 64 MiB. */
  readonly bodyMaxBytes?: number;
}

export interface FakeUpstream {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string;
  readonly port: number;
  /** Every request since the start or the last `reset`, oldest first. */
  readonly requests: readonly ReceivedRequest[];
  /** What gateways did wrong, `POST /v1/messages: …`; a test asserts that it is empty. */
  readonly violations: readonly string[];
  /** The behaviours, joined, of the next request that no script claimed yet; goes before the model's name. */
  script(...names: readonly BehaviourName[]): void;
  /** Forgets requests, violations and scripts. */
  reset(): void;
  /** Resolves when this many requests have come and have ended; rejects when `signal` fires. */
  settled(count: number, signal?: AbortSignal): Promise<readonly ReceivedRequest[]>;
  /** Drops what is open and stops listening. */
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const credentials = { ...DEFAULT_CREDENTIALS, ...options.credentials };
  const bodyMaxBytes = options.bodyMaxBytes ?? 64 * 1024 * 1024;
  const closing = new AbortController();
  const connections = new Map<Socket, number>();
  const waiting = new Set<() => void>();
  const state = {
    serial: 0,
    requests: [] as ReceivedRequest[],
    violations: [] as string[],
    scripts: [] as Behaviour[],
  };
  const objects = createObjectStore();
  const pairing = options.pairing === true ? createPairingState() : null;
  const calls = options.calls ?? ((): null => null);
  let connectionCount = 0;

  const server = createServer({ requestTimeout: 0, headersTimeout: 0 }, (incoming, response) => {
    void receive(incoming, response);
  });
  server.on('connection', (socket) => {
    connectionCount += 1;
    connections.set(socket, connectionCount);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  });

  async function receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    const signal = AbortSignal.any([gone.signal, closing.signal]);
    response.on('error', () => gone.abort());
    try {
      const request = await record(incoming, bodyMaxBytes);
      state.requests.push(request);
      response.on('close', () => {
        request.outcome = response.writableFinished ? 'answered' : 'aborted';
        gone.abort();
        for (const wake of waiting) wake();
      });
      await answer(request, response, signal);
    } catch (error) {
      if (signal.aborted || response.destroyed) return;
      const status = error instanceof BodyTooLarge ? 413 : 500;
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' });
      response.end(error instanceof Error ? error.message : String(error));
    }
  }

  async function record(incoming: IncomingMessage, maxBytes: number): Promise<ReceivedRequest> {
    state.serial += 1;
    const { serial } = state;
    const target = incoming.url ?? '/';
    return {
      serial,
      method: incoming.method ?? 'GET',
      target,
      path: target.split('?', 1)[0] ?? '/',
      rawHeaders: incoming.rawHeaders,
      connection: connections.get(incoming.socket) ?? 0,
      body: await readBody(incoming, maxBytes),
      outcome: null,
      sent: [],
    };
  }

  async function answer(
    request: ReceivedRequest,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const mount = options.mounts?.find(({ prefix }) => isUnder(request.path, prefix));
    if (mount !== undefined) return mount.handle(request, response, signal);
    if (request.method === 'HEAD') {
      response.writeHead(200).end();
      return;
    }
    const dialect = dialectOf(request.path, request.rawHeaders);
    try {
      if (options.strict !== false) refuseViolations(request, credentials[dialect]);
      const scripted = state.scripts.shift() ?? null;
      const routed = routeRequest({ request, dialect, objects, scripted, pairing, calls });
      await deliver({ response, sent: request.sent, signal }, routed.delivery, routed.behaviour);
    } catch (error) {
      if (!(error instanceof FakeError)) throw error;
      await deliver({ response, sent: request.sent, signal }, errorDelivery(dialect, error), WELL_BEHAVED);
    }
  }

  function refuseViolations(request: ReceivedRequest, expected: ExpectedCredential): void {
    const found = violationsOf(request, expected, `127.0.0.1:${port}`);
    if (found.length === 0) return;
    state.violations.push(...found.map((text) => `${request.method} ${request.path}: ${text}`));
    throw new FakeError(401, `fake upstream: ${found.join('; ')}`, 'fake_upstream_violation');
  }

  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    get requests() {
      return state.requests;
    },
    get violations() {
      return state.violations;
    },
    script: (...names) => {
      state.scripts.push(combine(names));
    },
    reset: () => {
      state.requests = [];
      state.violations = [];
      state.scripts = [];
    },
    settled: (count, signal) =>
      until(waiting, signal, () => {
        const ended = state.requests.filter((request) => request.outcome !== null);
        return ended.length >= count ? ended : null;
      }),
    close: async () => {
      closing.abort();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
      else reject(new Error('fake upstream: it has no port'));
    });
  });
}

function isUnder(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}

/** Waits until `look` gives something, looking again whenever a request ends. */
function until<T>(
  waiting: Set<() => void>,
  signal: AbortSignal | undefined,
  look: () => T | null,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const wake = (): void => {
      const found = look();
      if (found === null && signal?.aborted !== true) return;
      waiting.delete(wake);
      if (found !== null) resolve(found);
      else reject(new Error('fake upstream: the requests that were waited for did not come'));
    };
    waiting.add(wake);
    signal?.addEventListener('abort', wake, { once: true });
    wake();
  });
}
