/** The first page in Chromium: live requests of real programs, my usage, settings to copy, and nothing of strangers as markup. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, afterEach, before, beforeEach, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import type { Browser } from 'playwright-core';
import { documentFor, PROVIDER_ENV } from '../scenarios/fake-providers.ts';
import { modelThat, startFakeUpstream, USAGE, type FakeUpstream } from '../upstream/index.ts';
import { launchChromium, openWatchedPage, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import { startBrowserScene, type BrowserScene, type BrowserSceneOptions } from './scene.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;
const MESSAGES = [{ role: 'user' as const, content: HOSTILE }];

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

describe('the first page', () => {
  let upstream: FakeUpstream;
  let scene: BrowserScene;
  let client: OpenAI;
  let watched: WatchedPage;

  beforeEach(async () => {
    upstream = await startFakeUpstream();
    scene = await startBrowserScene({ document: documentFor(upstream.url), env: PROVIDER_ENV });
    client = new OpenAI({ baseURL: `${scene.url}/v1`, apiKey: '-', maxRetries: 0 });
    watched = await openWatchedPage(browser, scene.url);
    await watched.page.goto(scene.url);
    await watched.page.locator('#live.live').waitFor();
  });
  afterEach(async () => {
    await watched.close();
    await scene.stop();
    await upstream.close();
  });

  const row = (index: number) => watched.page.locator('#requests tr').nth(index);

  test('requests appear as they start and change as they end, without loading the page again', async () => {
    const { page } = watched;
    await page.locator('#first-call pre').waitFor();
    const stop = new AbortController();
    const model = modelThat('gpt-5', 'hang-mid-stream');
    const stream = await client.chat.completions.create(
      { model, messages: MESSAGES, stream: true },
      { signal: stop.signal },
    );
    await row(0).locator('.state', { hasText: 'running …' }).waitFor();
    assert.equal(await page.locator('#first-call').isVisible(), false);
    stop.abort();
    await assert.rejects(async () => {
      for await (const chunk of stream) void chunk;
      throw new Error('the stream was cut');
    });
    await row(0).locator('.state.bad', { hasText: 'client abort' }).waitFor();
    assert.match(await row(0).locator('.tokens').innerText(), /^≈ /);

    await client.chat.completions.create({ model: 'gpt-5', messages: MESSAGES });
    await row(0).locator('.state', { hasText: /^ok$/ }).waitFor();
    assert.equal(await row(0).locator('.model').innerText(), 'openai/gpt-5');
    assert.match(await row(0).locator('.who').innerText(), /openai-sdk/);
    assert.equal(await row(0).locator('.tokens').innerText(), `${USAGE.plain.input} → ${USAGE.plain.output}`);
    assert.match(await row(0).locator('.cost').innerText(), /^\$0\.\d+$/);
    assert.equal(await page.locator('#requests tr').count(), 2);
    assert.deepEqual(watched.faults, []);
  });

  test('my usage follows by itself, by model and together', async () => {
    const { page } = watched;
    assert.match(await page.locator('#usage-empty').innerText(), /Nothing yet/);
    await client.chat.completions.create({ model: 'gpt-5', messages: MESSAGES });
    await client.chat.completions.create({ model: 'gpt-5-mini', messages: MESSAGES });
    const together = page.locator('#usage-total td');
    await together.first().filter({ hasText: '2' }).waitFor();
    assert.equal(await together.nth(1).innerText(), String(USAGE.plain.input * 2));
    assert.equal(await together.nth(2).innerText(), String(USAGE.plain.output * 2));
    assert.match(await page.locator('#usage').innerText(), /openai\/gpt-5\s+1\s+11\s+7\s+\$0\.\d+/);
    assert.deepEqual(watched.faults, []);
  });

  test('times are in the zone of the viewer', async () => {
    await client.chat.completions.create({ model: 'gpt-5', messages: MESSAGES });
    const time = row(0).locator('time');
    const iso = (await time.getAttribute('datetime')) ?? '';
    const expected = new Date(iso).toLocaleTimeString('en-US', { timeZone: 'Asia/Kolkata' });
    assert.equal((await time.innerText()).replaceAll(/\s/g, ' '), expected.replaceAll(/\s/g, ' '));
    assert.match(iso, /Z$/);
  });

  test('what callers write stays text: model, agent label, user agent, prompt', async () => {
    const refused = { model: HOSTILE, messages: MESSAGES };
    const headers = { 'x-postern-agent': HOSTILE, 'user-agent': HOSTILE, 'x-postern-session': HOSTILE };
    await assert.rejects(() => client.chat.completions.create(refused, { headers }));
    await row(0).locator('.model', { hasText: HOSTILE }).waitFor();
    await watched.page.reload();
    await row(0).locator('.model', { hasText: HOSTILE }).waitFor();
    assert.match(await row(0).locator('.state').innerText(), /model not available/);
    assert.equal(await watched.page.locator('main img, main script').count(), 0);
    assert.deepEqual(watched.faults, []);
  });

  test('a name without end or with reversed writing breaks neither page nor neighbours', async () => {
    for (const model of ['m'.repeat(180), `\u202Egpt-5\u2066`.padEnd(60, 'x')]) {
      await client.chat.completions.create({ model, messages: MESSAGES }).catch(() => null);
    }
    await row(1).waitFor();
    for (const size of [PHONE, { width: 1280, height: 900 }]) {
      await watched.page.setViewportSize(size);
      assert.equal(await overflow(watched), 0, `${size.width} px`);
    }
  });

  test('a snippet is copied as it is', async () => {
    const { page, context } = watched;
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: scene.url });
    const seen = new Set<string>();
    const choice = page.locator('#client');
    for (const title of await choice.locator('option').allInnerTexts()) {
      await choice.selectOption(title);
      for (const figure of await page.locator('#snippets figure').all()) {
        await figure.getByRole('button').click();
        await figure.getByRole('button', { name: /Copy/ }).and(page.locator('text=Copied')).waitFor();
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        assert.equal(copied, await figure.locator('code').evaluate((code) => code.textContent));
        assert.match(copied, new RegExp(`${scene.url}|^codex|opencode|POSTERN_KEY|gemini-api-key`));
        seen.add(title);
      }
    }
    assert.ok(seen.size >= 8, [...seen].join());
    assert.deepEqual(watched.faults, []);
  });

  test('where the browser allows no copying, the text is selected and the page says so', async () => {
    const { page } = watched;
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    const figure = page.locator('#snippets figure').first();
    await figure.getByRole('button').click();
    await page.locator('#message.error', { hasText: 'select' }).waitFor();
    const selected = await page.evaluate(() => String(getSelection()));
    assert.equal(selected.trim(), (await figure.locator('code').innerText()).trim());
    assert.deepEqual(watched.faults, []);
  });

  test('a page that nobody sees holds no connection, and catches up when it is seen again', async () => {
    const { page } = watched;
    await setHidden(watched, true);
    await page.locator('#live', { hasText: 'paused' }).waitFor();
    await client.chat.completions.create({ model: 'gpt-5', messages: MESSAGES });
    await waitForRecords(scene, 1);
    assert.equal(await page.locator('#requests tr').count(), 0);
    await setHidden(watched, false);
    await row(0).locator('.state', { hasText: 'ok' }).waitFor();
    assert.deepEqual(watched.faults, []);
  });

  test('a proxied answer opened as a page runs nothing and reads nothing of this origin (DESIGN section 4)', async () => {
    const { page } = watched;
    await page.evaluate(() => localStorage.setItem('postern_presence_proof', 'secret'));
    const answer = await page.goto(`${scene.url}/v1/models`);
    assert.match(answer?.headers()['content-security-policy'] ?? '', /^sandbox; default-src 'none'/);
    const read = await page.evaluate(() => {
      try {
        return localStorage.getItem('postern_presence_proof');
      } catch (error) {
        return String(error);
      }
    });
    assert.match(read ?? 'null', /SecurityError/);
  });
});

test('the first call that the page teaches works when it is pasted, and its row appears', async (t) => {
  const { watched } = await openAlone(t);
  const text = await watched.page.locator('#first-snippet code').innerText();
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', text], { timeout: 10_000 });
  assert.match(stdout, /postern\/echo test model/);
  await watched.page.locator('#requests .state', { hasText: 'ok' }).waitFor();
  assert.equal(await watched.page.locator('#requests .model').innerText(), 'postern/echo');
  assert.deepEqual(watched.faults, []);
});

test('the watch itself notices markup that ran, a foreign request and an exception', async (t) => {
  const { watched } = await openAlone(t);
  await watched.page.evaluate(() => {
    const script = document.createElement('script');
    script.append('alert(1)');
    document.body.append(script);
    const image = document.createElement('img');
    image.src = 'http://127.0.0.1:9/';
    document.body.append(image);
    setTimeout(() => {
      throw new Error('planted');
    });
  });
  await waitUntil(() => watched.faults.some((fault) => fault.includes('planted')));
  assert.ok(
    watched.faults.some((fault) =>
      /^console: content policy: (script-src|require-trusted-types)/.test(fault),
    ),
  );
  assert.ok(watched.faults.some((fault) => fault.startsWith('console: content policy: img-src')));
});

test('somebody without a role is told whom to ask, and sees nothing else', async (t) => {
  const { watched } = await openAlone(t, { document: { providers: {}, grants: [] } });
  await watched.page.locator('#banner', { hasText: 'nothing is granted to you yet' }).waitFor();
  assert.equal(await watched.page.locator('section:visible').count(), 0);
  assert.deepEqual(watched.faults, []);
});

/** A server of its own with its first page open, for one test. */
async function openAlone(
  t: TestContext,
  options: BrowserSceneOptions = {},
): Promise<{ watched: WatchedPage }> {
  const scene = await startBrowserScene(options);
  t.after(() => scene.stop());
  const watched = await openWatchedPage(browser, scene.url);
  t.after(() => watched.close());
  await watched.page.goto(scene.url);
  return { watched };
}

/** Pixels by which the page is wider than its window. */
function overflow({ page }: WatchedPage): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Headless Chromium shows every page; the page is told otherwise. */
async function setHidden({ page }: WatchedPage, hidden: boolean): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

async function waitForRecords(scene: BrowserScene, count: number): Promise<void> {
  await waitUntil(async () => {
    const list: unknown = await (await fetch(`${scene.url}/api/v1/requests`)).json();
    return Array.isArray(Object(list).items) && Object(list).items.length >= count;
  });
}
