/** Live, requests and sessions of the console in Chromium: what agents did, read by people. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import {
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  openConsole,
  screenshot,
  startConsoleScene,
} from './console-scene.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'><script>alert(2)</script>`;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function start(t: TestContext, options: ConsoleSceneOptions = {}): Promise<ConsoleScene> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  return scene;
}

async function open(
  t: TestContext,
  scene: ConsoleScene,
  path: string,
  options: Parameters<typeof openConsole>[3] = {},
): Promise<WatchedPage> {
  const watched = await openConsole(browser, scene, path, options);
  t.after(() => watched.close());
  return watched;
}

type Message = { readonly role: 'user' | 'assistant'; readonly content: unknown };

interface Turn {
  readonly session: string;
  readonly messages: readonly Message[];
  readonly tools?: readonly object[];
  readonly agent?: string;
  readonly token?: string;
  readonly system?: string;
  readonly model?: string;
}

/** One exchange of an agent that speaks Anthropic's format; the answer's text. */
async function exchange(scene: ConsoleScene, turn: Turn): Promise<string> {
  const answer = await fetch(`${scene.url}/v1/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'x-postern-session': turn.session,
      'x-postern-agent': turn.agent ?? 'claude-code',
      ...(turn.token === undefined ? {} : { authorization: `Bearer ${turn.token}` }),
    },
    body: JSON.stringify({
      model: turn.model ?? 'claude-sonnet-4-5',
      max_tokens: 500,
      system: turn.system ?? 'You are a careful engineer.',
      messages: turn.messages,
      ...(turn.tools === undefined ? {} : { tools: turn.tools }),
    }),
  });
  const body: unknown = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(body));
  return String(Object(body).content[0].text);
}

const READ_TOOL = { name: 'read_file', description: 'Reads a file.', input_schema: { type: 'object' } };

/** A conversation of three turns with a tool call, and a fork from the first. */
async function talk(scene: ConsoleScene, session: string, token?: string): Promise<void> {
  const base = { session, tools: [READ_TOOL], ...(token === undefined ? {} : { token }) };
  const messages: Message[] = [{ role: 'user', content: 'Why does the parser lose the last line?' }];
  const first = await exchange(scene, { ...base, messages });
  messages.push(
    { role: 'assistant', content: first },
    { role: 'user', content: 'Read src/parser.ts and tell me.' },
  );
  const second = await exchange(scene, { ...base, messages });
  messages.push(
    {
      role: 'assistant',
      content: [
        { type: 'text', text: second },
        {
          type: 'tool_use',
          id: 'toolu_1',
          name: 'read_file',
          input: { path: 'src/parser.ts', lines: [1, 80] },
        },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 'toolu_1',
          content: `export function parse(text: string) {\n  return text.split('\\n').slice(0, -1);\n}\n${'// padding\n'.repeat(600)}// the needle in the hay`,
        },
      ],
    },
  );
  await exchange(scene, { ...base, messages });
  await exchange(scene, {
    ...base,
    messages: [...messages.slice(0, 2), { role: 'user', content: 'Or is it the lexer?' }],
  });
}

async function recorded(scene: ConsoleScene, count: number): Promise<readonly { readonly id: string }[]> {
  let items: readonly { readonly id: string }[] = [];
  await waitUntil(async () => {
    ({ items } = Object((await scene.asOperator('GET', '/api/v1/requests?limit=500')).json));
    return items.length >= count;
  });
  return items;
}

