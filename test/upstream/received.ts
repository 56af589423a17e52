/** What the fake keeps of each request, and what it holds against it. */
import type { IncomingMessage } from 'node:http';

/** The credential that a gateway must present, by dialect. */
export interface ExpectedCredential {
  /** Lower case. */
  readonly header: string;
  /** The header's whole value, `Bearer …` included. */
  readonly value: string;
}

export type UpstreamDialect = 'openai' | 'anthropic' | 'google';

/** The provider keys that the fake accepts unless a test says otherwise. */
export const DEFAULT_CREDENTIALS: Readonly<Record<UpstreamDialect, ExpectedCredential>> = {
  openai: { header: 'authorization', value: 'Bearer sk-fake-openai' },
  anthropic: { header: 'x-api-key', value: 'sk-fake-anthropic' },
  google: { header: 'x-goog-api-key', value: 'fake-google-key' },
};

export interface ReceivedRequest {
  /** 1 for the first request of this fake. */
  readonly serial: number;
  readonly method: string;
  /** Path and query as on the request line. */
  readonly target: string;
  /** Path without the query, still percent-encoded. */
  readonly path: string;
  /** Names and values in turn, in the order and the letters of the wire. */
  readonly rawHeaders: readonly string[];
  /** The body's bytes as they came. */
  readonly body: Buffer;
  /** Equal for requests that came over one connection. */
  readonly connection: number;
  /** Null while the answer is under way; `aborted` when the other side left before its end. */
  outcome: 'answered' | 'aborted' | null;
  /** The body of the answer as the fake wrote it, write by write; a mount's answer is not in here. */
  readonly sent: Buffer[];
}

/** The first value of a header, whatever the letters of its name; null where it is absent. */
export function headerOf(request: Pick<ReceivedRequest, 'rawHeaders'>, name: string): string | null {
  return headerValues(request, name)[0] ?? null;
}

function headerValues(request: Pick<ReceivedRequest, 'rawHeaders'>, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    if (request.rawHeaders[i]?.toLowerCase() === name) values.push(request.rawHeaders[i + 1] ?? '');
  }
  return values;
}

/** Paths under /v1 that are Google's alone: actions behind a colon, and caches. Its SDK has called /v1 since 3.0. */
const GOOGLE_V1 = /^\/v1\/(?:models\/[^/]+:\w+$|cachedContents)/;

/** The dialect of a path; paths that providers share are told apart by headers that only one's clients send. */
export function dialectOf(path: string, rawHeaders: readonly string[]): UpstreamDialect {
  if (/^\/v1beta1?\//.test(path) || GOOGLE_V1.test(path)) return 'google';
  if (headerOf({ rawHeaders }, 'x-goog-api-client') !== null && /^\/v1\/(?:models|files)/.test(path))
    return 'google';
  if (path.startsWith('/v1/messages') || headerOf({ rawHeaders }, 'anthropic-version') !== null)
    return 'anthropic';
  return 'openai';
}

/** Headers in which callers carry credentials, and which only the provider's own key may use. */
const CREDENTIAL_HEADERS = [
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'proxy-authorization',
  'cookie',
];

/** Prefixes of what must stay on this side of a gateway. */
const PRIVATE_PREFIXES = ['x-postern-', 'tailscale-', 'x-forwarded-', 'x-amz-'];

/** Single headers of the same kind; the last three belong to one connection only. */
const PRIVATE_HEADERS = [
  'forwarded',
  'via',
  'x-real-ip',
  'origin',
  'referer',
  'proxy-connection',
  'keep-alive',
  'upgrade',
  'te',
];

/**
 * What is wrong with a request that a gateway sent; an empty list where nothing is. The texts name
 * headers and never show their values.
 */
export function violationsOf(request: ReceivedRequest, expected: ExpectedCredential, host: string): string[] {
  const found: string[] = [];
  const presented = headerValues(request, expected.header);
  if (presented.length !== 1) found.push(`expected one ${expected.header} header, got ${presented.length}`);
  if (presented.some((value) => value !== expected.value))
    found.push(`${expected.header} is not the provider's key`);
  for (const name of CREDENTIAL_HEADERS) {
    if (name !== expected.header && headerOf(request, name) !== null)
      found.push(`a caller's ${name} header came through`);
  }
  for (const [index, raw] of request.rawHeaders.entries()) {
    const name = raw.toLowerCase();
    if (index % 2 === 1) continue;
    if (PRIVATE_PREFIXES.some((prefix) => name.startsWith(prefix)) || PRIVATE_HEADERS.includes(name)) {
      found.push(`the private header ${name} came through`);
    }
  }
  const query = new URLSearchParams(request.target.slice(request.path.length + 1));
  if (query.has('key') || query.has('access_token')) found.push('a credential came in the query');
  if (headerOf(request, 'host') !== host)
    found.push(`host is ${headerOf(request, 'host')}, expected ${host}`);
  const encoding = headerOf(request, 'accept-encoding');
  if (encoding !== null && encoding !== 'identity')
    found.push(`accept-encoding is ${encoding}, expected identity`);
  const twice = ['content-length', 'content-type', 'host', 'transfer-encoding'];
  for (const name of twice) if (headerValues(request, name).length > 1) found.push(`${name} came twice`);
  return found;
}

/** Thrown when a body is larger than the fake keeps. */
export class BodyTooLarge extends Error {}

/** Reads a request's body whole. Throws `BodyTooLarge`, or the connection's error. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) throw new Error('fake upstream: the body came as text');
    size += chunk.length;
    if (size > maxBytes) throw new BodyTooLarge(`fake upstream: body over ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
