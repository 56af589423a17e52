/**
 * The turns of a session: the first few at once, the rest in large pages behind them, and those that
 * happen while the page is open. The server reads what came before with every page, so pages are few.
 */
import { type InfiniteData, useInfiniteQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, dataOf, type Item } from '../../api/client.ts';
import { useLive } from '../../api/live.ts';
import { type Reading, reasonOf, useReader } from '../../records/reading.tsx';
import { useSoon } from '../../use-soon.ts';

export type Turn = Item<'/api/v1/sessions/{id}/turns'>;

/** Enough for the tallest window. */
const FIRST_TURNS = 25;
const MORE_TURNS = 200;

export interface SessionName {
  readonly id: string;
  readonly principal: string;
}

export interface Turns {
  readonly turns: readonly Turn[];
  /** Undefined until the first page is there. */
  readonly total: number | undefined;
  readonly error: unknown;
  readonly refetch: () => void;
  /** More is on its way. */
  readonly isLoading: boolean;
}

/** With `reading` null metadata only. */
export function useTurns(session: SessionName, reading: Reading | null): Turns {
  const read = useReader();
  const query = useInfiniteQuery({
    queryKey: [
      'sessions',
      'turns',
      session.principal,
      session.id,
      reading === null ? 'metadata' : reading.reason,
    ],
    initialPageParam: 0,
    queryFn: ({ pageParam, signal }) =>
      read(() =>
        dataOf(
          api.GET('/api/v1/sessions/{id}/turns', {
            params: {
              path: { id: session.id },
              query: {
                principal: session.principal,
                content: reading === null ? 'false' : 'true',
                limit: pageParam === 0 ? FIRST_TURNS : MORE_TURNS,
                ...(pageParam === 0 ? {} : { cursor: String(pageParam) }),
                ...(reading === null ? {} : reasonOf(reading)),
              },
            },
            signal,
          }),
        ),
      ),
    // There may always be more: an agent goes on while somebody reads.
    getNextPageParam: (_last, pages) => countOf(pages),
    retry: false,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    ...(reading === null || reading.reason === null ? {} : { gcTime: 0 }),
  });
  const { data, fetchNextPage, isFetching, error } = query;
  const hasMore = data?.pages.at(-1)?.next_cursor != null;
  useEffect(() => {
    if (hasMore && !isFetching && error === null) void fetchNextPage();
  }, [hasMore, isFetching, error, fetchNextPage]);
  const fetchSoon = useSoon(() => {
    if (data !== undefined && !hasMore) void fetchNextPage();
  });
  useLive(['request.finished'], ({ data: request }) => {
    if (request.session_id === session.id && request.principal === session.principal) fetchSoon();
  });
  return {
    turns: turnsOf(data),
    total: data?.pages.at(-1)?.total,
    error,
    refetch: () => void query.refetch(),
    isLoading: isFetching,
  };
}

type Page = { readonly items: Turn[]; readonly total: number; readonly next_cursor: string | null };

function countOf(pages: readonly Page[]): number {
  return pages.reduce((count, { items }) => count + items.length, 0);
}

const NO_TURNS: readonly Turn[] = [];
const known = new WeakMap<object, readonly Turn[]>();

/** The same list for the same pages, so that nothing is drawn again without need. */
function turnsOf(data: InfiniteData<Page> | undefined): readonly Turn[] {
  if (data === undefined) return NO_TURNS;
  const turns = known.get(data) ?? data.pages.flatMap(({ items }) => items);
  known.set(data, turns);
  return turns;
}
