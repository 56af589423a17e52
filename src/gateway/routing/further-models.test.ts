import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequestBody, isBodyProblem, type BodyFacts, type SurfaceMatch } from '../../llm/index.ts';
import type { Access } from '../../policy/index.ts';
import { readBatchFile } from '../ownership/batch-file.ts';
import { readMessageBatch } from '../ownership/message-batch.ts';
import type { Refused } from '../reasons.ts';
import type { Route } from './choose-route.ts';
import { checkFurtherModels } from './further-models.ts';

const MATCH: SurfaceMatch = {
  format: 'openai_chat',
  dialect: 'openai',
  model: null,
  modelInBody: true,
  stream: null,
  action: '',
  objectId: null,
};

const RULED = { buckets: [], hooks: [], guardrails: [], tools: { rules: [{}] } };

function factsOf(body: Buffer): BodyFacts {
  const facts = readRequestBody(body, MATCH);
  assert.ok(!isBodyProblem(facts));
  return facts;
}

/** The code of the refusal, or null; only models that begin with `granted` are. */
function refusal(kind: string, value: object): string | null {
  return refusalOf(kind, JSON.stringify({ model: 'granted', ...value }));
}

function refusalOf(kind: string, json: string): string | null {
  const body = Buffer.from(json);
  const route = { provider: { id: 'p', kind }, grant: { governance: null } } as unknown as Route;
  const access = {
    grant: (_: string, model: string) => {
      if (!model.startsWith('granted')) return null;
      return { governance: model.startsWith('granted-ruled') ? RULED : null };
    },
  } as unknown as Access;
  try {
    checkFurtherModels(route, { facts: factsOf(body), body }, access);
    return null;
  } catch (error) {
    return (error as Refused).code;
  }
}

test('models that a body falls back to are granted one by one (DESIGN section 6, deny by default)', () => {
  for (const kind of ['openrouter', 'compatible']) {
    assert.equal(refusal(kind, { models: ['granted-2'], fallbacks: null }), null, kind);
    assert.equal(refusal(kind, { models: ['granted-2', 'other'] }), 'model_not_available', kind);
    assert.equal(refusal(kind, { Models: ['other'] }), 'model_not_available', kind);
    assert.equal(refusal(kind, { preset: 'mine' }), 'model_not_available', kind);
    assert.equal(refusal(kind, { models: 'granted' }), 'body_invalid', kind);
    assert.equal(refusal(kind, { fallbacks: [{ granted: ['other'] }] }), 'body_invalid', kind);
    assert.equal(refusal(kind, { preset: {} }), 'body_invalid', kind);
  }
  assert.equal(refusal('openai', { models: ['other'] }), null, 'it refuses what it does not know');
});

test('models of tools are granted one by one, at every kind of provider', () => {
  for (const kind of ['openai', 'anthropic', 'compatible']) {
    assert.equal(refusal(kind, { tools: [{ type: 'advisor', model: 'granted-2' }] }), null, kind);
    assert.equal(
      refusal(kind, { tools: [{ type: 'advisor', model: 'other' }] }),
      'model_not_available',
      kind,
    );
    assert.equal(refusal(kind, { tools: [{ type: 'advisor', model: 1 }] }), 'body_invalid', kind);
    assert.equal(
      refusal(kind, { tools: [{ name: 'f', input_schema: { properties: { model: {} } } }] }),
      null,
      kind,
    );
    assert.equal(refusal(kind, { tools: {} }), null, kind);
  }
});

test('a tool that repeats its model is refused: parsers differ on which counts (RFC 8259 section 4)', () => {
  for (const members of [
    '"model":"other","model":"granted-2"',
    '"model":"granted-2","model":"granted-2"',
    String.raw`"\u006dodel":"other","model":"granted-2"`,
  ])
    assert.equal(
      refusalOf('openai', `{"model":"granted","tools":[{"type":"image_generation",${members}}]}`),
      'body_invalid',
      members,
    );
  const two = '[{"type":"a","model":"granted-2"},{"type":"b","model":"granted-3"}]';
  assert.equal(refusalOf('openai', `{"model":"granted","tools":${two}}`), null);
});

test('a batch takes no tool with a model of its own', async () => {
  const params = { model: 'granted', tools: [{ type: 'advisor', model: 'other' }] };
  const body = Buffer.from(JSON.stringify({ model: 'x', requests: [{ custom_id: '1', params }] }));
  await assert.rejects(
    readMessageBatch(body, factsOf(body), () => undefined),
    /tool with a model of its own/,
  );
  const line = Buffer.from(`${JSON.stringify({ custom_id: '1', body: params })}\n`);
  await assert.rejects(readBatchFile(line), /line 1 .*tool with a model of its own/);
});

test('a model under other rules is no fallback: the provider would change over unseen', () => {
  assert.equal(refusal('openrouter', { models: ['granted-too'] }), null);
  assert.equal(refusal('openrouter', { models: ['granted-too', 'granted-ruled'] }), 'model_not_available');
});
