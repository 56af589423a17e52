/**
 * Hooks of one tailnet: Aperture's protocol (reference: the "Guardrail webhook protocol" of
 * `tailscale/aperture-recipes`), and what it lacks: signatures, strict answers, deltas, monitor mode,
 * circuits, retries with dead letters, and a veto on tool calls while an answer streams.
 *
 * Left out: what a hook's block looks like in a caller's dialect, and reading a changed body again;
 * both are the pipeline's.
 */
import type { AppError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import type { HookEntry } from '../../policy/document.ts';
import { HookCaller, type CallFacts } from './caller.ts';
import { DeadLetters } from './dead-letters.ts';
import { DEFAULT_DELIVERY_LIMITS, Deliveries, type DeliveryLimits, type RetryRefusal } from './deliveries.ts';
import { DeltaMemory, type DeltaPlan } from './delta.ts';
import { hookError, type HookFault } from './errors.ts';
import { completionPayload, requestPayload, toolCallPayload, wantsDelta } from './payload.ts';
import {
  type DeadLetterKeeping,
  type HookHttp,
  type HookSecrets,
  systemTimers,
  type Timers,
} from './ports.ts';
import { concealCall, redactionFor, restoreArguments } from './redacted-call.ts';
import { readRequestAnswer, readToolAnswer, type RequestAnswer } from './read-answer.ts';
import type {
  BoundHook,
  DeadLetter,
  HookCall,
  HookCompletion,
  HookEvent,
  HookFacts,
  HookRequest,
  HookStats,
  HookToolCall,
  HookToolRequest,
  RequestVerdict,
  ToolCallVerdict,
} from './shapes.ts';

export type HooksLimits = DeliveryLimits;

export interface HooksOptions {
  /** Over the guarded dialer. */
  readonly http: HookHttp;
  readonly secrets: HookSecrets;
  /** 32 bytes of a label of their own: secrets that sign and the hashes of deltas come from it. */
  readonly key: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers?: Timers;
  readonly limits?: Partial<HooksLimits>;
  /** A delivery was given up; for the live events. Must not throw. */
  readonly onDeadLetter?: (letter: DeadLetter) => void;
  /** Where given-up deliveries are kept. Default: in memory alone. */
  readonly letters?: { readonly keeping: DeadLetterKeeping; readonly earlier: readonly unknown[] };
  /** As the document in force has it; null for one that is gone or switched off. Default: no letter can be tried again. */
  readonly entryOf?: (hook: string) => HookEntry | null;
}

export interface Hooks {
  /**
   * Asks the hooks of `pre_request` one after another, in the order of `bindHooks`. A changed body
   * goes to the next; a block ends it. Never rejects.
   */
  preRequest(hooks: readonly BoundHook[], request: HookRequest): Promise<RequestVerdict>;
  /**
   * Asks the hooks of `tool_call` about one call. The strictest of their answers holds
   * (deny, ask, rewrite, allow); a rewrite goes to the next; a deny ends it. Never rejects.
   */
  toolCall(
    hooks: readonly BoundHook[],
    call: HookToolCall,
    request: HookToolRequest,
  ): Promise<ToolCallVerdict>;
  /**
   * Hands a finished request to the hooks of `entire_request` and `tool_call_entire_request`; the
   * latter only if the answer had tool calls. Returns at once; never throws. `hooks` of both events,
   * in any order: each fires for the events it has.
   */
  completed(hooks: readonly BoundHook[], completion: HookCompletion): void;
  stats(): HookStats;
  /** Tries a given-up delivery again, once more with all its attempts; null where that is under way. */
  retry(letterId: string): RetryRefusal | null;
  /** What a receiver checks signatures with; null where `sign_with` names a secret that is not there. Show it to admins with presence only. */
  signingSecret(entry: HookEntry): Secret | null;
  /** Takes nothing more; waits at most `graceMs` (default 2,000) for what is under way. */
  close(graceMs?: number): Promise<void>;
}

export function createHooks(options: HooksOptions): Hooks {
  return new CalledHooks(options);
}

const GRACE_MS = 2_000;
const REFUSED_REWRITE = 'the arguments that a hook wrote are refused by a guardrail';
const NO_KEEPING: DeadLetterKeeping = { put: () => undefined, delete: () => undefined };

class CalledHooks implements Hooks {
  readonly #caller: HookCaller;
  readonly #deliveries: Deliveries;
  readonly #letters: DeadLetters;
  readonly #memory: DeltaMemory;
  readonly #clock: Clock;

  constructor(options: HooksOptions) {
    const timers = options.timers ?? systemTimers;
    this.#clock = options.clock;
    this.#caller = new HookCaller({ ...options, timers });
    this.#memory = new DeltaMemory(options.key, options.clock);
    this.#letters = new DeadLetters(options.letters?.keeping ?? NO_KEEPING, options.letters?.earlier ?? []);
    this.#deliveries = new Deliveries({
      ...options,
      timers,
      caller: this.#caller,
      limits: { ...DEFAULT_DELIVERY_LIMITS, ...options.limits },
      onDeadLetter: options.onDeadLetter ?? (() => undefined),
      letters: this.#letters,
      entryOf: options.entryOf ?? (() => null),
    });
    this.#deliveries.resume();
  }

  async preRequest(hooks: readonly BoundHook[], request: HookRequest): Promise<RequestVerdict> {
    const calls: HookCall[] = [];
    const modifiedBy: string[] = [];
    let { body } = request;
    for (const hook of hooks) {
      const { id, failPolicy, mode } = hook.entry;
      const now: HookRequest = { ...request, body };
      if (mode === 'monitor') {
        calls.push(this.#started(hook, 'pre_request', request));
        void this.#askRequest(hook, withoutSignal(now));
        continue;
      }
      const asked = await this.#askRequest(hook, now);
      calls.push(...asked.calls);
      if (!asked.ok) {
        const { code } = asked.error;
        if (failPolicy === 'fail_open' && code !== 'hook_aborted') continue;
        return { action: 'unavailable', hook: id, status: 503, message: unavailable(id), fault: code, calls };
      }
      const { answer } = asked;
      if (answer.action === 'block') {
        const message = answer.message ?? `the hook "${id}" blocks this request`;
        return { action: 'block', hook: id, status: answer.status, message, calls };
      }
      if (answer.action !== 'modify') continue;
      ({ body } = answer);
      modifiedBy.push(id);
    }
    return { action: 'allow', body, modifiedBy, calls };
  }

  async toolCall(
    hooks: readonly BoundHook[],
    call: HookToolCall,
    request: HookToolRequest,
  ): Promise<ToolCallVerdict> {
    const calls: HookCall[] = [];
    const isText = call.params === undefined;
    let now = call;
    let verdict: Omit<ToolCallVerdict, 'calls'> = ALLOWED;
    for (const hook of hooks) {
      const { id, toolCallFailPolicy, mode } = hook.entry;
      if (mode === 'monitor') {
        calls.push(this.#started(hook, 'tool_call', request));
        void this.#askTool(hook, now, withoutSignal(request), isText);
        continue;
      }
      const asked = await this.#askTool(hook, now, request, isText);
      calls.push(asked.call);
      if (!asked.ok) {
        const fault = asked.error.code;
        if (toolCallFailPolicy === 'fail_open' && fault !== 'hook_aborted') continue;
        return { action: 'deny', hook: id, message: unavailable(id), argumentsText: null, fault, calls };
      }
      const { answer } = asked;
      if (answer.action === 'deny') {
        return { ...ALLOWED, action: 'deny', hook: id, message: answer.message, calls };
      }
      if (answer.action === 'rewrite') {
        const redaction = redactionFor(hook, request);
        const argumentsText =
          redaction === null
            ? answer.argumentsText
            : restoreArguments(answer.argumentsText, isText, redaction);
        if (argumentsText === null)
          return { ...ALLOWED, action: 'deny', hook: id, message: REFUSED_REWRITE, calls };
        now = { ...call, argumentsText, params: isText ? undefined : JSON.parse(argumentsText) };
        verdict =
          verdict.action === 'ask'
            ? { ...verdict, argumentsText }
            : { ...ALLOWED, action: 'rewrite', hook: id, argumentsText };
      } else if (answer.action === 'ask' && verdict.action !== 'ask') {
        verdict = { ...verdict, action: 'ask', hook: id, message: answer.message };
      }
    }
    return { ...verdict, calls };
  }

  completed(hooks: readonly BoundHook[], completion: HookCompletion): void {
    const told = withoutSignal(completion);
    for (const hook of hooks) {
      const { events } = hook.use;
      if (events.includes('entire_request')) this.#deliver(hook, 'entire_request', told);
      if (events.includes('tool_call_entire_request') && told.toolCalls.length > 0)
        this.#deliver(hook, 'tool_call_entire_request', told);
    }
  }

  stats(): HookStats {
    return {
      hooks: this.#caller.views(),
      deadLetters: this.#letters.list(),
      ...this.#deliveries.counts,
    };
  }

  retry(letterId: string): RetryRefusal | null {
    return this.#deliveries.retry(letterId);
  }

  signingSecret(entry: HookEntry): Secret | null {
    return this.#caller.signingSecret(entry);
  }

  close(graceMs = GRACE_MS): Promise<void> {
    return this.#deliveries.close(graceMs);
  }

  /** One hook's answer to one body; where it takes deltas, twice if it asks for everything. */
  async #askRequest(hook: BoundHook, request: HookRequest): Promise<AskedRequest> {
    const first = this.#plan(hook, 'pre_request', request, false);
    const asked = await this.#sendRequest(hook, request, first, first !== null);
    if (!asked.ok || asked.answer.action !== 'resend') return settle(asked, first, [asked.call]);
    const whole = this.#plan(hook, 'pre_request', request, true);
    const again = await this.#sendRequest(hook, request, whole, false);
    return settle(again, whole, [asked.call, again.call]);
  }

  #sendRequest(hook: BoundHook, request: HookRequest, plan: DeltaPlan | null, mayResend: boolean) {
    return this.#caller.call(
      hook.entry,
      build(() => requestPayload(hook, request, plan)),
      callFacts(hook, 'pre_request', request),
      (answer) => readRequestAnswer(answer, { mayResend, isJson: request.isJson }),
    );
  }

  #askTool(hook: BoundHook, call: HookToolCall, request: HookToolRequest, isText: boolean) {
    const redaction = redactionFor(hook, request);
    return this.#caller.call(
      hook.entry,
      build(() => {
        const shown = redaction === null ? call : concealCall(call, redaction);
        return toolCallPayload(hook, request, shown, request.request);
      }),
      callFacts(hook, 'tool_call', request),
      (answer) => readToolAnswer(answer, isText),
    );
  }

  #deliver(hook: BoundHook, event: HookEvent, completion: HookCompletion): void {
    const plan = this.#plan(hook, event, completion, false);
    const { requestId, loginName } = completion.metadata;
    const { principal, isKept } = completion;
    const delivery = { entry: hook.entry, event, requestId, loginName, principal, isKept };
    const payload = build(() => completionPayload(hook, completion, plan));
    if (Buffer.isBuffer(payload))
      this.#deliveries.push({ ...delivery, payload, onDelivered: () => plan?.commit() });
    else this.#deliveries.refuse(delivery, payload);
  }

  /** Null where the hook gets bodies whole. */
  #plan(hook: BoundHook, event: HookEvent, request: HookRequest, everything: boolean): DeltaPlan | null {
    if (!wantsDelta(hook) || !request.isJson) return null;
    const { sessionId, provider, model } = request.metadata;
    const { id, url } = hook.entry;
    const conversation = JSON.stringify([id, url, event, request.principal, sessionId, provider, model]);
    // Without a session nothing tells one conversation from another.
    return this.#memory.plan(conversation, request.body, everything || sessionId === '');
  }

  #started({ entry }: BoundHook, event: HookEvent, { metadata: { requestId } }: HookFacts): HookCall {
    const base = { hook: entry.id, event, requestId, at: this.#clock.now(), durationMs: 0 };
    return { ...base, outcome: 'started', fault: null, monitor: true };
  }
}

