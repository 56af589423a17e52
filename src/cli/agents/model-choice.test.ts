import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseModel, type ModelOffer, modelName, readOffers } from './model-choice.ts';

const PREFERS = [/claude-.*sonnet/, /claude/];

function offer(provider: string, model: string, more: Partial<ModelOffer> = {}): ModelOffer {
  return { provider, model, formats: ['openai_chat'], test: false, ...more };
}

test("the agent's family comes first, then the highest version", () => {
  const offers = [
    'gpt-5',
    'claude-opus-4-5',
    'claude-sonnet-4',
    'claude-sonnet-4-10',
    'claude-sonnet-4-5',
  ].map((model) => offer('a', model));
  assert.equal(chooseModel(offers, 'openai_chat', PREFERS)?.model, 'claude-sonnet-4-10');
});

test('a model of another format, or one that does not converse, is not chosen', () => {
  const offers = [
    offer('a', 'claude-sonnet-4', { formats: ['anthropic_messages'] }),
    offer('a', 'text-embedding-3'),
    offer('a', 'gpt-realtime'),
  ];
  assert.equal(chooseModel(offers, 'openai_chat', PREFERS), null);
});

test('the test model is chosen only for want of another', () => {
  const echo = offer('postern', 'echo', { test: true });
  assert.equal(chooseModel([echo, offer('a', 'zzz')], 'openai_chat', PREFERS)?.model, 'zzz');
  assert.equal(chooseModel([echo], 'openai_chat', PREFERS)?.model, 'echo');
});

test('a name with a slash keeps its provider, which its first part could be taken for', () => {
  assert.equal(modelName(offer('openai', 'gpt-5')), 'gpt-5');
  assert.equal(modelName(offer('openrouter', 'anthropic/claude-x')), 'openrouter/anthropic/claude-x');
  assert.equal(modelName(offer('postern', 'echo', { test: true })), 'postern/echo');
});

test('odd entries of a list are left out', () => {
  const answer = {
    items: [
      null,
      7,
      { id: 'a/b' },
      { id: 'a/b', provider: 'a', formats: 'x' },
      { id: 'c', provider: 'a', formats: ['f', 3] },
    ],
  };
  assert.deepEqual(readOffers(answer), [
    { provider: 'a', model: 'b', formats: [], test: false },
    { provider: 'a', model: 'c', formats: ['f'], test: false },
  ]);
  assert.deepEqual(readOffers(null), []);
});
