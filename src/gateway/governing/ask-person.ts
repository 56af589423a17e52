/** A call, or a tool that the provider would run, as a question to a person, and the answer as the gate knows it. */
import type { ApprovalAnswer, ApprovalDecision, ApprovalQuestion } from '../../approvals/index.ts';
import { describeError } from '../../base/errors.ts';
import { callerLabel, type Caller } from '../../identity/index.ts';
import {
  DEFAULT_APPROVAL,
  type ApprovalEntry,
  type PolicySnapshot,
  type ToolRule,
} from '../../policy/index.ts';
import type { GatewayParts } from '../ports.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { Route } from '../routing/choose-route.ts';
import { lastUserWords } from './last-user-text.ts';
import type { AskedAnswer } from './tool-gate.ts';

export interface AskContext {
  readonly caller: Caller;
  readonly policy: PolicySnapshot;
  readonly requestId: string;
  readonly request: LlmRequest;
  readonly route: Route;
}

/** What is asked about. */
export interface AskedCall {
  readonly name: string;
  readonly argumentsText: string;
  readonly arguments: ApprovalQuestion['arguments'];
}

/** A question to a person, by a rule or by a hook. */
export interface PersonQuestion {
  readonly call: AskedCall;
  readonly rule: ToolRule | null;
  /** The hook that asks, and what it says to the approver; null where a rule asks. */
  readonly hook: { readonly rule: string; readonly message: string | null } | null;
  readonly mode: 'hold' | 'pending';
}

/** The entry that a rule asks by; the default one where the document has none. */
export function approvalEntry(policy: PolicySnapshot, rule: ToolRule | null): ApprovalEntry {
  const name = rule?.approval ?? DEFAULT_APPROVAL.name;
  return policy.document.approvals.get(name) ?? DEFAULT_APPROVAL;
}

/**
 * Asks; a promise that lasts as long as the call is held. `onWaiting` gets what ends the waiting when
 * nobody waits any more. Never rejects: what goes wrong is a refusal.
 */
export async function askPerson(
  parts: GatewayParts,
  context: AskContext,
  question: PersonQuestion,
  onWaiting: (cancel: () => void) => void,
): Promise<AskedAnswer> {
  try {
    const answer = await parts.governing.approvals.ask(toQuestion(context, question));
    return await toAsked(parts, answer, onWaiting);
  } catch (error) {
    parts.logger.error('an approval could not be asked for', {
      request: context.requestId,
      error: describeError(error),
    });
    return { state: 'refused', reason: 'it needs approval, and nobody could be asked; try again' };
  }
}

function toQuestion(
  { caller, policy, requestId, request, route }: AskContext,
  { call, rule, hook, mode }: PersonQuestion,
): ApprovalQuestion {
  return {
    tailnet: caller.tailnet,
    requester: {
      principal: caller.principal,
      label: callerLabel(caller),
      deviceId: caller.device?.stableId ?? null,
      tokenId: caller.token?.id ?? null,
      agent: request.labels.agent,
      sessionId: request.labels.sessionId,
    },
    subject: { kind: 'tool', tool: call.name },
    argumentsText: call.argumentsText,
    arguments: call.arguments,
    context: {
      requestId,
      provider: route.provider.id,
      model: route.model,
      note: hook?.message ?? null,
      ...excerptOf(request, route),
    },
    entry: approvalEntry(policy, rule),
    rule: rule?.path ?? hook?.rule ?? null,
    mode,
  };
}

/**
 * What the user asked last, as it was sent: redacted where guardrails redact. Who may not have their prompts
 * kept has none of them shown to others either.
 */
function excerptOf(
  request: LlmRequest,
  { grant }: Route,
): Pick<ApprovalQuestion['context'], 'excerpt' | 'excerptWithheld'> {
  if (grant.capture === 'full') return { excerpt: lastUserWords(request), excerptWithheld: null };
  const excerptWithheld = `what was asked before is not shown: prompts of this caller are not kept (capture: ${grant.capture})`;
  return { excerpt: null, excerptWithheld };
}

async function toAsked(
  parts: GatewayParts,
  answer: ApprovalAnswer,
  onWaiting: (cancel: () => void) => void,
): Promise<AskedAnswer> {
  switch (answer.state) {
    case 'approved':
      return approved(answer);
    case 'pending':
      return { state: 'pending', approvalId: answer.id, link: parts.governing.approvalLink(answer.id) };
    case 'refused':
      return {
        state: 'refused',
        reason:
          answer.why === 'too_large' ? 'it is too large to be approved' : 'too many calls wait for approval',
      };
    case 'waiting':
    default:
      onWaiting(() => answer.cancel());
      return fromDecision(await answer.decision);
  }
}

function fromDecision(decision: ApprovalDecision): AskedAnswer {
  if (decision.state === 'approved') return approved(decision);
  const byItself = decision.why === 'deadline' ? 'nobody approved it in time' : null;
  return { state: 'denied', approvalId: decision.approvalId, reason: decision.reason ?? byItself };
}

function approved({
  approvalId,
  edited,
}: {
  readonly approvalId: string;
  readonly edited: AskedCall['arguments'];
}): AskedAnswer {
  return { state: 'approved', approvalId, ...(edited === undefined ? {} : { edited }) };
}
