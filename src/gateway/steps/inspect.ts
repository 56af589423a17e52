/** Step 7: what holds for the answer as it streams: tool calls, and the budget that pays for it. */
import type { Caller } from '../../identity/index.ts';
import type { AnswerGuard } from '../../guardrails/index.ts';
import type { Meter } from '../../llm/index.ts';
import {
  refusedGeminiTurn,
  refusedTurn,
  type RefusedCall,
  type TextKind,
  type ToolGate,
} from '../../llm/answer/index.ts';
import type { Access, Governance, PolicySnapshot } from '../../policy/index.ts';
import type { Exchange } from '../exchange.ts';
import { askPerson, type AskContext } from '../governing/ask-person.ts';
import { toDecision } from '../governing/check-texts.ts';
import { ErrorAnswer } from '../governing/error-answer.ts';
import { inspectAnswer, type Inspection } from '../governing/inspection.ts';
import { ownerOf } from '../governing/owner.ts';
import { isStored } from '../governing/stored-answer.ts';
import { createToolGate } from '../governing/tool-gate.ts';
import type { RowDecision } from '../../store/index.ts';
import type { GatewayParts } from '../ports.ts';
import type { Answer, AnswerRules } from '../relay.ts';
import { callAsker, tellAfter, wantsAnswer } from '../governing/ask-hooks.ts';
import type { BucketUse } from '../../quotas/index.ts';
import type { Settlement } from './settle.ts';
import { governsAnswer, governsCalls, looksAtAnswers } from './guard.ts';
import type { LlmRequest } from './read-request.ts';
import { budgetHeaders, type Budget } from './reserve.ts';
import type { LlmRoute } from './route.ts';

export interface InspectInput {
  readonly exchange: Exchange;
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly governance: Governance;
  readonly budget: Budget | null;
  readonly uses: readonly BucketUse[];
  /** What was decided on the way here. */
  readonly decisions: readonly RowDecision[];
}

/** Kept with the row; more calls in one answer are a model gone wild. */
const DECISIONS_MAX = 100;
/** Characters of a tool's name that are kept: a model may write any. */
const NAME_MAX = 512;
/** Bytes of one answer that may wait for decisions. */
const HELD_MAX_BYTES = 4 * 1024 * 1024;
/**
 * Tokens that one UTF-16 unit of text may be at most while they are only counted, not reported: one in
 * most scripts, two in rare ones and for pictograms. What was reserved too much comes back at the end.
 */
const TOKENS_PER_CHAR_MAX = 2;
/** Bytes of an answer that is checked whole. */
const WHOLE_MAX_BYTES = 32 * 1024 * 1024;

/** The rules on one answer, and what became of its calls. */
export class AnswerGovernor implements AnswerRules {
  readonly headers: readonly string[];
  readonly decisions: RowDecision[] = [];
  readonly #parts: GatewayParts;
  readonly #input: InspectInput;
  readonly #waiting = new Set<() => void>();
  #isGone = false;
  #inspection: Inspection | null = null;
  #guard: AnswerGuard | null = null;

  constructor(parts: GatewayParts, input: InspectInput) {
    this.#parts = parts;
    this.#input = input;
    this.decisions.push(...input.decisions);
    this.headers = input.budget === null ? [] : budgetHeaders(parts, input.budget);
  }

  get refused(): readonly RefusedCall[] {
    return this.#inspection?.refused ?? [];
  }

  inspect(contentType: string | null, isPlain: boolean, status: number): Inspection | null {
    const { governance, request, route } = this.#input;
    const guard = this.#textGuard();
    if (status >= 300) {
      this.#inspection = guard === null ? null : new ErrorAnswer(guard, isPlain);
      return this.#inspection;
    }
    const terms = {
      guard,
      format: request.match.format,
      model: route.model,
      streamed: request.streamed,
      edits: () => ({
        tools: governsCalls(governance, request.match.format) ? this.#toolGate() : null,
        text: guard === null ? null : (kind: TextKind) => guard.text(kind),
      }),
      wholeMaxBytes: WHOLE_MAX_BYTES,
    };
    this.#inspection = inspectAnswer(terms, contentType, isPlain);
    return this.#inspection;
  }

