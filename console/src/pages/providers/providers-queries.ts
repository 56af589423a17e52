/** What the page of providers asks. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';

async function loadProviders(hours: number, signal: AbortSignal) {
  return dataOf(api.GET('/api/v1/providers', { params: { query: { hours } }, signal }));
}

export type Provider = Awaited<ReturnType<typeof loadProviders>>['items'][number];

/** All providers of the document with their keys, and how they did within the last hours (1 to 744). */
export function providersQuery(hours: number) {
  return queryOptions({
    queryKey: ['providers', hours],
    queryFn: ({ signal }) => loadProviders(hours, signal),
    placeholderData: keepPreviousData,
  });
}

/** Who used a key within the last 30 days, and what its revocation would touch. */
export function impactQuery(id: string) {
  return queryOptions({
    queryKey: ['keys', 'impact', id],
    queryFn: ({ signal }) =>
      dataOf(api.GET('/api/v1/keys/{id}/impact', { params: { path: { id }, query: {} }, signal })),
    // Whoever is about to revoke sees what is so now.
    staleTime: 0,
  });
}
