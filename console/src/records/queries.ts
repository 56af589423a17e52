/** Questions about requests and sessions. */
import { queryOptions } from '@tanstack/react-query';
import { api, dataOf } from '../api/client.ts';
import type { RecordQuery } from './filters.ts';

/** Rows of one page of a list. */
export const PAGE_ROWS = 100;

const paged = (query: RecordQuery, cursor: string | null, limit: number) => ({
  ...query,
  limit,
  ...(cursor === null ? {} : { cursor }),
});

/** One page of requests, newest first. */
export function requestsQuery(query: RecordQuery, cursor: string | null, limit = PAGE_ROWS) {
  return queryOptions({
    queryKey: ['requests', 'list', query, cursor, limit],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/requests', { params: { query: paged(query, cursor, limit) }, signal })),
  });
}

/** What the requests of a filter add up to. */
export function requestSummaryQuery(query: RecordQuery) {
  return queryOptions({
    queryKey: ['requests', 'summary', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/requests/summary', { params: { query }, signal })),
  });
}

export function requestQuery(id: string) {
  return queryOptions({
    queryKey: ['requests', 'one', id],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/requests/{id}', { params: { path: { id } }, signal })),
  });
}

export function trailQuery(id: string) {
  return queryOptions({
    queryKey: ['requests', 'trail', id],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/requests/{id}/trail', { params: { path: { id } }, signal })),
  });
}

/** One page of sessions, newest first. */
export function sessionsQuery(query: RecordQuery, cursor: string | null) {
  return queryOptions({
    queryKey: ['sessions', 'list', query, cursor],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/sessions', { params: { query: paged(query, cursor, PAGE_ROWS) }, signal })),
  });
}

/** One session; `principal` null for the viewer's own, or the newest of that name that they may see. */
export function sessionQuery(id: string, principal: string | null) {
  return queryOptions({
    queryKey: ['sessions', 'one', id, principal],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET('/api/v1/sessions/{id}', {
          params: { path: { id }, query: principal === null ? {} : { principal } },
          signal,
        }),
      ),
  });
}
