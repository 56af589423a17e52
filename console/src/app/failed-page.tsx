/** Stands in for a page that broke, so that the rest of the console goes on. */
import { useEffect } from 'react';
import { isRouteErrorResponse, useLocation, useRouteError } from 'react-router';
import { unreachable } from '../api/problem.ts';
import { Page } from '../ui/page.tsx';
import { EmptyState, ErrorState } from '../ui/states.tsx';

export function FailedPage() {
  const error = useRouteError();
  if (isRouteErrorResponse(error) && error.status === 404) return <UnknownPage />;
  return (
    <Page title="This page broke">
      <ErrorState error={error} what="Something on this page failed" retry={reload} />
    </Page>
  );
}

/** What is shown where the script of a page did not come; every other failure is thrown on. */
export function standInFor(error: unknown): { readonly Component: () => React.ReactNode } {
  if (isMissingScript(error)) return { Component: UnloadedPage };
  throw error;
}

/** How browsers word that a part of the program did not come. */
function isMissingScript(error: unknown): boolean {
  return (
    error instanceof Error &&
    /dynamically imported module|module script failed|Unable to preload/i.test(error.message)
  );
}

/** 5 s: how often it is tried while the server is away. */
const TRY_MS = 5_000;

/**
 * The script of a page did not come: the network is away, or the server was updated since this window
 * was opened. Loading the address anew mends both; a browser remembers that a script failed.
 */
function UnloadedPage() {
  useEffect(() => {
    const tryAgain = (): void => {
      fetch('/healthz', { cache: 'no-store' }).then(
        (answer) => {
          if (answer.ok && !wasReloadedJustNow()) reload();
        },
        () => undefined,
      );
    };
    const timer = setInterval(tryAgain, TRY_MS);
    addEventListener('online', tryAgain);
    return () => {
      clearInterval(timer);
      removeEventListener('online', tryAgain);
    };
  }, []);
  return (
    <Page title="This page could not be loaded">
      <ErrorState error={unreachable()} what="A part of the console did not come" retry={reload} />
    </Page>
  );
}

function reload(): void {
  location.reload();
}

/** Whether this document is so young that loading it anew has not helped. */
function wasReloadedJustNow(): boolean {
  return performance.now() < TRY_MS;
}

export function UnknownPage() {
  const { pathname } = useLocation();
  return (
    <Page title="No such page">
      <EmptyState title={`The console has no page ${pathname.slice(0, 100)}`}>
        The navigation lists what there is.
      </EmptyState>
    </Page>
  );
}
