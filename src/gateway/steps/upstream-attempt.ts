/**
 * Steps 6 and 7: one request to a provider on its way to the relay, and whether another follows it, which
 * is known before a byte went to the caller; and what its end says of the key.
 */
import { describeError, type AppError } from '../../base/errors.ts';
import type { UpstreamRequest } from '../../llm/providers/index.ts';
import type { UpstreamControl, UpstreamErrorCode, UpstreamHandler } from '../../net/index.ts';
import type { AnswerSink, CacheFill } from '../cache/index.ts';
import type { GatewayParts } from '../ports.ts';
import type { Answer, Relay } from '../relay.ts';
import { Refused, type ReasonCode } from '../reasons.ts';
import { mediaOf, type RawHeaders } from '../response-headers.ts';
import { judge, resultOfError, resultOfHead, type AttemptResult } from '../routing/attempt-result.ts';
import type { RetryPlan } from '../routing/retry.ts';
import type { ForwardInput } from './forward.ts';
import type { LlmRoute } from './route.ts';
import { hasUpstream, keptCredential, toUpstreamRefusal } from './upstream-input.ts';

/** An attempt that failed before a byte reached the caller, with another to come. */
export class FailedAttempt {
  readonly plan: NextAttempt;
  /** Monotonic: when it was sent. */
  readonly sentMark: number;
  /** The provider may have worked on it (`Judgement.mayBeCharged`). */
  readonly mayBeCharged: boolean;

  constructor(plan: NextAttempt, sentMark: number, mayBeCharged: boolean) {
    this.plan = plan;
    this.sentMark = sentMark;
    this.mayBeCharged = mayBeCharged;
  }
}

type NextAttempt = Extract<RetryPlan, { kind: 'retry' }>;

/** What became of a request that was sent. */
export type SentAnswer = Answer & {
  /** No answer came, and the provider may have worked on the request all the same (`Judgement.mayBeCharged`). */
  readonly mayBeCharged?: true;
};

/** From the provider's bytes to the caller. */
export interface Way {
  readonly relay: Relay;
  /** The relay, or what translates for it. */
  readonly sink: AnswerSink;
  /** Takes the provider's bytes up for the cache; null mostly. */
  readonly fill: CacheFill | null;
}

/** One request to a provider: what its client calls, as the relay knows it, unless the attempt is given up. */
export class UpstreamAttempt implements UpstreamHandler {
  readonly #parts: GatewayParts;
  readonly #input: ForwardInput;
  readonly #way: Way;
  readonly #resolve: (outcome: SentAnswer | FailedAttempt) => void;
  #control: UpstreamControl | null = null;
  #hasHead = false;
  #sentMark = 0;
  /** No answer came, and the provider may have worked on the request all the same. */
  #mayBeCharged = false;
  /** Given up: whatever still comes of it concerns nobody. */
  #isOver = false;

  constructor(
    parts: GatewayParts,
    input: ForwardInput,
    way: Way,
    resolve: (outcome: SentAnswer | FailedAttempt) => void,
  ) {
    this.#parts = parts;
    this.#input = input;
    this.#way = way;
    this.#resolve = resolve;
  }

