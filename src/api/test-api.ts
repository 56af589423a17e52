/** A real API over loopback with small in-memory parts, for the tests of this folder. */
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { AppError } from '../base/errors.ts';
import { type LogFields, silentLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import { createEventBus, type EventBus } from '../events/bus.ts';
import type { PosternEvents } from '../gateway/events.ts';
import type { Caller } from '../identity/caller.ts';
import type { BudgetView } from '../quotas/index.ts';
import type { RequestRow, TokenRow } from '../store/shapes.ts';
import { type Api, createApi } from './api.ts';
import { type MemoryApprovals, memoryApprovals } from './memory-approvals.ts';
import type { AccessView, ApiDependencies, JwtDenialView, KeyView, RequestContext } from './ports.ts';
import { memoryBudgets } from './test-budgets.ts';
import { memoryDenials } from './test-denials.ts';
import { memoryStore } from './test-store.ts';
import { memoryVault } from './test-vault.ts';

export const BREAK_GLASS = 'break-glass-token-of-the-operator';

/** What a test changes or looks at. */
export interface TestWorld {
  now: number;
  readonly store: ReturnType<typeof memoryStore>;
  readonly keys: KeyView[];
  /** By the principal whose bucket it is. */
  readonly budgets: Map<string, BudgetView[]>;
  readonly tokens: TokenRow[];
  readonly denials: JwtDenialView[];
  readonly terminal: string[];
  readonly approvals: MemoryApprovals;
  readonly bus: EventBus<PosternEvents>;
  readonly logs: LogFields[];
  /** Roles and capabilities by principal. */
  readonly access: Map<string, Partial<AccessView>>;
  readonly document: {
    text: string;
    version: number;
    source: 'store' | 'file' | 'none';
    error: string | null;
  };
  recorderLagMs: number;
  storeDown: boolean;
  /** Runs as a token is about to be minted; may throw. */
  beforeMint: () => void;
  namesAdmin: boolean;
  runTokens: boolean;
}

export interface TestApi {
  readonly api: Api;
  readonly world: TestWorld;
  readonly port: number;
  /** Makes a request as a caller. */
  send(as: Caller | null, method: string, path: string, options?: SendOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface SendOptions {
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
  readonly context?: Partial<RequestContext>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Parsed body; empty object if it is no JSON object. */
  readonly json: Record<string, unknown>;
  /** `items` of a list. */
  readonly items: readonly Record<string, unknown>[];
}

export function caller(principal: string, more: Partial<Caller> = {}): Caller {
  return {
    principal,
    tailnet: 'home',
    door: 'local',
    via: null,
    device: null,
    user: { id: principal, login: principal.replace(/^local:/, 'user-'), displayName: null },
    groups: [],
    capabilities: new Map(),
    token: null,
    ...more,
  };
}

/** A caller that presents a token of `owner`. */
export function tokenCaller(
  owner: string,
  scopes: readonly ('use' | 'read' | 'admin' | 'metrics')[],
  more: { models?: string[]; expiresAt?: number } = {},
): Caller {
  return caller(owner, {
    door: 'token',
    via: 'local',
    token: { id: `tok_of_${owner}`, scopes, models: more.models ?? null, expiresAt: more.expiresAt ?? null },
  });
}

export function requestRow(id: string, principal: string, more: Partial<RequestRow> = {}): RequestRow {
  return {
    id,
    tailnet: 'home',
    startedAt: 1_790_000_000_000,
    principal,
    userLabel: principal,
    groups: [],
    deviceId: null,
    deviceName: null,
    door: 'local',
    via: null,
    tokenId: null,
    agent: null,
    sessionId: null,
    format: 'openai_chat',
    method: 'POST',
    path: '/v1/chat/completions',
    streamed: false,
    requestedModel: 'm',
    provider: 'postern',
    model: 'echo',
    keyId: 'key_1',
    status: 200,
    outcome: 'ok',
    reason: null,
    rule: 'grants[0]',
    costNanoUsd: 5,
    costState: 'priced',
    estimated: false,
    toolCalls: [],
    decisions: [],
    savedNanoUsd: 0,
    stopReason: 'stop',
    responseId: null,
    identityUs: 1,
    decisionUs: 2,
    firstByteUs: 3,
    upstreamUs: 4,
    ownUs: 5,
    totalUs: 6,
    requestBytes: 10,
    responseBytes: 20,
    capture: 'full',
    inputTokens: 7,
    cacheReadTokens: 0,
    cacheWriteTokens: null,
    cacheWrite1hTokens: null,
    outputTokens: 8,
    reasoningTokens: null,
    inputAudioTokens: null,
    outputAudioTokens: null,
    inputImageTokens: null,
    outputImageTokens: null,
    webSearches: null,
    ...more,
  };
}

/** `more` are further parts, or others than the small ones here. */
export async function startTestApi(more: Partial<ApiDependencies> = {}): Promise<TestApi> {
  const world = newWorld();
  const contexts = new Map<string, RequestContext>();
  let serial = 0;
  let api: Api | null = null;
  const server = createServer((req, res) => {
    const context = contexts.get(String(req.headers['x-test-context']));
    if (context === undefined || api === null) res.writeHead(500).end('no context');
    else api.handle(req, res, context);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server);
  api = createApi({ ...dependencies(world, port), ...more });
  return {
    api,
    world,
    port,
    send(as, method, path, options = {}) {
      const id = `req_${(serial += 1)}`;
      contexts.set(id, {
        requestId: id,
        caller: as,
        listener: 'loopback',
        secure: false,
        ...options.context,
      });
      return sendRequest(port, method, path, {
        ...options,
        headers: { 'x-test-context': id, ...options.headers },
      });
    },
    close: () =>
      new Promise((resolve) => {
        api?.close();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function sendRequest(port: number, method: string, path: string, options: SendOptions): Promise<Answer> {
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const headers: Record<string, string> = { host: `localhost:${port}`, ...options.headers };
  if (body !== undefined && headers['content-type'] === undefined)
    headers['content-type'] = 'application/json';
  // Node.js frames the body of a DELETE only if told how long it is.
  if (body !== undefined && headers['transfer-encoding'] === undefined)
    headers['content-length'] = String(Buffer.byteLength(body));
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const json = parseObject(text);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json,
          items: listIn(json['items']),
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listIn(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The port of a listening server. */
export function portOf(server: { address(): string | { port: number } | null }): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function newWorld(): TestWorld {
  const world: TestWorld = {
    now: 1_790_000_000_000,
    store: memoryStore(() => world.storeDown),
    approvals: memoryApprovals({
      now: () => world.now,
      roles: (who) => accessOf(world, who).roles,
      tokens: () => world.tokens,
      bus: () => world.bus,
    }),
    keys: [],
    budgets: new Map(),
    tokens: [],
    denials: [],
    terminal: [],
    bus: createEventBus<PosternEvents>(() => {}),
    logs: [],
    access: new Map(),
    document: { text: '{}', version: 3, source: 'store', error: null },
    recorderLagMs: 0,
    storeDown: false,
    beforeMint: () => {},
    namesAdmin: false,
    runTokens: false,
  };
  return world;
}

function accessOf(world: TestWorld, who: Caller): AccessView {
  const given = world.access.get(who.principal) ?? {};
  const isStoredAdmin = world.store.grants.some(
    (grant) => grant.principal === who.principal && grant.role === 'admin',
  );
  const roles = new Set([...(given.roles ?? []), ...(isStoredAdmin ? ['admin'] : [])]);
  // As policy does: a token of an admin is an admin's only with that scope.
  if (who.token !== null && !who.token.scopes.includes('admin')) roles.delete('admin');
  return {
    groups: who.groups,
    leads: [],
    readMetrics: false,
    readPricing: false,
    grant: (provider) => (provider === 'postern' ? { capture: 'full' } : null),
    ...given,
    roles,
  };
}

function dependencies(world: TestWorld, port: number): ApiDependencies {
  const refuse = (code: string) => new AppError(code, `refused: ${code}`);
  return {
    tailnet: 'home',
    version: '0.0.0',
    consoleUrl: `http://localhost:${port}`,
    store: world.store.port,
    policy: {
      current: () => ({
        version: 'p1',
        providers: new Map([
          ['postern', provider('postern', 'https://echo.invalid', true)],
          ['openai', provider('openai', 'https://api.openai.com', false)],
        ]),
        resolve: (id) => [{ provider: { id: id.split('/')[0] ?? '' }, model: id.split('/')[1] ?? '' }],
        accessOf: (who) => accessOf(world, who),
        explain: (who, model) => ({
          allowed: false,
          text: `${who.principal} and ${model}`,
          groups: who.groups,
        }),
      }),
    },
    namesAdmin: () => world.namesAdmin,
    documents: {
      text: () => ({
        text: world.document.text,
        version: world.document.version,
        etag: `"v${world.document.version}"`,
        source: world.document.source,
      }),
      lastError: () => (world.document.error === null ? null : { message: world.document.error }),
      validate: async (text) => ({
        ok: text !== 'bad',
        problems: text === 'bad' ? [PROBLEM] : [],
        testFailures: [],
      }),
      async save({ text, expectedVersion }) {
        if (world.document.source === 'file') throw refuse('config_is_file');
        if (expectedVersion !== world.document.version) throw refuse('config_conflict');
        if (text === 'bad')
          throw Object.assign(refuse('config_invalid'), { problems: [PROBLEM], testFailures: [] });
        world.document.text = text;
        world.document.version += 1;
        return { version: world.document.version, etag: `"v${world.document.version}"`, notes: [] };
      },
      versions: async ({ limit, before }) =>
        [3, 2, 1]
          .filter((version) => version < (before ?? Infinity))
          .slice(0, limit)
          .map((version) => ({ version, createdAt: world.now, createdBy: 'local:1', comment: '' })),
      diff: async (from, to) => `-${from}\n+${to}\n`,
      async rollback({ version }) {
        if (version > world.document.version) throw refuse('config_unknown_version');
        world.document.version += 1;
        return { version: world.document.version, etag: `"v${world.document.version}"`, notes: [] };
      },
      reloadGrants: async () => {},
    },
    vault: memoryVault(world.keys, () => world.now),
    tokens: {
      async mint(token) {
        world.beforeMint();
        const row: TokenRow = {
          id: token.id,
          tailnet: 'home',
          hash: 'h',
          createdAt: world.now,
          expiresAt: world.now + (token.ttlMs ?? 0),
          revokedAt: null,
          lastUsedAt: null,
          owner: token.owner,
          ownerLabel: token.ownerLabel,
          name: token.name,
          scopes: token.scopes,
          models: token.models,
          createdBy: token.createdBy,
        };
        world.tokens.push(row);
        return { token: new Secret(`pst_secret_${row.id}`), row };
      },
      list: () => world.tokens,
      async revoke(id) {
        const at = world.tokens.findIndex((row) => row.id === id);
        const row = world.tokens[at];
        if (row === undefined) return false;
        world.tokens[at] = { ...row, revokedAt: world.now };
        return true;
      },
    },
    jwtDenials: memoryDenials(world.denials, () => world.now),
    approvals: world.approvals,
    budgets: memoryBudgets(world.budgets),
    simulations: NO_ROWS,
    pricing: () => PRICES,
    models: () => [
      {
        id: 'postern/echo',
        provider: 'postern',
        formats: ['openai_chat', 'anthropic_messages'],
        contextWindow: null,
        maxOutput: null,
        modalities: { input: ['text'], output: ['text'] },
        test: true,
      },
    ],
    recorder: {
      stats: () => ({
        queuedRows: 0,
        queuedBytes: 0,
        written: 1,
        droppedBodies: 0,
        lostRows: 0,
        lagMs: world.recorderLagMs,
        lastError: null,
      }),
    },
    bus: world.bus,
    routing: {
      circuits: () => [],
      cache: () => ({ entries: 0, bytes: 0, fillingBytes: 0, hits: 0, misses: 0, stored: 0, evicted: 0 }),
    },
    isBreakGlass: (text) => text === BREAK_GLASS,
    mayMintRunToken: () => world.runTokens,
    announce: (text) => world.terminal.push(text),
    clock: { now: () => world.now, monotonicMs: () => world.now },
    random: systemRandom,
    logger: { ...silentLogger, error: (message, fields = {}) => world.logs.push({ message, ...fields }) },
  };
}

/** Each ends at once: there is nothing recorded. */
const NO_ROWS: NonNullable<ApiDependencies['simulations']> = {
  start: () =>
    Promise.resolve({
      id: 'sim_1',
      state: 'failed',
      rows: 0,
      progress: 0,
      report: null,
      problems: [],
      testFailures: [],
      error: 'nothing is recorded',
    }),
  view: () => Promise.resolve(null),
  cancel: () => false,
  compile: () =>
    Promise.resolve({ snapshot: { explain: () => ({ allowed: false, text: 'no' }) }, problems: [] }),
};

const PROBLEM = {
  severity: 'error',
  path: 'grants',
  line: 1,
  column: 1,
  code: 'x',
  message: 'wrong',
  fix: 'mend',
} as const;
const PRICES = [
  { model: 'gpt-5', input: 1 },
  { model: 'meta/llama', input: 2 },
];

function provider(id: string, origin: string, builtIn: boolean) {
  return {
    id,
    name: id,
    description: '',
    baseUrl: { origin },
    authorization: 'bearer',
    formats: new Set(['openai_chat']),
    models: ['*'],
    disabled: false,
    kind: builtIn ? 'echo' : 'openai',
    builtIn,
  };
}
