/**
 * One signed call of one hook, with everything that bounds it: a circuit, a number at a time, a
 * deadline from the first wait to the last byte, a size, no redirects. Total: whatever happens is a
 * value.
 */
import { AppError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import { type SmallAnswer, UpstreamFailure } from '../../net/index.ts';
import type { HookEntry } from '../../policy/document.ts';
import { Circuit } from './circuit.ts';
import { hookError, type HookFault, toHookError } from './errors.ts';
import { HookRecord } from './hook-record.ts';
import type { HookHttp, HookSecrets, Timers } from './ports.ts';
import type { HookCall, HookEvent, HookOutcome, HookView } from './shapes.ts';
import { deriveSigningSecret, SIGNATURE_HEADER, signBody } from './signature.ts';
import { type SlotRefusal, Slots } from './slots.ts';

/** A document that says `0` for "no limit" gets this; nothing waits for ever. */
const TIMEOUT_MAX_MS = 600_000;
const ANSWER_BYTES = 1024 * 1024;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Failures from which nothing follows for the hook: they are ours, or the caller's. */
const SAYS_NOTHING: ReadonlySet<HookFault> = new Set(['hook_aborted', 'hook_busy', 'hook_key_missing']);
/** Hooks whose counts are kept; the one called least lately makes room. */
const HOOKS_MAX = 1_000;

export interface CallerOptions {
  readonly http: HookHttp;
  readonly secrets: HookSecrets;
  /** 32 bytes; secrets that sign are derived from it. */
  readonly key: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface CallFacts {
  readonly event: HookEvent;
  readonly requestId: string;
  readonly principal: string;
  /** From 1. */
  readonly attempt: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * `wait`: takes its turn and asks the circuit. `watch`: is dropped where there is no place at once,
   * since no request waits whose number would bound those that wait here. `deliver`: asks neither;
   * deliveries have bounds of their own.
   */
  readonly kind: 'wait' | 'watch' | 'deliver';
}

export type Called<Answer> =
  | { readonly ok: true; readonly answer: Answer; readonly call: HookCall }
  | { readonly ok: false; readonly error: AppError<HookFault>; readonly call: HookCall };

interface HookState {
  /** Another address has another circuit. */
  readonly url: string;
  readonly circuit: Circuit;
  readonly slots: Slots;
  readonly record: HookRecord;
}

export class HookCaller {
  readonly #options: CallerOptions;
  readonly #states = new Map<string, HookState>();

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  /**
   * Sends `payload` and reads the answer with `read`, whose failures are failures of the hook.
   * A payload that could not be made is a failure without a call.
   */
  async call<Answer extends { readonly action: HookOutcome }>(
    entry: HookEntry,
    payload: Buffer | AppError<HookFault>,
    facts: CallFacts,
    read: (answer: SmallAnswer) => Answer | AppError<HookFault>,
  ): Promise<Called<Answer>> {
    const { clock } = this.#options;
    const state = this.#stateOf(entry);
    const start = clock.monotonicMs();
    const found = Buffer.isBuffer(payload)
      ? await this.#guarded(state, entry, payload, facts, read)
      : payload;
    const failed = found instanceof AppError;
    const call: HookCall = {
      hook: entry.id,
      event: facts.event,
      outcome: failed ? 'failed' : found.action,
      fault: failed ? found.code : null,
      monitor: entry.mode === 'monitor',
      at: clock.now(),
      requestId: facts.requestId,
      durationMs: Math.max(0, clock.monotonicMs() - start),
    };
    state.record.note(call);
    return failed ? { ok: false, error: found, call } : { ok: true, answer: found, call };
  }

  /** The secret with which calls of a hook are signed; null where the document names one that is not there. */
  signingSecret(entry: HookEntry): Secret | null {
    return entry.signWith === 'derived'
      ? deriveSigningSecret(this.#options.key, entry.id, entry.url)
      : this.#options.secrets.signingKey(entry);
  }

  views(): HookView[] {
    return [...this.#states].map(([hook, { circuit, slots, record }]) => ({
      hook,
      outcomes: record.outcomes(),
      faults: record.faults(),
      latency: record.latency(),
      circuit: circuit.state,
      retryAt: circuit.retryAt,
      running: slots.running,
      waiting: slots.waiting,
      recent: record.recent(),
    }));
  }

  async #guarded<Answer>(
    state: HookState,
    entry: HookEntry,
    payload: Buffer,
    facts: CallFacts,
    read: (answer: SmallAnswer) => Answer | AppError<HookFault>,
  ): Promise<Answer | AppError<HookFault>> {
    const { circuit, slots } = state;
    const start = this.#options.clock.monotonicMs();
    const timeoutMs = Math.min(entry.timeoutMs || TIMEOUT_MAX_MS, TIMEOUT_MAX_MS);
    if (facts.kind === 'deliver') return this.#send(entry, payload, facts, timeoutMs, read);
    if (!circuit.admit())
      return hookError('hook_circuit_open', 'the hook failed again and again and is not asked for a while');
    const waitMs = facts.kind === 'watch' ? 0 : timeoutMs;
    const refusal = await slots.take({ most: entry.maxConcurrent, waitMs, signal: facts.signal });
    if (refusal !== null) {
      circuit.abandoned();
      return refusalError(refusal, entry);
    }
    try {
      const leftMs = Math.max(1, Math.floor(timeoutMs - (this.#options.clock.monotonicMs() - start)));
      const found = await this.#send(entry, payload, facts, leftMs, read);
      this.#tell(circuit, entry, facts.principal, found);
      return found;
    } finally {
      slots.release();
    }
  }

  async #send<Answer>(
    entry: HookEntry,
    payload: Buffer,
    facts: CallFacts,
    timeoutMs: number,
    read: (answer: SmallAnswer) => Answer | AppError<HookFault>,
  ): Promise<Answer | AppError<HookFault>> {
    const { http } = this.#options;
    try {
      const headers = this.#headers(entry, payload, facts);
      if (headers instanceof AppError) return headers;
      const exchange = (): Promise<SmallAnswer> =>
        http(entry.url, {
          method: 'POST',
          headers,
          body: payload,
          maxBytes: Math.min(entry.maxResponseBytes ?? ANSWER_BYTES + 2 * payload.length, ANSWER_BYTES_MAX),
          timeoutMs,
          ...(facts.signal === undefined ? {} : { signal: facts.signal }),
        });
      const answer = await exchange().catch((error: unknown) => {
        // The hook let a connection go just as it was used again: it has not seen this call.
        if (error instanceof UpstreamFailure && error.isStaleConnection) return exchange();
        throw error;
      });
      return read(answer);
    } catch (error) {
      return toHookError(error);
    }
  }

  #headers(
    entry: HookEntry,
    payload: Buffer,
    { event, requestId, attempt }: CallFacts,
  ): Record<string, string> | AppError<HookFault> {
    const { clock, secrets } = this.#options;
    const secret = this.signingSecret(entry);
    if (secret === null)
      return hookError(
        'hook_key_missing',
        'the secret that "sign_with" names is not there; add it, or write "derived"',
      );
    const key = entry.apiKey === null ? null : secrets.apiKey(entry);
    if (entry.apiKey !== null && key === null)
      return hookError(
        'hook_key_missing',
        'the hook has an "apikey", and it is not there; add it to the vault',
      );
    return {
      'content-type': 'application/json',
      // An id is the document's, and may hold anything.
      'x-postern-hook': encodeURIComponent(entry.id.toWellFormed()),
      'x-postern-event': event,
      'x-postern-request-id': requestId,
      'x-postern-attempt': String(attempt),
      [SIGNATURE_HEADER]: signBody(secret, clock.now(), payload),
      ...(key === null ? {} : credential(entry, key)),
    };
  }

  #tell(circuit: Circuit, entry: HookEntry, principal: string, found: unknown): void {
    const { logger } = this.#options;
    const error = found instanceof AppError ? found : null;
    if (error === null) {
      if (circuit.succeeded()) logger.info('a hook answers again', { hook: entry.id });
      return;
    }
    // Nothing was learned of the hook.
    if (SAYS_NOTHING.has(error.code)) return circuit.abandoned();
    const failure = { principal, bodyCanCause: bodyCanCause(error) };
    if (circuit.failed(failure, entry.breakAfter))
      logger.warn('a hook fails again and again and is not asked for a while', {
        hook: entry.id,
        fault: error.code,
        policy: entry.failPolicy,
      });
  }

  #stateOf({ id, url }: HookEntry): HookState {
    const known = this.#states.get(id);
    const state =
      known?.url === url
        ? known
        : {
            url,
            circuit: new Circuit(this.#options),
            slots: new Slots(this.#options.timers),
            record: known?.record ?? new HookRecord(),
          };
    this.#states.delete(id);
    this.#states.set(id, state);
    if (this.#states.size > HOOKS_MAX) {
      const [oldest] = this.#states.keys();
      if (oldest !== undefined) this.#states.delete(oldest);
    }
    return state;
  }
}

/** The three forms that providers' keys have. */
function credential({ authorization }: HookEntry, key: Secret): Record<string, string> {
  return authorization === 'bearer'
    ? { authorization: `Bearer ${key.reveal()}` }
    : { [authorization]: key.reveal() };
}

/** A server that cannot be connected to has not seen a byte of the body. */
function bodyCanCause(error: AppError<HookFault>): boolean {
  const code = error.cause instanceof AppError ? String(error.cause.code) : '';
  return !(code.startsWith('dial_') || code === 'tls_failed');
}

function refusalError(refusal: SlotRefusal, { maxConcurrent }: HookEntry): AppError<HookFault> {
  if (refusal === 'aborted') return hookError('hook_aborted', 'the caller left');
  return refusal === 'timeout'
    ? hookError('hook_timeout', `none of ${maxConcurrent} calls ended in time for this one`)
    : hookError('hook_busy', `${maxConcurrent} calls are under way and as many as allowed wait`);
}
