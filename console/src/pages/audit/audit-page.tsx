/** Everything that anybody changed or looked at, whether its chain is whole, and as a file. */
import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { useAccess } from '../../access.ts';
import { api, dataOf, type Schema } from '../../api/client.ts';
import type { paths } from '../../api/schema.d.ts';
import { counted, Time } from '../../format/index.ts';
import { boundsOf } from '../../time-range.ts';
import {
  Badge,
  Card,
  type Column,
  ComboBox,
  DataTable,
  DateRange,
  EmptyState,
  Page,
  Pager,
  TextField,
  Toolbar,
} from '../../ui/index.ts';
import { countParam, rangeParam, textParam, useUrlState } from '../../url-state.ts';
import { actionText } from './action-texts.ts';
import { ChainCard } from './chain-card.tsx';
import { EntryDrawer } from './entry-drawer.tsx';
import { shownTarget } from './target-link.tsx';
import './audit.css';

type AuditFilter = NonNullable<paths['/api/v1/audit']['get']['parameters']['query']>;
type Entry = Schema<'AuditEntry'>;

const PAGE_ROWS = 50;

function auditQuery(filter: AuditFilter) {
  return queryOptions({
    queryKey: ['audit', 'list', filter],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/audit', { params: { query: filter }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function AuditPage() {
  const { seesAll } = useAccess();
  if (seesAll) return <Log />;
  return (
    <Page title="Audit">
      <Card title={null} label="Audit">
        <EmptyState title="For auditors and admins">
          <p>The log holds who changed or looked at what. An admin can grant you the role “auditor”.</p>
        </EmptyState>
      </Card>
    </Page>
  );
}

function Log() {
  const [state, setState] = useUrlState({
    action: textParam(),
    actor: textParam(),
    target: textParam(),
    q: textParam(),
    range: rangeParam('7d'),
    cursor: textParam(),
    entry: countParam(0),
  });
  const filter = {
    ...boundsOf(state.range),
    ...(state.action === null ? {} : { action: state.action }),
    ...(state.actor === null ? {} : { actor: state.actor }),
    ...(state.target === null ? {} : { target: state.target }),
    ...(state.q === null ? {} : { q: state.q }),
  };
  const list = useQuery(
    auditQuery({ ...filter, limit: PAGE_ROWS, ...(state.cursor === null ? {} : { cursor: state.cursor }) }),
  );
  const typed = (name: 'actor' | 'target' | 'q') => (value: string) =>
    setState({ [name]: value.trim() === '' ? null : value, cursor: null }, { replace: true });
  const opened = list.data?.items.find(({ seq }) => seq === state.entry) ?? null;
  const shown = list.data?.items.length ?? 0;
  return (
    <Page
      title="Audit"
      lead="Every change, every decision, and every time somebody read what belongs to others."
      actions={<Exports filter={filter} />}
    >
      <ChainCard isListThere={list.data !== undefined || list.errorUpdateCount > 0} />
      <Toolbar label="Filters">
        <ActionFilter
          value={state.action}
          onChange={(action) => setState({ action, cursor: null }, { replace: true })}
        />
        <TextField small label="Who" value={state.actor ?? ''} onChange={typed('actor')} maxLength={200} />
        <TextField
          small
          label="What it was done to"
          value={state.target ?? ''}
          onChange={typed('target')}
          maxLength={200}
        />
        <TextField
          small
          label="Search"
          type="search"
          value={state.q ?? ''}
          onChange={typed('q')}
          placeholder="Any part of an entry"
          maxLength={200}
        />
        <DateRange value={state.range} onChange={(range) => setState({ range, cursor: null })} />
      </Toolbar>
      <Card title={null} label="Entries" flush>
        <DataTable
          label="Entries"
          columns={COLUMNS}
          rows={list.data?.items}
          rowId={({ seq }) => String(seq)}
          rowHref={({ seq }) => hrefOf(seq)}
          error={list.error}
          retry={() => void list.refetch()}
          isStale={list.isPlaceholderData}
          empty={
            <EmptyState title="No entry fits">
              <p>
                Saving the document, adding a key, deciding an approval, reading a prompt of somebody else:
                each writes an entry. Choose a longer time or fewer filters.
              </p>
            </EmptyState>
          }
        />
        <Pager
          cursor={state.cursor}
          nextCursor={list.data?.next_cursor}
          onCursor={(cursor) => setState({ cursor })}
          {...(shown === 0 ? {} : { shown: counted(shown, 'entry', 'entries') })}
        />
      </Card>
      {state.entry > 0 && list.data !== undefined && (
        <EntryDrawer seq={state.entry} entry={opened} onClose={() => setState({ entry: 0 })} />
      )}
    </Page>
  );
}

/** The same list with an entry opened. */
function hrefOf(seq: number): string {
  const search = new URLSearchParams(location.search);
  search.set('entry', String(seq));
  return `/audit?${search.toString()}`;
}

const COLUMNS: readonly Column<Entry>[] = [
  {
    id: 'what',
    head: 'What',
    priority: 1,
    cell: ({ action }) => (
      <>
        {actionText(action)} {action.endsWith('.failed') && <Badge tone="bad">failed</Badge>}
      </>
    ),
  },
  {
    id: 'target',
    head: 'Of what',
    cell: ({ target }) => <code className="audit-target">{shownTarget(target)}</code>,
  },
  {
    id: 'who',
    head: 'Who',
    cell: ({ actor, actor_label: label }) => (
      <span className="stranger" title={actor}>
        {label === '' ? actor : label}
      </span>
    ),
  },
  {
    id: 'presence',
    head: 'In person',
    priority: 3,
    cell: ({ presence }) => (presence === null ? <span className="soft">–</span> : presence),
  },
  {
    id: 'reason',
    head: 'Reason',
    priority: 3,
    cell: ({ reason }) => <span className="audit-reason">{reason ?? ''}</span>,
  },
  { id: 'at', head: 'When', priority: 1, cell: ({ at }) => <Time at={at} /> },
  { id: 'seq', head: 'No.', isNumber: true, priority: 3, cell: ({ seq }) => seq.toLocaleString('en-US') },
];

/** Actions that the log has, and their families, with how often. */
function ActionFilter({
  value,
  onChange,
}: {
  readonly value: string | null;
  readonly onChange: (action: string | null) => void;
}) {
  const actions = useQuery({
    queryKey: ['audit', 'actions'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/audit/actions', { signal })),
  });
  const items = actions.data?.items ?? [];
  const families = new Map<string, number>();
  for (const { action, entries } of items) {
    const family = `${action.split('.')[0] ?? action}.`;
    families.set(family, (families.get(family) ?? 0) + entries);
  }
  const options = [
    ...[...families].map(([family, entries]) => ({
      id: family,
      label: `${family}*`,
      hint: counted(entries, 'entry', 'entries'),
    })),
    ...items.map(({ action, entries }) => ({
      id: action,
      label: action,
      hint: counted(entries, 'entry', 'entries'),
    })),
  ];
  return (
    <ComboBox
      small
      key={options.length}
      label="Action"
      options={options}
      value={value}
      onChange={onChange}
      allowsOther
      placeholder="Any action"
    />
  );
}

const FORMAT_NAMES = { csv: 'CSV', jsonl: 'JSON lines' } as const;

function Exports({ filter }: { readonly filter: Readonly<Record<string, string>> }) {
  const href = (format: string): string =>
    `/api/v1/audit/export?${new URLSearchParams({ ...filter, format }).toString()}`;
  return (
    <>
      {(['csv', 'jsonl'] as const).map((format) => (
        <a
          key={format}
          className="button secondary"
          href={href(format)}
          download={`audit.${format}`}
          aria-label={`Export as ${FORMAT_NAMES[format]}`}
        >
          <Download aria-hidden size={16} />
          <span>{FORMAT_NAMES[format]}</span>
        </a>
      ))}
    </>
  );
}
