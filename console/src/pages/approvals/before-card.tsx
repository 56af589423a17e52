/** What the same caller asked and did before, in the same session where there is one. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { Relative } from '../../format/index.ts';
import { Card, ErrorState, Skeleton, StateBadge } from '../../ui/index.ts';
import { approvalsQuery } from './approval-queries.ts';
import { type Approval, visible } from './approval-texts.ts';

const SHOWN = 5;

export function BeforeCard({ approval, isOwn }: { readonly approval: Approval; readonly isOwn: boolean }) {
  const { seesAll } = useAccess();
  const { principal, session_id: session, id } = approval;
  const ofSession = session === null ? {} : { session };
  const asked = useQuery(approvalsQuery({ of: 'all', principal, ...ofSession, limit: SHOWN + 1 }));
  const sees = isOwn || seesAll;
  const filter = { principal, ...ofSession, to: approval.created_at, limit: SHOWN };
  const calls = useQuery({
    queryKey: ['requests', 'list', filter],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/requests', { params: { query: filter }, signal })),
    enabled: sees,
  });
  const questions = (asked.data?.items ?? []).filter((other) => other.id !== id).slice(0, SHOWN);
  const requests = calls.data?.items ?? [];
  const asks = sees ? [asked, calls] : [asked];
  // An approver must not take for nothing what only did not come.
  const failed = asks.find(({ data, error }) => data === undefined && error !== null);
  const isComplete = asks.every(({ data }) => data !== undefined);
  return (
    <Card
      title="Before"
      hint={session === null ? 'From the same caller' : 'In the same session'}
      actions={
        sees &&
        session !== null && (
          <Link to={`/sessions/${encodeURIComponent(session)}?principal=${encodeURIComponent(principal)}`}>
            The session
          </Link>
        )
      }
    >
      {failed !== undefined ? (
        <ErrorState
          error={failed.error}
          what="What was before could not be loaded"
          retry={() => {
            for (const ask of asks) void ask.refetch();
          }}
        />
      ) : !isComplete ? (
        <Skeleton lines={3} label="Loading what was before" />
      ) : questions.length + requests.length === 0 ? (
        <p className="soft">
          {sees ? 'Nothing else was asked or called.' : 'Nothing else was asked that you may see.'}
        </p>
      ) : (
        <ul className="approval-before">
          {questions.map((other) => (
            <li key={other.id}>
              <StateBadge state={other.state} />
              <Link to={`/approvals/${encodeURIComponent(other.id)}`} className="stranger">
                {other.kind === 'request' ? 'A request' : visible(other.subject)}
              </Link>
              <code className="approval-line">{visible(other.preview)}</code>
              <span className="soft small-text">
                <Relative at={other.created_at} />
              </span>
            </li>
          ))}
          {requests.map((request) => (
            <li key={request.id}>
              <StateBadge state={request.outcome} />
              <Link to={`/requests/${encodeURIComponent(request.id)}`} className="stranger">
                {visible(request.model ?? request.requested_model ?? 'a request')}
              </Link>
              <span className="approval-line soft">
                {request.tool_calls.length === 0 ? '' : `called ${visible(request.tool_calls.join(', '))}`}
              </span>
              <span className="soft small-text">
                <Relative at={request.started_at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
