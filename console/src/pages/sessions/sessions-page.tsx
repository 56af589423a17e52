/** Sessions: what an agent did in one go, newest first. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { MessagesSquare } from 'lucide-react';
import { useMe } from '../../access.ts';
import type { Schema } from '../../api/client.ts';
import { useLive } from '../../api/live.ts';
import { Money, percent, Relative, Tokens } from '../../format/index.ts';
import { FilterBar } from '../../records/filter-bar.tsx';
import { FILTER_PARAMS, recordQuery } from '../../records/filters.ts';
import { sessionsQuery } from '../../records/queries.ts';
import { RecordList } from '../../records/record-list.tsx';
import { Badge, type Column, Page } from '../../ui/index.ts';
import { useUrlState } from '../../url-state.ts';
import { useSoon } from '../../use-soon.ts';

type Row = Schema<'Session'>;

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'session',
    head: 'Session',
    priority: 1,
    cell: ({ id }) => <span className="stranger">{id.length > 80 ? `${id.slice(0, 80)}…` : id}</span>,
  },
  {
    id: 'state',
    head: '',
    priority: 1,
    cell: ({ state }) => (state === 'running' ? <Badge tone="info">running</Badge> : null),
  },
  { id: 'agent', head: 'Agent', cell: ({ agent }) => <span className="stranger">{agent ?? '–'}</span> },
  {
    id: 'models',
    head: 'Models',
    priority: 3,
    cell: ({ models }) => <span className="stranger">{models.slice(0, 3).join(', ')}</span>,
  },
  { id: 'last', head: 'Last', cell: ({ last_at: at }) => <Relative at={at} /> },
  {
    id: 'turns',
    head: 'Turns',
    isNumber: true,
    cell: ({ requests, refused, failed }) => (
      <>
        <Tokens count={requests} />
        {refused + failed > 0 && <div className="bad small-text">{refused + failed} not answered</div>}
      </>
    ),
  },
  {
    id: 'tokens',
    head: 'Tokens',
    isNumber: true,
    cell: ({ input_tokens: input, output_tokens: output }) => <Tokens count={input + output} />,
  },
  {
    id: 'cached',
    head: 'From cache',
    isNumber: true,
    priority: 3,
    cell: ({ input_tokens: input, cache_read_tokens: read }) => percent(input === 0 ? 0 : read / input),
  },
  { id: 'cost', head: 'Cost', isNumber: true, cell: ({ cost_nano_usd: nano }) => <Money nano={nano} /> },
];

const USER: Column<Row> = {
  id: 'user',
  head: 'User',
  cell: ({ user_label: user }) => <span className="stranger">{user}</span>,
};

export function SessionsPage() {
  const me = useMe();
  const [filters, setFilters] = useUrlState(FILTER_PARAMS);
  const list = useQuery({
    ...sessionsQuery(recordQuery(filters, me.principal), filters.cursor),
    placeholderData: keepPreviousData,
  });
  const refetchSoon = useSoon(() => void list.refetch());
  useLive(['request.finished', 'gap'], refetchSoon);
  return (
    <Page
      title="Sessions"
      lead="What an agent did in one go: open one to read its conversation, turn by turn."
    >
      <FilterBar filters={filters} onChange={setFilters} />
      <RecordList
        label="Sessions"
        noun="session"
        icon={MessagesSquare}
        filters={filters}
        onCursor={(cursor) => setFilters({ cursor })}
        list={list}
        columns={COLUMNS}
        userColumn={USER}
        rowId={({ id, principal }) => `${principal} ${id}`}
        rowHref={({ id, principal }) =>
          `/sessions/${encodeURIComponent(id)}${principal === me.principal ? '' : `?principal=${encodeURIComponent(principal)}`}`
        }
        howToBegin={
          <>
            Agents such as Claude Code and Codex name their session with every request; other programs do so
            with the header <code>x-postern-session</code>.
          </>
        }
      />
    </Page>
  );
}
