/**
 * Step 7 for tool calls: what the rules, a hook and a person say of each call that a model asks for,
 * as the verdict that the answer's editor carries out.
 */
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { markRefusal, type ToolCall, type ToolGate, type ToolVerdict } from '../../llm/answer/index.ts';
import type { ToolDecision, ToolPolicy } from '../../policy/index.ts';
import { TOOL_NAME_MAX } from '../../policy/tool-policy.ts';
import type { CallVerdicts } from './refused-calls.ts';

/** A person's answer, as far as the gate needs it. */
export type AskedAnswer =
  | { readonly state: 'approved'; readonly approvalId: string; readonly edited?: ToolCall['arguments'] }
  | { readonly state: 'denied'; readonly approvalId: string | null; readonly reason: string | null }
  | { readonly state: 'pending'; readonly approvalId: string; readonly link: string | null }
  | { readonly state: 'refused'; readonly reason: string };

/** What became of one governed call, for the record. */
export interface GovernedCall {
  readonly tool: string;
  readonly action: 'allowed' | 'rewritten' | 'denied' | 'pending' | 'approved';
  /** The rule's place in the document; `hook:<name>` for a hook; null where none matched. */
  readonly rule: string | null;
  readonly approvalId: string | null;
}

export interface ToolGateOptions {
  readonly random: Random;
  /** The rules of the policy that is in force when it is asked: held calls are judged again at release. */
  readonly tools: () => ToolPolicy | null;
  /** A label; null if unknown. */
  readonly agent: string | null;
  /** Whose verdicts are remembered. */
  readonly owner: string;
  readonly verdicts: CallVerdicts;
  /** An answer that the provider kept is read again: nothing is asked anew. */
  readonly isReplay: boolean;
  /** The provider keeps this answer, so that it may be read again. */
  readonly isStored: boolean;
  readonly ask: (question: AskedQuestion) => AskedAnswer | Promise<AskedAnswer>;
  /** A hook that may veto; null where none is asked about calls. */
  readonly hook: ((call: ToolCall) => Promise<HookVerdict | null>) | null;
  readonly note: (call: GovernedCall) => void;
  /** Bytes of one answer that may wait for decisions. */
  readonly heldMaxBytes: number;
}

/** A call that a person is to decide about, with the arguments that would run. */
export interface AskedQuestion {
  readonly call: ToolCall;
  readonly decision: ToolDecision;
  /** The hook that asks, as `hook:<name>`, and what it says to the approver; null where a rule asks. */
  readonly hook: { readonly rule: string; readonly message: string | null } | null;
}

/** What a hook said of a call; null from `hook` where none objected. */
export interface HookVerdict {
  readonly name: string;
  readonly action: 'deny' | 'ask' | 'rewrite';
  readonly message: string | null;
  readonly arguments?: ToolCall['arguments'];
}

const ALLOW: ToolVerdict = { action: 'allow' };
const NAME_TOO_LONG = `its name has more than ${TOOL_NAME_MAX} characters, which is more than rules are made for; give the tool a shorter name`;

export function createToolGate(options: ToolGateOptions): ToolGate {
  return {
    governs: (name) => options.hook !== null || (options.tools()?.governs(name) ?? false),
    decide: (call) => new CallDecision(options, call).decide(),
    heldMaxBytes: options.heldMaxBytes,
    tooLargeText: refusal(options.random, 'a call', 'it is too large to be checked'),
  };
}

/** One call on its way through rules, hook and approval. */
class CallDecision {
  readonly #options: ToolGateOptions;
  readonly #call: ToolCall;
  /** A hook or a person had a say: the rules alone would not come to the same verdict again. */
  #wasAsked = false;

  constructor(options: ToolGateOptions, call: ToolCall) {
    this.#options = options;
    this.#call = call;
  }

