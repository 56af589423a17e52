/** How the pages look and work for everybody: phone and desktop, light and dark, without a mouse, with a screen reader. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { DESKTOP, launchChromium, openWatchedPage, PHONE } from './browser.ts';
import { findings, overflow } from './looks.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';
import { makeTraffic } from './traffic.ts';

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
      'first page, empty',
      async (page) => {
        await page.goto(scene.url);
        await page.locator('#first-call pre').waitFor();
      },
    ],
    [
      'first page, in use',
      async (page) => {
        await makeTraffic(scene.url);
        await page.goto(scene.url);
        await page.locator('#requests tr').nth(3).waitFor();
        await page.locator('#usage-total td').first().waitFor();
      },
    ],
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
    await watched.page.goto(scene.url);
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

  test('the page reflows at 320 CSS pixels without scrolling sideways (WCAG 2.2, 1.4.10)', async (t) => {
    const watched = await openWatchedPage(browser, scene.url, { viewport: { width: 320, height: 640 } });
    t.after(() => watched.close());
    await watched.page.goto(scene.url);
    await watched.page.locator('#requests tr').first().waitFor();
    assert.equal(await overflow(watched.page), 0);
  });

  test('everything is reached by the keyboard, in the order of the page, with a visible focus', async (t) => {
    const watched = await openWatchedPage(browser, scene.url);
    t.after(() => watched.close());
    await watched.page.goto(scene.url);
    await watched.page.locator('#snippets figure').first().waitFor();
    await watched.page.locator('#requests tr').first().waitFor();
    const wanted = await watched.page.locator('a:visible, button:visible, select:visible').count();
    const seen = await walkByTab(watched.page);
    assert.equal(seen.filter(({ name }) => /^(A|BUTTON|SELECT)$/.test(name)).length, wanted);
    assert.deepEqual(
      seen.map(({ top }) => top),
      seen.map(({ top }) => top).sort((a, b) => a - b),
    );
    assert.deepEqual(
      seen.filter(({ outlinePx }) => outlinePx < 2),
      [],
    );
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

interface Stop {
  readonly name: string;
  readonly top: number;
  readonly outlinePx: number;
}

/** Everything that Tab reaches before it leaves the page. */
async function walkByTab(page: Page): Promise<Stop[]> {
  const stops: Stop[] = [];
  for (let press = 0; press < PRESSES_MAX; press += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const focused = document.activeElement;
      if (focused === null || focused === document.body) return null;
      return {
        name: focused.tagName,
        top: Math.round(focused.getBoundingClientRect().top + scrollY),
        outlinePx: parseFloat(getComputedStyle(focused).outlineWidth),
      };
    });
    if (stop === null) break;
    stops.push(stop);
  }
  return stops;
}
