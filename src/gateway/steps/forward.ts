/**
 * Steps 6 and 7: the request goes to its provider with the provider's credential in and the
 * caller's out; the answer streams back, seen by its meter.
 */
import { AppError } from '../../base/errors.ts';
import type { Caller } from '../../identity/index.ts';
import {
  createMeter,
  createUsageStripper,
  editRequestBody,
  renderStreamError,
} from '../../llm/index.ts';
import type { UpstreamInput, UpstreamRequest } from '../../llm/providers/index.ts';
import type { UpstreamControl, UpstreamErrorCode } from '../../net/index.ts';
import type { ActiveExchange } from '../active.ts';
import type { Exchange } from '../exchange.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused, type ReasonCode } from '../reasons.ts';
import { Relay, type Answer, type StreamTransform } from '../relay.ts';
import { forwardableHeaders, forwardableQuery } from '../request-headers.ts';
import { refuse } from './refuse.ts';
import type { LlmRequest } from './read-request.ts';
import { captureOf } from './record.ts';
import type { LlmRoute } from './route.ts';

export interface ForwardInput {
  readonly exchange: Exchange;
  readonly caller: Caller;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
}

/** Formats whose streams report usage only if `stream_options.include_usage` asks for it. */
const USAGE_ON_REQUEST = new Set(['openai_chat', 'openai_completions']);

/** Sends and relays; resolves with what became of the answer. Throws `Refused` before anything was sent. */
export async function forwardLlm(parts: GatewayParts, input: ForwardInput): Promise<Answer> {
  const { exchange, request, route } = input;
  const addsUsage = request.streamed && USAGE_ON_REQUEST.has(request.match.format) && request.facts?.includeUsage !== true;
  const body = outgoingBody(request, route, addsUsage);
  if (route.provider.kind === 'echo') {
    const relay = createRelay(parts, input, addsUsage ? createUsageStripper() : null);
    return tracked(parts, input, relay, () => answerByEcho(parts, input, body, relay));
  }
  const upstream = await prepare(parts, toUpstreamInput(input, body));
  const relay = createRelay(parts, input, addsUsage ? createUsageStripper() : null);
  const answer = await tracked(parts, input, relay, () => dispatch(parts, exchange, upstream, relay));
  noteResult(parts, input, answer);
  return answer;
}

/** The caller's bytes, with only what policy changed. */
function outgoingBody(request: LlmRequest, route: LlmRoute, addsUsage: boolean): Buffer {
  if (request.facts === null) return request.body;
  const renames = route.isRenamed && request.match.modelInBody;
  if (!renames && !addsUsage) return request.body;
  return editRequestBody(request.body, request.facts, {
    ...(renames ? { model: route.model } : {}),
    ...(addsUsage ? { includeUsage: true as const } : {}),
  });
}

function toUpstreamInput({ exchange, caller, request, route }: ForwardInput, body: Buffer): UpstreamInput {
  const { provider } = route;
  if (provider.kind === 'echo') throw new Error('assertion failed: the test provider has no upstream');
  const kept = provider.authMode === 'passthrough' ? ownCredentialHeader(exchange, caller) : null;
  return {
    provider: { ...provider, kind: provider.kind },
    match: request.match,
    model: route.model,
    method: exchange.req.method ?? 'POST',
    path: exchange.path,
    query: forwardableQuery(exchange.query),
    headers: forwardableHeaders(exchange.req.rawHeaders, kept),
    credential: kept === null && route.key !== null ? { header: route.key.header, secret: route.key.secret } : null,
    body,
    addHeaders: route.grant.addHeaders,
  };
}

/** The one header in which a caller sent a provider's own credential, or null. Never one of Postern's. */
function ownCredentialHeader(exchange: Exchange, caller: Caller): string | null {
  // Behind the token door the standard headers may hold the Postern token itself.
  if (caller.door === 'token' && exchange.req.headers['x-postern-authorization'] === undefined) return null;
  for (const name of ['authorization', 'x-api-key'] as const) {
    const value = exchange.req.headers[name];
    if (typeof value === 'string' && value !== '' && !value.includes('pst_') && !/^(Bearer )?-$/.test(value)) return name;
  }
  return null;
}

