/** What is written down of a request: who, what, how much, at what cost, and the bodies as they were. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { modelThat } from '../upstream/index.ts';
import { startScene, type Scene } from './fake-providers.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

const MESSAGES = [{ role: 'user', content: 'hello' }];
const ANTHROPIC = { 'anthropic-version': '2023-06-01' };

type Row = Record<string, unknown>;

async function rowOf(postern: Postern, id: unknown): Promise<Row> {
  for (let attempt = 0; attempt < 250; attempt += 1) {
    const reply = await postern.call(`/api/v1/requests/${String(id)}`);
    if (reply.status === 200) {
      const row = reply.json();
      return { ...row, ...(row['usage'] as Row) };
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error(`the request ${String(id)} was not recorded within 5 s`);
}

describe('records', () => {
  const suite = suiteEnd();
  let scene: Scene;
  before(async () => {
    scene = await startScene(suite);
  });
  after(() => suite.end());

  test('usage is what the provider reported, in every format, streamed and not (DESIGN section 7)', async () => {
    const table: readonly (readonly [path: string, body: Row, headers: Record<string, string>])[] = [
      ['/v1/chat/completions', { model: 'gpt-5', messages: MESSAGES }, {}],
      ['/v1/chat/completions', { model: 'gpt-5', messages: MESSAGES, stream: true }, {}],
      ['/v1/responses', { model: 'gpt-5', input: 'hello' }, {}],
      ['/v1/responses', { model: 'gpt-5', input: 'hello', stream: true }, {}],
      ['/v1/messages', { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES }, ANTHROPIC],
      [
        '/v1/messages',
        { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES, stream: true },
        ANTHROPIC,
      ],
      ['/v1beta/models/gemini-2.5-pro:generateContent', { contents: [{ parts: [{ text: 'hello' }] }] }, {}],
      [
        '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
        { contents: [{ parts: [{ text: 'hello' }] }] },
        {},
      ],
    ];
    for (const [path, body, headers] of table) {
      const reply = await scene.postern.call(path, { body, headers });
      assert.equal(reply.status, 200);
      const row = await rowOf(scene.postern, reply.headers['x-postern-request-id']);
      const label = `${path} ${JSON.stringify(body['stream'])} ${JSON.stringify(row)}`;
      assert.equal(row['outcome'], 'ok', label);
      assert.equal(row['estimated'], false, label);
      assert.equal(row['input_tokens'], 11, label);
      assert.equal(row['output_tokens'], 7, label);
      assert.equal(row['cost_state'], 'priced', label);
      assert.ok(Number(row['cost_nano_usd']) > 0, label);
      assert.equal(row['principal'], scene.postern.me);
      assert.equal(row['door'], 'local');
    }
  });

  test('missing usage is estimated and marked; explicit zeros are honoured', async () => {
    const body = { model: 'gpt-5', messages: MESSAGES };
    scene.upstream.script('usage-missing');
    const missing = await scene.postern.call('/v1/chat/completions', { body });
    const estimated = await rowOf(scene.postern, missing.headers['x-postern-request-id']);
    assert.equal(estimated['estimated'], true);
    assert.ok(Number(estimated['output_tokens']) > 0);
    scene.upstream.script('usage-zero');
    const zero = await scene.postern.call('/v1/chat/completions', { body });
    const honoured = await rowOf(scene.postern, zero.headers['x-postern-request-id']);
    assert.equal(honoured['estimated'], false);
    assert.equal(honoured['input_tokens'], 0);
    assert.equal(honoured['output_tokens'], 0);
    assert.equal(honoured['cost_nano_usd'], 0);
  });

  test('a client that leaves is charged for what was produced, marked as an estimate', async () => {
    scene.upstream.reset();
    const { hostname, port } = new URL(scene.postern.url);
    const body = JSON.stringify({
      model: modelThat('gpt-5', 'slow', 'long'),
      messages: MESSAGES,
      stream: true,
    });
    const request = http.request({
      hostname,
      port,
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await once(response, 'data');
    await once(response, 'data');
    request.destroy();
    const row = await rowOf(scene.postern, response.headers['x-postern-request-id']);
    assert.equal(row['outcome'], 'client_abort');
    assert.equal(row['estimated'], true);
    assert.ok(Number(row['input_tokens']) > 0);
    assert.ok(Number(row['output_tokens']) > 0);
    const [received] = await scene.upstream.settled(1);
    assert.equal(received?.outcome, 'aborted');
  });

  test('refusals are recorded with their reason and cost nothing', async () => {
    const reply = await scene.postern.call('/v1/chat/completions', {
      body: { model: 'nope', messages: MESSAGES },
    });
    const row = await rowOf(scene.postern, reply.headers['x-postern-request-id']);
    assert.equal(row['outcome'], 'refused');
    assert.equal(row['reason'], 'model_not_available');
    assert.equal(row['cost_nano_usd'], 0);
  });

  test('agent and session labels come from the headers of the known clients', async () => {
    const reply = await scene.postern.call('/v1/messages', {
      body: { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES },
      headers: {
        ...ANTHROPIC,
        'user-agent': 'claude-cli/2.1.330 (external, sdk-cli)',
        'x-claude-code-session-id': 'session-1',
      },
    });
    const row = await rowOf(scene.postern, reply.headers['x-postern-request-id']);
    assert.equal(row['agent'], 'claude-code');
    assert.equal(row['session_id'], 'session-1');
  });

  test('turns of one conversation without a label become one session by their identical prefix', async () => {
    const first = [{ role: 'user', content: 'a conversation of its own' }];
    const second = [...first, { role: 'assistant', content: 'yes' }, { role: 'user', content: 'go on' }];
    const sessions: unknown[] = [];
    for (const messages of [first, second]) {
      const reply = await scene.postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages } });
      sessions.push((await rowOf(scene.postern, reply.headers['x-postern-request-id']))['session_id']);
    }
    assert.equal(typeof sessions[0], 'string');
    assert.equal(sessions[0], sessions[1]);
  });

  test('bodies are kept as they were on the wire and read back byte for byte', async () => {
    const body = Buffer.from(
      '{ "model" : "gpt-5",\n "messages":[{"role":"user","content":"caf\\u00e9 ✓"}] , "x_unknown": [1, 2.50] }',
    );
    scene.upstream.reset();
    const reply = await scene.postern.call('/v1/chat/completions', { body });
    await rowOf(scene.postern, reply.headers['x-postern-request-id']);
    const kept = await scene.postern.call(
      `/api/v1/requests/${String(reply.headers['x-postern-request-id'])}/body`,
    );
    assert.equal(kept.status, 200, kept.text);
    const { request, response } = kept.json() as Record<string, { data: string; encoding: string }>;
    assert.deepEqual(Buffer.from(request?.data ?? '', request?.encoding as BufferEncoding), body);
    assert.deepEqual(Buffer.from(response?.data ?? '', response?.encoding as BufferEncoding), reply.bytes);
  });
});

test('capture metadata keeps no body, none keeps no body either', async (t) => {
  for (const capture of ['metadata', 'none']) {
    const { postern } = await startScene(t, { capability: { capture } });
    const reply = await postern.call('/v1/chat/completions', {
      body: { model: 'gpt-5', messages: MESSAGES },
    });
    const row = await rowOf(postern, reply.headers['x-postern-request-id']);
    assert.equal(row['capture'], capture);
    const kept = await postern.call(`/api/v1/requests/${String(row['id'])}/body`);
    assert.equal(kept.status, 404, kept.text);
  }
});

test('records survive a restart, and no provider key is in the state folder', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-test-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const first = await startPostern(t, { stateDir });
  const reply = await first.call('/v1/chat/completions', {
    body: { model: 'postern/echo', messages: MESSAGES },
  });
  assert.equal(reply.status, 200);
  await first.stop();
  const second = await startPostern(t, { stateDir });
  const [row] = await second.requests(1);
  assert.equal(row?.['id'], reply.headers['x-postern-request-id']);
  assert.equal(row?.['cost_state'], 'free');
});
