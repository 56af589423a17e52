/**
 * Step 6: what a provider is sent: the caller's request with only what policy changed, the provider's
 * credential in and the caller's out; and how a failure there is told.
 */
import { AppError, describeError } from '../../base/errors.ts';
import { editRequestBody } from '../../llm/index.ts';
import type { UpstreamInput, UpstreamKind, UpstreamRequest } from '../../llm/providers/index.ts';
import { isForeignHeader } from '../../llm/translate/index.ts';
import type { UpstreamErrorCode } from '../../net/index.ts';
import type { Provider } from '../../policy/index.ts';
import type { GatewayParts } from '../ports.ts';
import { REASONS, Refused, toRefused, type ReasonCode } from '../reasons.ts';
import { forwardableHeaders, forwardableQuery } from '../request-headers.ts';
import { ownCredentialHeader } from '../routing/own-credential.ts';
import { mustHaveKey } from '../routing/provider-key.ts';
import type { ForwardInput } from './forward.ts';
import type { LlmRoute } from './route.ts';
import type { Translated } from './translate.ts';
import { batchRead, type ReadBatch } from './settle-batch.ts';

/** The caller's bytes, with only what policy changed. */
export function outgoingBody({ request, route, patches }: ForwardInput, addsUsage: boolean): Buffer {
  if (route.body !== null) return route.body;
  if (request.facts === null) return request.body;
  const renames = route.isRenamed && request.match.modelInBody;
  if (!renames && !addsUsage && patches.length === 0) return request.body;
  return editRequestBody(request.body, request.facts, {
    ...(renames ? { model: route.model } : {}),
    ...(addsUsage ? { includeUsage: true as const } : {}),
    ...(patches.length === 0 ? {} : { patches }),
  });
}

/** What is sent, as the provider kinds take it. */
export function toUpstreamInput(
  input: ForwardInput,
  body: Buffer,
  translated: Translated | null = null,
): UpstreamInput {
  const { exchange, request, route } = input;
  const { provider } = route;
  if (!hasUpstream(provider)) throw new Error('assertion failed: the test provider has no upstream');
  const kept = keptCredential(input);
  const headers = forwardableHeaders(exchange.req.rawHeaders, kept);
  return {
    provider,
    match: translated?.match ?? request.match,
    model: route.model,
    method: exchange.req.method ?? 'POST',
    path: translated?.path ?? exchange.path,
    query: translated?.query ?? forwardableQuery(exchange.query),
    headers:
      translated === null
        ? wholeOnly(headers, batchRead(request, route.object))
        : [...withoutForeign(headers), ...translated.headers],
    credential:
      kept === null && route.key !== null ? { header: route.key.header, secret: route.key.secret } : null,
    body,
    addHeaders: route.grant.addHeaders,
  };
}

/** What SDKs say in headers means nothing to a provider of another format. */
function withoutForeign(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2);
    if (!isForeignHeader(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

/** The header with the caller's own credential that goes on to this provider, or null. */
export function keptCredential({ exchange, active, route }: ForwardInput): string | null {
  return route.provider.authMode === 'passthrough' ? ownCredentialHeader(exchange, active.caller) : null;
}

/** The object is passed on itself, never a copy: what its kind works out for it is kept by it. */
export function hasUpstream(provider: Provider): provider is Provider & { readonly kind: UpstreamKind } {
  return provider.kind !== 'echo';
}

/** Results that are metered are read whole, or what was used could be read past. */
function wholeOnly(headers: string[], batch: ReadBatch | null): string[] {
  if (batch === null) return headers;
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2);
    if (!PARTIAL_HEADERS.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

/** Ask for a part of an answer, or for none (RFC 9110 sections 13 and 14). */
const PARTIAL_HEADERS = new Set([
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
]);

/** The provider's request; a promise only where a credential has to be minted first. Throws or rejects with `Refused`. */
export function prepare(
  parts: GatewayParts,
  route: LlmRoute,
  input: UpstreamInput,
): UpstreamRequest | Promise<UpstreamRequest> {
  if (route.key === null && mustHaveKey(parts, route.provider)) {
    throw new Refused('key_missing', REASONS.key_missing.meaning, {
      forAdmin: `the provider "${route.provider.id}" has no usable key for ${input.provider.baseUrl.origin}`,
    });
  }
  try {
    const prepared = parts.providers.prepareUpstream(input);
    if (!(prepared instanceof Promise)) return prepared;
    return prepared.catch((error: unknown) => {
      throw toPrepareRefusal(error);
    });
  } catch (error) {
    throw toPrepareRefusal(error);
  }
}

const PREPARE_REASONS: Readonly<Record<string, ReasonCode>> = {
  upstream_credential_missing: 'key_missing',
  upstream_credential_invalid: 'credential_failed',
  upstream_credential_rejected: 'credential_failed',
  upstream_credential_unavailable: 'credential_failed',
  upstream_format_unsupported: 'format_not_available',
  upstream_path_refused: 'path_unknown',
  upstream_place_refused: 'place_refused',
  upstream_place_unknown: 'place_unknown',
};

function toPrepareRefusal(error: unknown): Refused {
  const code = error instanceof AppError ? PREPARE_REASONS[error.code] : undefined;
  if (!(error instanceof AppError) || code === undefined) return toRefused(error);
  return ABOUT_CREDENTIALS.has(code)
    ? tellAdmin(code, error)
    : new Refused(code, error.message, { cause: error });
}

/** Where the message names addresses of the operator's. */
const ABOUT_CREDENTIALS: ReadonlySet<ReasonCode> = new Set(['key_missing', 'credential_failed']);

/** A failure whose own words, which name the provider's address, are for admins; callers are told the reason's meaning. */
function tellAdmin(code: ReasonCode, error: AppError): Refused {
  return new Refused(code, REASONS[code].meaning, {
    cause: error,
    forAdmin: error.message,
    detail: describeError(error),
  });
}

const UPSTREAM_REASONS: Readonly<Record<string, ReasonCode>> = {
  dial_refused_address: 'upstream_refused_address',
  dial_timeout: 'upstream_timeout',
  upstream_first_byte_timeout: 'upstream_timeout',
  upstream_idle_timeout: 'upstream_timeout',
  upstream_busy: 'overloaded',
};

/** Why a provider could not answer, as the caller is told. */
export function toUpstreamRefusal(error: AppError<UpstreamErrorCode>, hasBegun: boolean): Refused {
  const code = UPSTREAM_REASONS[error.code] ?? (hasBegun ? 'upstream_truncated' : 'upstream_unreachable');
  return tellAdmin(code, error);
}
