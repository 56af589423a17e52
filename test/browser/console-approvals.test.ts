/** The inbox of approvals in Chromium (issue 4; DESIGN section 5): opening only shows, a person in person decides, and the SDK receives what was decided. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import OpenAI from 'openai';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
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
const TOOLS = [
  { type: 'function' as const, function: { name: 'Bash', parameters: { type: 'object' as const } } },
];

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

interface Inbox {
  readonly scene: ConsoleScene;
  readonly watched: WatchedPage;
  readonly script: { text: string };
  /** The agent's turn: names and arguments of the tool calls that its SDK received, and the text. */
  readonly turn: (how?: {
    stream?: boolean;
    headers?: Record<string, string>;
    isOwn?: boolean;
  }) => Promise<{ calls: string[]; text: string }>;
  readonly newest: () => Promise<Record<string, unknown>>;
}

async function inbox(
  t: TestContext,
  { entry = {}, options = {} }: { readonly entry?: object; readonly options?: ConsoleSceneOptions } = {},
): Promise<Inbox> {
  const script = { text: '{"command":"rm -rf ./build","timeout":5}' };
  const scene = await startConsoleScene({
    signInAs: 'approver',
    upstream: { calls: () => [{ name: 'Bash', arguments: script.text }] },
    more: { tools: [{ tools: ['Bash'], action: 'ask' }], approvals: { default: entry } },
    ...options,
  });
  t.after(() => scene.stop());
  const token = await scene.mint('service:agent');
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  await givePasskey(watched, scene);
  const clientOf = (apiKey: string) =>
    new OpenAI({ baseURL: `${scene.url}/v1`, apiKey, maxRetries: 0, timeout: 60_000 });
  return {
    scene,
    watched,
    script,
    async turn({ stream = false, headers = {}, isOwn = false } = {}) {
      const client = clientOf(isOwn ? '-' : token);
      const messages = [{ role: 'user' as const, content: 'tidy up the build folder' }];
      const asked = { model: 'gpt-5', messages, tools: TOOLS };
      if (!stream) {
        const { choices } = await client.chat.completions.create(asked, { headers });
        return {
          calls: (choices[0]?.message.tool_calls ?? []).map((call) =>
            call.type === 'function' ? `${call.function.name} ${call.function.arguments}` : '',
          ),
          text: choices[0]?.message.content ?? '',
        };
      }
      const answer = await client.chat.completions.create({ ...asked, stream: true }, { headers });
      let call = '';
      let text = '';
      for await (const { choices } of answer) {
        text += choices[0]?.delta.content ?? '';
        for (const part of choices[0]?.delta.tool_calls ?? [])
          call += `${part.function?.name === undefined ? '' : `${part.function.name} `}${part.function?.arguments ?? ''}`;
      }
      return { calls: call === '' ? [] : [call], text };
    },
    async newest() {
      const { json } = await scene.asOperator('GET', '/api/v1/approvals');
      return Object(Object(json).items[0] ?? {});
    },
  };
}

const region = ({ page }: WatchedPage, name: string) => page.getByRole('region', { name, exact: true });
const press = ({ page }: WatchedPage, name: string | RegExp) =>
  page.getByRole('button', typeof name === 'string' ? { name, exact: true } : { name }).click();
const readWhole = async (watched: WatchedPage): Promise<void> => {
  await press(watched, 'Show the whole call');
  await showPresence(watched);
  await region(watched, 'Arguments').waitFor();
};

