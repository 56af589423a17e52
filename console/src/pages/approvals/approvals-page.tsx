/** The inbox of decisions: what waits for me, what I asked for, and what was decided; live. */
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { MessageCircleQuestion } from 'lucide-react';
import { useAccess, useMe } from '../../access.ts';
import { useLive, useLiveState } from '../../api/live.ts';
import { pendingApprovalsQuery } from '../../api/queries.ts';
import { counted } from '../../format/index.ts';
import { boundsOf } from '../../time-range.ts';
import {
  Button,
  Card,
  DateRange,
  EmptyState,
  Loaded,
  Page,
  Pager,
  Select,
  Tabs,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { useDue } from '../../use-soon.ts';
import { choiceParam, optionalChoiceParam, rangeParam, textParam, useUrlState } from '../../url-state.ts';
import { ApprovalCard } from './approval-card.tsx';
import { approvalsQuery } from './approval-queries.ts';
import { KIND_NAMES } from './approval-texts.ts';
import { AskDialog } from './ask-dialog.tsx';
import { HistoryTable } from './history-table.tsx';
import './approvals.css';

const KINDS = ['tool', 'model', 'budget', 'request'] as const;
const ENDS = ['decided', 'approved', 'used', 'denied', 'expired', 'withdrawn', 'pending'] as const;
const PAGE_ROWS = 50;

export function ApprovalsPage() {
  const { isUser } = useAccess();
  const queries = useQueryClient();
  const [state, setState] = useUrlState({
    tab: choiceParam(['waiting', 'mine', 'history'], 'waiting'),
    ask: optionalChoiceParam(['model', 'budget']),
    model: textParam(),
    bucket: textParam(),
  });
  const waiting = useQuery(pendingApprovalsQuery('to_decide'));
  const liveness = useLiveState();
  useLive(['gap', 'approval.requested', 'approval.decided', 'approval.expired'], () => {
    void queries.invalidateQueries({ queryKey: ['approvals'] });
  });
  useDue(waiting.data?.items.map(({ expires_at: at }) => at) ?? [], () => {
    void queries.invalidateQueries({ queryKey: ['approvals'] });
  });
  const count = waiting.data?.items.length ?? 0;
  return (
    <Page
      title="Approvals"
      lead="What policy lets nobody do without a person: read the whole call, then decide. Nobody decides what they asked themselves."
      actions={
        <Button icon={MessageCircleQuestion} onPress={() => setState({ ask: 'model' }, { replace: true })}>
          Ask for more
        </Button>
      }
    >
      <Tabs
        label="Which approvals"
        tabs={[
          { id: 'waiting', label: count === 0 ? 'For you to decide' : `For you to decide (${count})` },
          { id: 'mine', label: 'You asked' },
          { id: 'history', label: 'History' },
        ]}
        value={state.tab}
        onChange={(tab) => setState({ tab })}
      >
        {state.tab === 'waiting' && <Inbox isLive={liveness === 'live'} />}
        {state.tab === 'mine' && <Mine />}
        {state.tab === 'history' && <History />}
      </Tabs>
      {state.ask !== null && (
        <AskDialog
          kind={state.ask}
          model={state.model}
          bucket={state.bucket}
          canAskBudget={isUser}
          onKind={(ask) => setState({ ask }, { replace: true })}
          onClose={() => setState({ ask: null, model: null, bucket: null }, { replace: true })}
          onAsked={() => setState({ ask: null, model: null, bucket: null, tab: 'mine' })}
        />
      )}
    </Page>
  );
}

function Inbox({ isLive }: { readonly isLive: boolean }) {
  const { mayApprove } = useAccess();
  const list = useQuery(pendingApprovalsQuery('to_decide'));
  return (
    <Loaded query={list} what="What waits could not be loaded">
      {({ items, next_cursor: more }) =>
        items.length === 0 ? (
          <Card title={null} label="Waiting for you">
            <EmptyState title="Nothing waits for you">
              {mayApprove ? (
                <p>
                  What a rule with the action <code>ask</code> stops appears here
                  {isLive ? ' by itself' : ''}, with who wants it, from which agent, and exactly what would
                  run.
                </p>
              ) : (
                <p>You are no approver. What you ask for yourself is under “You asked”.</p>
              )}
            </EmptyState>
          </Card>
        ) : (
          <>
            <ul className="approval-list" aria-label="Waiting for you">
              {items.map((approval) => (
                <ApprovalCard key={approval.id} approval={approval} />
              ))}
            </ul>
            {more !== null && <p className="soft">More wait than are shown: decide these first.</p>}
          </>
        )
      }
    </Loaded>
  );
}

function Mine() {
  const [{ cursor }, setState] = useUrlState({ cursor: textParam() });
  const list = useQuery({
    ...approvalsQuery({ of: 'mine', limit: PAGE_ROWS, ...(cursor === null ? {} : { cursor }) }),
    placeholderData: keepPreviousData,
  });
  return (
    <Card title={null} label="What you asked for" flush>
      <HistoryTable
        label="What you asked for"
        list={list}
        empty={
          <EmptyState title="You have asked for nothing">
            <p>
              A tool call of your agent that needs a person, a model that you were not granted, more budget:
              it is listed here, with what became of it.
            </p>
          </EmptyState>
        }
      />
      <Pager
        cursor={cursor}
        nextCursor={list.data?.next_cursor}
        onCursor={(next) => setState({ cursor: next })}
      />
    </Card>
  );
}

function History() {
  const { principal } = useMe();
  const [state, setState] = useUrlState({
    state: choiceParam(ENDS, 'decided'),
    kind: optionalChoiceParam(KINDS),
    principal: textParam(),
    subject: textParam(),
    session: textParam(),
    range: rangeParam('30d'),
    cursor: textParam(),
  });
  const filter = {
    state: state.state,
    ...boundsOf(state.range),
    limit: PAGE_ROWS,
    ...(state.kind === null ? {} : { kind: state.kind }),
    ...(state.principal === null ? {} : { principal: state.principal }),
    ...(state.subject === null ? {} : { subject: state.subject }),
    ...(state.session === null ? {} : { session: state.session }),
    ...(state.cursor === null ? {} : { cursor: state.cursor }),
  };
  const list = useQuery({ ...approvalsQuery(filter), placeholderData: keepPreviousData });
  const typed = (name: 'principal' | 'subject' | 'session') => (value: string) =>
    setState({ [name]: value === '' ? null : value, cursor: null }, { replace: true });
  const shown = list.data?.items.length ?? 0;
  return (
    <>
      <Toolbar label="Filters">
        <Select
          small
          label="State"
          options={ENDS.map((id) => ({ id, label: STATE_NAMES[id] }))}
          value={state.state}
          onChange={(value) => setState({ state: value, cursor: null })}
        />
        <Select
          small
          label="Kind"
          options={[{ id: 'any', label: 'Any kind' }, ...KINDS.map((id) => ({ id, label: KIND_NAMES[id] }))]}
          value={state.kind ?? 'any'}
          onChange={(value) => setState({ kind: KINDS.find((kind) => kind === value) ?? null, cursor: null })}
        />
        <TextField
          small
          label="Who asked"
          value={state.principal ?? ''}
          onChange={typed('principal')}
          placeholder={principal}
          maxLength={200}
        />
        <TextField
          small
          label="Tool, model or bucket"
          value={state.subject ?? ''}
          onChange={typed('subject')}
          placeholder="Bash"
          maxLength={200}
        />
        <TextField
          small
          label="Session"
          value={state.session ?? ''}
          onChange={typed('session')}
          maxLength={200}
        />
        <DateRange value={state.range} onChange={(range) => setState({ range, cursor: null })} />
      </Toolbar>
      <Card title={null} label="History" flush>
        <HistoryTable
          label="Approvals"
          list={list}
          empty={
            <EmptyState title="Nothing that fits">
              <p>
                Every question is kept for 400 days after its end, with who decided it and why. Choose a
                longer time, or fewer filters.
              </p>
            </EmptyState>
          }
        />
        <Pager
          cursor={state.cursor}
          nextCursor={list.data?.next_cursor}
          onCursor={(cursor) => setState({ cursor })}
          {...(shown === 0 ? {} : { shown: counted(shown, 'approval') })}
        />
      </Card>
    </>
  );
}

const STATE_NAMES: Readonly<Record<(typeof ENDS)[number], string>> = {
  decided: 'All that ended',
  approved: 'Approved, not used up',
  used: 'Approved and done',
  denied: 'Denied',
  expired: 'Expired',
  withdrawn: 'Taken back',
  pending: 'Still waiting',
};