describe('sessions', () => {
  test('a session is a readable tree: turns, calls, results, search, comparison, export', async (t) => {
    const scene = await start(t);
    await talk(scene, 'parser-hunt');
    await recorded(scene, 4);
    const watched = await open(t, scene, '/sessions');
    const { page } = watched;
    await page.getByRole('link', { name: 'parser-hunt' }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'sessions');
    await page.getByRole('link', { name: 'parser-hunt' }).click();
    const turn = (number: number) => page.getByRole('article', { name: `Turn ${number}`, exact: true });
    await turn(1).getByText('Why does the parser lose the last line?').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'session');
    const search = page.getByRole('searchbox', { name: 'Search in this session' });
    await search.fill('needle in the hay');
    await search.press('Enter');
    await page.getByRole('button', { name: /Turn 3/ }).click();
    const result = turn(3).getByRole('region', { name: 'Result of read_file' });
    await result.getByText('Show more').click();
    await result.getByText(/Show all/).click();
    await result.getByText('the needle in the hay').waitFor();
    assert.ok(page.url().includes('find=needle'));
    await page.getByRole('button', { name: 'To the last turn' }).click();
    await turn(4)
      .getByText(/forks within turn \d/)
      .waitFor();
    await turn(4).getByRole('button', { name: 'Compare turn 4' }).click();
    await page.getByRole('button', { name: 'To the first turn' }).click();
    await turn(2).getByRole('button', { name: 'Compare turn 2' }).click();
    const dialog = page.getByRole('dialog', { name: 'Turn 4 and turn 2' });
    await dialog.getByText('2 messages at the beginning are the same.').waitFor();
    await dialog.getByText('Or is it the lexer?').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'session-compare');
    await page.keyboard.press('Escape');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByRole('menuitem', { name: 'JSON lines' }).click();
    const file = readFileSync(await (await download).path(), 'utf8');
    const exported = await scene.asViewer('GET', '/api/v1/sessions/parser-hunt/export?format=jsonl');
    assert.equal(file, exported.text);
    assert.deepEqual(watched.faults, []);
  });
});

describe('requests', () => {
  test('a list with filters in its address leads to one request with its trail and words', async (t) => {
    const scene = await start(t);
    await talk(scene, 'one');
    await scene.asViewer('POST', '/v1/chat/completions', { model: 'no-such-model', messages: [] });
    await recorded(scene, 5);
    const watched = await open(t, scene, '/requests?outcome=refused');
    const { page } = watched;
    await page.getByText('1 request', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText('5 requests', { exact: true }).waitFor();
    assert.ok(!page.url().includes('outcome'));
    await checkPage(watched);
    await screenshot(watched, 'requests');
    await page.locator('.row-link').nth(1).click();
    await page.getByText('Or is it the lexer?').waitFor();
    await page.getByText('Settle the cost').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'request');
    await page.getByRole('tab', { name: 'As on the wire' }).click();
    await page.getByRole('group', { name: 'Answer' }).waitFor();
    await checkPage(watched);
    const id = new URL(page.url()).pathname.split('/').at(-1) ?? '';
    const row = Object((await scene.asViewer('GET', `/api/v1/requests/${id}`)).json);
    assert.equal(row.session_id, 'one');
    assert.deepEqual(watched.faults, []);
  });
});

describe('live', () => {
  test('requests appear as they begin and end; pause holds them; filters and links work', async (t) => {
    const scene = await start(t);
    const watched = await open(t, scene, '/live');
    const { page } = watched;
    await page.getByText('Waiting for the first request').waitFor();
    await page.getByText('listening').waitFor();
    await checkPage(watched);
    await exchange(scene, { session: 's', messages: [{ role: 'user', content: 'hello' }] });
    await page.getByRole('link', { name: 'claude-sonnet-4-5' }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await exchange(scene, { session: 's', agent: HOSTILE, messages: [{ role: 'user', content: HOSTILE }] });
    await page.getByRole('button', { name: 'Go on (1 new request)' }).click();
    await waitUntil(async () => (await page.getByRole('listitem').count()) >= 2);
    await checkPage(watched);
    await screenshot(watched, 'live');
    const requests = await recorded(scene, 2);
    await page.getByRole('link', { name: 'claude-sonnet-4-5' }).first().click();
    await page.getByText('Settle the cost').waitFor();
    assert.ok(requests.some(({ id }) => page.url().endsWith(id)));
    assert.deepEqual(watched.faults, []);
  });
});
