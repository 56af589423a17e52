/** The policy page in Chromium: each change is proven by a call of an SDK, or by the API. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import OpenAI from 'openai';
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

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;

/** Without an admin no document is saved. */
const ADMIN = { src: ['olga@example.com'], app: { 'postern.dev/cap/gateway': [{ role: 'admin' }] } };

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  options: ConsoleSceneOptions = {},
  path = '/policy',
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene({ signInAs: 'admin', isStored: true, ...options });
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  return { scene, watched };
}

const editor = ({ page }: WatchedPage) => page.getByRole('textbox', { name: 'Gateway document' });

/** Puts text in place of what the editor holds. */
async function type(watched: WatchedPage, text: string): Promise<void> {
  await editor(watched).click();
  await watched.page.keyboard.press('Control+a');
  await watched.page.keyboard.insertText(text);
}

async function documentOf(scene: ConsoleScene): Promise<{ text: string; version: number }> {
  const { json } = await scene.asOperator('GET', '/api/v1/config');
  return { text: String(Object(json).text), version: Number(Object(json).version) };
}

async function statusOfCall(scene: ConsoleScene, model: string): Promise<number> {
  const client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
  try {
    await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }] });
    return 200;
  } catch (error) {
    if (error instanceof OpenAI.APIError && error.status !== undefined) return error.status;
    throw error;
  }
}

async function save(watched: WatchedPage, { isAsked = true } = {}): Promise<void> {
  const { page } = watched;
  await page.getByRole('button', { name: 'Review and save' }).click();
  await page.getByRole('dialog').getByLabel('Why (optional)').fill('by the page');
  await page.getByRole('button', { name: 'Save and put in force' }).click();
  if (isAsked) await showPresence(watched);
  await page.getByText(/^Version \d+ is in force\.$/).waitFor();
}

