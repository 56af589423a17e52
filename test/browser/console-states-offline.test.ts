/**
 * Every page of the console when the network is cut (issue 4, proof): after it was loaded, and before
 * its data came. It is said, what is there stays, and everything goes on by itself when it is back.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import { type Made, oneOfEach, pathOf, PLACES } from './console-places.ts';
import { checkBriefly, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';

/** The console tries every 5 s; several times that, for a machine that does other work. */
const HEALS_WITHIN_MS = 30_000;

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

const settled = (page: Page): Promise<void> =>
  page.locator('main .skeleton').first().waitFor({ state: 'detached' });
const banner = (page: Page) => page.getByRole('status').filter({ hasText: 'it goes on by itself' });
const isApi = (url: URL): boolean => url.pathname.startsWith('/api/');

/** As a press on a link of the console. */
async function goWithin(page: Page, path: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState({ idx: 1, key: 'test', usr: null }, '', to);
    dispatchEvent(new PopStateEvent('popstate', { state: history.state }));
  }, path);
}

describe('each page, cut off before its data came', { concurrency: 4 }, () => {
  // What waits for the viewer is read by the navigation already.
  for (const place of PLACES.filter(({ name }) => name !== 'approvals'))
    test(place.name, async (t) => {
      const watched = await open(t, place.name === 'about' ? '/settings/tokens' : '/settings/about');
      const { page } = watched;
      await settled(page);
      await page.route(isApi, (route) => route.abort('connectionrefused'));
      await goWithin(page, pathOf(place, made));
      await banner(page).getByText('The server does not answer.').waitFor();
      await page.locator('main h1').first().waitFor();
      await page.unroute(isApi);
      await banner(page).waitFor({ state: 'detached', timeout: HEALS_WITHIN_MS });
      await settled(page);
      await waitUntil(async () => (await page.locator('main [role=alert]').count()) === 0);
    });
});

describe('each page, cut off after it was loaded', { concurrency: 4 }, () => {
  for (const place of PLACES.filter(({ path }) => !path.includes('?')))
    test(place.name, async (t) => {
      const watched = await open(t, pathOf(place, made));
      const { page, context } = watched;
      await settled(page);
      const before = await page.locator('main h1').first().innerText();
      await context.setOffline(true);
      await banner(page).getByText('This device is offline.').waitFor();
      assert.equal(await page.locator('main h1').first().innerText(), before);
      assert.equal(await page.locator('main [role=alert]').count(), 0);
      await context.setOffline(false);
      await banner(page).waitFor({ state: 'detached' });
    });
});

describe('a cut network', () => {
  test('leaves a page fit for everybody, with what it had', async (t) => {
    const watched = await open(t, '/requests');
    const { page, context } = watched;
    await page.locator('tbody .row-link').first().waitFor();
    await context.setOffline(true);
    await banner(page).waitFor();
    await checkBriefly(watched, { isBroken: true });
    assert.equal(await page.locator('tbody .row-link').count(), 1);
  });

  test('a page whose script did not come says so, and is there when the network is back', async (t) => {
    const watched = await open(t, '/settings/about');
    const { page, context } = watched;
    await settled(page);
    await context.setOffline(true);
    await goWithin(page, '/audit');
    await page.getByRole('heading', { level: 1, name: 'This page could not be loaded' }).waitFor();
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await new Promise((resolve) => {
      // What is younger than this is not loaded anew by itself, so that nothing goes in circles.
      setTimeout(resolve, 5_000);
    });
    await context.setOffline(false);
    await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/audit');
  });
});
