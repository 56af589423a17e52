/** Guardrails on the texts of a request: blocked, or redacted in place. */
import type { Finding, Guardrails } from '../../guardrails/index.ts';
import { boundaryOf, readOutputLimit } from '../../llm/index.ts';
import { requestTexts, requestTools, withTexts } from '../../llm/request-text/index.ts';
import type { GuardrailEntry } from '../../policy/index.ts';
import type { RowDecision } from '../../store/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';

export interface CheckedTexts {
  readonly body: Buffer;
  readonly decisions: readonly RowDecision[];
}

/** Throws `content_blocked`, `surface_not_governed`. */
export function checkTexts(
  guardrails: Guardrails,
  request: LlmRequest,
  entries: readonly GuardrailEntry[],
  scope: string,
): CheckedTexts {
  const { body, facts, match, contentType } = request;
  const texts = requestTexts(match.format, body, facts, boundaryOf(contentType));
  if (typeof texts === 'string')
    throw new Refused(
      'surface_not_governed',
      `a guardrail holds for you, and the request cannot be looked into: ${texts.replaceAll('_', ' ')}`,
    );
  const checked = guardrails.checkRequest({
    entries,
    scope,
    body,
    texts,
    tools: facts === null ? 0 : requestTools(body, facts).length,
    outputTokens: readOutputLimit(match.format, body, facts).written,
  });
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
