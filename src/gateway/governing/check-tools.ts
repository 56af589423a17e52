/**
 * Tools that the provider runs itself (web search, code execution, remote MCP) never come back as a
 * call: they are governed where the request declares them.
 */
import { requestTools, toolNames, withoutTools, type RequestTool } from '../../llm/request-text/index.ts';
import type { ToolDecision, ToolPolicy } from '../../policy/index.ts';
import type { RowDecision } from '../../store/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { AskedAnswer } from './tool-gate.ts';

export interface CheckedTools {
  /** The body without what is refused; the same bytes where nothing is. */
  readonly body: Buffer;
  readonly decisions: readonly RowDecision[];
}

/**
 * Takes refused tools out of the list, so that the agent works on without them. Throws
 * `approval_pending` and `approval_denied` for those that a person decides about.
 */
export async function checkProviderTools(
  request: LlmRequest,
  tools: ToolPolicy,
  ask: (tool: RequestTool, decision: ToolDecision) => Promise<AskedAnswer>,
): Promise<CheckedTools> {
  const { body, facts } = request;
  if (facts === null || facts.kind !== 'json') return { body, decisions: [] };
  const gone: RequestTool[] = [];
  const decisions: RowDecision[] = [];
  for (const tool of requestTools(body, facts)) {
    if (tool.kind !== 'provider') continue;
    // What the provider will be asked to do with it cannot be known: rules on arguments hold if they refuse.
    const question = {
      name: tool.name,
      argumentsText: '',
      arguments: undefined,
      agent: request.labels.agent,
    };
    const decision = strictest(tools, question, toolNames(tool));
    if (decision.action === 'allow') continue;
    const approvalId = decision.action === 'ask' ? await approvedBy(tool, await ask(tool, decision)) : null;
    if (approvalId === null) gone.push(tool);
    decisions.push({
      about: 'tool',
      name: tool.name,
      action: approvalId === null ? 'denied' : 'approved',
      rule: decision.rule?.path ?? null,
      approvalId,
    });
  }
  return { body: withoutTools(body, facts, gone), decisions };
}

/** Rules may name the tool as calls do, or by any way in which its provider writes it: the strictest answer holds. */
function strictest(
  tools: ToolPolicy,
  question: Parameters<ToolPolicy['decide']>[0],
  names: readonly string[],
): ToolDecision {
  const decisions = names.map((name) => tools.decide({ ...question, name }));
  const [first] = decisions;
  for (const action of ['deny', 'ask', 'rewrite'] as const) {
    const found = decisions.find((decision) => decision.action === action);
    if (found !== undefined) return found;
  }
  return first ?? { action: 'deny', rule: null };
}

async function approvedBy(tool: RequestTool, answer: AskedAnswer): Promise<string> {
  switch (answer.state) {
    case 'approved':
      return answer.approvalId;
    case 'pending':
      throw new Refused(
        'approval_pending',
        `the tool "${tool.name}" waits for approval ${answer.approvalId}${answer.link === null ? '' : `: ${answer.link}`}`,
      );
    case 'denied':
    case 'refused':
    default:
      throw new Refused(
        'approval_denied',
        `the tool "${tool.name}" is not approved: ${answer.reason ?? 'no reason was given'}`,
      );
  }
}