describe('policy', () => {
  test('a deny that is written, reviewed and saved with presence refuses the next call; going back allows it again', async (t) => {
    const { scene, watched } = await open(t, {}, '/');
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/policy`);
    await editor(watched).waitFor();
    assert.equal(await statusOfCall(scene, 'gpt-5'), 200);
    const { text, version } = await documentOf(scene);
    await screenshot(watched, 'policy');
    await type(
      watched,
      text.replace(
        '{',
        '{\n  // No GPT this week.\n  "deny": [{ "src": ["*", "(loopback)"], "models": ["openai/gpt-*"] }],',
      ),
    );
    await page.getByText('a save would be accepted').waitFor();
    await page.getByRole('button', { name: 'Review and save' }).click();
    await page.getByRole('dialog').getByText('No GPT this week.').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'policy-review');
    await page.getByRole('button', { name: 'Go on editing' }).click();
    await save(watched);
    // What may not be used reads like what does not exist.
    assert.equal(await statusOfCall(scene, 'gpt-5'), 404);
    const saved = await documentOf(scene);
    assert.equal(saved.version, version + 1);
    assert.match(saved.text, /\/\/ No GPT this week\./);

    await page.getByRole('tab', { name: 'Versions' }).click();
    await page.getByRole('button', { name: `Go back to it: version ${version}` }).click();
    await page.getByRole('dialog').getByText('No GPT this week.').waitFor();
    await screenshot(watched, 'policy-versions');
    await page.getByRole('button', { name: 'Put it in force' }).click();
    await page.getByText(/is in force, as version/).waitFor();
    assert.equal(await statusOfCall(scene, 'gpt-5'), 200);
    assert.deepEqual(watched.faults, []);
  });

  test('the form changes a budget, a grant and a provider in the same text, and keeps its comments', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await editor(watched).waitFor();
    const { text } = await documentOf(scene);
    await type(watched, text.replace('{', '{\n  // Kept by whoever edits.'));
    await page.getByRole('tab', { name: 'Form' }).click();
    await page.getByRole('button', { name: 'Add a budget' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill('daily:<user>');
    await dialog.getByLabel('Holds').fill('5');
    await dialog.getByRole('button', { name: 'Change the draft' }).click();
    await page.getByRole('table', { name: 'Budgets' }).getByText('daily:<user>').waitFor();
    await page.getByRole('button', { name: 'Edit openai' }).click();
    await dialog.getByLabel('Models', { exact: true }).fill('gpt-5\ngpt-4o');
    await dialog.getByRole('button', { name: 'Change the draft' }).click();
    await page.getByRole('table', { name: 'Providers' }).getByText('gpt-5, gpt-4o').waitFor();
    await page.getByRole('button', { name: 'Add a grant' }).click();
    await dialog.getByLabel('Who', { exact: true }).fill('bob@example.com');
    await dialog.getByLabel('Models', { exact: true }).fill('openai/gpt-5');
    await dialog.getByLabel('Budgets', { exact: true }).fill('daily:<user>');
    await dialog.getByRole('button', { name: 'Change the draft' }).click();
    await page.getByRole('table', { name: 'Grants' }).getByText('bob@example.com').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'policy-form');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'policy-form-phone');
    await page.getByRole('tab', { name: 'Document' }).click();
    await page.getByText('a save would be accepted').waitFor();
    await editor(watched).getByText('// Kept by whoever edits.').waitFor();
    assert.equal((await documentOf(scene)).text, text, 'nothing is saved by a form');
  });

  test('a mistake is shown where it stands, and cannot be saved', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await editor(watched).waitFor();
    await type(watched, '{\n  "providers": {},\n  "grantz": [],\n}');
    const problems = page.getByRole('list', { name: 'Problems' });
    await problems.getByText('grantz').first().waitFor();
    await page.locator('.cm-lintRange').first().waitFor();
    await problems.getByRole('button', { name: 'line 3' }).first().click();
    assert.equal(await page.locator('.cm-activeLine').innerText(), '  "grantz": [],');
    await checkPage(watched);
    await screenshot(watched, 'policy-problem');
    await page.getByRole('button', { name: 'Review and save' }).click();
    assert.equal(
      await page.getByRole('button', { name: 'Save and put in force' }).getAttribute('data-disabled'),
      'true',
    );
  });

  test('the schema completes members and names', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await editor(watched).waitFor();
    await type(watched, '{\n');
    await page.keyboard.type('"prov');
    // By mouse: for a moment after the list appears the editor takes Enter for a line break.
    await page.locator('.cm-tooltip-autocomplete').getByText('providers', { exact: true }).click();
    assert.match(await editor(watched).innerText(), /"providers": \{\},/);
    assert.deepEqual(watched.faults, []);
  });

  test('a draft that was overtaken says so, shows what changed, and saves upon the newer one', async (t) => {
    const { scene, watched } = await open(t, {}, '/');
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/policy`);
    await editor(watched).waitFor();
    const { text } = await documentOf(scene);
    await type(watched, text.replace('{', '{\n  // Mine.'));
    await scene.saveDocument(text.replace('{', '{\n  // Theirs.'));
    await page.getByText('The document changed while you were editing').waitFor();
    await page.getByRole('button', { name: 'What changed' }).click();
    await page.getByRole('dialog').getByText('// Theirs.').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Go on with my text' }).click();
    await save(watched);
    assert.match((await documentOf(scene)).text, /\/\/ Mine\./);
  });

  test('explain says which rule decides, and the address restores the question', async (t) => {
    const { watched } = await open(
      t,
      {},
      '/policy?tab=explain&model=gpt-5&who=login&name=nobody%40example.com',
    );
    const { page } = watched;
    await page.getByText('refused', { exact: true }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'policy-explain');
    await page.getByRole('button', { name: /Who/ }).click();
    await page.getByRole('option', { name: 'Me, as I am now' }).click();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('allowed', { exact: true }).waitFor();
  });

  test('simulate tells which recorded requests a draft would have refused', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    assert.equal(await statusOfCall(scene, 'gpt-5'), 200);
    assert.equal(await statusOfCall(scene, HOSTILE), 404);
    await editor(watched).waitFor();
    const { text } = await documentOf(scene);
    await type(
      watched,
      text.replace('{', '{\n  "deny": [{ "src": ["*", "(loopback)"], "models": ["openai/gpt-*"] }],'),
    );
    await page.getByRole('tab', { name: 'Simulate' }).click();
    await page.getByRole('button', { name: 'Simulate', exact: true }).click();
    await page.getByRole('table', { name: 'Requests that change' }).getByText('newly denied').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'policy-simulate');
  });

  test('tests of the document are listed with what does not hold, and strangers words stay text', async (t) => {
    const { scene, watched } = await open(t, {
      more: { tests: [{ src: 'bob@example.com', deny: ['openai/gpt-5'], comment: HOSTILE }] },
    });
    const { page } = watched;
    await page.getByRole('tab', { name: 'Tests' }).click();
    await page.getByText(', holds').waitFor({ state: 'attached' });
    assert.equal(await page.locator('main img, main script').count(), 0);
    await page.getByRole('tab', { name: 'Document' }).click();
    const { text } = await documentOf(scene);
    await type(watched, text.replace('"deny"', '"accept"'));
    await page.getByRole('tab', { name: 'Tests' }).click();
    await page.getByText('should be allowed').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'policy-tests');
  });

  test('a document of a file says so, can be tried out, and cannot be saved', async (t) => {
    const { watched } = await open(t, { isStored: false });
    const { page } = watched;
    await page.getByText('A file on the server owns this document.').waitFor();
    await editor(watched).waitFor();
    await page.keyboard.press('Tab');
    await editor(watched).press('Control+End');
    await page.keyboard.type(' // tried');
    await page.getByRole('button', { name: 'Copy the draft' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Review and save' }).count(), 0);
    await checkPage(watched);
  });

  test('an auditor reads, explains and simulates, and changes nothing', async (t) => {
    const { watched } = await open(t, { signInAs: 'auditor', grants: [ADMIN] });
    const { page } = watched;
    await page.getByText('Read-only for you').waitFor();
    assert.equal(await editor(watched).getAttribute('aria-readonly'), 'true');
    await page.getByRole('tab', { name: 'Versions' }).click();
    await page.getByRole('table', { name: 'Versions' }).waitFor();
    assert.equal(await page.getByRole('button', { name: /Go back/ }).count(), 0);
    await checkPage(watched);
  });

  test('a fault of the server and no connection are told where they are', async (t) => {
    const { watched } = await open(t, {}, '/');
    for (const how of ['fault', 'offline'] as const) {
      const mend = await breakApi(watched, /\/api\/v1\/config$/, how);
      await watched.page.goto(`${new URL(watched.page.url()).origin}/policy`);
      await watched.page.getByText('The document could not be loaded').waitFor();
      await checkPage(watched, { isBroken: true });
      await mend();
      await watched.page.getByRole('button', { name: 'Try again' }).click();
      await editor(watched).waitFor();
    }
  });

  test('leaving a draft asks first', async (t) => {
    const { watched } = await open(t);
    const { page } = watched;
    await editor(watched).waitFor();
    await editor(watched).press('Control+End');
    await page.keyboard.type('// draft');
    await page.getByRole('link', { name: 'Home' }).first().click();
    await page
      .getByRole('dialog', { name: 'Leave your draft?' })
      .getByRole('button', { name: 'Cancel' })
      .click();
    await page.getByText('a save would be accepted').waitFor();
    await page.getByRole('link', { name: 'Home' }).first().click();
    await page.getByRole('button', { name: 'Leave and lose it' }).click();
    await page.getByRole('heading', { name: 'Home' }).waitFor();
  });
});
