/**
 * Journeys of an admin through more than one page (issue 4): each ends with a call of an SDK that
 * behaves otherwise than before, or with what a program of the admin's receives.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { userInfo } from 'node:os';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { headerOf } from '../upstream/received.ts';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import {
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  givePasskey,
  openConsole,
  screenshot,
  showPresence,
  startConsoleScene,
} from './console-scene.ts';
import { statusOfCall } from './sdk-call.ts';

const KEY = 'sk-of-the-second-0001';
const VIEWER = `local:${userInfo().uid}`;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  options: ConsoleSceneOptions = {},
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene({ signInAs: 'admin', isStored: true, ...options });
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  await givePasskey(watched, scene);
  return { scene, watched };
}

/** Saves the draft of the policy page. */
async function saveDraft(watched: WatchedPage): Promise<void> {
  const { page } = watched;
  await page.getByRole('button', { name: 'Review and save' }).click();
  await page.getByRole('button', { name: 'Save and put in force' }).click();
}

describe('journeys of an admin', () => {
  test('a provider is added, its key staged, tested and promoted; calls pass, and fail once that key is revoked', async (t) => {
    const { scene, watched } = await open(t, { upstream: { strict: false } });
    const { page } = watched;
    await page.goto(`${scene.url}/policy?tab=form`);
    await page.getByRole('button', { name: 'Add a provider' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Name').fill('second');
    await form.getByLabel('Address').fill(scene.upstream.url);
    await form.getByLabel('Models').fill('our-model');
    await form.getByRole('button', { name: /Change the draft/ }).click();
    await page.getByRole('table', { name: 'Providers' }).getByText('second').waitFor();
    await saveDraft(watched);
    await showPresence(watched);
    await page.getByText(/^Version \d+ is in force\.$/).waitFor();
    const presented = async (): Promise<string | null> => {
      assert.equal(await statusOfCall(scene.url, 'second/our-model'), 200);
      return headerOf(scene.upstream.requests.at(-1) ?? { rawHeaders: [] }, 'authorization');
    };
    // One's own address needs no key.
    assert.equal(await presented(), null);

    await page.goto(`${scene.url}/providers`);
    await page.getByRole('button', { name: 'Add a key to second' }).click();
    await page.getByLabel('Key', { exact: true }).fill(KEY);
    await page.getByRole('button', { name: 'Stage the key' }).click();
    const row = page.getByRole('table', { name: 'Keys of second' }).locator('tbody tr').first();
    await row.getByText('staged').waitFor();
    const act = async (item: RegExp): Promise<void> => {
      await row.getByRole('button', { name: /Actions of/ }).click();
      await page.getByRole('menuitem', { name: item }).click();
    };
    await act(/^Test/);
    await page.getByText(/^The test (?:passed|failed)$/).waitFor();
    const tests = await scene.asOperator('GET', '/api/v1/audit?action=provider.test');
    const keys = await scene.asOperator('GET', '/api/v1/keys?provider=second');
    assert.equal(Object(tests.json).items[0].target, 'second');
    assert.equal(Object(tests.json).items[0].facts.key, Object(keys.json).items[0].id);
    await act(/Promote/);
    await page.getByRole('button', { name: 'Promote the key' }).click();
    await row.getByText('active').waitFor();
    assert.equal(await presented(), `Bearer ${KEY}`);

    await act(/Revoke/);
    const dialog = page.getByRole('dialog');
    const revoke = dialog.getByRole('button', { name: 'Revoke the key' });
    await dialog.getByText('No key is left for second.').waitFor();
    assert.equal(await revoke.isDisabled(), true);
    await dialog.getByText('I know that no key is left').click();
    await revoke.click();
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await statusOfCall(scene.url, 'second/our-model'), 503);
    const { json } = await scene.asOperator('GET', '/api/v1/keys?provider=second');
    assert.deepEqual(
      Object(json).items.map(({ state }: { state: string }) => state),
      ['revoked'],
    );
    await checkPage(watched);
  });

  test('what somebody else saved while the dialog was open is not overwritten, and the dialog says so', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/policy`);
    const editor = page.getByRole('textbox', { name: 'Gateway document' });
    const { text } = Object((await scene.asOperator('GET', '/api/v1/config')).json);
    await editor.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(text.replace('{', '{\n  // Mine.'));
    await page.getByText('a save would be accepted').waitFor();
    await page.getByRole('button', { name: 'Review and save' }).click();
    await scene.saveDocument(text.replace('{', '{\n  // Theirs.'));
    await page.getByRole('button', { name: 'Save and put in force' }).click();
    await showPresence(watched);
    const dialog = page.getByRole('dialog', { name: 'Save the document' });
    await dialog.getByText('Somebody saved another version meanwhile. Nothing was overwritten').waitFor();
    await screenshot(watched, 'policy-conflict');
    assert.equal(
      await dialog.getByRole('button', { name: 'Save and put in force' }).getAttribute('data-disabled'),
      'true',
    );
    assert.match(Object((await scene.asOperator('GET', '/api/v1/config')).json).text, /\/\/ Theirs\./);
    await dialog.getByRole('button', { name: 'Go on editing' }).click();
    await page.getByRole('button', { name: 'Go on with my text' }).click();
    await saveDraft(watched);
    await page.getByText(/^Version \d+ is in force\.$/).waitFor();
    assert.match(Object((await scene.asOperator('GET', '/api/v1/config')).json).text, /\/\/ Mine\./);
  });

  test('explain answers for the draft before it is saved, and for the document again once it is discarded', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/policy`);
    const editor = page.getByRole('textbox', { name: 'Gateway document' });
    const { text } = Object((await scene.asOperator('GET', '/api/v1/config')).json);
    await editor.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.insertText(
      text.replace('{', '{\n  "deny": [{ "src": ["*", "(loopback)"], "models": ["openai/gpt-*"] }],'),
    );
    await page.getByText('a save would be accepted').waitFor();
    await page.getByRole('tab', { name: 'Explain' }).click();
    await page.getByRole('combobox', { name: 'Model' }).fill('openai/gpt-5');
    await page.getByRole('combobox', { name: 'Model' }).press('Enter');
    const ask = (): Promise<void> => page.getByRole('button', { name: 'Explain', exact: true }).click();
    await ask();
    await page.getByText('by your draft').waitFor();
    await page.getByText('refused', { exact: true }).waitFor();
    assert.equal(await statusOfCall(scene.url, 'openai/gpt-5'), 200);
    await checkPage(watched);
    await screenshot(watched, 'policy-explain-draft');
    await page.getByRole('button', { name: 'Discard' }).click();
    await ask();
    await page.getByText('by the document in force').waitFor();
    await page.getByText('allowed', { exact: true }).waitFor();
  });

  test('a budget that is written in the form refuses the call that is one too many; refilled, the next one passes', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await scene.asOperator('DELETE', `/api/v1/admins/${VIEWER}?role=user`);
    await page.goto(`${scene.url}/policy?tab=form`);
    const form = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Add a budget' }).click();
    await form.getByLabel('Name', { exact: true }).fill('few:<user>');
    await form.getByRole('button', { name: /Counts/ }).click();
    await page.getByRole('option', { name: 'Requests', exact: true }).click();
    await form.getByLabel('Holds').fill('1');
    await form.getByRole('button', { name: 'Change the draft' }).click();
    await page.getByRole('table', { name: 'Budgets' }).getByText('few:<user>').waitFor();
    for (const button of await page.getByRole('button', { name: /^Edit the grant of local:/ }).all()) {
      await button.click();
      await form.getByLabel('Budgets', { exact: true }).fill('few:<user>');
      await form.getByRole('button', { name: 'Change the draft' }).click();
      await form.waitFor({ state: 'detached' });
    }
    await saveDraft(watched);
    await showPresence(watched);
    await page.getByText(/^Version \d+ is in force\.$/).waitFor();
    assert.equal(await statusOfCall(scene.url, 'gpt-5'), 200);
    assert.equal(await statusOfCall(scene.url, 'gpt-5'), 429);
    const budgets = await scene.asOperator('GET', '/api/v1/budgets');
    assert.deepEqual(
      Object(budgets.json).items.map(({ quota, remaining }: Record<string, unknown>) => [quota, remaining]),
      [['few:<user>', 0]],
    );
    const bucket = String(Object(budgets.json).items[0].bucket);
    const refilled = await scene.asOperator('POST', '/api/v1/budgets/refill', { bucket, amount: '1' });
    assert.equal(refilled.status, 200, refilled.text);
    assert.equal(await statusOfCall(scene.url, 'gpt-5'), 200);
  });

  test('a token for a service is made in person, calls with it until it is revoked, and every step is in the log', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/settings/tokens`);
    await page.getByRole('button', { name: 'Make a token' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill('nightly');
    await dialog.getByLabel('For a service (optional)').fill('agent');
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    await showPresence(watched);
    const token = await dialog.locator('pre code').innerText();
    await page.keyboard.press('Escape');
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    assert.equal(await statusOfCall(scene.url, 'gpt-5', token), 200);
    await page.getByRole('button', { name: 'Revoke nightly' }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.getByText('is revoked.').waitFor();
    assert.equal(await statusOfCall(scene.url, 'gpt-5', token), 401);
    const { json } = await scene.asOperator('GET', '/api/v1/audit?action=token.');
    assert.deepEqual(
      Object(json).items.map(({ action, presence }: Record<string, unknown>) => [action, presence]),
      [
        ['token.revoke', 'passkey'],
        ['token.create', 'passkey'],
      ],
    );
    assert.ok(!JSON.stringify(json).includes(token));
  });

  test('what a hook refused is listed as given up, and delivered again in person once the hook works', async (t) => {
    const received: string[] = [];
    let status = 400;
    const hook = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (status === 200) received.push(body);
        response.writeHead(status).end();
      });
    }).listen(0, '127.0.0.1');
    t.after(() => hook.close());
    await once(hook, 'listening');
    const address = hook.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { scene, watched } = await open(t, {
      isStored: false,
      more: { hooks: { log: { url: `http://127.0.0.1:${port}/` } } },
      capability: { send_hooks: [{ name: 'log', events: ['entire_request'], send: ['user_message'] }] },
    });
    const { page } = watched;
    assert.equal(await statusOfCall(scene.url, 'gpt-5'), 200);
    await page.goto(`${scene.url}/settings/hooks`);
    const letters = page.getByRole('table', { name: 'Dead letters' });
    await letters.getByText('log').first().waitFor();
    await checkPage(watched);
    await screenshot(watched, 'settings-dead-letters');
    status = 200;
    await letters.getByRole('button', { name: 'Deliver again' }).click();
    await showPresence(watched);
    await waitUntil(() => received.length === 1);
    assert.equal(JSON.parse(received[0] ?? '').user_message, 'hello');
    await page.getByText('Every delivery arrived').waitFor();
    const { json } = await scene.asOperator('GET', '/api/v1/hooks/dead-letters');
    assert.deepEqual(Object(json).items, []);
  });
});
