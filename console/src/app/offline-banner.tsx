/** Says when the server cannot be reached: what is shown may be old, and it goes on by itself. */
import { useIsFetching, useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { isProblem } from '../api/problem.ts';
import { whoamiQuery } from '../api/queries.ts';

/** 5 s: how often it is tried while the server is away. */
const TRY_MS = 5_000;

export function OfflineBanner() {
  const queries = useQueryClient();
  const isOffline = !useSyncExternalStore(watchConnection, () => navigator.onLine);
  useIsFetching();
  const isLost = queries
    .getQueryCache()
    .getAll()
    .some(({ state }) => state.status === 'error' && isProblem(state.error, 'unreachable'));
  const isShown = isOffline || isLost;
  useEffect(() => {
    if (!isShown) return undefined;
    const timer = setInterval(() => {
      queries.fetchQuery({ ...whoamiQuery(), staleTime: 0, retry: false }).then(
        () => queries.refetchQueries({ type: 'active', predicate: ({ state }) => state.status === 'error' }),
        () => undefined,
      );
    }, TRY_MS);
    return () => clearInterval(timer);
  }, [isShown, queries]);
  return (
    <div role="status" className="offline-region">
      {isShown && (
        <p className="offline">
          {isOffline ? 'This device is offline.' : 'The server does not answer.'} What you see may be old; it
          goes on by itself.
        </p>
      )}
    </div>
  );
}

function watchConnection(watcher: () => void): () => void {
  addEventListener('online', watcher);
  addEventListener('offline', watcher);
  return () => {
    removeEventListener('online', watcher);
    removeEventListener('offline', watcher);
  };
}
