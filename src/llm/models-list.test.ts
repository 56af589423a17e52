import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { renderModel, renderModels, type ModelEntry } from './models-list.ts';
import { isSurfaceMiss, matchSurface } from './surfaces.ts';

const entry = (id: string, test = false): ModelEntry => ({
  id,
  displayName: null,
  provider: 'p',
  formats: ['openai_chat', 'gemini_generate_content'],
  contextWindow: 1_000,
  maxOutput: null,
  modalities: { input: ['text'], output: ['text'] },
  prices: { input: 1 },
  test,
});
const MODELS = [entry('b/two'), entry('a-one'), entry('postern/echo', true)];
const CREATED = Date.UTC(2026, 0, 1);

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://host');
  const { 'anthropic-version': anthropic, 'x-goog-api-key': google } = request.headers;
  const match = matchSurface(
    request.method ?? '',
    url.pathname,
    anthropic !== undefined,
    google !== undefined,
  );
  assert.ok(!isSurfaceMiss(match) && match.format === 'models');
  const limit = url.searchParams.get('limit') ?? url.searchParams.get('pageSize');
  const page = {
    limit: limit === null ? null : Number(limit),
    after: url.searchParams.get('after_id') ?? url.searchParams.get('pageToken'),
  };
  const one = MODELS.find((model) => model.id === match.model);
  const value =
    one === undefined
      ? renderModels(match.dialect, MODELS, { page, createdAt: CREATED })
      : renderModel(match.dialect, one, CREATED);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
});
let origin = '';

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  origin = `http://127.0.0.1:${address.port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const IDS = ['a-one', 'b/two', 'postern/echo'];

async function idsOf<Item>(
  items: AsyncIterable<Item>,
  id: (item: Item) => string | undefined,
): Promise<(string | undefined)[]> {
  const ids: (string | undefined)[] = [];
  for await (const item of items) ids.push(id(item));
  return ids;
}

test('openai reads the list and one model', async () => {
  const client = new OpenAI({ apiKey: '-', baseURL: `${origin}/v1` });
  assert.deepEqual(await idsOf(client.models.list(), (model) => model.id), IDS);
  assert.equal((await client.models.retrieve('b/two')).created, CREATED / 1_000);
});

test('@anthropic-ai/sdk pages through the list', async () => {
  const client = new Anthropic({ apiKey: '-', baseURL: origin });
  assert.deepEqual(await idsOf(client.models.list({ limit: 1 }), (model) => model.id), IDS);
  assert.match((await client.models.retrieve('postern/echo')).display_name, /test model/);
});

test('@google/genai pages through the list', async () => {
  const { models } = new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: origin } });
  const pager = await models.list({ config: { pageSize: 2 } });
  assert.deepEqual(
    await idsOf(pager, (model) => model.name),
    IDS.map((id) => `models/${id}`),
  );
});

test('further facts stand in members that SDKs do not know', () => {
  const rendered = JSON.stringify(renderModels('openai', MODELS, { createdAt: CREATED }));
  assert.match(rendered, /"context_window":1000/);
  assert.match(rendered, /"pricing":\{"currency":"USD","input":1\}/);
  assert.match(
    JSON.stringify(renderModels('bedrock', MODELS, { createdAt: CREATED })),
    /"inferenceProfileId":"a-one"/,
  );
});
