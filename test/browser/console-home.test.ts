/** Home of the console in Chromium: every state in which somebody may find it, for every role. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import type { Browser } from 'playwright-core';
import { launchChromium, openWatchedPage, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import {
  breakApi,
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  openConsole,
  screenshot,
  startConsoleScene,
} from './console-scene.ts';
import { startBrowserScene } from './scene.ts';
import { makeTraffic } from './traffic.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;
const BUDGET: ConsoleSceneOptions = {
  more: { quotas: { 'daily:<user>': { unit: 'usd', capacity: '$1.00', rate: '$1.00/day' } } },
  capability: { quotas: [{ bucket: 'daily:<user>' }] },
};

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  options: ConsoleSceneOptions = {},
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  return { scene, watched };
}

const card = ({ page }: WatchedPage, name: string) => page.getByRole('region', { name, exact: true });
const arrived = (watched: WatchedPage) => watched.page.locator('.arrived');

describe('home', () => {
  test('a new server teaches: the claim, providers, the first call, which works when pasted and is seen to arrive', async (t) => {
    const scene = await startBrowserScene();
    t.after(() => scene.stop());
    const watched = await openConsole(browser, scene, '/?client=curl');
    t.after(() => watched.close());
    const { page } = watched;
    await page.getByText('Nobody administers this server yet').waitFor();
    await page.getByText('No provider yet:').waitFor();
    await arrived(watched).getByText('Waiting for your first request').waitFor();
    await card(watched, 'Budgets left').getByText('No budget limits you').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'home-new');
    const text = await card(watched, 'Connect a client').locator('pre code').first().innerText();
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', text], { timeout: 10_000 });
    assert.match(stdout, /postern\/echo test model/);
    await arrived(watched).getByText('A request arrived').waitFor();
    assert.match(await arrived(watched).innerText(), /echo/);
    assert.deepEqual(watched.faults, []);
  });

  test('usage, sessions and budgets follow what programs do, without loading the page again', async (t) => {
    const { scene, watched } = await open(t, BUDGET);
    const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    const headers = { 'x-postern-session': 'refactor-the-parser', 'x-postern-agent': 'claude-code' };
    const messages = [{ role: 'user' as const, content: 'hello' }];
    for (let call = 0; call < 3; call += 1)
      await client.chat.completions.create({ model: 'gpt-5', messages }, { headers });
    await card(watched, 'My usage').getByText('3 requests').first().waitFor();
    await card(watched, 'My sessions').getByRole('link', { name: 'refactor-the-parser' }).waitFor();
    await card(watched, 'Budgets left').getByRole('meter').waitFor();
    assert.match(await card(watched, 'Budgets left').innerText(), /\$\d.* of \$1\.00/);
    assert.match(await card(watched, 'My usage').innerText(), /Cost today\s+\$0\.\d+/);
    const usage = await scene.asViewer('GET', '/api/v1/usage');
    assert.equal(Object(usage.json).items[0].requests, 3);
    await checkPage(watched);
    await screenshot(watched, 'home');
    await watched.page.emulateMedia({ colorScheme: 'dark' });
    await screenshot(watched, 'home-dark');
    await watched.page.emulateMedia({ colorScheme: 'light' });
    await watched.page.setViewportSize(PHONE);
    await screenshot(watched, 'home-phone');
  });

  test('what callers write stays text', async (t) => {
    const { scene, watched } = await open(t);
    const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    const headers = { 'x-postern-agent': HOSTILE, 'user-agent': HOSTILE, 'x-postern-session': HOSTILE };
    const messages = [{ role: 'user' as const, content: HOSTILE }];
    await client.chat.completions.create({ model: HOSTILE, messages }, { headers }).catch(() => null);
    await client.chat.completions.create({ model: 'gpt-5', messages }, { headers });
    await card(watched, 'My sessions').locator('tbody tr').first().waitFor();
    await watched.page.reload();
    await card(watched, 'My sessions').locator('tbody tr').first().waitFor();
    assert.equal(await watched.page.locator('main img, main script').count(), 0);
    await checkPage(watched);
  });

  test('every client has settings, which are copied as they are, and the address remembers the choice', async (t) => {
    const { scene, watched } = await open(t);
    const { page, context } = watched;
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: scene.url });
    const { json } = await scene.asViewer('GET', '/api/v1/connect');
    const clients: { title: string; client: string; snippet: { text: string } }[] = Object(json).items;
    assert.ok(clients.length >= 8);
    for (const { title, client, snippet } of [...clients.slice(1), ...clients.slice(0, 1)]) {
      await card(watched, 'Connect a client')
        .getByRole('button', { name: /Client/ })
        .click();
      await page.getByRole('option', { name: title, exact: true }).click();
      await page.waitForURL((url) => url.searchParams.get('client') === client);
      await card(watched, 'Connect a client').getByRole('button', { name: /^Copy/ }).first().click();
      await page.getByText('Copied', { exact: true }).first().waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), snippet.text);
    }
    await page.reload();
    await card(watched, 'Connect a client')
      .getByText(clients[0]?.title ?? '')
      .first()
      .waitFor();
    assert.deepEqual(watched.faults, []);
  });

  test('where the browser allows no copying, the text is selected and a message says so', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await card(watched, 'Connect a client').getByRole('button', { name: /^Copy/ }).first().click();
    await page.getByRole('alert').getByText('the text is selected').waitFor();
    const selected = await page.evaluate(() => String(getSelection()));
    const shown = await card(watched, 'Connect a client').locator('pre code').first().innerText();
    assert.equal(selected.trim(), shown.trim());
  });

  test('somebody without a role is told what to send to an admin', async (t) => {
    const { watched } = await open(t, { signInAs: 'nobody' });
    await watched.page.getByText('Nothing is granted to you yet').waitFor();
    assert.match(await watched.page.locator('main').innerText(), /local:\d+/);
    assert.equal(await watched.page.getByRole('link', { name: 'Sessions' }).count(), 0);
    await checkPage(watched);
    await screenshot(watched, 'home-no-role');
  });

  test('a fault of the server is told where it is, and can be tried again', async (t) => {
    const scene = await startConsoleScene();
    t.after(() => scene.stop());
    const watched = await openWatchedPage(browser, scene.url);
    t.after(() => watched.close());
    const mend = await breakApi(watched, /\/api\/v1\/(?:usage|budgets|sessions|connect)/);
    await watched.page.goto(scene.url);
    await watched.page.getByText('Your usage could not be loaded').waitFor();
    await watched.page.getByText('My sessions could not be loaded').waitFor();
    await checkPage(watched, { isBroken: true });
    await mend();
    for (const button of await watched.page.getByRole('button', { name: 'Try again' }).all()) {
      if (await button.isVisible()) await button.click();
    }
    await card(watched, 'My usage').getByText('Cost today').waitFor();
  });

  test('offline the page keeps what it has, says so, and goes on by itself', async (t) => {
    const { scene, watched } = await open(t);
    await makeTraffic(scene.url);
    await card(watched, 'My sessions').locator('tbody tr').first().waitFor();
    await watched.context.setOffline(true);
    await watched.page.getByText('This device is offline.').waitFor();
    assert.ok((await card(watched, 'My sessions').locator('tbody tr').count()) > 0);
    await watched.context.setOffline(false);
    await waitUntil(async () => (await watched.page.locator('.offline').count()) === 0);
  });

  test('a page that nobody sees holds no connection, and catches up when it is seen again', async (t) => {
    const { scene, watched } = await open(t);
    await card(watched, 'My sessions').getByText('under way now').waitFor();
    await setHidden(watched, true);
    await card(watched, 'My sessions').getByText('Not live').waitFor();
    await makeTraffic(scene.url);
    await setHidden(watched, false);
    await card(watched, 'My sessions').getByText('under way now').waitFor();
    await card(watched, 'My sessions').locator('tbody tr').first().waitFor();
    assert.deepEqual(watched.faults, []);
  });
});

/** Headless Chromium shows every page; the page is told otherwise. */
async function setHidden({ page }: WatchedPage, hidden: boolean): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}
