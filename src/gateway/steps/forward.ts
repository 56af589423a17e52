/**
 * Steps 6 and 7: one attempt to have the request answered by its provider; the answer streams back, seen
 * by its meter. Whether there is another attempt is known before a byte went to the caller.
 */
import {
  createMeter,
  createUsageStripper,
  renderStreamError,
  type BodyPatch,
  type Meter,
} from '../../llm/index.ts';
import type { UpstreamInput, UpstreamRequest } from '../../llm/providers/index.ts';
import type { Access } from '../../policy/index.ts';
import type { TrackedExchange } from '../active.ts';
import { replayAnswer, type CachedAnswer } from '../cache/index.ts';
import type { Exchange } from '../exchange.ts';
import { HeadedRules } from '../headed-rules.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import { Relay, type Answer, type AnswerFormat, type AnswerRules, type StreamTransform } from '../relay.ts';
import { TranslatedAnswer } from '../translated-answer.ts';
import { useCache, type CacheUse } from './answer-cache.ts';
import { refuse } from './refuse.ts';
import type { LlmRequest } from './read-request.ts';
import { captureOf } from './record.ts';
import type { LlmRoute } from './route.ts';
import { batchRead } from './settle-batch.ts';
import {
  isEstimate,
  lossHeaders,
  translateRequest,
  type EstimatedCount,
  type Translated,
} from './translate.ts';
import {
  FailedAttempt,
  UpstreamAttempt,
  withoutCredential,
  type SentAnswer,
  type Way,
} from './upstream-attempt.ts';
import { outgoingBody, prepare, toUpstreamInput } from './upstream-input.ts';

export interface ForwardInput {
  readonly exchange: Exchange;
  readonly active: TrackedExchange;
  /** Who may be told more of a failure. */
  readonly access: Access | null;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  /** Places of the body that budgets changed; empty mostly. */
  readonly patches: readonly BodyPatch[];
  /** What governs the answer; null where nothing does. */
  readonly rules: AnswerRules | null;
}

/** What became of an answer, wherever it came from. */
export type LlmAnswer = SentAnswer & {
  /** No provider was asked: it was kept from an earlier one. */
  readonly isFromCache?: true;
  /** No provider was asked: Postern made it. */
  readonly isOwn?: true;
};

/** Formats whose streams report usage only if `stream_options.include_usage` asks for it. */
const USAGE_ON_REQUEST = new Set(['openai_chat', 'openai_completions']);

/**
 * Sends and relays; resolves with what became of the answer, or with the attempt that failed. Throws or
 * rejects with `Refused` before anything was sent.
 */
export function forwardLlm(parts: GatewayParts, input: ForwardInput): Promise<LlmAnswer | FailedAttempt> {
  const { active, request, route } = input;
  active.route = { keyId: route.key?.id ?? null, provider: route.provider.id, model: route.model };
  const translated = translateRequest(parts, input);
  if (translated !== null && isEstimate(translated)) return estimated(parts, input, translated);
  const addsUsage =
    translated === null &&
    request.streamed &&
    USAGE_ON_REQUEST.has(request.match.format) &&
    request.facts?.includeUsage !== true;
  const body = translated?.body ?? outgoingBody(input, addsUsage);
  if (route.provider.kind === 'echo') {
    const relay = createRelay(parts, input, addsUsage ? createUsageStripper() : null);
    return relayed(active, relay, () => answerByEcho(parts, input, body, relay));
  }
  const sent = toUpstreamInput(input, body, translated);
  const cache = useCache(parts, input, () => withoutClamp(parts, input, sent, addsUsage));
  const passage = { translated, addsUsage, cache };
  if (cache !== null && cache.hit !== null) return replay(parts, input, passage, cache.hit);
  const prepared = prepareOrFail(parts, input, sent);
  return prepared instanceof Promise
    ? prepared.then((later) => sendPrepared(parts, input, passage, later))
    : sendPrepared(parts, input, passage, prepared);
}

/** Token counts for providers that count none. */
async function estimated(
  parts: GatewayParts,
  input: ForwardInput,
  { estimate: { status, contentType, body } }: EstimatedCount,
): Promise<LlmAnswer> {
  const headers = ['x-postern-warning', 'token_count_estimated'];
  const rules = new HeadedRules(input.rules, { headers, isFree: true });
  const relay = createRelay(parts, { ...input, rules }, null);
  const answer = await relayed(input.active, relay, () => {
    relay.head(status, ['content-type', contentType, 'content-length', String(body.length)]);
    relay.data(body);
    relay.end();
  });
  return { ...answer, isOwn: true };
}

/** What stands between a provider's answer and its caller. */
interface Passage {
  readonly translated: Translated | null;
  readonly addsUsage: boolean;
  readonly cache: CacheUse | null;
}

/** What would be sent if no budget had lowered the output limit: the question that the cache knows. */
function withoutClamp(
  parts: GatewayParts,
  input: ForwardInput,
  sent: UpstreamInput,
  addsUsage: boolean,
): UpstreamInput {
  if (input.patches.length === 0) return sent;
  const whole = { ...input, patches: [] };
  const translated = translateRequest(parts, whole);
  const isSent = translated !== null && !isEstimate(translated);
  return { ...sent, body: isSent ? translated.body : outgoingBody(whole, addsUsage) };
}

