/**
 * Steps 6 and 7: the request goes to its provider with the provider's credential in and the
 * caller's out; the answer streams back, seen by its meter.
 */
import { AppError } from '../../base/errors.ts';
import { TOKEN_PREFIX, type Caller } from '../../identity/index.ts';
import { createMeter, createUsageStripper, editRequestBody, renderStreamError } from '../../llm/index.ts';
import type { UpstreamInput, UpstreamKind, UpstreamRequest } from '../../llm/providers/index.ts';
import type { UpstreamControl, UpstreamErrorCode } from '../../net/index.ts';
import type { Provider } from '../../policy/index.ts';
import type { TrackedExchange } from '../active.ts';
import type { Exchange } from '../exchange.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused, toRefused, type ReasonCode } from '../reasons.ts';
import { Relay, type Answer, type StreamTransform } from '../relay.ts';
import { forwardableHeaders, forwardableQuery } from '../request-headers.ts';
import { refuse } from './refuse.ts';
import type { LlmRequest } from './read-request.ts';
import { captureOf } from './record.ts';
import type { LlmRoute } from './route.ts';
import { batchRead, type ReadBatch } from './settle-batch.ts';

export interface ForwardInput {
  readonly exchange: Exchange;
  readonly active: TrackedExchange;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
}

/** Formats whose streams report usage only if `stream_options.include_usage` asks for it. */
const USAGE_ON_REQUEST = new Set(['openai_chat', 'openai_completions']);

/** Sends and relays; resolves with what became of the answer. Throws `Refused` before anything was sent. */
export async function forwardLlm(parts: GatewayParts, input: ForwardInput): Promise<Answer> {
  const { exchange, active, request, route } = input;
  active.route = { keyId: route.key?.id ?? null, provider: route.provider.id, model: route.model };
  const addsUsage =
    request.streamed && USAGE_ON_REQUEST.has(request.match.format) && request.facts?.includeUsage !== true;
  const body = outgoingBody(request, route, addsUsage);
  if (route.provider.kind === 'echo') {
    const relay = createRelay(parts, input, addsUsage ? createUsageStripper() : null);
    return relayed(active, relay, () => answerByEcho(parts, input, body, relay));
  }
  const prepared = prepare(parts, route, toUpstreamInput(input, body));
  const upstream = prepared instanceof Promise ? await prepared : prepared;
  if (exchange.res.destroyed)
    throw new Refused('caller_left', 'the connection closed before the request was sent to the provider');
  const relay = createRelay(parts, input, addsUsage ? createUsageStripper() : null);
  const answer = await relayed(active, relay, () => dispatch(parts, exchange, upstream, relay));
  noteResult(parts, input, answer);
  return answer;
}

/** The caller's bytes, with only what policy changed. */
function outgoingBody(request: LlmRequest, route: LlmRoute, addsUsage: boolean): Buffer {
  if (route.body !== null) return route.body;
  if (request.facts === null) return request.body;
  const renames = route.isRenamed && request.match.modelInBody;
  if (!renames && !addsUsage) return request.body;
  return editRequestBody(request.body, request.facts, {
    ...(renames ? { model: route.model } : {}),
    ...(addsUsage ? { includeUsage: true as const } : {}),
  });
}

/** What is sent, as the provider kinds take it. */
export function toUpstreamInput(
  { exchange, active, request, route }: ForwardInput,
  body: Buffer,
): UpstreamInput {
  const { provider } = route;
  if (!hasUpstream(provider)) throw new Error('assertion failed: the test provider has no upstream');
  const kept = provider.authMode === 'passthrough' ? ownCredentialHeader(exchange, active.caller) : null;
  return {
    provider,
    match: request.match,
    model: route.model,
    method: exchange.req.method ?? 'POST',
    path: exchange.path,
    query: forwardableQuery(exchange.query),
    headers: wholeOnly(forwardableHeaders(exchange.req.rawHeaders, kept), batchRead(request, route.object)),
    credential:
      kept === null && route.key !== null ? { header: route.key.header, secret: route.key.secret } : null,
    body,
    addHeaders: route.grant.addHeaders,
  };
}

