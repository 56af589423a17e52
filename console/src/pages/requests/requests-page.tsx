/** Every request that the viewer may see, newest first; filters and the place in the list are in the address. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { ListTree } from 'lucide-react';
import { useAccess } from '../../access.ts';
import { amount, counted, durationOfMs, Money, percent, Tokens } from '../../format/index.ts';
import { FilterBar } from '../../records/filter-bar.tsx';
import { FILTER_PARAMS, isNarrowed, type RecordQuery, recordQuery } from '../../records/filters.ts';
import { requestSummaryQuery, requestsQuery } from '../../records/queries.ts';
import { rangeLabel } from '../../time-range.ts';
import { Card, DataTable, EmptyState, LinkButton, Page, Pager, Stat, Stats } from '../../ui/index.ts';
import { useUrlState } from '../../url-state.ts';
import { requestColumns } from './request-columns.tsx';

export function RequestsPage() {
  const { me, seesAll, leads } = useAccess();
  const [filters, setFilters] = useUrlState(FILTER_PARAMS);
  const query = recordQuery(filters, me.principal);
  const list = useQuery({ ...requestsQuery(query, filters.cursor), placeholderData: keepPreviousData });
  const showsUser = (seesAll || leads.length > 0) && filters.whose !== 'mine';
  return (
    <Page
      title="Requests"
      lead="Everything that went through Postern, what was decided about it and what it cost."
    >
      <FilterBar filters={filters} onChange={setFilters} />
      <Summary query={query} />
      <Card title={null} label="Requests" flush>
        <DataTable
          label="Requests"
          columns={requestColumns(showsUser)}
          rows={list.data?.items}
          rowId={({ id }) => id}
          rowHref={({ id }) => `/requests/${encodeURIComponent(id)}`}
          error={list.error}
          retry={() => void list.refetch()}
          isStale={list.isPlaceholderData}
          empty={
            isNarrowed(filters) ? (
              <EmptyState title="Nothing fits these filters" icon={ListTree}>
                Take one off, or look at a longer time than “{rangeLabel(filters.range)}”.
              </EmptyState>
            ) : (
              <EmptyState
                title="No requests yet"
                icon={ListTree}
                action={<LinkButton to="/">Connect a client</LinkButton>}
              >
                Point a client at Postern and each of its requests is one line here, the refused ones too.
              </EmptyState>
            )
          }
        />
        <Pager
          cursor={filters.cursor}
          nextCursor={list.data?.next_cursor}
          onCursor={(cursor) => setFilters({ cursor })}
          {...(list.data === undefined ? {} : { shown: counted(list.data.items.length, 'request') })}
        />
      </Card>
    </Page>
  );
}

function Summary({ query }: { readonly query: RecordQuery }) {
  const { data } = useQuery({ ...requestSummaryQuery(query), placeholderData: keepPreviousData });
  if (data === undefined || data.requests === 0) return null;
  const stopped = data.refused + data.failed;
  return (
    <Card title={null} label="Sums of these requests">
      <Stats>
        <Stat
          label="Requests"
          value={amount(data.requests)}
          note={
            stopped === 0
              ? 'all answered'
              : `${amount(data.refused)} refused, ${amount(data.failed)} failed (${percent(stopped / data.requests)})`
          }
        />
        <Stat
          label="Cost"
          value={<Money nano={data.cost_nano_usd} />}
          {...(data.saved_nano_usd > 0
            ? {
                note: (
                  <>
                    <Money nano={data.saved_nano_usd} /> saved by the cache
                  </>
                ),
              }
            : {})}
        />
        <Stat
          label="Tokens in"
          value={<Tokens count={data.input_tokens} />}
          note={`${percent(data.input_tokens === 0 ? 0 : data.cache_read_tokens / data.input_tokens)} read from a cache`}
        />
        <Stat label="Tokens out" value={<Tokens count={data.output_tokens} />} />
        <Stat
          label="Time, median"
          value={durationOfMs(data.latency.p50_ms)}
          note={`95 % under ${durationOfMs(data.latency.p95_ms)}`}
        />
        <Stat
          label="First byte, median"
          value={durationOfMs(data.latency.first_byte_p50_ms)}
          note={`95 % under ${durationOfMs(data.latency.first_byte_p95_ms)}`}
        />
      </Stats>
    </Card>
  );
}
