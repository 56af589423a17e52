/**
 * Every list of the console at 100,000 rows (issue 4, proof): the first view comes within a second,
 * the server pages, and the page holds no more of it than a person sees. The rows are written by the
 * store's own functions (many-records.ts), so that the bed stands within seconds.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { DESKTOP, launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import { checkFaults, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';
import { overflow } from './looks.ts';
import { writeManyRecords } from './many-records.ts';
import { scrollThrough, timeToSee } from './page-timing.ts';

const MANY = 100_000;
const USERS = 10_000;
/** The API lists the newest 100 of them. */
const VERSIONS = 10_000;
/** The API answers this list whole. */
const TOKENS = 10_000;
/** The budget. */
const FIRST_VIEW_MAX_MS = 1_000;
/** Elements of a page: 100 rows of a dozen cells, and what stands around them. */
const ELEMENTS_MAX = 6_000;
/** A hand that scrolls feels what is longer. */
const LONG_TASK_MAX_MS = 200;

let browser: Browser;
let scene: ConsoleScene;
before(async () => {
  browser = await launchChromium();
  scene = await startConsoleScene({
    signInAs: 'admin',
    fill: (stateDir) =>
      writeManyRecords(stateDir, {
        requests: MANY,
        users: USERS,
        audit: MANY,
        approvals: MANY,
        versions: VERSIONS,
        tokens: TOKENS,
      }),
    isStored: true,
  });
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

interface LargePage {
  readonly name: string;
  readonly path: string;
  /** What is there when the first view is. */
  readonly row: string;
  /** Pages of so many rows, the next by its button; null where rows are drawn as they are scrolled to. */
  readonly pageRows: number | null;
  /** The button that shows more. */
  readonly more?: string;
}

const ROW = 'main tbody tr';

const LARGE: readonly LargePage[] = [
  { name: 'home', path: '/', row: 'main .stat-value', pageRows: null },
  { name: 'live', path: '/live', row: 'main .live-line', pageRows: null },
  { name: 'requests', path: '/requests', row: ROW, pageRows: 100 },
  { name: 'sessions', path: '/sessions', row: ROW, pageRows: 100 },
  { name: 'usage by model', path: '/usage', row: '[aria-label="Usage by model"] tbody tr', pageRows: null },
  {
    name: `usage by ${USERS} users`,
    path: '/usage?by=user',
    row: '[aria-label="Usage by user"] tbody tr',
    pageRows: 50,
    more: 'Show more',
  },
  { name: 'history of approvals', path: '/approvals?tab=history', row: ROW, pageRows: 50 },
  { name: 'versions of the policy', path: '/policy?tab=versions', row: ROW, pageRows: 100 },
  { name: 'audit', path: '/audit', row: ROW, pageRows: 50 },
  { name: 'tokens', path: '/settings/tokens', row: ROW, pageRows: 50 },
  { name: 'providers', path: '/providers', row: 'main .card', pageRows: null },
];

/** The median of three loads, in the best of up to three rounds: a machine that is busy says little of a page. */
async function bestMedian(t: TestContext, load: () => Promise<number>, page: Page): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < 3 && best >= FIRST_VIEW_MAX_MS; round += 1) {
    const samples: number[] = [];
    while (samples.length < 3) {
      samples.push(await load());
      // What this load still asks for is not the next one's to wait for.
      await page.waitForLoadState('networkidle', { timeout: 1_000 }).catch(() => undefined);
    }
    t.diagnostic(`first view: ${samples.map(Math.round).join(', ')} ms`);
    best = Math.min(best, samples.toSorted((a, b) => a - b)[1] ?? Infinity);
  }
  return best;
}

const elements = (page: Page): Promise<number> => page.evaluate(() => document.querySelectorAll('*').length);

describe(`each list at ${MANY} rows`, () => {
  for (const large of LARGE)
    test(large.name, async (t) => {
      const watched = await open(t, '/settings/about');
      const { page } = watched;
      const best = await bestMedian(t, () => timeToSee(page, scene.url + large.path, large.row), page);
      assert.ok(best < FIRST_VIEW_MAX_MS, `the first view came after ${best} ms`);
      const count = await elements(page);
      assert.ok(count < ELEMENTS_MAX, `${count} elements`);
      if (large.pageRows !== null) {
        const rows = page.locator(large.row);
        assert.equal(await rows.count(), large.pageRows);
        const before = await rows.first().innerText();
        if (large.more === undefined) {
          await page.getByRole('button', { name: 'Next page' }).click();
          await waitUntil(async () => (await rows.first().innerText()) !== before);
          assert.equal(await rows.count(), large.pageRows);
        } else {
          await page.getByRole('button', { name: large.more }).click();
          await waitUntil(async () => (await rows.count()) === 2 * (large.pageRows ?? 0));
        }
      }
      for (const size of [PHONE, DESKTOP]) {
        await page.setViewportSize(size);
        // Charts are drawn anew for the width.
        await waitUntil(async () => (await overflow(page)) === 0);
      }
      checkFaults(watched);
    });

  test('the list of requests scrolls without a stop', async (t) => {
    const { page } = await open(t, '/requests');
    await page.locator(ROW).nth(99).waitFor();
    const scrolled = await scrollThrough(browser, page);
    t.diagnostic(JSON.stringify(scrolled));
    assert.ok(scrolled.frames > 5, `only ${scrolled.frames} frames`);
    assert.ok(scrolled.longestTask < LONG_TASK_MAX_MS, `a task took ${scrolled.longestTask} ms`);
    assert.ok(scrolled.lateFrames < 0.1, `${scrolled.lateFrames} of the frames were late`);
  });

  test('live keeps the newest 500 of many more, and draws those in view', async (t) => {
    const watched = await open(t, '/live');
    const { page } = watched;
    await page.locator('main .live-line').first().waitFor();
    const send = (number: number) =>
      scene.asViewer('POST', '/v1/chat/completions', {
        model: 'postern/echo',
        messages: [{ role: 'user', content: `number ${number}` }],
      });
    for (let sent = 0; sent < 640; sent += 16)
      await Promise.all(Array.from({ length: 16 }, (_, at) => send(sent + at)));
    const items = page.locator('main [role=listitem]');
    await waitUntil(async () => Number(await items.first().getAttribute('aria-setsize')) >= 500);
    assert.ok(Number(await items.first().getAttribute('aria-setsize')) <= 550);
    assert.ok((await items.count()) < 60, `${await items.count()} rows are drawn`);
    assert.ok((await elements(page)) < ELEMENTS_MAX);
    checkFaults(watched);
  });
});
