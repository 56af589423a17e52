/** Approvals in rows: who asked for what, and what became of it. */
import type { ReactNode } from 'react';
import { Relative, Time } from '../../format/index.ts';
import { type Column, DataTable, StateBadge } from '../../ui/index.ts';
import { useDue } from '../../use-soon.ts';
import { type Approval, KIND_NAMES, visible } from './approval-texts.ts';

const COLUMNS: readonly Column<Approval>[] = [
  {
    id: 'what',
    head: 'What',
    priority: 1,
    cell: ({ subject, kind, amount_text: amount }) => (
      <span className="stranger">
        {kind === 'request' ? 'A whole request' : visible(subject)}
        {amount === null ? '' : ` +${amount}`}
      </span>
    ),
  },
  { id: 'kind', head: 'Kind', priority: 3, cell: ({ kind }) => KIND_NAMES[kind] },
  {
    id: 'who',
    head: 'Who',
    cell: ({ label, agent }) => (
      <span className="stranger">
        {visible(label)}
        {agent !== null && <span className="soft"> {visible(agent)}</span>}
      </span>
    ),
  },
  { id: 'state', head: 'State', priority: 1, cell: ({ state }) => <StateBadge state={state} /> },
  {
    id: 'by',
    head: 'Decided by',
    cell: ({ votes, state }) => (
      <span className="stranger">
        {votes.length === 0
          ? state === 'expired'
            ? 'nobody'
            : '–'
          : votes.map((vote) => visible(vote.by_label)).join(', ')}
      </span>
    ),
  },
  {
    id: 'preview',
    head: 'In short',
    priority: 3,
    cell: ({ preview }) => <code className="approval-line">{visible(preview)}</code>,
  },
  { id: 'asked', head: 'Asked', cell: ({ created_at: at }) => <Time at={at} /> },
  {
    id: 'ended',
    head: 'Decided',
    priority: 3,
    cell: ({ decided_at: at }) => (at === null ? '–' : <Relative at={at} />),
  },
];

export function HistoryTable({
  label,
  list,
  empty,
}: {
  readonly label: string;
  readonly list: {
    readonly data: { readonly items: readonly Approval[] } | undefined;
    readonly error: unknown;
    readonly refetch: () => unknown;
    readonly isPlaceholderData: boolean;
  };
  readonly empty: ReactNode;
}) {
  const waiting = list.data?.items.filter(({ state }) => state === 'pending') ?? [];
  useDue(
    waiting.map(({ expires_at: at }) => at),
    () => void list.refetch(),
  );
  return (
    <DataTable
      label={label}
      columns={COLUMNS}
      rows={list.data?.items}
      rowId={({ id }) => id}
      rowHref={({ id }) => `/approvals/${encodeURIComponent(id)}`}
      error={list.error}
      retry={() => void list.refetch()}
      isStale={list.isPlaceholderData}
      empty={empty}
    />
  );
}
