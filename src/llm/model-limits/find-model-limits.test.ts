import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createModelLimits } from './find-model-limits.ts';
import { knownModels } from './known-models.ts';

const limitsOf = createModelLimits();

test('a model is found under the names of every kind of provider', () => {
  for (const name of [
    'claude-sonnet-4-5',
    'claude-sonnet-4-5-20250929',
    'claude-sonnet-4-5@20250929',
    'anthropic/claude-sonnet-4.5',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
    'arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0',
  ]) {
    assert.deepEqual(
      limitsOf(name),
      {
        contextWindow: 200_000,
        maxOutput: 64_000,
        modalities: { input: ['text', 'image', 'pdf'], output: ['text'] },
      },
      name,
    );
  }
  assert.equal(limitsOf('gpt-4o-2024-08-06')?.maxOutput, 16_384);
  assert.equal(limitsOf('gpt-4o-2024-05-13')?.maxOutput, 4_096, 'an older version of its own');
  assert.equal(limitsOf('gemini-2.5-pro-preview-05-06')?.maxOutput, 65_536);
  assert.equal(limitsOf('models/gemini-2.0-flash-001')?.maxOutput, 8_192);
});

test('a model that is not in the table is unknown, not taken for its neighbour', () => {
  for (const name of [
    '',
    'gpt-5-turbo-max',
    'gpt-4o-something',
    'claude-opus-6',
    'claude-sonnet-4-5-mini',
    'my-gpt-4o',
    'gemini-2.5-flash-native-audio',
    'x'.repeat(10_000),
  ]) {
    assert.equal(limitsOf(name), null, name);
  }
});

test('every row is found under its own name, and its figures are possible', () => {
  for (const [name, limits] of knownModels()) {
    assert.deepEqual(limitsOf(name), limits, name);
    assert.ok(limits.modalities !== null && limits.modalities.input.length > 0, name);
    const { contextWindow, maxOutput } = limits;
    for (const tokens of [contextWindow, maxOutput])
      assert.ok(tokens === null || (Number.isInteger(tokens) && tokens > 1_000), name);
  }
});

test('no name makes the look-up fail', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), (name) => {
      limitsOf(name);
    }),
  );
});