/** The object is passed on itself, never a copy: what its kind works out for it is kept by it. */
function hasUpstream(provider: Provider): provider is Provider & { readonly kind: UpstreamKind } {
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

/** The one header in which a caller sent a provider's own credential, or null. Never one of Postern's. */
function ownCredentialHeader(exchange: Exchange, caller: Caller): string | null {
  // Behind the token door the standard headers may hold the Postern token itself.
  const presented = exchange.req.headers['x-postern-authorization'];
  if (caller.door === 'token' && presented === undefined) return null;
  const identity = typeof presented === 'string' ? presented.replace(/^bearer +/i, '').trim() : '';
  for (const name of ['authorization', 'x-api-key'] as const) {
    const value = exchange.req.headers[name];
    if (typeof value !== 'string' || value === '' || /^(Bearer )?-$/.test(value)) continue;
    // SDKs may send one credential twice: what says who the caller is stays here.
    if (!value.includes(TOKEN_PREFIX) && (identity === '' || !value.includes(identity))) return name;
  }
  return null;
}

/** Kinds that go on where no key was ever entered: with the operator's own credentials, or servers that ask for none. */
const MAY_LACK_KEY = new Set(['vertex', 'bedrock', 'compatible']);

/** The provider's request; a promise only where a credential has to be minted first. Throws or rejects with `Refused`. */
export function prepare(
  parts: GatewayParts,
  route: LlmRoute,
  input: UpstreamInput,
): UpstreamRequest | Promise<UpstreamRequest> {
  const { authMode, kind, baseUrl } = input.provider;
  if (route.key === null && authMode === 'override') {
    // A key that was revoked or belongs to another address must not turn into the operator's own, or into none.
    const wasEntered = parts.vault.list().some(({ provider }) => provider === route.provider.id);
    if (wasEntered || !MAY_LACK_KEY.has(kind)) {
      throw new Refused('key_missing', `the provider of this model has no usable key for ${baseUrl.origin}`);
    }
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
  return new Refused(code, error.message, {
    cause: error,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
  });
}

/** The way back to the caller. */
export function createRelay(
  parts: GatewayParts,
  { exchange, request, route }: ForwardInput,
  transform: StreamTransform | null,
): Relay {
  const { format } = request.match;
  const isBatchResults = batchRead(request, route.object) !== null;
  return new Relay({
    res: exchange.res,
    requestId: exchange.id,
    createMeter: (contentType) =>
      createMeter(format, { streamed: request.streamed, contentType, isBatchResults }),
    readsOn: isBatchResults,
    transform,
    streamed: request.streamed,
    renderStreamError: (refused) =>
      renderStreamError(format, {
        status: refused.status,
        code: refused.code,
        message: refused.message,
        requestId: exchange.id,
        help: refused.help,
      }),
    refuse: (refused) => refuse(exchange, refused, request.match),
    readerIdleMs: parts.limits.readerIdleMs,
    captureMaxBytes: captureOf(route) === 'full' ? parts.limits.captureMaxBytes : 0,
    monotonicMs: () => parts.clock.monotonicMs(),
  });
}

/** Starts what answers, unless the right to it is gone already; a revocation ends it from now on. */
export function relayed(active: TrackedExchange, relay: Relay, start: () => void): Promise<Answer> {
  active.takeOver((reason) => relay.fail(reason, 'gateway_error'));
  start();
  return relay.done;
}

function dispatch(parts: GatewayParts, exchange: Exchange, upstream: UpstreamRequest, relay: Relay): void {
  const { origin, path, headers, body } = upstream;
  const method = exchange.req.method ?? 'POST';
  parts.upstreams.dispatch(
    origin,
    { method, path, headers, body: body.length === 0 ? null : body },
    {
      onStart: (control: UpstreamControl) => relay.begin(control),
      onHeaders: (status, rawHeaders) => relay.head(status, rawHeaders),
      onData: (chunk) => relay.data(chunk),
      onEnd: () => relay.end(),
      onError: (error) =>
        relay.fail(
          toUpstreamRefusal(error, relay.hasBegun),
          relay.hasBegun ? 'truncated' : 'upstream_failed',
        ),
    },
  );
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
  return new Refused(code, error.message, {
    cause: error,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
  });
}

/** The test model answers in this process; a slow reader holds it back like any provider. */
function answerByEcho(
  parts: GatewayParts,
  { exchange, request, route }: ForwardInput,
  body: Buffer,
  relay: Relay,
): void {
  const { format, dialect, action } = request.match;
  const answer = parts.echo.answer({
    format,
    dialect,
    action,
    streamed: request.streamed,
    geminiFraming: exchange.query.includes('alt=sse') ? 'sse' : 'array',
    model: route.requestedModel,
    body,
    requestId: exchange.id,
  });
  const chunks = answer.chunks[Symbol.iterator]();
  const flow = { isPaused: false };
  const pump = (): void => {
    while (!flow.isPaused) {
      const next = chunks.next();
      if (next.done === true) return relay.end();
      relay.data(next.value);
    }
  };
  relay.begin({
    pause: () => {
      flow.isPaused = true;
    },
    resume: () => {
      flow.isPaused = false;
      pump();
    },
    abort: () => {
      flow.isPaused = true;
    },
  });
  relay.head(answer.status, ['content-type', answer.contentType]);
  pump();
}

/** What the answer says about the key: a rejected key is a fault to report, a limited one rests. */
export function noteResult(parts: GatewayParts, input: ForwardInput, answer: Answer): void {
  const { key, provider } = input.route;
  if (key === null || answer.outcome === 'client_abort') return;
  const now = parts.clock.now();
  if (answer.status === 401 || answer.status === 403) {
    parts.vault.noteResult(key.id, 'rejected', now);
    if (hasUpstream(provider)) {
      parts.providers.noteRejected({
        provider,
        credential: { header: key.header, secret: key.secret },
      });
    }
  } else if (answer.status === 429) parts.vault.noteResult(key.id, 'limited', now);
  else if (answer.outcome === 'upstream_failed' || answer.status >= 500)
    parts.vault.noteResult(key.id, 'failed', now);
  else parts.vault.noteResult(key.id, 'ok', now);
}