  /** Null where no guardrail looks at answers, and nothing of the request is to be restored. */
  #textGuard(): AnswerGuard | null {
    const { governance, caller } = this.#input;
    if (governance.guardrails.length === 0) return null;
    this.#guard = this.#parts.governing.guardrails.guardAnswer({
      entries: governance.guardrails,
      scope: ownerOf(caller),
    });
    return this.#guard;
  }

  mayGoOn(meter: Meter): boolean {
    const { budget } = this.#input;
    if (budget === null || !budget.metered) return true;
    return budget.reservation.spend((meter.outputChars ?? 0) * TOKENS_PER_CHAR_MAX) === 'go on';
  }

  get inspects(): boolean {
    const { governance, request } = this.#input;
    return governsAnswer(governance, request.match.format);
  }

  get inspectsErrors(): boolean {
    return this.#input.governance.guardrails.some(looksAtAnswers);
  }

  get keepsAnswer(): boolean {
    return wantsAnswer(this.#input.governance);
  }

  /** The hooks that are told of whole answers. */
  tellHooks(answer: Answer, settlement: Settlement | null): void {
    tellAfter(this.#parts, this.#input, { answer, settlement });
  }

  gone(): void {
    this.#isGone = true;
    for (const finding of this.#guard?.findings() ?? []) this.#note(toDecision(finding));
    for (const cancel of this.#waiting) cancel();
    this.#waiting.clear();
  }

  #toolGate(): ToolGate {
    const { policy, caller, request, route, exchange } = this.#input;
    const context: AskContext = { caller, policy, requestId: exchange.id, request, route };
    // Whole answers cannot be kept alive while a person thinks.
    const mode = request.streamed ? 'hold' : 'pending';
    return createToolGate({
      random: this.#parts.random,
      tools: () => this.#rulesOfNow(),
      agent: request.labels.agent,
      owner: ownerOf(caller),
      verdicts: this.#parts.governing.verdicts,
      isReplay: request.match.format === 'openai_objects',
      isStored: isStored(request),
      ask: ({ call, decision: { rule }, hook: asks }) =>
        askPerson(this.#parts, context, { call, rule, hook: asks, mode }, (cancel) => this.#await(cancel)),
      hook: callAsker(this.#parts, this.#input),
      note: ({ tool, ...decided }) =>
        this.#note({ about: 'tool_call', name: tool.slice(0, NAME_MAX), ...decided }),
      heldMaxBytes: HELD_MAX_BYTES,
    });
  }

  /** The caller may have left while the question was on its way to the store. */
  #await(cancel: () => void): void {
    if (this.#isGone) cancel();
    else this.#waiting.add(cancel);
  }

  #note(decision: RowDecision): void {
    if (this.decisions.length < DECISIONS_MAX) this.decisions.push(decision);
  }

  /** The policy may have changed while a call waited; a right that is gone leaves no rule that could allow. */
  #rulesOfNow(): Governance['tools'] {
    const { policy, caller, route, governance } = this.#input;
    const now = this.#parts.policy.current();
    if (now === policy) return governance.tools;
    const grant = now.accessOf(caller).grant(route.provider.id, route.model);
    return grant === null ? NOTHING_ALLOWED : (grant.governance?.tools ?? null);
  }
}

const NOTHING_ALLOWED: NonNullable<Governance['tools']> = {
  rules: [],
  governs: () => true,
  decide: () => ({ action: 'deny', rule: null }),
};

/** After the answer: what later turns must know of the calls that were refused in it. */
export function learnRefusals(
  { governing }: GatewayParts,
  { caller, request }: { readonly caller: Caller; readonly request: LlmRequest },
  refused: readonly RefusedCall[],
  answer: Answer,
): void {
  if (refused.length === 0) return;
  const conversation = request.facts?.member('conversation');
  const turn = isGemini(request)
    ? refusedGeminiTurn(refused)
    : refusedTurn({
        responseId: answer.meter?.responseId ?? null,
        conversationId: conversationIdOf(conversation),
        refused,
      });
  if (turn !== null) governing.refusals.add(ownerOf(caller), turn);
}

function isGemini({ match }: LlmRequest): boolean {
  return match.format === 'gemini_generate_content' || match.format === 'google_generate_content';
}

/** `"conv_1"` or `{"id": "conv_1"}`. */
function conversationIdOf(conversation: unknown): string | null {
  if (typeof conversation === 'string') return conversation;
  const isObject = typeof conversation === 'object' && conversation !== null && 'id' in conversation;
  return isObject && typeof conversation.id === 'string' ? conversation.id : null;
}
