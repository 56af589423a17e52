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

function factsOf(body: Buffer): BodyFacts {
  const facts = readRequestBody(body, MATCH);
  assert.ok(!isBodyProblem(facts));
  return facts;
}

/** The code of the refusal, or null; only models that begin with `granted` are. */
function refusal(kind: string, value: object): string | null {
  const body = Buffer.from(JSON.stringify({ model: 'granted', ...value }));
  const route = { provider: { id: 'p', kind } } as unknown as Route;
  const access = {
    grant: (_: string, model: string) => (model.startsWith('granted') ? {} : null),
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

test('a batch takes no tool with a model of its own', async () => {
  const params = { model: 'granted', tools: [{ type: 'advisor', model: 'other' }] };
  const body = Buffer.from(JSON.stringify({ model: 'x', requests: [{ custom_id: '1', params }] }));
  await assert.rejects(readMessageBatch(body, factsOf(body)), /tool with a model of its own/);
  const line = Buffer.from(`${JSON.stringify({ custom_id: '1', body: params })}\n`);
  await assert.rejects(readBatchFile(line), /line 1 .*tool with a model of its own/);
});
