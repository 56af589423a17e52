/** The audit log in Chromium (issue 4): everything that anybody changed or looked at, its chain, filters and exports. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, type WatchedPage } from './browser.ts';
import {
  breakApi,
  checkPage,
  type ConsoleScene,
  openConsole,
  screenshot,
  startConsoleScene,
  type ViewerRole,
} from './console-scene.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  signInAs: ViewerRole,
  entries = 3,
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene({ signInAs });
  t.after(() => scene.stop());
  for (let entry = 0; entry < entries; entry += 1) await scene.mint('service:agent');
  const watched = await openConsole(browser, scene, '/audit');
  t.after(() => watched.close());
  return { scene, watched };
}

const rows = ({ page }: WatchedPage) => page.getByRole('table', { name: 'Entries' }).locator('tbody tr');

describe('audit', () => {
  test('an auditor sees who did what, opens an entry, and the address restores it', async (t) => {
    const { scene, watched } = await open(t, 'auditor');
    const { page } = watched;
    await page.getByText('The chain is whole.').waitFor();
    await rows(watched).first().waitFor();
    assert.match(await rows(watched).first().innerText(), /Minted a token/);
    await checkPage(watched);
    await screenshot(watched, 'audit');
    await rows(watched).first().getByRole('link').click();
    const drawer = page.getByRole('dialog', { name: /^Entry \d+/ });
    await drawer.getByText('token.create').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'audit-entry');
    await page.reload();
    await drawer.getByText('token.create').waitFor();
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'detached' });
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'audit-phone');
    const { json } = await scene.asViewer('GET', '/api/v1/audit/verify');
    assert.equal(Object(json).broken_at, null);
  });

  test('filters narrow the list and the file, which is itself recorded', async (t) => {
    const { scene, watched } = await open(t, 'auditor');
    const { page } = watched;
    await page.goto(`${scene.url}/audit?action=token.&q=agent`);
    await rows(watched).first().waitFor();
    assert.equal(await rows(watched).count(), 3);
    const waiting = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Export as CSV' }).click();
    const file = await readFile(await (await waiting).path(), 'utf8');
    assert.equal(file.trim().split(/\r?\n/).length, 4);
    const { json } = await scene.asOperator('GET', '/api/v1/audit?action=audit.export');
    assert.match(String(Object(json).items[0].actor), /^local:/);
    await page.goto(`${scene.url}/audit?action=key.`);
    await page.getByText('No entry fits').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'audit-empty');
  });

  test('more than a page is walked through with the address', async (t) => {
    const { watched } = await open(t, 'auditor', 60);
    const { page } = watched;
    await rows(watched).nth(49).waitFor();
    const first = await rows(watched).first().innerText();
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.waitForURL(/cursor=/);
    await page.getByRole('button', { name: 'First page' }).isEnabled();
    await page.reload();
    await rows(watched).first().waitFor();
    assert.notEqual(await rows(watched).first().innerText(), first);
    await page.getByRole('button', { name: 'First page' }).click();
    await rows(watched).nth(49).waitFor();
    assert.deepEqual(watched.faults, []);
  });

  test('what people wrote stays text, and somebody else’s entries are for auditors and admins', async (t) => {
    const { scene, watched } = await open(t, 'admin', 0);
    await scene.asOperator('POST', '/api/v1/tokens', {
      name: HOSTILE,
      owner: 'service:agent',
      scopes: ['use'],
    });
    await watched.page.goto(`${scene.url}/audit`);
    await rows(watched).first().getByRole('link').click();
    await watched.page.getByRole('dialog', { name: /^Entry/ }).waitFor();
    assert.equal(await watched.page.locator('main img, [role=dialog] img').count(), 0);
    assert.deepEqual(watched.faults, []);
    const plain = await open(t, 'user', 0);
    await plain.watched.page.getByText('For auditors and admins').waitFor();
    await checkPage(plain.watched);
  });

  test('a fault of the server says where, and can be tried again', async (t) => {
    const { scene, watched } = await open(t, 'auditor');
    const mend = await breakApi(watched, /\/api\/v1\/audit/);
    await watched.page.goto(`${scene.url}/audit`);
    await watched.page.getByText('Entries could not be loaded').waitFor();
    await watched.page.getByText('The chain could not be checked').waitFor();
    await checkPage(watched, { isBroken: true });
    await mend();
    for (const part of ['Chain of the log', 'Entries']) {
      const region = watched.page.getByRole('region', { name: part, exact: true });
      await region.getByRole('button', { name: 'Try again' }).click();
    }
    await watched.page.getByText('The chain is whole.').waitFor();
    await rows(watched).first().waitFor();
  });
});
