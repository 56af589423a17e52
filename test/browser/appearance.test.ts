/** How the plain pages (claim, presence) look and work for everybody: phone and desktop, light and dark, without a mouse, with a screen reader. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { DESKTOP, launchChromium, openWatchedPage, PHONE } from './browser.ts';
import { findings, overflow } from './looks.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

/** What axe calls so is a failure. */
const SERIOUS = ['serious', 'critical'];
const SIZES = { phone: PHONE, desktop: DESKTOP } as const;
const SCHEMES = ['light', 'dark'] as const;
const PRESSES_MAX = 60;

describe('appearance', () => {
  let browser: Browser;
  let scene: BrowserScene;
  before(async () => {
    browser = await launchChromium();
    scene = await startBrowserScene();
  });
  after(async () => {
    await browser.close();
    await scene.stop();
  });

  /** Pages with what to wait for, in the order in which a new server shows them. */
  const states: readonly (readonly [name: string, open: (page: Page) => Promise<void>])[] = [
    [
      'claim',
      async (page) => {
        await page.goto(scene.claimUrl);
        await page.locator('#who-part').waitFor();
      },
    ],
    [
      'presence, absent',
      async (page) => {
        await page.goto(`${scene.url}/presence`);
        await page.locator('#ask').waitFor();
      },
    ],
    [
      'a refusal',
      async (page) => {
        await page.goto(`${scene.url}/presence`);
        await page.locator('#code').fill('0'.repeat(32));
        await page.locator('#use-code').click();
        await page.locator('#message.error').waitFor();
      },
    ],
    [
      'presence, asked by a command line',
      async (page) => {
        await page.goto(`${scene.url}/presence?request=${await ask(scene.url)}`);
        await page.locator('#request-open').waitFor();
      },
    ],
    [
      'claimed',
      async (page) => {
        await page.goto(scene.claimUrl);
        await page.locator('#claim').click();
        await page.locator('#done').waitFor();
      },
    ],
  ];

  for (const [name, open] of states) {
    test(`${name}: nothing is wider than the window, and axe finds nothing serious, in every size and scheme`, async (t) => {
      const watched = await openWatchedPage(browser, scene.url);
      t.after(() => watched.close());
      await open(watched.page);
      for (const [size, viewport] of Object.entries(SIZES)) {
        await watched.page.setViewportSize(viewport);
        for (const colorScheme of SCHEMES) {
          await watched.page.emulateMedia({ colorScheme });
          assert.equal(await overflow(watched.page), 0, `${size} ${colorScheme}`);
          assert.deepEqual(await findings(watched.page, SERIOUS), [], `${size} ${colorScheme}`);
        }
      }
    });
  }

  test('the checks themselves find what is too wide, too faint and without a name', async (t) => {
    const watched = await openWatchedPage(browser, scene.url);
    t.after(() => watched.close());
    await watched.page.goto(`${scene.url}/claim`);
    await watched.page.evaluate(() => {
      const faint = document.createElement('p');
      faint.textContent = 'faint';
      faint.style.color = '#ccc';
      const wide = document.createElement('button');
      wide.style.width = '2000px';
      document.body.append(faint, wide);
    });
    assert.ok((await overflow(watched.page)) > 0);
    const found = (await findings(watched.page, SERIOUS)).join('\n');
    assert.match(found, /color-contrast/);
    assert.match(found, /button-name/);
  });

  test('a claim without a mouse: Tab, and Enter', async (t) => {
    const own = await startBrowserScene();
    t.after(() => own.stop());
    const watched = await openWatchedPage(browser, own.url);
    t.after(() => watched.close());
    const { page } = watched;
    await page.goto(own.claimUrl);
    await page.locator('#who-part').waitFor();
    for (let press = 0; press < PRESSES_MAX; press += 1) {
      if ((await page.evaluate(() => document.activeElement?.id)) === 'claim') break;
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'You are the admin' }).waitFor();
    assert.deepEqual(watched.faults, []);
  });
});

/** The id of a new presence request, as a command line makes it. */
async function ask(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/presence/requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"client":"postern login"}',
  });
  const body: unknown = await answer.json();
  return String(Object(body).id);
}
