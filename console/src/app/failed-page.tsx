/** Stands in for a page that broke, so that the rest of the console goes on. */
import { isRouteErrorResponse, useLocation, useRouteError } from 'react-router';
import { Page } from '../ui/page.tsx';
import { EmptyState, ErrorState } from '../ui/states.tsx';

export function FailedPage() {
  const error = useRouteError();
  if (isRouteErrorResponse(error) && error.status === 404) return <UnknownPage />;
  return (
    <Page title="This page broke">
      <ErrorState
        error={error}
        what="Something on this page failed"
        retry={() => {
          location.reload();
        }}
      />
    </Page>
  );
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
