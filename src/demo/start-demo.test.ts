/** A small demo as a whole: what its day leaves behind came out of the real server, by its own API. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDemo, type DemoOptions, type RunningDemo } from './start-demo.ts';

const LIMIT = { timeout: 120_000 };

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Item = Readonly<Record<string, unknown>>;

async function start(t: TestContext, options: DemoOptions): Promise<RunningDemo> {
  const demo = await startDemo({ live: false, ...options });
  t.after(() => demo.close());
  return demo;
}

/** As whoever runs the demo. */
function get(demo: RunningDemo, path: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.get(new URL(path, demo.url), { agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, body: JSON.parse(text) as Item }),
      );
    });
    request.on('error', reject);
  });
}

/** Every page of a list. */
async function all(demo: RunningDemo, path: string): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor = '';
  do {
    const { status, text, body } = await get(demo, `${path}?limit=100${cursor}`);
    assert.equal(status, 200, text);
    items.push(...(body['items'] as Item[]));
    cursor =
      typeof body['next_cursor'] === 'string' ? `&cursor=${encodeURIComponent(body['next_cursor'])}` : '';
  } while (cursor !== '');
  return items;
}

/** Rows appear when the recorder has written them. */
async function rows(demo: RunningDemo, count: number): Promise<readonly Item[]> {
  for (let tries = 0; ; tries += 1) {
    const found = await all(demo, '/api/v1/requests');
    if (found.length >= count || tries > 600) return found;
    await pause(50);
  }
}

function called(demo: RunningDemo): number {
  return Object.values(demo.answers).reduce((sum, count) => sum + count, 0);
}

describe('a demo of one day', LIMIT, () => {
  test('leaves every kind of row, budgets that add up, and approvals in every state', async (t) => {
    const demo = await start(t, { days: 1, requests: 150, seed: 3 });
    const recorded = await rows(demo, called(demo));

    const have = (what: string, holds: (row: Item) => boolean): void =>
      assert.ok(recorded.some(holds), `no row: ${what}`);
    const text = (row: Item): string => JSON.stringify(row);
    for (const format of ['anthropic_messages', 'openai_chat', 'openai_responses', 'gemini_generate_content'])
      have(format, (row) => row['format'] === format && row['status'] === 200);
    have('embeddings', (row) => row['path'] === '/v1/embeddings' && row['status'] === 200);
    have('an image', (row) => row['path'] === '/v1/images/generations' && row['status'] === 200);
    for (const reason of ['content_blocked', 'budget_exhausted', 'model_not_available', 'role_missing'])
      have(reason, (row) => row['reason'] === reason);
    for (const action of ['redacted', 'denied', 'pending', 'approved'])
      have(action, (row) => text(row).includes(`"action":"${action}"`));
    have('an attempt that failed', (row) => text(row).includes('"about":"attempt"'));
    have('a cache hit', (row) => Number(row['saved_nano_usd']) > 0);
    have('a translation', (row) => row['format'] === 'openai_chat' && row['provider'] === 'anthropic');
    have('a fallback', (row) => row['provider'] === 'anthropic-eu');
    have('a machine', (row) => row['user_label'] === 'tag:ci' || row['user_label'] === 'tag:batch');
    assert.ok(
      recorded.every((row) => row['door'] === 'tailscaled'),
      'all came in by the door of the demo network',
    );

    const states = new Map<string, number>();
    for (const { state } of await all(demo, '/api/v1/approvals'))
      states.set(String(state), (states.get(String(state)) ?? 0) + 1);
    assert.equal(states.get('pending'), 2, 'two wait for the viewer');
    for (const state of ['used', 'denied', 'withdrawn', 'approved'])
      assert.ok((states.get(state) ?? 0) > 0, `no approval is ${state}`);

    await checkBudget(demo, recorded);
    const audit = (await all(demo, '/api/v1/audit')).map(({ action }) => action);
    for (const action of [
      'claim',
      'config.save',
      'key.add',
      'key.promote',
      'approval.approve',
      'approval.deny',
    ])
      assert.ok(audit.includes(action), `${action} is not in the audit log: ${[...new Set(audit)].join()}`);
  });

  test('a connection that the demo did not open is nobody of the demo, and administers with presence only', async (t) => {
    const demo = await start(t, { days: 1, requests: 5, scenes: false });
    const { body } = await get(demo, '/api/v1/whoami');
    assert.equal(body['door'], 'local');
    assert.equal(body['device'], null);
    assert.deepEqual(body['roles'], ['admin', 'user']);
    assert.equal(body['presence_until'], null);
    assert.match(demo.viewerUrl ?? '', /^http:\/\/localhost:\d+\/presence#[0-9a-z]{32}$/);
  });
});

/**
 * What the company's bucket lost is what its people's rows cost, to the nano-dollar. A model that an approval
 * granted is in no bucket: that grant names none.
 */
async function checkBudget(demo: RunningDemo, recorded: readonly Item[]): Promise<void> {
  const company = (await all(demo, '/api/v1/budgets')).find(({ bucket }) => bucket === 'company');
  assert.ok(company !== undefined);
  const month = new Date(Date.parse(String(company['window_end'])) - 1).toISOString().slice(0, 7);
  const spent = recorded
    .filter((row) => String(row['user_label']).includes('@') && String(row['started_at']).startsWith(month))
    .filter((row) => !(row['user_label'] === 'femi@example.com' && String(row['model']).includes('opus')))
    .reduce((sum, row) => sum + Number(row['cost_nano_usd'] ?? 0), 0);
  assert.ok(spent > 0);
  assert.equal(Number(company['capacity']) - Number(company['remaining']), spent);
}

describe('states for tests', LIMIT, () => {
  test('a demo without requests, with one, and with exactly as many as asked', async (t) => {
    for (const requests of [0, 1, 60]) {
      const demo = await start(t, { requests, scenes: false });
      assert.equal(called(demo), requests);
      assert.equal((await rows(demo, requests)).length, requests);
    }
  });

  test('the state goes with the demo, unless it is kept', async (t) => {
    const gone = await start(t, { requests: 1, scenes: false });
    assert.ok(existsSync(gone.stateDir));
    await gone.close();
    assert.ok(!existsSync(gone.stateDir));
    const keep = mkdtempSync(join(tmpdir(), 'kept-'));
    t.after(() => rmSync(keep, { recursive: true, force: true }));
    const kept = await start(t, { requests: 1, scenes: false, keep });
    await kept.close();
    assert.ok(existsSync(join(keep, 'postern.db')));
  });

  test('a folder with something in it is refused, and so are numbers out of bounds', async (t) => {
    const keep = mkdtempSync(join(tmpdir(), 'kept-'));
    t.after(() => rmSync(keep, { recursive: true, force: true }));
    const kept = await start(t, { requests: 0, scenes: false, keep });
    await kept.close();
    await assert.rejects(startDemo({ keep }), /is not empty/);
    await assert.rejects(startDemo({ days: 0 }), /days must be a whole number from 1 to 90, got 0/);
    await assert.rejects(startDemo({ requests: 1.5 }), /requests must be/);
    await assert.rejects(startDemo({ listen: '0.0.0.0:0' }), /this machine/);
  });

  test('afterwards somebody goes on calling', async (t) => {
    const demo = await start(t, { requests: 0, scenes: false, live: true });
    // Written when the first answer is complete, which takes as long as a model takes.
    assert.ok((await rows(demo, 1)).length >= 1);
  });
});
