/** What stands around every page of the console: navigation by role, keyboard, theme, size, policy. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, openWatchedPage, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import {
  checkPage,
  type ConsoleScene,
  openConsole,
  startConsoleScene,
  type ViewerRole,
} from './console-scene.ts';
import { overflow } from './looks.ts';

/** Issue 4: the first view, compressed. */
const SCRIPT_MAX_BYTES = 250 * 1024;
const INTERACTIVE_MAX_MS = 1_000;

const OF_USERS = [
  'Home',
  'Live',
  'Requests',
  'Sessions',
  'Usage and cost',
  'Approvals',
  'Playground',
  'Settings',
];
const OF_OVERSEERS = [
  ...OF_USERS.slice(0, -1),
  'Policy',
  'Providers and keys',
  'Network',
  'Devices',
  'Audit',
  'Settings',
];
const PLACES: Readonly<Record<ViewerRole, readonly string[]>> = {
  nobody: ['Home', 'Approvals', 'Settings'],
  user: OF_USERS,
  lead: OF_USERS,
  approver: OF_USERS,
  auditor: OF_OVERSEERS,
  admin: OF_OVERSEERS,
};

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  path = '/',
  signInAs: ViewerRole = 'user',
  options: Parameters<typeof openConsole>[3] = {},
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene({ signInAs });
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene, path, options);
  t.after(() => watched.close());
  return { scene, watched };
}

describe('navigation', () => {
  for (const [role, places] of Object.entries(PLACES))
    test(`shows ${role} what their role allows, each with a page and a title of its own`, async (t) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a key of the table above
      const { watched } = await open(t, '/', role as ViewerRole);
      const links = watched.page.getByRole('navigation', { name: 'Places' }).getByRole('link');
      const names = (await links.allInnerTexts()).map((text) => text.split('\n')[0]);
      assert.deepEqual(names, places);
      const titles = new Set<string>();
      for (const link of await links.all()) {
        await link.click();
        await watched.page.locator('main h1').waitFor();
        await waitUntil(async () => !titles.has(await watched.page.title()));
        titles.add(await watched.page.title());
      }
      assert.equal(titles.size, places.length);
      assert.deepEqual(watched.faults, []);
    });

  test('an address that no page has is said so, and the rest of the console stays', async (t) => {
    const { watched } = await open(t, '/settings/nothing-like-this');
    await watched.page.getByRole('navigation', { name: 'Places' }).waitFor();
    assert.deepEqual(watched.faults, []);
  });

  test('on a phone the main places are at the bottom and the others behind More', async (t) => {
    const { watched } = await open(t, '/', 'admin', { viewport: PHONE });
    const { page } = watched;
    const bar = page.getByRole('navigation', { name: 'Main places' });
    assert.equal(await bar.getByRole('link').count(), 4);
    await bar.getByRole('button', { name: 'More' }).click();
    await page.getByRole('dialog').getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await overflow(page), 0);
    assert.deepEqual(watched.faults, []);
  });

  test('nothing is wider than a window of 320 CSS pixels (WCAG 2.2, 1.4.10)', async (t) => {
    const { watched } = await open(t, '/', 'admin', { viewport: { width: 320, height: 640 } });
    await watched.page.getByText('No budget limits you').waitFor();
    assert.equal(await overflow(watched.page), 0);
  });
});

describe('keyboard', () => {
  test('g and a letter go to a place, ? explains, and typing is never taken for it', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.getByRole('heading', { level: 1, name: 'Sessions' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(new URL(page.url()).pathname, '/sessions');
    assert.deepEqual(watched.faults, []);
  });

  test('the first Tab is a link past the navigation, and a new page takes the focus to its content', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the page');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    await page.getByRole('link', { name: 'Settings' }).click();
    await waitUntil(() => page.evaluate(() => document.activeElement?.id === 'main'));
  });

  test('everything that Tab reaches shows its focus', async (t) => {
    const { watched } = await open(t, '/', 'admin');
    const { page } = watched;
    await page.getByText('No budget limits you').waitFor();
    await page.locator('pre').first().waitFor();
    const faint: string[] = [];
    for (let press = 0; press < 60; press += 1) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === null || focused === document.body) return null;
        return {
          name: focused.outerHTML.slice(0, 120),
          px: parseFloat(getComputedStyle(focused).outlineWidth),
        };
      });
      if (stop === null) break;
      if (stop.px < 2) faint.push(stop.name);
    }
    assert.deepEqual(faint, []);
  });
});

