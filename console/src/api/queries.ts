/**
 * What several pages ask, and the pattern for the rest: a function that makes the options of one
 * question, whose key begins with the word that a change of it is announced by.
 *
 *     const answer = useQuery(budgetsQuery());
 */
import { type QueryClient, queryOptions, QueryClient as Client } from '@tanstack/react-query';
import { api, dataOf, type Schema } from './client.ts';
import { ApiProblem } from './problem.ts';

/** 10 s: pages that are opened one after the other do not ask the same again. */
const STALE_MS = 10_000;

/** Answers that failed on the way are asked again twice; what the server refused is not. */
export function createQueryClient(): QueryClient {
  return new Client({
    defaultOptions: {
      queries: {
        staleTime: STALE_MS,
        refetchOnWindowFocus: true,
        retry: (failures, error) => failures < 2 && !isRefusal(error),
        retryDelay: (failures) => 500 * 2 ** failures,
      },
      mutations: { retry: false },
    },
  });
}

function isRefusal(error: unknown): boolean {
  return error instanceof ApiProblem && error.status >= 400 && error.status < 500;
}

export type Whoami = Schema<'Whoami'>;

/** Who the viewer is; the frame has asked before any page is shown, so pages use `useMe`. */
export function whoamiQuery() {
  return queryOptions({
    queryKey: ['whoami'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/whoami', { signal })),
    staleTime: 60_000,
  });
}

/** What the server is set to. Refused to those without a role. */
export function statusQuery() {
  return queryOptions({
    queryKey: ['status'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/status', { signal })),
  });
}

/** Models that the viewer may use. */
export function modelsQuery() {
  return queryOptions({
    queryKey: ['models'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/models', { signal })),
    staleTime: 60_000,
  });
}

/** Settings for every client, for the address that the page was opened at. */
export function connectQuery() {
  return queryOptions({
    queryKey: ['connect'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/connect', { signal })),
    staleTime: 60_000,
  });
}

/** The viewer's budgets; `of: 'all'` for auditors and admins. */
export function budgetsQuery(of: 'mine' | 'all' = 'mine') {
  return queryOptions({
    queryKey: ['budgets', of],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/budgets', { params: { query: { of } }, signal })),
  });
}

/** Pending approvals that the viewer may decide (`to_decide`) or asked for (`mine`); at most 100. */
export function pendingApprovalsQuery(of: 'to_decide' | 'mine') {
  return queryOptions({
    queryKey: ['approvals', 'pending', of],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET('/api/v1/approvals', { params: { query: { state: 'pending', of, limit: 100 } }, signal }),
      ),
  });
}
