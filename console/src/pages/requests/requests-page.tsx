/** Every request that the viewer may see, newest first; filters and the place in the list are in the address. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { ListTree } from 'lucide-react';
import { useMe } from '../../access.ts';
import type { Answer } from '../../api/client.ts';
import { amount, durationOfMs, Money, percent, Tokens } from '../../format/index.ts';
import { FilterBar } from '../../records/filter-bar.tsx';
import { FILTER_PARAMS, type RecordQuery, recordQuery } from '../../records/filters.ts';
import { requestSummaryQuery, requestsQuery } from '../../records/queries.ts';
import { RecordList } from '../../records/record-list.tsx';
import { Card, Loaded, Page, Stat, Stats } from '../../ui/index.ts';
import { useUrlState } from '../../url-state.ts';
import { REQUEST_COLUMNS, REQUEST_USER } from './request-columns.tsx';

export function RequestsPage() {
  const me = useMe();
  const [filters, setFilters] = useUrlState(FILTER_PARAMS);
  const query = recordQuery(filters, me.principal);
  const list = useQuery({ ...requestsQuery(query, filters.cursor), placeholderData: keepPreviousData });
  return (
    <Page
      title="Requests"
      lead="Everything that went through Postern, what was decided about it and what it cost."
    >
      <FilterBar filters={filters} onChange={setFilters} />
      <Summary query={query} />
      <RecordList
        label="Requests"
        noun="request"
        icon={ListTree}
        filters={filters}
        onCursor={(cursor) => setFilters({ cursor })}
        list={list}
        columns={REQUEST_COLUMNS}
        userColumn={REQUEST_USER}
        rowId={({ id }) => id}
        rowHref={({ id }) => `/requests/${encodeURIComponent(id)}`}
        howToBegin="Point a client at Postern and each of its requests is one line here, the refused ones too."
      />
    </Page>
  );
}

function Summary({ query }: { readonly query: RecordQuery }) {
  const summary = useQuery({ ...requestSummaryQuery(query), placeholderData: keepPreviousData });
  // Nothing stands in for it while it is asked for: most often the list is there at once.
  if (summary.data?.requests === 0 || (summary.data === undefined && summary.errorUpdateCount === 0))
    return null;
  return (
    <Card title={null} label="Sums of these requests">
      <Loaded query={summary} what="The sums could not be loaded">
        {(data) => <Sums data={data} />}
      </Loaded>
    </Card>
  );
}

function Sums({ data }: { readonly data: Answer<'/api/v1/requests/summary'> }) {
  const stopped = data.refused + data.failed;
  return (
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
  );
}
