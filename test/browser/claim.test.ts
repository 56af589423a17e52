/** The claim link in Chromium (DESIGN section 5): it shows, the click claims, once, within its hour. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, openWatchedPage, type WatchedPage } from './browser.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

/** What Chromium itself writes on the console about an answer of 4xx. */
const REFUSED = /^console: Failed to load resource: the server responded with a status of 4\d\d/;

describe('the claim link', () => {
  let browser: Browser;
  let scene: BrowserScene;
  let watched: WatchedPage;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());
  beforeEach(async () => {
    scene = await startBrowserScene();
    watched = await openWatchedPage(browser, scene.url);
  });
  afterEach(async () => {
    await watched.close();
    await scene.stop();
  });

  const roles = async (): Promise<unknown> => {
    const answer: unknown = await (await fetch(`${scene.url}/api/v1/whoami`)).json();
    return Object(answer).roles;
  };
  const message = (text: RegExp) => watched.page.locator('#message', { hasText: text }).waitFor();

  test('opening it, even often, changes nothing, and the code leaves the address at once', async () => {
    const { page } = watched;
    const asked: string[] = [];
    page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`));
    for (let time = 0; time < 3; time += 1) {
      await page.goto(scene.claimUrl);
      await page.locator('#who-part').waitFor();
      assert.equal(page.url(), `${scene.url}/claim`);
      await page.goto('about:blank');
    }
    const code = scene.claimUrl.split('#')[1] ?? '';
    assert.ok(code.length >= 32);
    assert.deepEqual(
      asked.filter((line) => line.includes(code) || line.startsWith('POST')),
      [],
    );
    assert.deepEqual(await roles(), ['user']);
    await page.goBack();
    await page.locator('#who-part').waitFor();
    assert.ok(!page.url().includes('#'));
    assert.deepEqual(watched.faults, []);
  });

  test('the click makes the admin, whose browser is present for ten minutes', async () => {
    const { page, context } = watched;
    await page.goto(scene.claimUrl);
    assert.match(await page.locator('#who').innerText(), /\(local:\d+\)/);
    await page.getByRole('button', { name: 'Make me the admin' }).click();
    await page.getByRole('heading', { name: 'You are the admin' }).waitFor();
    assert.deepEqual(await roles(), ['admin', 'user']);
    const cookie = (await context.cookies()).find(({ name }) => name === 'postern_presence');
    assert.ok(cookie?.httpOnly === true && cookie.sameSite === 'Strict' && cookie.path === '/');
    assert.equal(cookie.domain, 'localhost');
    await page.goto(scene.url);
    await page.getByText('No provider yet:').waitFor();
    assert.equal(await page.getByText('Nobody administers this server yet').count(), 0);
    await page.getByRole('link', { name: 'Audit' }).waitFor();
    await page.goto(`${scene.url}/presence`);
    await page.locator('#state', { hasText: 'You are present until' }).waitFor();
    assert.deepEqual(watched.faults, []);
  });

  test('half of the presence is not enough: neither the cookie nor the stored proof alone', async () => {
    const { page, context } = watched;
    await page.goto(scene.claimUrl);
    await page.locator('#claim').click();
    await page.locator('#done').waitFor();
    await page.evaluate(() => localStorage.setItem('postern_presence_proof', '0'.repeat(32)));
    await page.goto(`${scene.url}/presence`);
    await page.locator('#state', { hasText: 'You are not present' }).waitFor();
    await context.clearCookies();
    await page.reload();
    await page.locator('#state', { hasText: 'You are not present' }).waitFor();
  });

  test('used twice it fails in words that say why', async () => {
    const second = await openWatchedPage(browser, scene.url);
    await second.page.goto(scene.claimUrl);
    await watched.page.goto(scene.claimUrl);
    await watched.page.locator('#claim').click();
    await watched.page.locator('#done').waitFor();
    await second.page.locator('#claim').click();
    await second.page.locator('#message.error', { hasText: 'This server has an admin already' }).waitFor();
    assert.equal(await second.page.locator('#done').isVisible(), false);
    assert.ok(
      second.faults.every((fault) => REFUSED.test(fault)),
      second.faults.join('\n'),
    );
    await second.close();
  });

  test('a double click claims once', async () => {
    const posts: string[] = [];
    watched.page.on('request', (request) => {
      if (request.method() === 'POST') posts.push(request.url());
    });
    await watched.page.goto(scene.claimUrl);
    await watched.page.locator('#claim').dblclick();
    await watched.page.locator('#done').waitFor();
    assert.equal(posts.length, 1);
  });

  test('after an hour it fails, and says how to get another', async () => {
    scene.passMinutes(61);
    await watched.page.goto(scene.claimUrl);
    await watched.page.locator('#claim').click();
    await message(/older than an hour; start the server again/);
    assert.deepEqual(await roles(), ['user']);
  });

  test('a wrong code and none are refused; Enter does what the button does', async () => {
    const { page } = watched;
    await page.goto(`${scene.url}/claim`);
    await page.locator('#claim').click();
    await message(/Enter the code of the claim link first/);
    await page.locator('#code').fill('0'.repeat(32));
    await page.locator('#code').press('Enter');
    await message(/The claim code is wrong/);
    assert.deepEqual(await roles(), ['user']);
  });

  test('opened by address it goes on at localhost, with its code', async () => {
    const { page } = watched;
    const byAddress = scene.claimUrl.replace('localhost', '127.0.0.1');
    watched.faults.length = 0;
    await page.goto(byAddress);
    assert.equal(await page.locator('section:visible').count(), 0);
    assert.ok(!page.url().includes('#'));
    await page.getByRole('link', { name: 'Go on at localhost' }).click();
    await page.locator('#who-part').waitFor();
    await page.locator('#claim').click();
    await page.locator('#done').waitFor();
  });
});
