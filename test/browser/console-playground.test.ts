/** The playground in Chromium (issue 4): the way of every request, with its cost, its decisions and its refusals shown. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { ANSWER_TEXT } from '../upstream/index.ts';
import { launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import {
  breakApi,
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  openConsole,
  screenshot,
  startConsoleScene,
} from './console-scene.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;
/** What Chromium itself writes on the console about an answer of 4xx. */
const REFUSED = /Failed to load resource.* 4\d\d/;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  path: string,
  options: ConsoleSceneOptions = {},
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  return { scene, watched };
}

const send = async ({ page }: WatchedPage, prompt: string): Promise<void> => {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  await page.keyboard.press('Control+Enter');
};
const answers = ({ page }: WatchedPage) => page.getByRole('article', { name: /^Answer of / });
const forget = (watched: WatchedPage): void => {
  const kept = watched.faults.filter((fault) => !REFUSED.test(fault));
  watched.faults.splice(0, watched.faults.length, ...kept);
};
const records = async (scene: ConsoleScene): Promise<Record<string, unknown>[]> =>
  Object((await scene.asViewer('GET', '/api/v1/requests')).json).items;

describe('playground', () => {
  for (const [format, model, path] of [
    ['openai_chat', 'gpt-5', '/v1/chat/completions'],
    ['openai_responses', 'gpt-5', '/v1/responses'],
    ['anthropic_messages', 'claude-sonnet-4-5', '/v1/messages'],
    ['gemini_generate_content', 'gemini-2.5-pro', '/v1beta/models/gemini-2.5-pro:streamGenerateContent'],
  ] as const)
    test(`${format}: the answer is streamed, its cost and decisions are shown, and the record is the viewer's own`, async (t) => {
      const { scene, watched } = await open(t, `/playground?model=${model}&format=${format}`);
      await send(watched, 'hello');
      const answer = answers(watched).first();
      await answer.getByText(ANSWER_TEXT).waitFor();
      await answer.getByText('How it was decided').click();
      await answer.getByText('Authorize').waitFor();
      assert.match(await answer.innerText(), /Cost\s+(?:≈ )?\$0\.\d+/);
      await send(watched, 'and more');
      await answers(watched).nth(1).getByText(ANSWER_TEXT).waitFor();
      await answers(watched).nth(1).getByText('Cost').waitFor();
      const [second, first] = await records(scene);
      assert.deepEqual(
        [first?.['path'], first?.['agent'], first?.['format'], first?.['streamed'], first?.['outcome']],
        [path, 'playground', format, true, 'ok'],
      );
      assert.match(String(first?.['principal']), /^local:/);
      assert.ok(Number(second?.['request_bytes']) > Number(first?.['request_bytes']));
      await checkPage(watched);
      if (format !== 'anthropic_messages') return;
      await screenshot(watched, 'playground');
      await watched.page.setViewportSize(PHONE);
      await screenshot(watched, 'playground-phone');
    });

  test('a format without streams that browsers read is answered whole', async (t) => {
    const { scene, watched } = await open(t, '/playground?model=claude-sonnet-4-5&format=bedrock_converse');
    await send(watched, 'hello');
    await answers(watched).first().getByRole('term').filter({ hasText: 'Record' }).waitFor();
    assert.equal((await records(scene))[0]?.['format'], 'bedrock_converse');
    forget(watched);
    await checkPage(watched);
  });

  test('stop ends the request at the provider, too', async (t) => {
    const { scene, watched } = await open(
      t,
      '/playground?model=gpt-fake--hang-mid-stream&format=openai_chat',
    );
    await send(watched, 'hello');
    await answers(watched).first().locator('.answer-text').waitFor();
    await watched.page.getByRole('button', { name: 'Stop' }).click();
    await answers(watched).first().getByText('stopped').waitFor();
    await waitUntil(async () => (await records(scene))[0]?.['outcome'] === 'client_abort');
    await checkPage(watched);
  });

  test('a budget that is spent refuses in words, with the way to more', async (t) => {
    const { scene, watched } = await open(t, '/playground?model=gpt-5&format=openai_chat', {
      more: { quotas: { 'daily:<user>': { unit: 'requests', capacity: 1, rate: '1/day' } } },
      capability: { quotas: [{ bucket: 'daily:<user>' }] },
    });
    await send(watched, 'hello');
    await answers(watched).first().getByText(ANSWER_TEXT).waitFor();
    await watched.page.getByText('0 of 1 left').waitFor();
    await send(watched, 'once more');
    const refused = answers(watched).nth(1);
    await refused.getByText('budget_exhausted').waitFor();
    await refused.getByText('How it was decided').waitFor();
    forget(watched);
    await checkPage(watched);
    await screenshot(watched, 'playground-refused');
    assert.equal((await records(scene))[0]?.['reason'], 'budget_exhausted');
    await refused.getByRole('link', { name: 'Ask for more budget' }).click();
    await watched.page.getByRole('dialog', { name: 'Ask for more' }).waitFor();
  });

  test('a model that is not granted leads to asking for it; what is hostile stays text', async (t) => {
    const { scene, watched } = await open(
      t,
      `/playground?model=${encodeURIComponent(`openai/${HOSTILE}`)}&format=openai_chat`,
    );
    await send(watched, HOSTILE);
    await answers(watched).first().getByText('model_not_available').waitFor();
    assert.equal(await watched.page.locator('main img, main script').count(), 0);
    forget(watched);
    await checkPage(watched);
    await waitUntil(async () => (await records(scene))[0]?.['reason'] === 'model_not_available');
  });

  test('a body of one’s own is sent as it is, and what is no JSON is not', async (t) => {
    const { scene, watched } = await open(t, '/playground?model=gpt-5&format=openai_chat');
    const { page } = watched;
    await page.getByRole('button', { name: 'Write the body myself' }).click();
    const body = page.getByLabel('Body, sent to /v1/chat/completions');
    await body.fill('{"model":');
    await page.getByText('This is no JSON').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
    await body.fill('{"model":"gpt-5","messages":[{"role":"user","content":"hi"}],"seed":7}');
    await page.getByRole('button', { name: 'Send' }).click();
    await answers(watched).first().getByText(ANSWER_TEXT).waitFor();
    const received = scene.upstream.requests.at(-1);
    assert.match(String(received?.body), /"seed":7/);
    await checkPage(watched);
  });

  test('a fault of the server is said, and it can be tried again', async (t) => {
    const { scene, watched } = await open(t, '/');
    const mend = await breakApi(watched, /\/api\/v1\/playground/, 'offline');
    await watched.page.goto(`${scene.url}/playground?model=gpt-5`);
    await send(watched, 'hello');
    await answers(watched).first().getByText('The answer broke off').waitFor();
    await checkPage(watched, { isBroken: true });
    await mend();
    await send(watched, 'hello');
    await answers(watched).nth(1).getByText(ANSWER_TEXT).waitFor();
  });
});
