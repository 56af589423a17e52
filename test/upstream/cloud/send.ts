/** Sends what `prepareUpstream` makes to the fake cloud, by a plain HTTP client. */
import { request } from 'undici';
import type { Clock } from '../../../src/base/clock.ts';
import { Secret } from '../../../src/base/secret.ts';
import { createProviders } from '../../../src/llm/providers/index.ts';
import type {
  FetchSmall,
  OperatorCredentials,
  Providers,
  UpstreamInput,
  UpstreamKind,
  UpstreamProvider,
} from '../../../src/llm/providers/index.ts';
import { isSurfaceMiss, matchSurface } from '../../../src/llm/surfaces.ts';

export interface Call {
  readonly kind: UpstreamKind;
  /** The base URL of the document. */
  readonly baseUrl: string;
  /** Header and value; absent for none. */
  readonly key?: readonly [header: string, value: string | Secret];
  /** As the caller sends it, with a query if any. */
  readonly target: string;
  /** Upstream id. Default: the one in the path, or '' where the body names it. */
  readonly model?: string;
  readonly body?: unknown;
  readonly headers?: readonly string[];
  readonly authMode?: UpstreamProvider['authMode'];
  readonly addHeaders?: UpstreamProvider['addHeaders'];
  readonly grantHeaders?: UpstreamProvider['addHeaders'];
}

/** The input that the gateway would make of a call. */
export function inputOf(call: Call): UpstreamInput {
  const base = new URL(call.baseUrl);
  const mark = call.target.indexOf('?');
  const path = mark < 0 ? call.target : call.target.slice(0, mark);
  const headers = call.headers ?? ['Content-Type', 'application/json', 'User-Agent', 'caller/1'];
  const hasVersion = headers.some(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'anthropic-version',
  );
  const match = matchSurface('POST', path, hasVersion);
  if (isSurfaceMiss(match)) throw new Error(`no route for ${path}: ${match.message}`);
  const [header, value] = call.key ?? [];
  return {
    provider: {
      kind: call.kind,
      baseUrl: {
        origin: base.origin,
        pathPrefix: base.pathname.replace(/\/$/, ''),
        query: base.search.slice(1),
      },
      authorization: 'bearer',
      authMode: call.authMode ?? 'override',
      addHeaders: call.addHeaders ?? [],
    },
    match,
    model: call.model ?? match.model ?? '',
    method: 'POST',
    path,
    query: mark < 0 ? '' : call.target.slice(mark + 1),
    headers,
    credential:
      header === undefined || value === undefined
        ? null
        : { header, secret: typeof value === 'string' ? new Secret(value) : value },
    body: Buffer.from(typeof call.body === 'string' ? call.body : JSON.stringify(call.body ?? {})),
    ...(call.grantHeaders === undefined ? {} : { addHeaders: call.grantHeaders }),
  };
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

export async function send(providers: Providers, call: Call): Promise<Reply> {
  const upstream = await providers.prepareUpstream(inputOf(call));
  const reply = await request(upstream.origin + upstream.path, {
    method: 'POST',
    headers: upstream.headers,
    body: upstream.body,
  });
  return {
    status: reply.statusCode,
    contentType: String(reply.headers['content-type']),
    body: Buffer.from(await reply.body.arrayBuffer()),
  };
}

/** A clock that stands until it is moved. */
export interface MovableClock extends Clock {
  move(ms: number): void;
}

export function createMovableClock(start: number): MovableClock {
  let time = start;
  return {
    now: () => time,
    monotonicMs: () => time,
    move(ms) {
      time += ms;
    },
  };
}

/** A plain client for short requests. `redirectTo` receives whatever is asked of any host. */
export function createPlainFetch(redirectTo?: string): FetchSmall & { readonly urls: string[] } {
  const urls: string[] = [];
  const fetchSmall: FetchSmall = async (url, { method, headers, body }) => {
    urls.push(url);
    const { pathname, search, host } = new URL(url);
    const target = redirectTo === undefined ? url : redirectTo + pathname + search;
    const reply = await request(target, {
      method,
      headers: redirectTo === undefined ? headers : { host, ...headers },
      ...(body === undefined ? {} : { body }),
    });
    return { status: reply.statusCode, body: new Uint8Array(await reply.body.arrayBuffer()) };
  };
  return Object.assign(fetchSmall, { urls });
}

export interface TestProviders {
  readonly clock?: Clock;
  readonly fetchSmall?: FetchSmall;
  readonly operator?: Partial<OperatorCredentials>;
}

export function createTestProviders(options: TestProviders = {}): Providers {
  return createProviders({
    clock: options.clock ?? createMovableClock(Date.now()),
    fetchSmall: options.fetchSmall ?? createPlainFetch(),
    operator: {
      env: {},
      homeDirectory: '/home/operator',
      readFile: () => Promise.reject(new Error('no such file')),
      fetchAwsMetadata: null,
      fetchGcpMetadata: null,
      trustedOrigins: new Set(),
      ...options.operator,
    },
  });
}

/** Waits for what other turns of the loop bring about; fails after a thousand of them. */
export async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !isTrue(); turn += 1)
    await new Promise((resolve) => setImmediate(resolve));
  if (!isTrue()) throw new Error('what was waited for did not come');
}
