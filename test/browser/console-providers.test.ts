/** Providers and keys in Chromium: a key is staged, promoted, and its predecessor revoked, and a real SDK call proves it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import type { Browser } from 'playwright-core';
import { headerOf } from '../upstream/received.ts';
import { launchChromium, PHONE, waitUntil } from './browser.ts';
import {
  checkPage,
  givePasskey,
  openConsole,
  screenshot,
  showPresence,
  startConsoleScene,
} from './console-scene.ts';

const NEW_KEY = 'sk-fake-openai-successor-0001';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

describe('providers and keys', () => {
  test('an admin stages a key, promotes it and revokes the old one; the next SDK call is made with the new one', async (t) => {
    const scene = await startConsoleScene({ signInAs: 'admin', upstream: { strict: false } });
    t.after(() => scene.stop());
    const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    const call = () =>
      client.chat.completions.create({ model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] });
    await call();
    assert.equal(
      headerOf(scene.upstream.requests.at(-1) ?? { rawHeaders: [] }, 'authorization'),
      'Bearer sk-fake-openai',
    );
    const watched = await openConsole(browser, scene);
    t.after(() => watched.close());
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/providers`);
    await page.getByRole('button', { name: 'Add a key to openai' }).click();
    await page.getByLabel('Name').fill('successor');
    await page.getByLabel('Key', { exact: true }).fill(NEW_KEY);
    await page.getByRole('button', { name: 'Stage the key' }).click();
    await showPresence(watched);
    const keys = page.getByRole('table', { name: 'Keys of openai' });
    const row = (name: string) => keys.locator('tbody tr', { hasText: name });
    await row('successor').getByText('staged').waitFor();
    await row('successor')
      .getByRole('button', { name: /Actions of/ })
      .click();
    await page.getByRole('menuitem', { name: /Promote/ }).click();
    await page.getByRole('button', { name: 'Promote the key' }).click();
    await row('successor').getByText('active').waitFor();
    const old = keys.locator('tbody tr').filter({ hasNotText: 'successor' });
    await old.getByRole('button', { name: /Actions of/ }).click();
    await page.getByRole('menuitem', { name: /Revoke/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Under way now').waitFor();
    await screenshot(watched, 'providers-revoke');
    await dialog.getByRole('button', { name: 'Revoke the key' }).click();
    await dialog.waitFor({ state: 'detached' });
    await call();
    assert.equal(
      headerOf(scene.upstream.requests.at(-1) ?? { rawHeaders: [] }, 'authorization'),
      `Bearer ${NEW_KEY}`,
    );
    const { json } = await scene.asOperator('GET', '/api/v1/keys?provider=openai');
    const states: string[] = Object(json).items.map((key: { state: string }) => key.state);
    await waitUntil(() => states.includes('revoked') && states.includes('active'));
    await checkPage(watched);
    await screenshot(watched, 'providers');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'providers-phone');
  });

  test('of many keys of a provider fifty are shown, and more when asked for', async (t) => {
    const scene = await startConsoleScene({ signInAs: 'auditor' });
    t.after(() => scene.stop());
    for (let key = 1; key <= 60; key += 1) {
      const body = { provider: 'openai', name: `key ${key}`, secret: `sk-fake-${key}`, state: 'staged' };
      const added = await scene.asOperator('POST', '/api/v1/keys', body);
      assert.equal(added.status, 201, added.text);
    }
    const watched = await openConsole(browser, scene, '/providers');
    t.after(() => watched.close());
    const rows = watched.page.getByRole('table', { name: 'Keys of openai' }).locator('tbody tr');
    await rows.first().waitFor();
    assert.equal(await rows.count(), 50);
    await watched.page.getByRole('button', { name: 'Show more' }).click();
    await waitUntil(async () => (await rows.count()) >= 60);
    await checkPage(watched);
  });
});
