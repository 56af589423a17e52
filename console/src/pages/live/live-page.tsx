/** Requests as they happen: what runs now and what just ended. Nothing is asked for again and again. */
import { useQuery } from '@tanstack/react-query';
import { Pause, Play, Radio } from 'lucide-react';
import { useReducer, useState } from 'react';
import { useAccess } from '../../access.ts';
import { useLive, useLiveState } from '../../api/live.ts';
import { counted } from '../../format/index.ts';
import { OUTCOMES } from '../../records/filters.ts';
import { requestsQuery } from '../../records/queries.ts';
import {
  Badge,
  Button,
  Card,
  EmptyState,
  ErrorState,
  LinkButton,
  Page,
  Select,
  Skeleton,
  TextField,
  Toolbar,
  VirtualList,
} from '../../ui/index.ts';
import { optionalChoiceParam, textParam, useUrlState } from '../../url-state.ts';
import { emptyFeed, feedOf, type FeedRow, matches } from './feed.ts';
import { FeedLine } from './feed-line.tsx';
import './live.css';

/** Of the past, so that the page is not empty. */
const PAST_ROWS = 50;

const STATES = ['running', ...OUTCOMES] as const;

export function LivePage() {
  const { me, seesAll } = useAccess();
  const [filter, setFilter] = useUrlState({
    q: textParam(),
    state: optionalChoiceParam(STATES),
    whose: optionalChoiceParam(['mine']),
  });
  const past = useQuery({
    ...requestsQuery({}, null, PAST_ROWS),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
  const [feed, tell] = useReducer(feedOf, emptyFeed);
  const [frozen, setFrozen] = useState<readonly FeedRow[] | null>(null);
  useLive(['request.started', 'request.finished', 'gap'], (event) => {
    if (event.name === 'gap') void past.refetch();
    tell(event.name === 'gap' ? { name: 'gap' } : event);
  });
  const rows = merged(feed.rows, past.data?.items ?? []);
  const shown = (frozen ?? rows).filter((row) => matches(row, { ...filter, me: me.principal }));
  const news = frozen === null ? 0 : rows.filter(({ id }) => !frozen.some((row) => row.id === id)).length;
  return (
    <Page
      title="Live"
      lead="Requests as they happen."
      actions={
        <>
          <LiveMark isPaused={frozen !== null} />
          <Button
            icon={frozen === null ? Pause : Play}
            onPress={() => setFrozen(frozen === null ? rows : null)}
          >
            {frozen === null ? 'Pause' : `Go on${news === 0 ? '' : ` (${counted(news, 'new request')})`}`}
          </Button>
        </>
      }
    >
      <Toolbar label="Filters">
        <div className="record-search field small" data-search>
          <TextField
            label="Search"
            type="search"
            placeholder="User, model, agent, tool …"
            value={filter.q ?? ''}
            onChange={(q) => setFilter({ q: q === '' ? null : q }, { replace: true })}
            maxLength={200}
          />
        </div>
        <Select<(typeof STATES)[number] | 'any'>
          small
          label="State"
          options={[
            { id: 'any', label: 'Any' },
            ...STATES.map((id) => ({ id, label: id.replaceAll('_', ' ') })),
          ]}
          value={filter.state ?? 'any'}
          onChange={(id) => setFilter({ state: id === 'any' ? null : id })}
        />
        {seesAll && (
          <Select<'all' | 'mine'>
            small
            label="Whose"
            options={[
              { id: 'all', label: 'Everybody' },
              { id: 'mine', label: 'Mine' },
            ]}
            value={filter.whose ?? 'all'}
            onChange={(id) => setFilter({ whose: id === 'all' ? null : id })}
          />
        )}
      </Toolbar>
      <Card title={null} label="Live requests" flush>
        <Rows
          rows={shown}
          isEmpty={rows.length === 0}
          isPending={past.isPending && rows.length === 0}
          error={rows.length === 0 ? past.error : null}
          retry={() => void past.refetch()}
        />
      </Card>
    </Page>
  );
}

function Rows({
  rows,
  isEmpty,
  isPending,
  error,
  retry,
}: {
  readonly rows: readonly FeedRow[];
  readonly isEmpty: boolean;
  readonly isPending: boolean;
  readonly error: unknown;
  readonly retry: () => void;
}) {
  if (isPending) return <Skeleton lines={8} label="Loading the newest requests" />;
  if (error !== null)
    return <ErrorState error={error} what="The newest requests could not be loaded" retry={retry} />;
  if (isEmpty)
    return (
      <EmptyState
        title="Waiting for the first request"
        icon={Radio}
        action={<LinkButton to="/">Connect a client</LinkButton>}
      >
        Leave this page open and send something: it appears here at once, while it is still being answered.
      </EmptyState>
    );
  if (rows.length === 0)
    return (
      <EmptyState title="Nothing fits these filters">It goes on listening; what fits will appear.</EmptyState>
    );
  return (
    <div className="live-list">
      <VirtualList label="Live requests" items={rows} itemId={({ id }) => id} estimatePx={62}>
        {(row) => <FeedLine row={row} />}
      </VirtualList>
    </div>
  );
}

const MARKS = {
  live: ['good', 'listening'],
  connecting: ['warn', 'connecting'],
  paused: ['neutral', 'page hidden'],
  refused: ['bad', 'not connected'],
  idle: ['neutral', 'not listening'],
} as const;

function LiveMark({ isPaused }: { readonly isPaused: boolean }) {
  const state = useLiveState();
  const [tone, label] = isPaused ? (['warn', 'paused'] as const) : MARKS[state];
  return (
    <span role="status">
      <Badge tone={tone}>{label}</Badge>
    </span>
  );
}

/** Events first; of the past what no event told. Newest first. */
function merged(rows: readonly FeedRow[], past: readonly FeedRow['request'][]): readonly FeedRow[] {
  const seen = new Set(rows.map(({ id }) => id));
  const older = past
    .filter((request) => request !== null && !seen.has(request.id))
    .map((request) => (request === null ? null : { id: request.id, started: null, request }))
    .filter((row) => row !== null);
  return [...rows, ...older].sort((a, b) => startOf(b) - startOf(a));
}

function startOf({ started, request }: FeedRow): number {
  return Date.parse(request?.started_at ?? started?.started_at ?? '');
}