  decide(): ToolVerdict | Promise<ToolVerdict> {
    const { isReplay, owner, verdicts, hook } = this.#options;
    const known = isReplay ? verdicts.of(owner, this.#call) : undefined;
    if (known !== undefined) return known;
    const decision = this.#byRules();
    // No rule can mean such a name, so none may let it pass.
    if (this.#call.name.length > TOOL_NAME_MAX)
      return this.#remembered(this.#deny(decision.rule?.path ?? null, NAME_TOO_LONG, null));
    if (hook === null || decision.action === 'deny') return this.#remembered(this.#carryOut(decision));
    return hook(this.#call).then((verdict) => {
      this.#wasAsked = true;
      const judged = verdict === null ? this.#carryOut(decision) : this.#withHook(decision, verdict);
      return this.#remembered(judged);
    });
  }

  #byRules(): ToolDecision {
    const { argumentsText, arguments: value } = this.#call;
    return this.#judge(argumentsText, value);
  }

  /** What the rules say of these arguments: the model's, or those that a person or a hook wrote in their place. */
  #judge(argumentsText: string, value: ToolCall['arguments']): ToolDecision {
    const { tools, agent } = this.#options;
    const decision = tools()?.decide({ name: this.#call.name, argumentsText, arguments: value, agent });
    return decision ?? { action: 'allow', rule: null };
  }

  /** The stricter of the two; a hook's own words where it objects. */
  #withHook(decision: ToolDecision, verdict: HookVerdict): ToolVerdict | Promise<ToolVerdict> {
    const rule = `hook:${verdict.name}`;
    if (verdict.action === 'deny') return this.#deny(rule, verdict.message, null);
    const edited = verdict.arguments ?? (decision.action === 'rewrite' ? decision.arguments : undefined);
    if (verdict.action === 'ask') {
      const asks = { rule, message: verdict.message };
      return edited === undefined
        ? this.#askPerson(askOf(decision), rule, asks)
        : this.#withHookEdit(decision, edited, { rule, asks });
    }
    if (verdict.arguments === undefined) return this.#deny(rule, null, null);
    return this.#withHookEdit(decision, verdict.arguments, { rule, asks: null });
  }

