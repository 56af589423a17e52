/** What stays on the screen stays true: usage grows, questions lapse, and messages cover nothing (issue 4). */
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import { checkBriefly, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';
import { writeNamedRecords } from './many-records.ts';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  path: string,
  options: Parameters<typeof startConsoleScene>[0] = {},
  context: Parameters<typeof openConsole>[3] = {},
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene, path, context);
  t.after(() => watched.close());
  return { scene, watched };
}

describe('usage', () => {
  test('totals, chart and table grow with what happens, without a press', async (t) => {
    const { scene, watched } = await open(t, '/usage');
    const { page } = watched;
    await page.getByText('Nothing was used in this time', { exact: true }).waitFor();
    await page.getByText('Nothing was used in this time or the one before').waitFor();
    const send = () =>
      scene.asViewer('POST', '/v1/chat/completions', {
        model: 'postern/echo',
        messages: [{ role: 'user', content: 'hello' }],
      });
    await send();
    const row = page.getByRole('table', { name: 'Usage by model' }).locator('tbody tr');
    const requests = async (): Promise<string> => (await row.first().locator('td').nth(5).innerText()).trim();
    await row.first().waitFor();
    await page.locator('figure.chart').waitFor();
    await send();
    await waitUntil(async () => (await requests()) === '2');
    assert.deepEqual(watched.faults, []);
  });
});

describe('a question that nobody decides', () => {
  const options = (waitsMs: number): Parameters<typeof startConsoleScene>[0] => ({
    signInAs: 'admin',
    fill: (stateDir) => writeNamedRecords(stateDir, ['the-tool'], waitsMs),
    more: { approvals: { default: { approvers: [`local:${userInfo().uid}`] } } },
  });

  test('leaves the inbox when its time is over, before the server sweeps (every 30 s)', async (t) => {
    const { scene, watched } = await open(t, '/approvals', options(6_000));
    const { page } = watched;
    await page.getByRole('link', { name: /asks for the tool the-tool/ }).waitFor();
    await page.getByText('Nothing waits for you').waitFor();
    const { json } = await scene.asViewer('GET', '/api/v1/approvals/apr_waiting_0');
    assert.equal(Object(json).state, 'expired');
    assert.deepEqual(watched.faults, []);
  });

  test('is shown as expired where somebody looks at it', async (t) => {
    const { watched } = await open(t, '/approvals/apr_waiting_0', options(6_000));
    const { page } = watched;
    await page.getByText('expired, nobody decided in time').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Deny' }).count(), 0);
  });
});

describe('a message at the edge', () => {
  test('covers no button of a dialog and not the end of a page, on a phone', async (t) => {
    const { watched } = await open(t, '/approvals', { signInAs: 'user' }, { viewport: PHONE });
    const { page } = watched;
    await page.route(
      (url) => url.pathname === '/api/v1/approvals',
      (route) =>
        route.request().method() === 'POST'
          ? route.fulfill({ status: 500, contentType: 'application/problem+json', body: '{}' })
          : route.continue(),
    );
    await page.getByRole('button', { name: 'Ask for more' }).click();
    const dialog = page.getByRole('dialog', { name: 'Ask for more' });
    await dialog.getByRole('textbox', { name: 'Model' }).fill('openai/o9');
    await dialog.getByLabel('Why').fill('because');
    const ask = dialog.getByRole('button', { name: 'Ask', exact: true });
    await ask.click();
    const toast = page.locator('.toast');
    await toast.waitFor();
    const covers = () =>
      page.evaluate(() => {
        const message = document.querySelector('.toast')?.getBoundingClientRect();
        const boxes = [...document.querySelectorAll('.dialog-footer, main > .page > :last-child')];
        return boxes
          .map((box) => box.getBoundingClientRect())
          .filter((box) => message !== undefined && box.bottom > message.top && box.top < message.bottom)
          .length;
      });
    await waitUntil(async () => (await covers()) === 0);
    await checkBriefly(watched, { isBroken: true });
  });
});
