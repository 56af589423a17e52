/** Failures of the API that a test plants, and how a person gets over them. */
import type { Page } from 'playwright-core';
import { waitUntil } from './browser.ts';

const DETAIL = 'this fault was planted';
/** What every planted failure names for the operator. */
export const REQUEST_ID = 'req_planted';

/** Every answer of these paths is this failure, until the returned function is called. */
export async function plantFault(
  page: Page,
  fails: (path: string) => boolean,
  status: 403 | 500,
): Promise<() => Promise<void>> {
  const matches = (url: URL): boolean => url.pathname.startsWith('/api/') && fails(url.pathname);
  await page.route(matches, (route) =>
    route.fulfill({
      status,
      contentType: 'application/problem+json',
      body: JSON.stringify({
        type: 'about:blank',
        title: 'Planted',
        status,
        detail: DETAIL,
        code: status === 500 ? 'internal' : 'role_missing',
        request_id: REQUEST_ID,
      }),
    }),
  );
  return () => page.unroute(matches);
}

/** Planted failures that are said, in the page and not in a message at its edge. */
export function alerts(page: Page) {
  return page.locator('main [role=alert]', { hasText: 'This fault was planted.' });
}

/** Presses every "Try again" until nothing failed is left. */
export async function mend(page: Page): Promise<void> {
  await waitUntil(async () => {
    if ((await alerts(page).count()) === 0) return true;
    const again = alerts(page).getByRole('button', { name: 'Try again' }).first();
    await again.click({ timeout: 1_000 }).catch(() => undefined);
    return false;
  });
}
