/**
 * The records of the console at size, in Chromium: a session of 300 turns whose requests reach 400 KB
 * is read and scrolled at once, and a list of thousands of requests stays a page long (issue 4).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import { checkPage, type ConsoleScene, openConsole, screenshot, startConsoleScene } from './console-scene.ts';
import { type Scrolling, scrollThrough, timeToSee } from './page-timing.ts';

const TURNS = 300;
const LAST_BODY_BYTES = 400_000;
const REQUESTS = 5_000;
const AT_ONCE = 16;
/** The budget, from the start of the navigation to the first turn or row painted. */
const FIRST_VIEW_MAX_MS = 1_000;
/** Above this a hand that scrolls feels it. */
const LONG_TASK_MAX_MS = 200;
/** A processor of half the speed: what holds on it holds with a margin. */
const SLOWER = 2;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function start(t: TestContext): Promise<ConsoleScene> {
  const scene = await startConsoleScene();
  t.after(() => scene.stop());
  return scene;
}

async function open(t: TestContext, scene: ConsoleScene, path: string): Promise<WatchedPage> {
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  return watched;
}

/** One call of an agent with a conversation that it sends whole; the size of what it sent. */
async function say(scene: ConsoleScene, session: string, messages: readonly object[]): Promise<number> {
  const body = { model: 'claude-sonnet-4-5', max_tokens: 500, messages };
  const answer = await scene.asViewer('POST', '/v1/messages', body, {
    'anthropic-version': '2023-06-01',
    'x-postern-session': session,
    'x-postern-agent': 'claude-code',
  });
  assert.equal(answer.status, 200, answer.text);
  return JSON.stringify(body).length;
}

/** A conversation that grows by as much with every turn; the size of its last request. */
async function longSession(scene: ConsoleScene, session: string): Promise<number> {
  const messages: object[] = [];
  let bytes = 0;
  for (let turn = 1; turn <= TURNS; turn += 1) {
    const file = `line ${turn} of a long file\n`.repeat(60).slice(0, LAST_BODY_BYTES / TURNS - 140);
    messages.push({ role: 'user', content: `Step ${turn}: ${file}` });
    bytes = await say(scene, session, messages);
    messages.push({ role: 'assistant', content: `Step ${turn} is done. ${'So it is. '.repeat(8)}` });
  }
  return bytes;
}

async function recorded(scene: ConsoleScene, count: number): Promise<void> {
  await waitUntil(async () => {
    const { json } = await scene.asOperator('GET', '/api/v1/requests/summary');
    return Object(json).requests >= count;
  });
}

/**
 * Scrolls through the session on a slowed processor. A long task that is the page's own comes back
 * with every load; one that the machine's other work made does not, so the best of three counts.
 */
async function smoothest(t: TestContext, { page, devtools }: WatchedPage, url: string): Promise<Scrolling> {
  let best: Scrolling | null = null;
  for (let round = 0; round < 3 && (best === null || best.longestTask >= LONG_TASK_MAX_MS); round += 1) {
    await page.goto(url);
    await page.getByText(`${TURNS} turns`, { exact: true }).waitFor();
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
    const scrolled = await scrollThrough(browser, page);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: 1 });
    t.diagnostic(JSON.stringify(scrolled));
    if (best === null || scrolled.longestTask < best.longestTask) best = scrolled;
  }
  assert.ok(best !== null);
  return best;
}

describe('a session of 300 turns whose requests reach 400 KB', () => {
  test('opens in under a second and scrolls to its end without a stop', async (t) => {
    const scene = await start(t);
    const bytes = await longSession(scene, 'long-one');
    assert.ok(bytes > LAST_BODY_BYTES * 0.9, `the last request has ${bytes} bytes`);
    await recorded(scene, TURNS);
    const watched = await open(t, scene, '/sessions');
    const { page } = watched;
    const url = `${scene.url}/sessions/long-one`;
    const first = await timeToSee(page, url, 'article .turn-body', 'Step 1:');
    t.diagnostic(`first turn after ${Math.round(first)} ms`);
    assert.ok(first < FIRST_VIEW_MAX_MS, `the first turn was there after ${first} ms`);
    const scrolled = await smoothest(t, watched, url);
    await page.getByText(`Step ${TURNS}:`).first().waitFor();
    assert.ok(scrolled.frames > 50, `only ${scrolled.frames} frames`);
    assert.ok(scrolled.longestTask < LONG_TASK_MAX_MS, `a task took ${scrolled.longestTask} ms`);
    assert.ok(scrolled.lateFrames < 0.1, `${scrolled.lateFrames} of the frames were late`);
    assert.ok(scrolled.drawn < 40, `${scrolled.drawn} turns were drawn at once`);
    await screenshot(watched, 'session-long');
    assert.deepEqual(watched.faults, []);
    const { json } = await scene.asViewer('GET', '/api/v1/sessions/long-one/turns?content=true&cursor=299');
    assert.equal(Object(json).total, TURNS);
    assert.match(JSON.stringify(Object(json).items), /Step 300:/);
  });
});

/** Calls of the built-in test model, so many at once that the pipeline is busy. */
async function manyRequests(scene: ConsoleScene): Promise<void> {
  let left = REQUESTS;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const messages = [{ role: 'user', content: `number ${left}` }];
      const { status, text } = await scene.asViewer('POST', '/v1/chat/completions', {
        model: 'postern/echo',
        messages,
      });
      assert.equal(status, 200, text);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

describe(`a list of ${REQUESTS} requests`, () => {
  test('shows its first page in under a second, a page at a time, each of which its address restores', async (t) => {
    const scene = await start(t);
    await manyRequests(scene);
    await recorded(scene, REQUESTS);
    const watched = await open(t, scene, '/');
    const { page } = watched;
    const rows = page.getByRole('table', { name: 'Requests' }).locator('tbody tr');
    const first = await timeToSee(page, `${scene.url}/requests`, 'tbody .row-link', ':');
    t.diagnostic(`first page after ${Math.round(first)} ms`);
    assert.ok(first < FIRST_VIEW_MAX_MS, `the first page was there after ${first} ms`);
    await page.getByText('100 requests', { exact: true }).waitFor();
    const linkOf = () => rows.first().locator('.row-link').getAttribute('href');
    const seen = [await linkOf()];
    for (let step = 0; step < 3; step += 1) {
      await page.getByRole('button', { name: 'Next page' }).click();
      await waitUntil(async () => !seen.includes(await linkOf()));
      seen.push(await linkOf());
      assert.equal(await rows.count(), 100);
    }
    await page.reload();
    await rows.nth(99).waitFor();
    assert.equal(await linkOf(), seen.at(-1));
    const { json } = await scene.asViewer('GET', '/api/v1/requests?limit=301');
    assert.equal(`/requests/${Object(json).items.at(-1).id}`, seen.at(-1));
    await checkPage(watched);
  });
});
