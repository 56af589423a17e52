/** Approvals that wait for me, and what I asked for and still wait for. Shown only where there is something. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import type { Schema } from '../../api/client.ts';
import { pendingApprovalsQuery } from '../../api/queries.ts';
import { useLive } from '../../api/live.ts';
import { counted, Relative } from '../../format/index.ts';
import { Badge, Card, ErrorState, LinkButton } from '../../ui/index.ts';

const SHOWN_MAX = 5;
/** Letters of a name; the approval itself has all. */
const NAME_MAX = 120;

export function WaitingCard() {
  const toDecide = useQuery(pendingApprovalsQuery('to_decide'));
  const mine = useQuery(pendingApprovalsQuery('mine'));
  // Those to decide are asked for again by the navigation, which counts them.
  useLive(['gap', 'approval.requested', 'approval.decided', 'approval.expired'], () => {
    void mine.refetch();
    void toDecide.refetch({ cancelRefetch: false });
  });
  const waiting = toDecide.data?.items ?? [];
  const asked = mine.data?.items ?? [];
  const failed = [toDecide, mine].find(({ data, error }) => data === undefined && error !== null);
  if (failed !== undefined)
    return (
      <Card title="Waiting">
        <ErrorState
          error={failed.error}
          what="What waits for you could not be loaded"
          retry={() => {
            void mine.refetch();
            void toDecide.refetch();
          }}
        />
      </Card>
    );
  if (waiting.length + asked.length === 0) return null;
  return (
    <Card
      title="Waiting"
      hint={
        waiting.length > 0 ? `${counted(waiting.length, 'approval')} for you to decide` : 'What you asked for'
      }
      actions={
        <LinkButton to="/approvals" small kind={waiting.length > 0 ? 'primary' : 'quiet'}>
          {waiting.length > 0 ? 'Decide' : 'Approvals'}
        </LinkButton>
      }
    >
      <ul className="waiting">
        {waiting.slice(0, SHOWN_MAX).map((approval) => (
          <Waiting key={approval.id} approval={approval} isMine={false} />
        ))}
        {asked
          .filter(({ id }) => !waiting.some((other) => other.id === id))
          .slice(0, SHOWN_MAX)
          .map((approval) => (
            <Waiting key={approval.id} approval={approval} isMine />
          ))}
      </ul>
    </Card>
  );
}

const KINDS = { tool: 'tool call', model: 'model', budget: 'budget', request: 'request' } as const;

function Waiting({ approval, isMine }: { readonly approval: Schema<'Approval'>; readonly isMine: boolean }) {
  const { id, kind, subject, preview, label, agent, expires_at: expiresAt } = approval;
  return (
    <li>
      <Badge tone={isMine ? 'neutral' : 'warn'}>{isMine ? `your ${KINDS[kind]}` : KINDS[kind]}</Badge>
      <Link to={`/approvals/${encodeURIComponent(id)}`} className="stranger">
        {subject === '' ? 'A whole request' : subject.slice(0, NAME_MAX)}
      </Link>
      <span className="soft stranger waiting-preview">{preview}</span>
      <span className="soft small-text stranger">
        {isMine
          ? ''
          : `${label.slice(0, NAME_MAX)}${agent === null ? '' : ` (${agent.slice(0, NAME_MAX)})`} · `}
        ends <Relative at={expiresAt} />
      </span>
    </li>
  );
}