  dispatch({ origin, path, headers, body }: UpstreamRequest): void {
    const { exchange, route } = this.#input;
    this.#sentMark = this.#parts.clock.monotonicMs();
    route.attempts.begin(route.key?.id ?? null, keptCredential(this.#input) !== null);
    const method = exchange.req.method ?? 'POST';
    this.#parts.upstreams.dispatch(
      origin,
      { method, path, headers, body: body.length === 0 ? null : body },
      this,
    );
  }

  /** The relay has settled. */
  ended(answer: Answer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { route, patches } = this.#input;
    route.attempts.conclude(WHOLENESS[answer.outcome]);
    const { outcome, meter } = answer;
    this.#way.fill?.complete({ outcome, meter, isClamped: patches.length > 0 });
    this.#resolve(this.#mayBeCharged ? { ...answer, mayBeCharged: true } : answer);
  }

  onStart(control: UpstreamControl): void {
    this.#control = control;
    this.#way.sink.begin(control);
  }

  onHeaders(status: number, rawHeaders: RawHeaders): void {
    if (this.#isOver) return;
    if (this.#isGivenUp(resultOfHead(status, rawHeaders, this.#parts.clock.now()))) return;
    this.#hasHead = true;
    if (this.#way.fill !== null) {
      const { contentType, contentEncoding } = mediaOf(rawHeaders);
      this.#way.fill.head(status, contentType, contentEncoding);
    }
    this.#way.sink.head(status, rawHeaders);
  }

  onData(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#way.fill?.push(chunk);
    this.#way.sink.data(chunk);
  }

  onEnd(): void {
    if (!this.#isOver) this.#way.sink.end();
  }

  onError(error: AppError<UpstreamErrorCode>): void {
    if (this.#isOver) return;
    // What the caller is not told, the operator finds here.
    if (error.code !== 'upstream_aborted') {
      const { id } = this.#input.exchange;
      this.#parts.logger.warn('a provider failed', { request: id, error: describeError(error) });
    }
    if (!this.#hasHead) {
      const result = resultOfError(error);
      if (this.#isGivenUp(result)) return;
      this.#mayBeCharged = judge(result).mayBeCharged;
    }
    const outcome = this.#hasHead ? 'truncated' : 'upstream_failed';
    this.#way.relay.fail(toUpstreamRefusal(error, this.#hasHead), outcome);
  }

  /** Notes the result; true where another attempt follows, which leaves the relay without an answer. */
  #isGivenUp(result: AttemptResult): boolean {
    const { exchange, active, route } = this.#input;
    const isTooLate = exchange.res.headersSent || exchange.res.destroyed || active.cutBy !== null;
    const plan = route.attempts.end(result, isTooLate);
    if (plan.kind === 'stop') return false;
    this.#isOver = true;
    this.#way.fill?.abandon();
    noteKey(this.#parts, route, result.kind === 'head' ? result.status : null);
    this.#resolve(new FailedAttempt(plan, this.#sentMark, judge(result).mayBeCharged));
    this.#control?.abort(new Error('the attempt was given up'));
    return true;
  }
}

/** The attempt that failed because its credential could not be had. Throws `error` where no other follows. */
export function withoutCredential(parts: GatewayParts, input: ForwardInput, error: unknown): FailedAttempt {
  if (!(error instanceof Refused) || !OF_CREDENTIALS.has(error.code)) throw error;
  const { exchange, active, route } = input;
  const sentMark = parts.clock.monotonicMs();
  route.attempts.begin(route.key?.id ?? null, keptCredential(input) !== null);
  const isTooLate = exchange.res.headersSent || exchange.res.destroyed || active.cutBy !== null;
  const plan = route.attempts.end({ kind: 'no_credential' }, isTooLate);
  if (plan.kind === 'stop') throw error;
  parts.logger.warn('a provider has no credential for now', {
    request: exchange.id,
    provider: route.provider.id,
    error: describeError(error),
  });
  return new FailedAttempt(plan, sentMark, false);
}

const OF_CREDENTIALS: ReadonlySet<ReasonCode> = new Set(['key_missing', 'credential_failed']);

/** Whether an answer came whole, broke off by the provider's fault, or tells nothing (null). */
const WHOLENESS: Readonly<Record<Answer['outcome'], boolean | null>> = {
  ok: true,
  upstream_error: null,
  upstream_failed: false,
  truncated: false,
  client_abort: null,
  gateway_error: null,
  refused: null,
};

/** What the answer says about the key: a rejected key is a fault to report, a limited one rests. */
export function noteKeyResult(parts: GatewayParts, route: LlmRoute, answer: Answer): void {
  if (answer.outcome !== 'client_abort')
    noteKey(parts, route, answer.outcome === 'upstream_failed' ? null : answer.status);
}

/** `status` is null where no answer came. */
function noteKey(parts: GatewayParts, { key, provider }: LlmRoute, status: number | null): void {
  if (key === null) return;
  const now = parts.clock.now();
  if (status === 401 || status === 403) {
    parts.vault.noteResult(key.id, 'rejected', now);
    if (hasUpstream(provider)) {
      parts.providers.noteRejected({
        provider,
        credential: { header: key.header, secret: key.secret },
      });
    }
  } else if (status === 429) parts.vault.noteResult(key.id, 'limited', now);
  else if (status === null || status >= 500) parts.vault.noteResult(key.id, 'failed', now);
  else parts.vault.noteResult(key.id, 'ok', now);
}
