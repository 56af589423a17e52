/** The settings in Chromium: each change is proven by the API or by what a token may do. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, type WatchedPage } from './browser.ts';
import {
  breakApi,
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  givePasskey,
  openConsole,
  screenshot,
  showPresence,
  startConsoleScene,
} from './console-scene.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'>`;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  options: ConsoleSceneOptions,
  path: string,
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  return { scene, watched };
}

async function whoami(scene: ConsoleScene, token: string): Promise<number> {
  const answer = await fetch(`${scene.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });
  await answer.text();
  return answer.status;
}

describe('settings', () => {
  test('a token is made with presence, shown once, works, and is revoked at once', async (t) => {
    const { scene, watched } = await open(t, {}, '/');
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/settings/tokens`);
    await page.getByText('No tokens yet').waitFor();
    await checkPage(watched);
    await page.getByRole('button', { name: 'Make a token' }).click();
    await page.getByRole('dialog').getByLabel('Name', { exact: true }).fill(HOSTILE);
    await page.getByRole('dialog').getByText('Read usage, records and settings').click();
    await page.getByRole('button', { name: 'Make the token' }).click();
    await showPresence(watched);
    const dialog = page.getByRole('dialog', { name: 'The token is made' });
    const token = await dialog.locator('pre code').innerText();
    assert.equal(await whoami(scene, token), 200);
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    const table = page.getByRole('table', { name: 'Tokens' });
    await table.getByText(HOSTILE).waitFor();
    assert.equal(await page.getByText(token).count(), 0);
    assert.equal(await page.locator('main img').count(), 0);
    await checkPage(watched);
    await screenshot(watched, 'settings-tokens');
    await table.getByRole('button', { name: /^Revoke/ }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.getByText('No token fits').waitFor();
    assert.equal(await whoami(scene, token), 401);
    assert.deepEqual(watched.faults, []);
  });

  test('a passkey is added and removed with presence', async (t) => {
    const { scene, watched } = await open(t, {}, '/');
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/settings/passkeys`);
    const table = page.getByRole('table', { name: 'Passkeys' });
    await table.getByRole('button', { name: /^Remove/ }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'settings-passkeys');
    await table.getByRole('button', { name: /^Remove/ }).click();
    await page.getByRole('button', { name: 'Remove the passkey' }).click();
    await showPresence(watched);
    await page.getByText('No passkey yet').waitFor();
    const { json } = await scene.asViewer('GET', '/api/v1/presence/passkeys');
    assert.deepEqual(Object(json).items, []);
  });

  test('an auditor sees hooks, retention, settings, doctor and about, fit for every screen', async (t) => {
    const hooks = { audit: { url: 'http://127.0.0.1:9/hook', mode: 'monitor' } };
    const { watched, scene } = await open(t, { signInAs: 'auditor', more: { hooks } }, '/settings/hooks');
    const { page } = watched;
    const marks = {
      admins: 'Everything is granted by the document',
      hooks: 'not called yet',
      retention: 'The document says nothing',
      server: 'stateDir',
      doctor: 'in force, from a file',
      about: 'Running since',
    };
    for (const [part, mark] of Object.entries(marks)) {
      await page.goto(`${scene.url}/settings/${part}`);
      await page.getByText(mark).first().waitFor();
      await checkPage(watched);
      await screenshot(watched, `settings-${part}`);
    }
    await page.getByRole('region', { name: 'Network of this gateway' }).getByText('State').waitFor();
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'settings-about-phone');
    await page.goto(`${scene.url}/settings/hooks`);
    await page.getByText('Every notice arrived, or is still being tried.').waitFor();
    await page.goto(`${scene.url}/settings/hooks?hook=audit`);
    await page.getByRole('dialog', { name: 'Hook audit' }).getByText('Not called yet').waitFor();
    await checkPage(watched);
  });

  test('a user sees their own parts only', async (t) => {
    const { watched } = await open(t, {}, '/settings');
    const { page } = watched;
    await page.waitForURL(/\/settings\/tokens$/);
    const parts = await page.getByRole('navigation', { name: 'Parts of the settings' }).innerText();
    assert.deepEqual(parts.split(/\s+/), ['Tokens', 'Passkeys', 'About']);
  });

  test('a fault of the server and no connection are told, and can be tried again', async (t) => {
    const { watched, scene } = await open(t, { signInAs: 'auditor' }, '/');
    for (const how of ['fault', 'offline'] as const) {
      const mend = await breakApi(watched, /\/api\/v1\/tokens/, how);
      await watched.page.goto(`${scene.url}/settings/tokens`);
      await watched.page.getByText('Tokens could not be loaded').waitFor();
      await checkPage(watched, { isBroken: true });
      await mend();
      await watched.page.getByRole('button', { name: 'Try again' }).click();
      await watched.page.getByText('No tokens yet').waitFor();
    }
  });
});
