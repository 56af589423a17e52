/** Batch results are metered to their maker, once, however often and by whichever process they are read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI, { toFile } from 'openai';
import { startFakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern, type Reply } from './harness.ts';

type Row = Record<string, unknown>;

const MESSAGES = [{ role: 'user', content: 'hello' }];
const LINES = ['gpt-5', 'gpt-5', 'gpt-5-mini'].map((model, index) =>
  JSON.stringify({
    custom_id: `line-${index}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: MESSAGES },
  }),
);
/** The fake's figures for one answer. */
const EACH = { input: 11, output: 7 };

function clients(postern: Postern): { readonly openai: OpenAI; readonly anthropic: Anthropic } {
  return {
    openai: new OpenAI({ baseURL: `${postern.url}/v1`, apiKey: '-', maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: postern.url, apiKey: '-', maxRetries: 0 }),
  };
}

async function makeBatch(openai: OpenAI): Promise<string> {
  const file = await openai.files.create({
    file: await toFile(Buffer.from(LINES.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const batch = await openai.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  return (await openai.batches.retrieve(batch.id)).output_file_id ?? assert.fail('the batch has no output');
}

/** Rows of format `batch`, once everything that was asked before is written. */
async function batchRows(postern: Postern, asked: number): Promise<Row[]> {
  const rows = await postern.requests(asked);
  return rows.filter((row) => row['format'] === 'batch');
}

function total(rows: readonly Row[], name: string): number {
  return rows.reduce((sum, row) => sum + Number((row['usage'] as Row)[name]), 0);
}

test('OpenAI: each model of a batch is one row at the batch price, however often the results are read', async (t) => {
  const { postern, upstream } = await startScene(t);
  const { openai } = clients(postern);
  const output = await makeBatch(openai);
  for (let i = 0; i < 3; i += 1) {
    const content = await openai.files.content(output, { headers: { range: 'bytes=0-9' } });
    assert.equal((await content.text()).trim().split('\n').length, LINES.length);
  }
  const marker = await postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages: MESSAGES } });
  assert.equal(marker.status, 200);
  // Upload, batch, its state, three readings, the marker, and two rows of usage.
  const rows = await batchRows(postern, 9);
  assert.deepEqual(rows.map((row) => String(row['model'])).sort(), ['gpt-5', 'gpt-5-mini']);
  assert.equal(total(rows, 'input_tokens'), EACH.input * LINES.length);
  assert.equal(total(rows, 'output_tokens'), EACH.output * LINES.length);
  for (const row of rows) {
    assert.equal(row['principal'], postern.me);
    assert.equal(row['cost_state'], 'priced');
    assert.equal(row['estimated'], false);
  }
  const single = (await postern.requests(9)).find((row) => row['format'] === 'openai_chat');
  const double = rows.find((row) => row['model'] === 'gpt-5');
  // Two answers at half the price cost what one costs.
  assert.equal(double?.['cost_nano_usd'], single?.['cost_nano_usd']);
  assert.deepEqual(upstream.violations, []);
});

test('Anthropic: the SDK follows results_url through Postern, and what the batch used is recorded once', async (t) => {
  const { postern, upstream } = await startScene(t);
  const { anthropic } = clients(postern);
  const params = {
    model: 'claude-sonnet-4-5',
    max_tokens: 5,
    messages: [{ role: 'user' as const, content: 'hi' }],
  };
  const batch = await anthropic.messages.batches.create({
    requests: [
      { custom_id: 'a', params },
      { custom_id: 'b', params },
    ],
  });
  for (let i = 0; i < 2; i += 1) {
    const types: string[] = [];
    for await (const line of await anthropic.messages.batches.results(batch.id)) types.push(line.result.type);
    assert.deepEqual(types, ['succeeded', 'succeeded']);
  }
  const rows = await batchRows(postern, 6);
  assert.equal(rows.length, 1);
  assert.equal(total(rows, 'input_tokens'), EACH.input * 2);
  assert.equal(rows[0]?.['response_id'] ?? batch.id, batch.id);
  const listed = await anthropic.messages.batches.list();
  assert.deepEqual(
    listed.data.map(({ id }) => id),
    [batch.id],
  );
  assert.deepEqual(upstream.violations, []);
});

test('a model by another name is renamed in every request of a message batch, and no other byte changes', async (t) => {
  const { postern, upstream } = await startScene(t);
  const body =
    '{ "requests" : [ {"custom_id":"a","params":{"max_tokens":5, "model" : "anthropic/claude-sonnet-4-5","messages":[] , "x":1.50}} ] }';
  const reply = await postern.call('/v1/messages/batches', {
    body,
    headers: { 'anthropic-version': '2023-06-01' },
  });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(String(upstream.requests[0]?.body), body.replace('anthropic/claude', 'claude'));
});

test('results that were read before a restart are not counted again after it', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-batch-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const start = (context: TestContext): Promise<Postern> =>
    startPostern(context, {
      stateDir,
      document: documentFor(upstream.url),
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
    });
  const first = await start(t);
  const output = await makeBatch(clients(first).openai);
  await (await clients(first).openai.files.content(output)).text();
  await first.stop();
  const second = await start(t);
  await (await clients(second).openai.files.content(output)).text();
  const rows = await batchRows(second, 7);
  assert.equal(rows.length, 2);
  assert.equal(total(rows, 'input_tokens'), EACH.input * LINES.length);
});

