/**
 * Every page of the console when a route that it reads is refused (403; issue 4, proof): the page
 * stands, says what failed and what to do, and a press mends it when the fault has ended. What a page
 * does without is named in console-places.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import { AROUND, type Made, oneOfEach, pathOf, type Place, PLACES } from './console-places.ts';
import { checkFaults, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';
import { alerts, mend, plantFault } from './planted-fault.ts';

let browser: Browser;
let scene: ConsoleScene;
let made: Made;
before(async () => {
  browser = await launchChromium();
  scene = await startConsoleScene({
    signInAs: 'admin',
    more: { approvals: { default: { approvers: ['*'] } } },
  });
  made = await oneOfEach(scene);
});
after(async () => {
  await browser.close();
  await scene.stop();
});

async function open(t: TestContext, path: string): Promise<WatchedPage> {
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  return watched;
}

/** Paths of the API that a page reads when all is well, without those that are read around every page. */
async function readBy(page: Page, place: Place): Promise<readonly string[]> {
  const seen = new Set<string>();
  /* What the page before still asks for is not this one's. */
  await page.goto('about:blank');
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith('/api/') && !isAround(place, pathname)) seen.add(pathname);
  });
  await page.goto(scene.url + pathOf(place, made));
  await page.locator('main h1').first().waitFor();
  await waitUntil(() => seen.size > 0);
  await page.locator('main .skeleton').first().waitFor({ state: 'detached' });
  await page.waitForLoadState('networkidle', { timeout: 1_000 }).catch(() => undefined);
  page.removeAllListeners('request');
  return [...seen];
}

/** Home and the inbox show approvals themselves; elsewhere the navigation counts them. */
function isAround({ path: address }: Place, path: string): boolean {
  const shows = path === '/api/v1/approvals' && /^\/(?:approvals(?:\?|$)|$)/.test(address);
  return AROUND.includes(path) && !shows;
}

/** Routes by page that were refused already: tabs of one page read some alike. */
const refused = new Set<string>();

function isNew({ path: address }: Place, path: string): boolean {
  const key = `${address.split('?')[0] ?? ''} ${path}`;
  const isFirst = !refused.has(key);
  refused.add(key);
  return isFirst;
}

describe('each page, each route that it reads refused (403)', { concurrency: 3 }, () => {
  for (const place of PLACES)
    test(place.name, async (t) => {
      const watched = await open(t, '/settings/about');
      const { page } = watched;
      const paths = await readBy(page, place);
      for (const path of paths.filter((one) => isNew(place, one))) {
        const heal = await plantFault(page, (asked) => asked === path, 403);
        await page.reload();
        await page.locator('main h1').first().waitFor();
        if (place.quiet?.includes(path) === true) {
          await page.locator('main .skeleton').first().waitFor({ state: 'detached' });
          assert.equal(await alerts(page).count(), 0, `${path} is said to be done without`);
          await heal();
          continue;
        }
        await alerts(page)
          .first()
          .waitFor()
          .catch(() => assert.fail(`nothing tells that ${path} failed`));
        assert.match(await alerts(page).first().innerText(), /An admin can grant you the role/, path);
        await heal();
        await mend(page);
      }
      checkFaults(watched, true);
    });
});
