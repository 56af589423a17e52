/**
 * Every page by its address; each is a script of its own, loaded when it is opened. The server
 * answers these addresses with the console (src/api/console/routes.ts has the same list).
 */
import { createBrowserRouter, type RouteObject } from 'react-router';
import { HomePage } from '../pages/home/home-page.tsx';
import { FailedPage, standInFor, UnknownPage } from './failed-page.tsx';
import { Frame } from './frame.tsx';

const page = (
  path: string,
  load: () => Promise<{ readonly Component: () => React.ReactNode }>,
): RouteObject => ({
  path,
  lazy: () => load().catch(standInFor),
  ErrorBoundary: FailedPage,
});

const PAGES: readonly RouteObject[] = [
  { index: true, Component: HomePage, ErrorBoundary: FailedPage },
  page('live', async () => ({ Component: (await import('../pages/live/live-page.tsx')).LivePage })),
  page('requests', async () => ({
    Component: (await import('../pages/requests/requests-page.tsx')).RequestsPage,
  })),
  page('requests/:id', async () => ({
    Component: (await import('../pages/requests/request-page.tsx')).RequestPage,
  })),
  page('sessions', async () => ({
    Component: (await import('../pages/sessions/sessions-page.tsx')).SessionsPage,
  })),
  page('sessions/:id', async () => ({
    Component: (await import('../pages/sessions/session-page.tsx')).SessionPage,
  })),
  page('usage', async () => ({ Component: (await import('../pages/usage/usage-page.tsx')).UsagePage })),
  page('approvals', async () => ({
    Component: (await import('../pages/approvals/approvals-page.tsx')).ApprovalsPage,
  })),
  page('approvals/:id', async () => ({
    Component: (await import('../pages/approvals/approval-page.tsx')).ApprovalPage,
  })),
  page('policy', async () => ({ Component: (await import('../pages/policy/policy-page.tsx')).PolicyPage })),
  page('providers', async () => ({
    Component: (await import('../pages/providers/providers-page.tsx')).ProvidersPage,
  })),
  page('network', async () => ({
    Component: (await import('../pages/network/network-page.tsx')).NetworkPage,
  })),
  page('devices', async () => ({
    Component: (await import('../pages/devices/devices-page.tsx')).DevicesPage,
  })),
  page('audit', async () => ({ Component: (await import('../pages/audit/audit-page.tsx')).AuditPage })),
  page('playground', async () => ({
    Component: (await import('../pages/playground/playground-page.tsx')).PlaygroundPage,
  })),
  page('settings/*', async () => ({
    Component: (await import('../pages/settings/settings-page.tsx')).SettingsPage,
  })),
  { path: '*', Component: UnknownPage },
];

/** The router of this window. */
export function createRouter() {
  return createBrowserRouter([
    {
      path: '/',
      Component: Frame,
      ErrorBoundary: FailedPage,
      HydrateFallback: () => null,
      children: [...PAGES],
    },
  ]);
}
