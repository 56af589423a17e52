/**
 * Every page of the console when all that it reads fails (500; issue 4, proof): the page stands and is
 * fit for everybody, says what failed and what to do, and a press mends it when the fault has ended.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, type WatchedPage } from './browser.ts';
import { type Made, oneOfEach, pathOf, PLACES } from './console-places.ts';
import { checkBriefly, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';
import { alerts, mend, plantFault, REQUEST_ID } from './planted-fault.ts';

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

describe('each page, everything that it reads failing (500)', { concurrency: 3 }, () => {
  for (const place of PLACES)
    test(place.name, async (t) => {
      const watched = await open(t, '/settings/about');
      const { page } = watched;
      const heal = await plantFault(
        page,
        (path) => path !== '/api/v1/whoami' && path !== '/api/v1/events',
        500,
      );
      await page.goto(scene.url + pathOf(place, made));
      await alerts(page).first().waitFor();
      assert.match(await alerts(page).first().innerText(), new RegExp(`log by request id ${REQUEST_ID}`));
      await checkBriefly(watched, { isBroken: true });
      await heal();
      await mend(page);
    });
});

describe('the whole console, when it cannot ask who looks at it', () => {
  test('says so, and goes on when it can', async (t) => {
    const watched = await open(t, '/settings/about');
    const { page } = watched;
    const heal = await plantFault(page, (path) => path === '/api/v1/whoami', 500);
    await page.goto(scene.url);
    await page.getByText('The console could not be loaded').waitFor();
    await checkBriefly(watched, { isBroken: true });
    await heal();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
  });
});

describe('what was loaded before', () => {
  test('stays while it cannot be brought up to date, says so, and the note goes when it can', async (t) => {
    const watched = await open(t, '/sessions');
    const { page } = watched;
    const row = page.getByRole('link', { name: made.session });
    await row.waitFor();
    const heal = await plantFault(page, (path) => path === '/api/v1/sessions', 500);
    await scene.asViewer('POST', '/v1/chat/completions', {
      model: 'postern/echo',
      messages: [{ role: 'user', content: 'once more' }],
    });
    const note = page.getByText('This may be old: it could not be brought up to date.');
    await note.waitFor();
    await row.waitFor();
    await checkBriefly(watched, { isBroken: true });
    await heal();
    await page.getByRole('button', { name: 'Try again' }).click();
    await note.waitFor({ state: 'detached' });
  });

  test('a failure stays to be read while it is tried again', async (t) => {
    const watched = await open(t, '/settings/about');
    const { page } = watched;
    await plantFault(page, (path) => path === '/api/v1/sessions', 403);
    await page.goto(`${scene.url}/sessions`);
    await alerts(page).waitFor();
    await page.unrouteAll();
    let answer = (): void => undefined;
    const isHeld = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(
      (url) => url.pathname === '/api/v1/sessions',
      async (route) => {
        await isHeld;
        await route.continue();
      },
    );
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: /Try again.*under way/ }).waitFor();
    assert.equal(await alerts(page).count(), 1);
    answer();
    await page.getByRole('link', { name: made.session }).waitFor();
    assert.equal(await alerts(page).count(), 0);
  });
});