  /** The rules hold for what a hook wrote, and a person is shown that and not what the model asked for. */
  #withHookEdit(
    before: ToolDecision,
    edited: ToolCall['arguments'],
    { rule, asks }: { readonly rule: string; readonly asks: AskedQuestion['hook'] },
  ): ToolVerdict | Promise<ToolVerdict> {
    const argumentsText = JSON.stringify(edited ?? null);
    const now = this.#judge(argumentsText, edited);
    const byRules = before.action === 'ask' && now.action !== 'deny' ? before : now;
    if (byRules.action === 'allow' && asks === null) return this.#rewrite(rule, edited, null);
    const decision = asks === null || byRules.action === 'deny' ? byRules : askOf(byRules);
    const call = { ...this.#call, argumentsText, arguments: edited };
    const verdict = new CallDecision(this.#options, call).#carryOut(decision, asks);
    // Allowed is what was judged, which is not what the model wrote.
    const carried = (judged: ToolVerdict): ToolVerdict =>
      judged.action === 'allow' ? { action: 'rewrite', argumentsText } : judged;
    return verdict instanceof Promise ? verdict.then(carried) : carried(verdict);
  }

  #carryOut(decision: ToolDecision, hook: AskedQuestion['hook'] = null): ToolVerdict | Promise<ToolVerdict> {
    const rule = decision.rule?.path ?? hook?.rule ?? null;
    switch (decision.action) {
      case 'allow':
        this.#note('allowed', rule, null);
        return ALLOW;
      case 'rewrite':
        return this.#rewrite(rule, decision.arguments, null);
      case 'ask':
        return this.#askPerson(decision, rule, hook);
      case 'deny':
      default:
        return this.#deny(rule, decision.rule?.message ?? null, null);
    }
  }

  #askPerson(
    decision: ToolDecision,
    rule: string | null,
    hook: AskedQuestion['hook'],
  ): ToolVerdict | Promise<ToolVerdict> {
    // What nobody asked about before must not be asked by reading it again.
    if (this.#options.isReplay) return this.#deny(rule, 'it was not approved', null);
    this.#wasAsked = true;
    const answer = this.#options.ask({ call: this.#call, decision, hook });
    return answer instanceof Promise
      ? answer.then((later) => this.#afterAsking(later, rule, true))
      : this.#afterAsking(answer, rule, false);
  }

  #afterAsking(answer: AskedAnswer, rule: string | null, wasHeld: boolean): ToolVerdict {
    switch (answer.state) {
      case 'approved':
        // Policy may have become stricter while the call waited.
        if (wasHeld && this.#byRules().action === 'deny') return this.#deny(rule, null, answer.approvalId);
        if (answer.edited !== undefined) return this.#withEdit(answer.edited, rule, answer.approvalId);
        this.#note('approved', rule, answer.approvalId);
        return ALLOW;
      case 'denied':
        return this.#deny(rule, answer.reason ?? 'it was not approved', answer.approvalId);
      case 'pending':
        return this.#pending(rule, answer);
      case 'refused':
      default:
        return this.#deny(rule, answer.reason, null);
    }
  }

  /** Whoever approves decides what was asked; what the rules refuse, they may not write either. */
  #withEdit(edited: ToolCall['arguments'], rule: string | null, approvalId: string): ToolVerdict {
    const decision = this.#judge(JSON.stringify(edited ?? null), edited);
    return decision.action === 'deny'
      ? this.#deny(decision.rule?.path ?? rule, decision.rule?.message ?? null, approvalId)
      : this.#rewrite(rule, edited, approvalId);
  }

  #rewrite(rule: string | null, value: ToolCall['arguments'], approvalId: string | null): ToolVerdict {
    this.#note('rewritten', rule, approvalId);
    return { action: 'rewrite', argumentsText: JSON.stringify(value ?? null) };
  }

  #deny(rule: string | null, message: string | null, approvalId: string | null): ToolVerdict {
    this.#note('denied', rule, approvalId);
    const { random } = this.#options;
    return {
      action: 'deny',
      text: refusal(random, shown(this.#call.name), message ?? 'policy does not allow it'),
    };
  }

  #pending(rule: string | null, answer: AskedAnswer & { readonly state: 'pending' }): ToolVerdict {
    this.#note('pending', rule, answer.approvalId);
    const where = answer.link === null ? '' : ` at ${answer.link}`;
    const text = `The call of ${shown(this.#call.name)} was not made: it waits for approval ${answer.approvalId}${where}. Tell the user, and make exactly the same call again once it is approved.`;
    return { action: 'deny', text: markRefusal(text, reference(this.#options.random)) };
  }

  #note(action: GovernedCall['action'], rule: string | null, approvalId: string | null): void {
    this.#options.note({ tool: this.#call.name, action, rule, approvalId });
  }

  #remembered(verdict: ToolVerdict | Promise<ToolVerdict>): ToolVerdict | Promise<ToolVerdict> {
    if (verdict instanceof Promise) return verdict.then((later) => this.#remembered(later));
    const { owner, verdicts, isStored } = this.#options;
    verdicts.remember(owner, this.#call, verdict, isStored && this.#wasAsked);
    return verdict;
  }
}

/** A rule that asks stays the one that asks; where a hook does, no rule's entry of approvals is meant. */
function askOf(decision: ToolDecision): ToolDecision {
  return decision.action === 'ask' ? decision : { action: 'ask', rule: null };
}

function refusal(random: Random, what: string, why: string): string {
  const text = `The call of ${what} was refused by policy: ${why}. It was not made; do not repeat it as it is.`;
  return markRefusal(text, reference(random));
}

/** A name that a model wrote, for a text that people read. */
function shown(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 99)}…` : name);
}

/** By which a later turn finds the refusal again. */
function reference(random: Random): string {
  return encodeBase32(random.bytes(10));
}