test('leaving before the end of the results does not leave them uncounted', async (t) => {
  const { postern, upstream } = await startScene(t);
  const output = await makeBatch(clients(postern).openai);
  upstream.script('bytes-1');
  const { hostname, port } = new URL(postern.url);
  const request = http.request({ hostname, port, path: `/v1/files/${output}/content` });
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'data');
  request.destroy();
  const rows = await batchRows(postern, 6);
  assert.equal(total(rows, 'input_tokens'), EACH.input * LINES.length);
  const left = (await postern.requests(6)).find(
    (row) => String(row['path']).endsWith('/content') && row['format'] !== 'batch',
  );
  assert.equal(left?.['outcome'], 'client_abort');
});

/** Lines of 2 x 100 stated output tokens, and less than 2,500 of input each as budgets count it. */
const LIMITED = ['a', 'b'].map((id) =>
  JSON.stringify({
    custom_id: id,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'gpt-5', max_completion_tokens: 100, messages: MESSAGES },
  }),
);

async function upload(openai: OpenAI, lines: readonly string[]): Promise<string> {
  const file = await toFile(Buffer.from(lines.join('\n')), 'in.jsonl');
  return (await openai.files.create({ file, purpose: 'batch' })).id;
}

function createBatch(postern: Postern, file: string, endpoint = '/v1/chat/completions'): Promise<Reply> {
  const body = { input_file_id: file, endpoint, completion_window: '24h' };
  return postern.call('/v1/batches', { body });
}

async function leftOf(postern: Postern, bucket: string): Promise<number> {
  const { items } = (await postern.call('/api/v1/budgets')).json() as {
    items: { bucket: string; remaining: number }[];
  };
  return items.find((budget) => budget.bucket === bucket)?.remaining ?? assert.fail('no such budget');
}