describe('approvals', () => {
  test('a held tool call appears by itself, is read in person, approved, and the SDK receives it; opening decided nothing', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t);
    const { page } = watched;
    await page.goto(`${scene.url}/approvals`);
    await page.getByText('Nothing waits for you').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'approvals-empty');
    const answer = turn({
      stream: true,
      headers: { 'x-postern-session': 'tidy', 'x-postern-agent': 'claude-code' },
    });
    const card = page.locator('.approval-card');
    await card.waitFor();
    assert.match(await card.innerText(), /asks for the tool Bash[\s\S]*claude-code[\s\S]*session tidy/);
    await checkPage(watched);
    await screenshot(watched, 'approvals');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'approvals-phone');
    await page.setViewportSize({ width: 1280, height: 900 });

    const id = String((await newest())['id']);
    const writes: string[] = [];
    page.on('request', (request) => {
      if (request.method() !== 'GET') writes.push(request.url());
    });
    await page.goto(`${scene.url}/approvals/${id}?verdict=approve&read=1#approve`);
    await page.getByRole('button', { name: 'Show the whole call' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0);
    assert.doesNotMatch(await page.locator('main').innerText(), /tidy up the build folder/);
    assert.deepEqual(writes, []);
    assert.equal((await newest())['state'], 'pending');

    await readWhole(watched);
    assert.match(await region(watched, 'Arguments').innerText(), /"timeout": 5/);
    assert.match(await page.locator('main').innerText(), /tidy up the build folder/);
    await checkPage(watched);
    await screenshot(watched, 'approval');
    await page.emulateMedia({ colorScheme: 'dark' });
    await screenshot(watched, 'approval-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await press(watched, 'Approve');
    assert.deepEqual((await answer).calls, ['Bash {"command":"rm -rf ./build","timeout":5}']);
    const decided = await newest();
    assert.match(String(decided['state']), /^(?:approved|used)$/);
    assert.match(String(Object(decided['votes'])[0].by), /^local:/);
    const audit = await scene.asOperator('GET', '/api/v1/audit?action=approval.');
    const actions = new Set(Object(audit.json).items.map((item: { action: string }) => item.action));
    assert.deepEqual(actions, new Set(['approval.approve', 'approval.read']));
  });

  test('the reason of a denial is told to the agent', async (t) => {
    const { scene, watched, turn } = await inbox(t);
    await watched.page.goto(`${scene.url}/approvals`);
    const answer = turn({ stream: true });
    await press(watched, /^Deny: service:agent/);
    await watched.page.getByLabel('Reason (told to who asked)').fill('not on a Friday');
    await screenshot(watched, 'approvals-deny');
    await press(watched, 'Deny it');
    await showPresence(watched);
    const { calls, text } = await answer;
    assert.deepEqual(calls, []);
    assert.match(text, /not on a Friday/);
    await watched.page.getByText('Nothing waits for you').waitFor();
  });

  test('what an approver writes in place of the arguments is what the SDK receives; what is no JSON is not sent', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t);
    const { page } = watched;
    const answer = turn({ stream: true });
    await waitUntil(async () => (await newest())['state'] === 'pending');
    await page.goto(`${scene.url}/approvals`);
    await page.getByRole('link', { name: 'Look and decide' }).click();
    await showPresence(watched);
    await page.getByText('Change what runs').click();
    const field = page.getByLabel('What runs in its place');
    await field.fill('{"command":"ls build"');
    await page.getByText('This must be JSON').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Approve/ }).isDisabled(), true);
    await field.fill('{"n": 12345678901234567890}');
    await page.getByText('too many digits').waitFor();
    await field.fill('{\n  "command": "ls build",\n  "timeout": 5\n}');
    assert.match(await region(watched, 'Your change').innerText(), /rm -rf[\s\S]*ls build/);
    await checkPage(watched);
    await screenshot(watched, 'approval-edit');
    await press(watched, 'Approve as changed');
    const { calls } = await answer;
    assert.equal(calls.length, 1);
    assert.deepEqual(JSON.parse((calls[0] ?? '').slice('Bash '.length)), {
      command: 'ls build',
      timeout: 5,
    });
  });

  test('once is once; for a time it passes as often as it comes, then no more; a session is offered where there is one', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t, { entry: { max_duration: '2h' } });
    const { page } = watched;
    assert.match((await turn()).text, /apr_/);
    await page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
    await readWhole(watched);
    await press(watched, /If approved, it holds/);
    const offered = await page.getByRole('option').allInnerTexts();
    assert.deepEqual(
      offered.map((text) => text.split(',')[0]),
      ['once', 'for 15 minutes', 'for 1 hour', 'for 2 hours'],
    );
    await page.getByRole('option', { name: /15 minutes/ }).click();
    await press(watched, 'Approve');
    await page.getByText('It is approved, holds until').waitFor();
    for (let time = 0; time < 2; time += 1) assert.equal((await turn()).calls.length, 1);
    scene.passMinutes(16);
    assert.match((await turn({ headers: { 'x-postern-session': 's1' } })).text, /apr_/);
  });

  test('nobody is offered what they asked themselves, and may take it back; the history keeps it', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t);
    const { page } = watched;
    await turn({ isOwn: true });
    await page.goto(`${scene.url}/approvals?tab=mine`);
    await page.getByRole('table', { name: 'What you asked for' }).getByRole('link', { name: 'Bash' }).click();
    await page.getByText('You asked for this yourself, so somebody else decides.').waitFor();
    assert.equal(await page.getByRole('button', { name: /Approve|Deny/ }).count(), 0);
    await press(watched, 'Take it back');
    await waitUntil(async () => (await newest())['state'] === 'withdrawn');
    await page.goto(`${scene.url}/approvals?tab=history&state=withdrawn&kind=tool`);
    await page.getByRole('table', { name: 'Approvals' }).getByRole('link', { name: 'Bash' }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'approvals-history');
  });

  test('a model and more budget are asked for here', async (t) => {
    const { scene, watched, newest } = await inbox(t, {
      options: {
        signInAs: 'user',
        more: { quotas: { 'daily:<user>': { unit: 'usd', capacity: '$10.00', rate: '$10.00/day' } } },
        capability: { quotas: [{ bucket: 'daily:<user>' }] },
      },
    });
    const { page } = watched;
    await page.goto(`${scene.url}/approvals?ask=budget`);
    const dialog = page.getByRole('dialog', { name: 'Ask for more' });
    await dialog.getByLabel('How much').fill('$2.00');
    await dialog.getByLabel('Why').fill('the migration is large');
    await checkPage(watched);
    await screenshot(watched, 'approvals-ask');
    await dialog.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByRole('table', { name: 'What you asked for' }).waitFor();
    const asked = await newest();
    assert.deepEqual(
      [asked['kind'], asked['amount'], asked['preview']],
      ['budget', 2_000_000_000, 'the migration is large'],
    );
  });

  for (const { signInAs, sees } of [
    { signInAs: 'admin', sees: 'beforehand' },
    { signInAs: 'approver', sees: 'as the answer, since they may not read the document' },
  ] as const)
    test(`where a watched file owns the document, an ${signInAs} is shown the grant to write: ${sees}`, async (t) => {
      const { scene, watched, newest } = await inbox(t, { options: { signInAs } });
      const { page } = watched;
      const asker = await scene.mint('service:agent');
      const asked = await fetch(`${scene.url}/api/v1/approvals`, {
        method: 'POST',
        headers: { authorization: `Bearer ${asker}`, 'content-type': 'application/json' },
        body: JSON.stringify({ kind: 'model', model: 'openai/gpt-9', reason: 'it is newer' }),
      });
      assert.equal(asked.status, 202, await asked.text());
      await page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
      await press(watched, 'Show the whole call');
      await showPresence(watched);
      const form = region(watched, 'Decide');
      const written = form.locator('pre code');
      if (signInAs === 'admin') {
        await written.waitFor();
        assert.equal(await form.getByRole('button', { name: 'Approve', exact: true }).count(), 0);
        await checkPage(watched);
      } else {
        await press(watched, 'Approve');
        await written.waitFor();
        watched.faults.splice(0);
      }
      assert.deepEqual(JSON.parse(await written.innerText()), {
        src: ['service:agent'],
        app: { 'postern.dev/cap/gateway': [{ role: 'user', models: ['openai/gpt-9'] }] },
      });
      assert.equal((await newest())['state'], 'pending');
      await press(watched, 'Deny');
      await waitUntil(async () => (await newest())['state'] === 'denied');
    });

  test('markup stays text, turned and hidden characters are written out, and a key that comes twice shows twice', async (t) => {
    const { scene, watched, script, turn, newest } = await inbox(t);
    script.text = `{"command":${JSON.stringify(`${HOSTILE} \u202Etxt.exe\u200B`)},"command":"id","n":12345678901234567890}`;
    await turn({ headers: { 'x-postern-agent': HOSTILE, 'x-postern-session': HOSTILE } });
    await watched.page.goto(`${scene.url}/approvals`);
    await watched.page.locator('.approval-card').waitFor();
    await checkPage(watched);
    await watched.page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
    await readWhole(watched);
    const shown = await region(watched, 'Arguments').innerText();
    assert.match(shown, /<img src=x onerror=alert\(1\)>.* \\u202etxt\.exe\\u200b/);
    assert.equal(shown.split('"command"').length, 3);
    assert.match(shown, /12345678901234567890/);
    assert.equal(await watched.page.locator('main img, main script').count(), 0);
    await checkPage(watched);
  });

  test('a quorum grows as others approve meanwhile, and an approver may still deny', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t, { entry: { quorum: 2 } });
    const { page } = watched;
    await turn();
    await page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
    await readWhole(watched);
    await press(watched, 'Approve');
    await page.getByText('You have approved it; 1 more must.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0);
    await press(watched, 'Deny');
    await waitUntil(async () => (await newest())['state'] === 'denied');
  });

  test('too late is said in words', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t);
    const { page } = watched;
    await turn();
    await page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
    await readWhole(watched);
    scene.passMinutes(25 * 60);
    await press(watched, 'Approve');
    await showPresence(watched);
    await page.getByText(/expired before anybody decided/).waitFor();
    assert.deepEqual((await newest())['votes'], []);
  });

  test('it is read and decided by keyboard alone', async (t) => {
    const { scene, watched, turn, newest } = await inbox(t);
    const { page } = watched;
    await turn();
    await page.goto(`${scene.url}/approvals/${String((await newest())['id'])}`);
    await page.getByRole('button', { name: 'Show the whole call' }).focus();
    await page.keyboard.press('Enter');
    await showPresence(watched);
    await region(watched, 'Arguments').waitFor();
    const approve = page.getByRole('button', { name: 'Approve', exact: true });
    for (let tab = 0; tab < 60 && !(await approve.evaluate((it) => it === document.activeElement)); tab += 1)
      await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await waitUntil(async () => (await newest())['state'] === 'approved');
  });

  test('a fault of the server says where, and an address of nothing says so', async (t) => {
    const { scene, watched } = await inbox(t);
    const mend = await breakApi(watched, /\/api\/v1\/approvals/);
    await watched.page.goto(`${scene.url}/approvals`);
    await watched.page.getByText('What waits could not be loaded').waitFor();
    await checkPage(watched, { isBroken: true });
    await mend();
    await press(watched, 'Try again');
    await watched.page.getByText('Nothing waits for you').waitFor();
    await watched.page.goto(`${scene.url}/approvals/apr_nothing`);
    await watched.page.getByText('The approval could not be loaded').waitFor();
  });
});