async function prepare(parts: GatewayParts, input: UpstreamInput): Promise<UpstreamRequest> {
  const needsKey = input.provider.authMode !== 'none' && input.provider.kind !== 'compatible';
  const bringsOwn = input.provider.kind === 'vertex' || input.provider.kind === 'bedrock' || input.provider.authMode === 'passthrough';
  if (input.credential === null && needsKey && !bringsOwn) {
    throw new Refused('key_missing', `the provider of this model has no usable key for ${input.provider.baseUrl.origin}`);
  }
  try {
    return await parts.providers.prepareUpstream(input);
  } catch (error) {
    throw toPrepareRefusal(error);
  }
}

function toPrepareRefusal(error: unknown): Refused {
  if (!(error instanceof AppError)) throw error;
  const codes: Readonly<Record<string, ReasonCode>> = {
    upstream_credential_missing: 'key_missing',
    upstream_credential_invalid: 'credential_failed',
    upstream_credential_rejected: 'credential_failed',
    upstream_credential_unavailable: 'credential_failed',
    upstream_format_unsupported: 'format_not_available',
  };
  const code = codes[error.code] ?? 'body_invalid';
  return new Refused(code, error.message, { cause: error, ...(error.detail === undefined ? {} : { detail: error.detail }) });
}

function createRelay(parts: GatewayParts, { exchange, request, route }: ForwardInput, transform: StreamTransform | null): Relay {
  const { format } = request.match;
  return new Relay({
    res: exchange.res,
    requestId: exchange.id,
    createMeter: (contentType) => createMeter(format, { streamed: request.streamed, contentType }),
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
    captureMaxBytes: captureOf(route) === 'full' ? parts.limits.captureMaxBytes : 0,
    monotonicMs: parts.clock.monotonicMs,
  });
}

/** Runs an exchange that a revocation can end. */
async function tracked(parts: GatewayParts, { caller, route }: ForwardInput, relay: Relay, start: () => void): Promise<Answer> {
  const active: ActiveExchange = {
    caller,
    keyId: route.key?.id ?? null,
    provider: route.provider.id,
    model: route.model,
    cut: (refused) => relay.fail(refused, 'gateway_error'),
  };
  parts.active.add(active);
  try {
    start();
    return await relay.done;
  } finally {
    parts.active.remove(active);
  }
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
      onError: (error) => relay.fail(toUpstreamRefusal(error, relay.hasBegun), relay.hasBegun ? 'truncated' : 'upstream_failed'),
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

function toUpstreamRefusal(error: AppError<UpstreamErrorCode>, hasBegun: boolean): Refused {
  const code = UPSTREAM_REASONS[error.code] ?? (hasBegun ? 'upstream_truncated' : 'upstream_unreachable');
  return new Refused(code, error.message, { cause: error, ...(error.detail === undefined ? {} : { detail: error.detail }) });
}

/** The test model answers in this process; a slow reader holds it back like any provider. */
function answerByEcho(parts: GatewayParts, { exchange, request, route }: ForwardInput, body: Buffer, relay: Relay): void {
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
  let isPaused = false;
  const pump = (): void => {
    while (!isPaused) {
      const next = chunks.next();
      if (next.done === true) return relay.end();
      relay.data(next.value);
    }
  };
  relay.begin({
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
      pump();
    },
    abort: () => {
      isPaused = true;
    },
  });
  relay.head(answer.status, ['content-type', answer.contentType]);
  pump();
}

/** What the answer says about the key: a rejected key is a fault to report, a limited one rests. */
function noteResult(parts: GatewayParts, input: ForwardInput, answer: Answer): void {
  const { key, provider } = input.route;
  if (key === null || answer.outcome === 'client_abort') return;
  const now = parts.clock.now();
  if (answer.status === 401 || answer.status === 403) {
    parts.vault.noteResult(key.id, 'rejected', now);
    if (provider.kind !== 'echo') {
      parts.providers.noteRejected({ provider: { ...provider, kind: provider.kind }, credential: { header: key.header, secret: key.secret } });
    }
  } else if (answer.status === 429) parts.vault.noteResult(key.id, 'limited', now);
  else if (answer.outcome === 'upstream_failed' || answer.status >= 500) parts.vault.noteResult(key.id, 'failed', now);
  else parts.vault.noteResult(key.id, 'ok', now);
}