type AskedRequest = { readonly calls: readonly HookCall[] } & (
  | { readonly ok: true; readonly answer: RequestAnswer }
  | { readonly ok: false; readonly error: AppError<HookFault> }
);

const ALLOWED: Omit<ToolCallVerdict, 'calls'> = {
  action: 'allow',
  hook: null,
  message: null,
  argumentsText: null,
  fault: null,
};

/** Remembers what was let by, and puts back what a delta left out. */
function settle(
  asked:
    | { readonly ok: true; readonly answer: RequestAnswer }
    | { readonly ok: false; readonly error: AppError<HookFault> },
  plan: DeltaPlan | null,
  calls: readonly HookCall[],
): AskedRequest {
  if (!asked.ok) return { ok: false, error: asked.error, calls };
  const { answer } = asked;
  if (plan === null) return { ok: true, answer, calls };
  if (answer.action === 'allow') plan.commit();
  if (answer.action !== 'modify') return { ok: true, answer, calls };
  const body = plan.restore(answer.body);
  if (body !== null) return { ok: true, answer: { action: 'modify', body }, calls };
  const error = hookError('hook_answer_malformed', 'the hook changed a delta into something that is none');
  return { ok: false, error, calls };
}

/** What the facts' functions throw is our own fault, and must not let a request by unasked. */
function build(make: () => Buffer | AppError<HookFault>): Buffer | AppError<HookFault> {
  try {
    return make();
  } catch (error) {
    return hookError('hook_request_unsendable', 'the payload could not be put together', error);
  }
}

function callFacts(
  { entry }: BoundHook,
  event: HookEvent,
  { metadata, principal, signal }: HookFacts,
): CallFacts {
  const kind = entry.mode === 'monitor' ? 'watch' : 'wait';
  return { event, requestId: metadata.requestId, principal, attempt: 1, signal, kind };
}

/** For what goes on after the caller has left. */
function withoutSignal<Facts extends HookFacts>(facts: Facts): Facts {
  return { ...facts, signal: undefined };
}

function unavailable(hook: string): string {
  return `the hook "${hook}" must agree and could not be asked`;
}
