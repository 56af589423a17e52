/** Guardrails on the texts of a request: blocked, or redacted in place. */
import { LARGE_FROM_BYTES, type Finding, type Guardrails } from '../../guardrails/index.ts';
import { boundaryOf, readOutputLimit } from '../../llm/index.ts';
import { requestTexts, requestTools, withTexts } from '../../llm/request-text/index.ts';
import type { GuardrailEntry } from '../../policy/index.ts';
import type { RowDecision } from '../../store/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { isStored } from './stored-answer.ts';

export interface CheckedTexts {
  readonly body: Buffer;
  readonly decisions: readonly RowDecision[];
}

export interface TextRules {
  readonly entries: readonly GuardrailEntry[];
  /** Whose placeholders. */
  readonly scope: string;
  /** What was redacted may be kept over a restart, where the provider keeps the conversation. */
  readonly mayKeep: boolean;
}

/** Rejects with `content_blocked`, `surface_not_governed`. */
export async function checkTexts(
  guardrails: Guardrails,
  request: LlmRequest,
  { entries, scope, mayKeep }: TextRules,
): Promise<CheckedTexts> {
  const { body, facts, match, contentType } = request;
  const texts = requestTexts(match.format, body, facts, boundaryOf(contentType));
  if (typeof texts === 'string')
    throw new Refused(
      'surface_not_governed',
      `a guardrail holds for you, and the request cannot be looked into: ${texts.replaceAll('_', ' ')}`,
    );
  const question = {
    entries,
    scope,
    body,
    texts,
    tools: facts === null ? 0 : requestTools(body, facts).length,
    outputTokens: readOutputLimit(match.format, body, facts).written,
    isStored: mayKeep && isStored(request),
  };
  const checked =
    body.length < LARGE_FROM_BYTES
      ? guardrails.checkRequest(question)
      : await guardrails.checkLargeRequest(question);
  if (checked.blocked !== null) {
    const { kind, message, guardrail } = checked.blocked;
    throw new Refused(kind === 'surface_not_governed' ? kind : 'content_blocked', message, {
      rule: `guardrails.${guardrail}`,
    });
  }
  return { body: withTexts(body, checked.edits), decisions: checked.findings.map(toDecision) };
}

const ACTIONS = { allow: 'allowed', flag: 'flagged', block: 'blocked', redact: 'redacted' } as const;

/** For the record: what was found and how often, never the value. */
export function toDecision({ guardrail, kind, direction, action, count }: Finding): RowDecision {
  return {
    about: 'guardrail',
    name: `${guardrail}: ${count} ${kind} in ${direction}`,
    action: ACTIONS[action],
    rule: `guardrails.${guardrail}`,
    approvalId: null,
  };
}
