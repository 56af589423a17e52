/**
 * Under which name an answer is kept: a keyed hash over who may share it and everything that the
 * provider is told, byte for byte. Nothing is normalised: two texts that one parser reads alike
 * another may not (repeated members, large numbers), and then one caller could choose what another is
 * told. What is sent otherwise is another question.
 */
import { keyedHash } from '../../crypto/index.ts';
import type { CachePolicy } from '../../policy/index.ts';
import { rememberByName } from '../../wire/header-names.ts';

/** Changes with the meaning of the parts below. */
const VERSION = 'postern response cache 1';

/** The request as the provider gets it, but for Postern's credential. */
export interface CachedRequest {
  readonly provider: {
    readonly id: string;
    readonly kind: string;
    readonly baseUrl: { readonly href: string; readonly query?: string };
    readonly addHeaders: readonly (readonly [name: string, value: string])[];
  };
  /** Upstream id. */
  readonly model: string;
  readonly format: string;
  /** A stream is kept apart from the same answer in one piece. */
  readonly streamed: boolean;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Flat list of names and values. */
  readonly headers: readonly string[];
  /** Of the grant. */
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
  /** As sent, or as it would be but for an output limit that a budget set (see `FilledAnswer`). */
  readonly body: Uint8Array;
}

export interface CacheQuestion {
  readonly policy: CachePolicy;
  readonly tailnet: string;
  readonly principal: string;
  readonly request: CachedRequest;
}

/** The name of an answer, 64 hex digits. `key` has 32 bytes and is this process's own. */
export function cacheKey(key: Uint8Array, { policy, tailnet, principal, request }: CacheQuestion): string {
  const { provider } = request;
  const frame = JSON.stringify([
    VERSION,
    policy.scope === 'tailnet' ? ['tailnet', tailnet] : ['user', tailnet, principal],
    [provider.id, provider.kind, provider.baseUrl.href, provider.baseUrl.query ?? ''],
    [provider.addHeaders, request.addHeaders],
    [request.model, request.format, request.streamed],
    [request.method, request.path, request.query],
    tellingHeaders(request.headers),
  ]);
  return Buffer.from(keyedHash(key, Buffer.from(frame), request.body)).toString('hex');
}

/**
 * Headers that tell who asks and never what: product names and the SDKs' statistics, trace context
 * (W3C Trace Context), ids for logs. All others count, known or not; an `idempotency-key` above all,
 * since a provider may answer it with what it said before.
 */
const SAYS_NOTHING = new Set([
  'user-agent',
  'traceparent',
  'tracestate',
  'x-request-id',
  'x-client-request-id',
]);

const tells = rememberByName((lower) => !SAYS_NOTHING.has(lower) && !lower.startsWith('x-stainless-'));

function tellingHeaders(headers: readonly string[]): readonly string[] {
  const telling: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (tells(name)) telling.push(name.toLowerCase(), headers[i + 1] ?? '');
  }
  return telling;
}