test('a batch of a file takes what its lines may use from every budget, whole and at once (DESIGN section 7)', async (t) => {
  const { postern, upstream } = await startScene(t, {
    more: {
      quotas: {
        calls: { unit: 'requests', capacity: 9, window: 'month' },
        tokens: { unit: 'tokens', capacity: 6_000, window: 'month' },
        money: { unit: 'usd', capacity: '$10.00', window: 'month' },
      },
    },
    capability: { quotas: [{ bucket: 'calls' }, { bucket: 'tokens' }, { bucket: 'money' }] },
  });
  const { openai } = clients(postern);
  const file = await upload(openai, LIMITED);
  const made = await createBatch(postern, file);
  assert.equal(made.status, 200, made.text);
  // The upload counts as a request of its own, the batch as its two lines.
  assert.equal(await leftOf(postern, 'calls'), 9 - 1 - 2);
  const tokens = await leftOf(postern, 'tokens');
  assert.ok(tokens < 6_000 - 200 - 2 * 1_024 && tokens > 0, String(tokens));
  assert.ok((await leftOf(postern, 'money')) < 10_000_000_000, 'dollars are taken, too');
  await (
    await openai.files.content(
      (await openai.batches.retrieve(String(made.json()['id']))).output_file_id ?? '',
    )
  ).text();
  assert.equal(await leftOf(postern, 'tokens'), tokens, 'the results take nothing again');
  for (let spent = await createBatch(postern, file); ; spent = await createBatch(postern, file)) {
    if (spent.status === 200) continue;
    assert.equal(spent.headers['x-postern-reason'], 'budget_exhausted', spent.text);
    break;
  }
  assert.ok((await leftOf(postern, 'tokens')) >= 0);
  assert.deepEqual(upstream.violations, []);
});

test('a message batch takes what its requests may use from every budget, whole and at once (DESIGN section 7)', async (t) => {
  const { postern } = await startScene(t, {
    more: {
      quotas: {
        calls: { unit: 'requests', capacity: 9, window: 'month' },
        tokens: { unit: 'tokens', capacity: 6_000, window: 'month' },
        money: { unit: 'usd', capacity: '$10.00', window: 'month' },
      },
    },
    capability: { quotas: [{ bucket: 'calls' }, { bucket: 'tokens' }, { bucket: 'money' }] },
  });
  const create = (limit: number): Promise<Reply> => {
    const params = { model: 'claude-sonnet-4-5', max_tokens: limit, messages: MESSAGES };
    const requests = ['a', 'b'].map((id) => ({ custom_id: id, params }));
    return postern.call('/v1/messages/batches', {
      body: { requests },
      headers: { 'anthropic-version': '2023-06-01' },
    });
  };
  const made = await create(100);
  assert.equal(made.status, 200, made.text);
  assert.equal(await leftOf(postern, 'calls'), 9 - 2);
  const tokens = await leftOf(postern, 'tokens');
  assert.ok(tokens < 6_000 - 200 && tokens > 0, String(tokens));
  assert.ok((await leftOf(postern, 'money')) < 10_000_000_000, 'dollars are taken, too');
  const dear = await create(3_000);
  assert.equal(dear.headers['x-postern-reason'], 'budget_too_small', dear.text);
  assert.equal(await leftOf(postern, 'tokens'), tokens, 'what is refused takes nothing');
});

test('a batch is refused where its lines are not known, or say that they are for another place', async (t) => {
  const more = { quotas: { calls: { unit: 'requests', capacity: 100, window: 'month' } } };
  const capability = { quotas: [{ bucket: 'calls' }] };
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-batch-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const options = {
    stateDir,
    document: documentFor(upstream.url, { more, capability }),
    env: PROVIDER_ENV,
    flags: { allowUpstream: '127.0.0.0/8' },
  };
  const first = await startPostern(t, options);
  const elsewhere = LIMITED.map((line) => line.replace('chat/completions', 'embeddings'));
  const other = await createBatch(first, await upload(clients(first).openai, elsewhere));
  assert.equal(other.headers['x-postern-reason'], 'budget_not_enforceable', other.text);
  const file = await upload(clients(first).openai, LIMITED);
  assert.equal((await createBatch(first, file)).status, 200);
  await first.stop();
  const second = await startPostern(t, options);
  const unseen = await createBatch(second, file);
  assert.equal(unseen.headers['x-postern-reason'], 'budget_not_enforceable', unseen.text);
});
