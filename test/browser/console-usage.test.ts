/** Usage and cost in Chromium: what the page adds up is what the API has. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, waitUntil } from './browser.ts';
import { breakApi, checkPage, openConsole, screenshot, startConsoleScene } from './console-scene.ts';

const HOSTILE = '<img src=x onerror=alert(1)>';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

describe('usage and cost', () => {
  test('nothing yet teaches; then calls are counted by model and agent, as text, and as CSV', async (t) => {
    const scene = await startConsoleScene({ signInAs: 'admin' });
    t.after(() => scene.stop());
    const watched = await openConsole(browser, scene, '/usage');
    t.after(() => watched.close());
    const { page } = watched;
    await page.getByText('Nothing was used in this time', { exact: true }).waitFor();
    const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'hello' }];
    for (const agent of ['claude-code', HOSTILE])
      await client.chat.completions.create(
        { model: 'gpt-5', messages },
        { headers: { 'x-postern-agent': agent } },
      );
    await page.goto(`${scene.url}/usage?by=agent&range=24h`);
    const table = page.getByRole('table', { name: 'Usage by agent' });
    await table.locator('tbody tr', { hasText: 'claude-code' }).waitFor();
    assert.equal(await page.locator('main img, main script').count(), 0);
    const csv = await page.getByRole('link', { name: 'CSV' }).getAttribute('href');
    const { text } = await scene.asViewer('GET', csv ?? '');
    assert.match(text, /claude-code/);
    const { json } = await scene.asViewer('GET', '/api/v1/usage?group_by=total');
    assert.equal(Object(json).items[0].requests, 2);
    await checkPage(watched);
    await screenshot(watched, 'usage');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'usage-phone');
  });

  test('where there is more than an answer counts, every part that is cut says so', async (t) => {
    const scene = await startConsoleScene();
    t.after(() => scene.stop());
    const watched = await openConsole(browser, scene);
    t.after(() => watched.close());
    const { page } = watched;
    const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    await client.chat.completions.create({ model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] });
    const notice = page.locator('main .notice', { hasText: 'There is more than the server counts' });
    await page.goto(`${scene.url}/usage?range=24h`);
    await page.getByRole('table', { name: 'Usage by model' }).locator('tbody tr').first().waitFor();
    await page.getByText('By answers kept here').waitFor();
    assert.equal(await notice.count(), 0);
    await page.route(/\/api\/v1\/usage(\/compare|\/savings)?\?/, async (route) => {
      const response = await route.fetch();
      const json: unknown = await response.json();
      await route.fulfill({ response, json: { ...Object(json), truncated: true } });
    });
    await page.reload();
    await waitUntil(async () => (await notice.count()) === 3);
    await checkPage(watched);
  });

  test('a fault of the server is told in every part', async (t) => {
    const scene = await startConsoleScene();
    t.after(() => scene.stop());
    const watched = await openConsole(browser, scene);
    t.after(() => watched.close());
    await breakApi(watched, /\/api\/v1\/usage/);
    await watched.page.goto(`${scene.url}/usage`);
    await watched.page.getByText('The chart could not be loaded').waitFor();
    await checkPage(watched, { isBroken: true });
  });
});
