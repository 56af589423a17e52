/** My sessions in which something happened within the last quarter of an hour; running requests are counted by events. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { MessagesSquare } from 'lucide-react';
import { useMe } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { useLive, useLiveState } from '../../api/live.ts';
import { Money, Relative, Tokens } from '../../format/index.ts';
import { Badge, Card, type Column, DataTable, EmptyState, LinkButton } from '../../ui/index.ts';
import { useSoon } from '../../use-soon.ts';

const SHOWN_MAX = 5;
/** 15 min: a person reads what an agent did, then goes on. */
const RUNNING_MS = 15 * 60_000;

function mySessionsQuery(principal: string) {
  return queryOptions({
    queryKey: ['sessions', 'mine', principal],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/sessions', { params: { query: { principal, limit: SHOWN_MAX } }, signal })),
  });
}

const COLUMNS: readonly Column<Schema<'Session'>>[] = [
  {
    id: 'session',
    head: 'Session',
    priority: 1,
    cell: (session) => <span className="stranger">{session.id}</span>,
  },
  {
    id: 'state',
    head: '',
    priority: 1,
    cell: ({ last_at: at }) =>
      Date.now() - Date.parse(at) < RUNNING_MS ? <Badge tone="info">running</Badge> : null,
  },
  { id: 'agent', head: 'Agent', cell: ({ agent }) => <span className="stranger">{agent ?? '–'}</span> },
  { id: 'last', head: 'Last', cell: ({ last_at: at }) => <Relative at={at} /> },
  { id: 'requests', head: 'Requests', isNumber: true, cell: ({ requests }) => <Tokens count={requests} /> },
  {
    id: 'tokens',
    head: 'Tokens',
    isNumber: true,
    priority: 3,
    cell: (session) => <Tokens count={session.input_tokens + session.output_tokens} />,
  },
  { id: 'cost', head: 'Cost', isNumber: true, cell: ({ cost_nano_usd: nano }) => <Money nano={nano} /> },
];

export function SessionsCard() {
  const { principal } = useMe();
  const sessions = useQuery(mySessionsQuery(principal));
  const refetchSoon = useSoon(() => void sessions.refetch());
  const state = useLiveState();
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  useLive(['gap', 'request.started', 'request.finished'], (event) => {
    if (event.name === 'gap') setOpen(new Set());
    else if (event.data.principal === principal)
      setOpen((before) => {
        const after = new Set(before);
        if (event.name === 'request.started') after.add(event.data.id);
        else after.delete(event.data.id);
        return after;
      });
    refetchSoon();
  });
  return (
    <Card
      flush
      title="My sessions"
      hint={
        <span role="status">
          {state === 'live'
            ? `${open.size === 0 ? 'Nothing' : open.size} under way now`
            : 'Not live at the moment'}
        </span>
      }
      actions={
        <LinkButton to="/sessions" small kind="quiet">
          All sessions
        </LinkButton>
      }
    >
      <DataTable
        label="My sessions"
        columns={COLUMNS}
        rows={sessions.data?.items}
        rowId={({ id }) => id}
        rowHref={({ id }) => `/sessions/${encodeURIComponent(id)}`}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        empty={
          <EmptyState title="No sessions yet" icon={MessagesSquare}>
            Agents such as Claude Code and Codex name their session with every request; each is then one line
            here.
          </EmptyState>
        }
      />
    </Card>
  );
}