/** As `prepare`; a credential that cannot be had is a failed attempt where another target may serve. */
function prepareOrFail(
  parts: GatewayParts,
  input: ForwardInput,
  sent: UpstreamInput,
): UpstreamRequest | FailedAttempt | Promise<UpstreamRequest | FailedAttempt> {
  const failed = (error: unknown): FailedAttempt => withoutCredential(parts, input, error);
  try {
    const prepared = prepare(parts, input.route, sent);
    return prepared instanceof Promise ? prepared.catch(failed) : prepared;
  } catch (error) {
    return failed(error);
  }
}

function sendPrepared(
  parts: GatewayParts,
  input: ForwardInput,
  passage: Passage,
  prepared: UpstreamRequest | FailedAttempt,
): Promise<LlmAnswer | FailedAttempt> {
  return prepared instanceof FailedAttempt
    ? Promise.resolve(prepared)
    : send(parts, input, passage, prepared);
}

function send(
  parts: GatewayParts,
  input: ForwardInput,
  passage: Passage,
  upstream: UpstreamRequest,
): Promise<LlmAnswer | FailedAttempt> {
  const { exchange, active } = input;
  if (exchange.res.destroyed)
    throw new Refused('caller_left', 'the connection closed before the request was sent to the provider');
  const way = openWay(parts, input, passage);
  return new Promise((resolve) => {
    const attempt = new UpstreamAttempt(parts, input, way, resolve);
    const done = relayed(active, way.relay, () => attempt.dispatch(upstream));
    void done.then((answer) => attempt.ended(answer));
  });
}

/** A kept answer takes the same way as one that comes now. */
async function replay(
  parts: GatewayParts,
  input: ForwardInput,
  passage: Passage,
  hit: CachedAnswer,
): Promise<LlmAnswer> {
  const { active, route } = input;
  active.route = { keyId: null, provider: route.provider.id, model: route.model };
  const { relay, sink } = openWay(parts, input, passage);
  const answer = await relayed(active, relay, () => replayAnswer(hit, sink));
  return { ...answer, isFromCache: true };
}

function openWay(parts: GatewayParts, input: ForwardInput, { translated, addsUsage, cache }: Passage): Way {
  const ruled = withHeaders(input, translated, cache);
  const fill = cache === null || cache.hit !== null ? null : parts.cache.fill(cache.slot);
  if (translated === null) {
    const relay = createRelay(parts, ruled, addsUsage ? createUsageStripper() : null);
    return { relay, sink: relay, fill };
  }
  const { answers, match, stream } = translated;
  const sink = new TranslatedAnswer({ translation: answers, format: match.format, streamed: stream });
  const relay = createRelay(parts, ruled, null, sink.meter);
  sink.into(relay);
  return { relay, sink, fill };
}

function withHeaders(
  input: ForwardInput,
  translated: Translated | null,
  cache: CacheUse | null,
): ForwardInput {
  if (translated === null && cache === null) return input;
  const headers = translated === null ? [] : [...lossHeaders(translated)];
  if (cache !== null) headers.push('x-postern-cache', cache.hit === null ? 'miss' : 'hit');
  if (headers.length === 0) return input;
  const isFree = cache !== null && cache.hit !== null;
  return { ...input, rules: new HeadedRules(input.rules, { headers, isFree }) };
}

/** The way back to the caller. */
export function createRelay(
  parts: GatewayParts,
  input: ForwardInput,
  transform: StreamTransform | null,
  meter: Meter | null = null,
): Relay {
  const { exchange, request, route, rules } = input;
  const isBatchResults = batchRead(request, route.object) !== null;
  return new Relay({
    res: exchange.res,
    requestId: exchange.id,
    format: new LlmAnswerFormat(input, isBatchResults, meter),
    transform,
    rules,
    streamed: request.streamed,
    readsOn: isBatchResults,
    readerIdleMs: parts.limits.readerIdleMs,
    captureMaxBytes:
      captureOf(route) === 'full' || rules?.keepsAnswer === true ? parts.limits.captureMaxBytes : 0,
    clock: parts.clock,
  });
}

/** The answer of one exchange in the words of its route. One object, where functions would be made for each request. */
class LlmAnswerFormat implements AnswerFormat {
  readonly #exchange: Exchange;
  readonly #request: LlmRequest;
  readonly #access: Access | null;
  readonly #isBatchResults: boolean;
  /** Of what is translated; else null. */
  readonly #meter: Meter | null;

  constructor({ exchange, request, access }: ForwardInput, isBatchResults: boolean, meter: Meter | null) {
    this.#meter = meter;
    this.#exchange = exchange;
    this.#request = request;
    this.#access = access;
    this.#isBatchResults = isBatchResults;
  }

  createMeter(contentType: string | null): Meter {
    if (this.#meter !== null) return this.#meter;
    const { match, streamed } = this.#request;
    return createMeter(match.format, { streamed, contentType, isBatchResults: this.#isBatchResults });
  }

  renderStreamError(refused: Refused): Buffer {
    return renderStreamError(this.#request.match.format, {
      status: refused.status,
      code: refused.code,
      message: refused.messageFor(this.#access?.roles ?? null),
      requestId: this.#exchange.id,
      help: refused.help,
    });
  }

  refuse(refused: Refused): void {
    refuse(this.#exchange, refused, this.#request.match, this.#access);
  }
}

/** Starts what answers, unless the right to it is gone already; a revocation ends it from now on. */
export function relayed(active: TrackedExchange, relay: Relay, start: () => void): Promise<Answer> {
  active.takeOver((reason) => relay.fail(reason, 'gateway_error'));
  start();
  return relay.done;
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
