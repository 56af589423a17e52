/**
 * One approval. Opening it only shows; what the call holds is read in person, and then decided here
 * (DESIGN section 5), so that no link and no agent can decide anything.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { useNavigate, useParams } from 'react-router';
import { useMe } from '../../access.ts';
import { useLive } from '../../api/live.ts';
import { pendingApprovalsQuery } from '../../api/queries.ts';
import { Relative, Time } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Card, Facts, LinkButton, Loaded, Mono, Notice, Page, StateBadge } from '../../ui/index.ts';
import { useDue } from '../../use-soon.ts';
import { flagParam, useUrlState } from '../../url-state.ts';
import { approvalQuery, readInPerson, withdrawApproval } from './approval-queries.ts';
import { type ApprovalDetail, KIND_NAMES, stateText, titleOf, visible } from './approval-texts.ts';
import { BeforeCard } from './before-card.tsx';
import { CallCard } from './call-card.tsx';
import { DecisionForm } from './decision-form.tsx';
import './approvals.css';

export function ApprovalPage() {
  const { id = '' } = useParams();
  const approval = useQuery(approvalQuery(id));
  const queries = useQueryClient();
  useLive(['gap', 'approval.decided', 'approval.expired'], (event) => {
    if (event.name === 'gap') {
      // Reading the words of others is recorded, so a connection that opened is no reason to read again.
      if (approval.data?.state === 'pending' && approval.data.content !== 'shown') void approval.refetch();
      return;
    }
    void queries.invalidateQueries({ queryKey: ['approvals'] });
    const { data } = approval;
    if (event.data.id !== id || data === undefined) return;
    // The viewer's own decision is shown already.
    if (event.data['state'] !== data.state || event.data['votes'] !== data.votes.length)
      void approval.refetch();
  });
  useLapse(approval.data);
  return (
    <Page
      title={approval.data === undefined ? 'Approval' : titleOf(approval.data)}
      parent={{ to: '/approvals', label: 'Approvals' }}
    >
      <Loaded query={approval} what="The approval could not be loaded">
        {(detail) => <Opened key={id} detail={detail} />}
      </Loaded>
    </Page>
  );
}

/** Shows a question as expired as soon as it is, by the server's clock. */
function useLapse(detail: ApprovalDetail | undefined): void {
  const queries = useQueryClient();
  const { principal } = useMe();
  const { queryKey } = approvalQuery(detail?.id ?? '');
  useDue(detail?.state === 'pending' ? [detail.expires_at] : [], () => {
    if (detail === undefined) return;
    if (detail.content !== 'shown' || detail.principal === principal) {
      void queries.invalidateQueries({ queryKey });
      return;
    }
    // Reading the words of others once more would be recorded; the list tells as well that it waits no more.
    queries.fetchQuery({ ...pendingApprovalsQuery('to_decide'), staleTime: 0 }).then(
      ({ items, next_cursor: more }) => {
        if (more === null && !items.some(({ id }) => id === detail.id))
          queries.setQueryData(queryKey, {
            ...detail,
            state: 'expired' as const,
            decided_at: detail.expires_at,
          });
      },
      () => undefined,
    );
  });
}

function Opened({ detail }: { readonly detail: ApprovalDetail }) {
  const queries = useQueryClient();
  const { principal } = useMe();
  const [{ read }, setState] = useUrlState({ read: flagParam() });
  const isOwn = detail.principal === principal;
  const look = useAction({
    run: () => readInPerson(detail.id),
    done: null,
    onDone: (shown) => queries.setQueryData(approvalQuery(detail.id).queryKey, shown),
  });
  // "Look and decide" of the list leads here to read at once; a link from outside waits for a press.
  const isAsked = useRef(false);
  const startsReading = read && detail.content === 'presence_required';
  const { start } = look;
  useEffect(() => {
    if (!read || isAsked.current) return;
    isAsked.current = true;
    setState({ read: false }, { replace: true });
    if (startsReading && cameFromHere()) start();
  }, [read, startsReading, start, setState]);
  return (
    <div className="approval-grid">
      <div className="approval-column">
        <CallCard detail={detail} onLook={() => look.start()} isLooking={look.isBusy} />
        <Deciding detail={detail} isOwn={isOwn} />
      </div>
      <div className="approval-column">
        <FactsCard detail={detail} isOwn={isOwn} />
        <BeforeCard approval={detail} isOwn={isOwn} />
      </div>
    </div>
  );
}

/** The router writes `idx` above 0 for a place that was reached within this window. */
function cameFromHere(): boolean {
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && 'idx' in state && Number(state.idx) > 0;
}

