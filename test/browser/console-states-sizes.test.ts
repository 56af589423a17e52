/**
 * Every page of the console with nothing and with one of each (issue 4, proof): what is empty teaches
 * and its next step works; each page is fit for everybody at both widths.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, type WatchedPage } from './browser.ts';
import { type Made, oneOfEach, pathOf, PLACES } from './console-places.ts';
import { writeManyRecords } from './many-records.ts';
import { checkBriefly, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';

let browser: Browser;
let empty: ConsoleScene;
let filled: ConsoleScene;
let made: Made;
before(async () => {
  browser = await launchChromium();
  empty = await startConsoleScene({ signInAs: 'admin' });
  filled = await startConsoleScene({
    signInAs: 'admin',
    // So that there are two versions.
    isStored: true,
    fill: (stateDir) => writeManyRecords(stateDir, { versions: 1 }),
    more: { approvals: { default: { approvers: ['*'] } } },
  });
  made = await oneOfEach(filled);
});
after(async () => {
  await browser.close();
  await empty.stop();
  await filled.stop();
});

/** A page with all that it waits for. */
async function open(t: TestContext, scene: ConsoleScene, path: string): Promise<WatchedPage> {
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  await watched.page.locator('main .skeleton').first().waitFor({ state: 'detached' });
  return watched;
}

describe('each page with nothing', { concurrency: 3 }, () => {
  for (const place of PLACES) {
    if (/\{/.test(place.path)) continue;
    test(`${place.name}${place.empty === null ? '' : ' teaches'}`, async (t) => {
      const watched = await open(t, empty, place.path);
      const { page } = watched;
      if (place.empty !== null) {
        const shown = page.locator('main', { hasText: place.empty });
        await shown.waitFor().catch(async () => assert.fail(await page.locator('main').innerText()));
      }
      await checkBriefly(watched);
      if (place.next === undefined) return;
      const { name, leadsTo } = place.next;
      await page.locator('main .empty').getByRole('link', { name }).click();
      await page.getByRole('heading', { level: 1, name: leadsTo }).waitFor();
    });
  }
});

describe('each page with one of each', { concurrency: 3 }, () => {
  for (const place of PLACES)
    test(place.name, async (t) => {
      const watched = await open(t, filled, pathOf(place, made));
      assert.equal(await watched.page.locator('main [role=alert]').count(), 0);
      await checkBriefly(watched);
    });
});
