/** Why there is no answer, and the way on. */
import { LinkButton, Notice } from '../../ui/index.ts';
import type { Run } from './run.ts';

export function RefusalNotice({ run, model }: { readonly run: Run; readonly model: string }) {
  const approval = /\bapr_[a-z0-9]+/.exec(run.message ?? '')?.[0];
  const reason = run.reason ?? '';
  return (
    <Notice tone="bad">
      <p className="answer-refusal-title">
        {run.state === 'refused' ? `Refused${run.status === null ? '' : ` (${run.status})`}` : 'Failed'}
        {reason !== '' && <code>{reason}</code>}
      </p>
      <p className="stranger answer-message">{run.message}</p>
      {reason.startsWith('budget_') && (
        <LinkButton to="/approvals?ask=budget" small>
          Ask for more budget
        </LinkButton>
      )}
      {reason === 'model_not_available' && (
        <LinkButton to={`/approvals?ask=model&model=${encodeURIComponent(model)}`} small>
          Ask for this model
        </LinkButton>
      )}
      {approval !== undefined && (
        <LinkButton to={`/approvals/${approval}`} small>
          The approval
        </LinkButton>
      )}
    </Notice>
  );
}