function Deciding({ detail, isOwn }: { readonly detail: ApprovalDetail; readonly isOwn: boolean }) {
  const { principal } = useMe();
  if (detail.state !== 'pending')
    return (
      <>
        <Notice tone={detail.state === 'denied' ? 'bad' : detail.state === 'expired' ? 'warn' : 'info'}>
          <p className="stranger">It is {stateText(detail)}.</p>
        </Notice>
        {isOwn && detail.state === 'approved' && <TakeBack detail={detail} />}
        <NextOne after={detail.id} />
      </>
    );
  if (detail.may_decide && !detail.votes.some(({ by }) => by === principal))
    return <DecisionForm key={detail.edits} detail={detail} />;
  if (detail.may_decide)
    return (
      <>
        <Notice tone="good">
          <p>
            You have approved it; {Math.max(1, detail.quorum - detail.votes.length)} more must. You may still
            deny it.
          </p>
        </Notice>
        <DecisionForm detail={detail} onlyDeny />
      </>
    );
  return (
    <>
      <Notice tone="info">
        <p>
          {isOwn
            ? 'You asked for this yourself, so somebody else decides.'
            : 'You can see this one, but you are not one of its approvers.'}
        </p>
      </Notice>
      {isOwn && <TakeBack detail={detail} />}
    </>
  );
}

function TakeBack({ detail }: { readonly detail: ApprovalDetail }) {
  const queries = useQueryClient();
  const withdraw = useAction({
    run: () => withdrawApproval(detail.id),
    done: 'Taken back.',
    changes: ['approvals'],
    onDone: () => void queries.invalidateQueries({ queryKey: ['approval', detail.id] }),
  });
  return (
    <p>
      <Button busy={withdraw.isBusy} onPress={() => withdraw.start()}>
        Take it back
      </Button>
    </p>
  );
}

/** After a decision: what waits next, without going back to the list. */
function NextOne({ after }: { readonly after: string }) {
  const waiting = useQuery(pendingApprovalsQuery('to_decide'));
  const others = (waiting.data?.items ?? []).filter(({ id }) => id !== after);
  const next = others.at(-1);
  if (next === undefined) return null;
  return (
    <p>
      <LinkButton to={`/approvals/${encodeURIComponent(next.id)}`} kind="primary">
        {`Next: ${others.length} more ${others.length === 1 ? 'waits' : 'wait'}`}
      </LinkButton>
    </p>
  );
}

function FactsCard({ detail, isOwn }: { readonly detail: ApprovalDetail; readonly isOwn: boolean }) {
  const navigate = useNavigate();
  const text = (value: string | null) => (
    <span className="stranger">{value === null ? '–' : visible(value)}</span>
  );
  const facts: (readonly [string, React.ReactNode])[] = [
    ['State', <StateBadge key="state" state={detail.state} />],
    ['Kind', KIND_NAMES[detail.kind]],
    ['Who', text(detail.label === detail.principal ? detail.label : `${detail.label} (${detail.principal})`)],
    ['Agent', text(detail.agent)],
    ['Session', text(detail.session_id)],
    ...(detail.kind === 'model' ? [] : ([['Model', text(detail.model)]] as const)),
    ['Asked', <Time key="asked" at={detail.created_at} />],
    detail.state === 'pending'
      ? ([
          'Ends',
          <span key="ends">
            <Relative at={detail.expires_at} />
            {detail.held ? '; a stream waits for it' : ''}
          </span>,
        ] as const)
      : (['Decided', detail.decided_at === null ? '–' : <Time key="at" at={detail.decided_at} />] as const),
    ['Rule', detail.rule === null ? '–' : <Mono key="rule">{detail.rule}</Mono>],
    ...(detail.quorum > 1 ? ([['Needs', `${detail.quorum} people who approve`]] as const) : []),
    ...(detail.used_at === null ? [] : ([['Used', <Time key="used" at={detail.used_at} />]] as const)),
  ];
  return (
    <Card
      title="Context"
      actions={
        detail.request_id !== null && (
          <Button
            small
            kind="quiet"
            onPress={() => void navigate(`/requests/${encodeURIComponent(detail.request_id ?? '')}`)}
          >
            {isOwn ? 'My request' : 'The request'}
          </Button>
        )
      }
    >
      <Facts facts={facts} />
      <Votes detail={detail} />
    </Card>
  );
}

function Votes({ detail: { votes } }: { readonly detail: ApprovalDetail }) {
  if (votes.length === 0) return null;
  return (
    <ul className="approval-votes" aria-label="Decisions">
      {votes.map((vote) => (
        <li key={`${vote.by}${vote.at}`} className="stranger">
          <StateBadge state={vote.verdict === 'deny' ? 'denied' : 'approved'} /> by {visible(vote.by_label)}
          {vote.edited ? ', with a change' : ''}
          {vote.verdict === 'approve' && vote.scope !== 'once' ? `, for a ${vote.scope}` : ''}{' '}
          <span className="soft">
            <Relative at={vote.at} />, in person by {vote.presence}
          </span>
          {vote.reason !== null && <blockquote>{visible(vote.reason)}</blockquote>}
        </li>
      ))}
    </ul>
  );
}
