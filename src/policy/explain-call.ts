/** What would become of one tool call: each place that the model may be taken from, the rule, and what would change it. */
import type { CallStep, CandidateStep, ExplainedCall } from './explanation.ts';
import type { ToolAction, ToolDecision, ToolQuestion } from './governance.ts';
import type { Access } from './snapshot.ts';

/** From the mildest to the strictest. */
const STRICTNESS: readonly ToolAction[] = ['allow', 'rewrite', 'ask', 'deny'];

/** `candidates` are those of the explanation of the same caller and model. Total, as tool rules are. */
export function explainCall(
  access: Access,
  candidates: readonly CandidateStep[],
  question: ToolQuestion,
): ExplainedCall {
  const steps = candidates
    .filter(({ allowed }) => allowed)
    .map((step) => explainStep(access, step, question));
  return {
    tool: question.name,
    agent: question.agent,
    argumentsRead: question.arguments !== undefined,
    steps,
    fix: fixOf(steps),
  };
}

function explainStep(access: Access, { provider, model }: CandidateStep, question: ToolQuestion): CallStep {
  const tools = access.grant(provider, model)?.governance?.tools ?? null;
  const decision: ToolDecision = tools?.decide(question) ?? { action: 'allow', rule: null };
  const { action, rule } = decision;
  return {
    provider,
    model,
    action,
    rule: rule?.path ?? null,
    message: action === 'deny' ? (rule?.message ?? null) : null,
    approval: action === 'ask' ? (rule?.approval ?? null) : null,
    argumentsText: decision.arguments === undefined ? null : JSON.stringify(decision.arguments),
  };
}

/** For the strictest of the steps. */
function fixOf(steps: readonly CallStep[]): ExplainedCall['fix'] {
  const [strictest] = steps.toSorted((a, b) => STRICTNESS.indexOf(b.action) - STRICTNESS.indexOf(a.action));
  if (strictest === undefined) return { who: 'admin', what: 'grant the model first' };
  const rule = strictest.rule ?? 'the rule';
  switch (strictest.action) {
    case 'deny':
      return { who: 'admin', what: `change ${rule}, or put an exception above it in the same list` };
    case 'ask':
      return {
        who: 'admin',
        what: `a person decides by approvals "${strictest.approval ?? 'default'}"; to let it pass unasked, change ${rule}`,
      };
    case 'rewrite':
      return { who: 'admin', what: `change ${rule} to let the arguments pass as they are` };
    case 'allow':
    default:
      return { who: 'nobody', what: 'nothing to do' };
  }
}

/** Lines for a terminal, indented as the rest of an explanation. */
export function renderCall(call: ExplainedCall): readonly string[] {
  const agent = call.agent === null ? '' : ` by ${call.agent}`;
  const unread = call.argumentsRead
    ? ''
    : ' (arguments unknown: rules that refuse or ask hold in doubt, others do not)';
  const lines = call.steps.map((step) => {
    const rule = step.rule === null ? 'no rule holds' : `by ${step.rule}`;
    const approval = step.approval === null ? '' : `, approvals ${step.approval}`;
    const message = step.message === null ? '' : `, told ${JSON.stringify(step.message)}`;
    const changed = step.argumentsText === null ? '' : `, as ${step.argumentsText}`;
    return `    on ${step.provider}/${step.model}: ${step.action} (${rule}${approval}${message}${changed})`;
  });
  const fix = call.fix.who === 'nobody' ? [] : [`    fix (${call.fix.who}): ${call.fix.what}`];
  return [`  call of ${call.tool}${agent}${unread}:`, ...lines, ...fix];
}
