/** A hook on loopback that behaves as told, and hooks that may call it; for the tests of this folder. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { createDialer, createFetchSmall, createUpstreams } from '../../net/index.ts';
import type { HookEntry } from '../../policy/document.ts';
import { parseCidr } from '../../wire/ip.ts';
import { createHooks, type Hooks, type HooksOptions } from './hooks.ts';
import type { BoundHook, HookCompletion, HookEvent, HookMetadata, HookRequest } from './shapes.ts';

export interface ReceivedCall {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly json: Record<string, never>;
}

export type Behaviour = (
  res: http.ServerResponse,
  call: ReceivedCall,
  socket: net.Socket,
  index: number,
) => void;

export interface TestHook {
  readonly url: string;
  readonly calls: ReceivedCall[];
  /** Resolves once so many calls have come. */
  readonly called: (count: number) => Promise<void>;
}

/** Answers with JSON. */
export function says(value: unknown, status = 200): Behaviour {
  return (res) => {
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(value));
  };
}

/** Listens until the test ends. */
export async function startHook(t: TestContext, behave: Behaviour): Promise<TestHook> {
  const calls: ReceivedCall[] = [];
  const waiters = new Set<() => void>();
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('error', () => undefined);
    req.on('end', () => {
      const body = Buffer.concat(chunks);
      const call = { headers: req.headers, body, json: JSON.parse(body.toString('utf8')) };
      calls.push(call);
      behave(res, call, req.socket, calls.length - 1);
      for (const waiter of waiters) waiter();
    });
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const called = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (calls.length < count) return;
        waiters.delete(check);
        resolve();
      };
      waiters.add(check);
      check();
    });
  return { url: `http://127.0.0.1:${address.port}/hook`, calls, called };
}

export interface TestHooks {
  readonly hooks: Hooks;
  /** Every line, with its fields. */
  readonly log: string[];
}

export const TEST_KEY = Buffer.alloc(32, 7);

/** Real sockets, and nothing but loopback reachable. */
export function hooksFor(t: TestContext, options: Partial<HooksOptions> = {}): TestHooks {
  const loopback = parseCidr('127.0.0.0/8');
  assert.ok(loopback);
  const dialer = createDialer({ allow: [loopback], exact: [], ownAddresses: () => [] });
  const upstreams = createUpstreams({ dialer });
  t.after(() => upstreams.close({ abort: true }));
  const log: string[] = [];
  const write = (message: string, fields?: object): void => {
    log.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const logger: Logger = { debug: write, info: write, warn: write, error: write };
  const hooks = createHooks({
    http: createFetchSmall(upstreams),
    secrets: { apiKey: () => null, signingKey: () => null },
    key: TEST_KEY,
    clock: systemClock,
    random: systemRandom,
    logger,
    ...options,
  });
  return { hooks, log };
}

export function entryOf(entry: Partial<HookEntry> & Pick<HookEntry, 'url'>): HookEntry {
  return {
    id: 'guard',
    apiKey: null,
    authorization: 'bearer',
    timeoutMs: 5_000,
    failPolicy: 'fail_open',
    toolCallFailPolicy: 'fail_closed',
    preference: 0,
    disabled: false,
    mode: 'enforce',
    payload: 'full',
    values: 'redacted',
    signWith: 'derived',
    maxConcurrent: 64,
    maxResponseBytes: null,
    breakAfter: 5,
    ...entry,
  };
}

export function bound(
  entry: Partial<HookEntry> & Pick<HookEntry, 'url'>,
  send: readonly string[] = ['request_body'],
  events: readonly HookEvent[] = ['pre_request'],
): BoundHook {
  const full = entryOf(entry);
  return { entry: full, use: { name: full.id, events, send } };
}

export const METADATA: HookMetadata = {
  loginName: 'alice@example.com',
  userAgent: 'claude-cli/2.0',
  url: 'http://localhost:8080/v1/messages',
  model: 'claude-sonnet-4-6',
  provider: 'anthropic',
  tailnetName: 'example.ts.net',
  stableNodeId: 'nSTABLE',
  requestId: 'req_1',
  sessionId: 'ses_1',
};

/** Stands in every body, and must stand in no log, error or list. */
export const PRIVATE_TEXT = 'the password is hunter2';

export function requestOf(request: Partial<HookRequest> = {}): HookRequest {
  return {
    metadata: METADATA,
    principal: 'alice',
    grants: () => ({ 'example.com/cap/tier': [{ tier: 'gold' }] }),
    quotas: () => ({ 'daily:alice': { current: 5, capacity: 10, rate: '$5.00/day' } }),
    body: Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: PRIVATE_TEXT }] })),
    isJson: true,
    userMessage: () => PRIVATE_TEXT,
    ...request,
  };
}

export function completionOf(completion: Partial<HookCompletion> = {}): HookCompletion {
  return {
    ...requestOf(),
    responseBody: () => Buffer.from('{"answer":"ok"}'),
    rawResponses: () => ({
      events: [Buffer.from('{"n":1}'), Buffer.from('{"n":2}')],
      isTruncated: false,
    }),
    toolCalls: [{ id: 'c1', name: 'Bash', params: { command: 'ls' } }],
    cost: { dollars: 0.5, costBasis: 'anthropic/claude', usage: { input: 3, output: 0 } },
    isKept: true,
    ...completion,
  };
}

/** A clock that stands still until it is moved. */
export function stoppedClock(): Clock & { readonly move: (ms: number) => void } {
  let now = 1_700_000_000_000;
  return {
    now: () => now,
    monotonicMs: () => now,
    move: (ms) => {
      now += ms;
    },
  };
}