describe('appearance', () => {
  test('light and dark are chosen by the system or by hand, and the choice stays', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.getByRole('button', { name: 'Colours: as the system' }).click();
    assert.equal(await ground(), light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    await page.emulateMedia({ colorScheme: 'light' });
    assert.equal(await ground(), dark);
    await page.getByRole('button', { name: 'Colours: dark' }).click();
    assert.equal(await ground(), light);
    assert.deepEqual(watched.faults, []);
  });

  test('dialogs and menus are fit for everybody', async (t) => {
    const { watched } = await open(t);
    await watched.page.keyboard.press('?');
    await watched.page.getByRole('dialog').waitFor();
    await checkPage(watched);
  });
});

describe('what is sent (issue 4, proof)', () => {
  test('the first view takes under 250 KB of script, compressed, and is interactive within a second', async (t) => {
    const scene = await startConsoleScene();
    t.after(() => scene.stop());
    const watched = await openWatchedPage(browser, scene.url);
    t.after(() => watched.close());
    const { page, devtools } = watched;
    let scriptBytes = 0;
    const scripts = new Set<string>();
    await devtools.send('Network.enable');
    devtools.on('Network.responseReceived', ({ type, requestId }) => {
      if (type === 'Script') scripts.add(requestId);
    });
    devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (scripts.has(requestId)) scriptBytes += encodedDataLength;
    });
    const samples: number[] = [];
    for (let load = 0; load < 3; load += 1) {
      await page.goto(scene.url);
      await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
      samples.push(await page.evaluate(() => performance.now()));
      if (load === 0) await page.waitForLoadState('networkidle', { timeout: 2_000 }).catch(() => null);
    }
    assert.ok(scriptBytes > 10_000 && scriptBytes < SCRIPT_MAX_BYTES, `${scriptBytes} bytes`);
    assert.ok(Math.min(...samples) < INTERACTIVE_MAX_MS, samples.join(', '));
  });

  test('the policy lets no script in that the page does not name, and the watch notices', async (t) => {
    const { watched } = await open(t);
    await watched.page.evaluate(() => {
      const script = document.createElement('script');
      try {
        script.append('alert(1)');
        document.body.append(script);
      } catch {
        // Trusted types may refuse it before the policy does.
      }
      const image = document.createElement('img');
      image.src = 'http://127.0.0.1:9/';
      document.body.append(image);
    });
    await waitUntil(() => watched.faults.some((fault) => /content policy: img-src/.test(fault)));
    assert.ok(
      watched.faults.some((fault) => /content policy: (?:script-src|require-trusted-types)/.test(fault)),
    );
    assert.ok(!watched.faults.some((fault) => fault.startsWith('dialog')));
  });

  test('a proxied answer opened as a page runs nothing and reads nothing of this origin (DESIGN section 4)', async (t) => {
    const { scene, watched } = await open(t);
    await watched.page.evaluate(() => localStorage.setItem('postern_presence_proof', 'secret'));
    const answer = await watched.page.goto(`${scene.url}/v1/models`);
    assert.match(answer?.headers()['content-security-policy'] ?? '', /^sandbox; default-src 'none'/);
    const read = await watched.page.evaluate(() => {
      try {
        return localStorage.getItem('postern_presence_proof');
      } catch (error) {
        return String(error);
      }
    });
    assert.match(read ?? 'null', /SecurityError/);
  });

  test('a link of another site opens the console, and an approval that a mail names', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await page.route('http://elsewhere.test/', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: ['/', '/approvals/apr_1', '/sessions/s1', '/claim']
          .map((path) => `<p><a href="${scene.url}${path}">${path}</a></p>`)
          .join(''),
      }),
    );
    for (const path of ['/', '/approvals/apr_1', '/sessions/s1', '/claim']) {
      await page.goto('http://elsewhere.test/');
      const answer = page.waitForResponse(scene.url + path);
      await page.getByRole('link', { name: path, exact: true }).click();
      assert.equal((await answer).status(), 200, path);
    }
  });
});
