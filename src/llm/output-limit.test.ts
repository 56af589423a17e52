import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyPatches } from './body-patch.ts';
import { limitPatches, readOutputLimit } from './output-limit.ts';
import { isBodyProblem, readRequestBody, type BodyFacts } from './request-body.ts';
import type { Format, SurfaceMatch } from './surface.ts';

function facts(format: Format, body: Buffer): BodyFacts {
  const match: SurfaceMatch = {
    format,
    dialect: 'openai',
    model: 'm',
    modelInBody: false,
    stream: false,
    action: '',
    objectId: null,
  };
  const found = readRequestBody(body, match);
  assert.ok(!isBodyProblem(found));
  return found;
}

function limited(format: Format, text: string, tokens: number, key: string | null = null): string {
  const body = Buffer.from(text);
  const read = facts(format, body);
  const changed = applyPatches(body, limitPatches(format, body, read, tokens, key));
  const after = readOutputLimit(format, changed, facts(format, changed));
  assert.equal(after.written, tokens);
  return changed.toString();
}

const written = (format: Format, text: string) => {
  const body = Buffer.from(text);
  return readOutputLimit(format, body, facts(format, body));
};

test('output limit: every format has its place, found and lowered in place, byte for byte else', () => {
  const table: readonly (readonly [Format, string, string])[] = [
    ['anthropic_messages', '{"max_tokens": 900, "x" : 1}', '{"max_tokens": 7, "x" : 1}'],
    [
      'openai_chat',
      '{"max_tokens":9,"max_completion_tokens":8}',
      '{"max_tokens":7,"max_completion_tokens":7}',
    ],
    ['openai_responses', '{"max_output_tokens":9}', '{"max_output_tokens":7}'],
    [
      'bedrock_converse',
      '{"inferenceConfig":{"maxTokens":9,"topP":1}}',
      '{"inferenceConfig":{"maxTokens":7,"topP":1}}',
    ],
    [
      'gemini_generate_content',
      '{"generationConfig":{"maxOutputTokens":9}}',
      '{"generationConfig":{"maxOutputTokens":7}}',
    ],
    [
      'gemini_generate_content',
      '{"generation_config":{"max_output_tokens":9}}',
      '{"generation_config":{"max_output_tokens":7}}',
    ],
  ];
  for (const [format, before, after] of table) assert.equal(limited(format, before, 7), after);
});

test('output limit: written where there was none', () => {
  assert.equal(limited('anthropic_messages', '{"a":1}', 7), '{"a":1,"max_tokens":7}');
  assert.equal(limited('openai_chat', '{"a":1}', 7), '{"a":1,"max_completion_tokens":7}');
  assert.equal(limited('openai_chat', '{"a":1}', 7, 'max_tokens'), '{"a":1,"max_tokens":7}');
  assert.equal(
    limited('gemini_generate_content', '{"a":1}', 7),
    '{"a":1,"generationConfig":{"maxOutputTokens":7}}',
  );
  assert.equal(
    limited('gemini_generate_content', '{"generationConfig":{}}', 7),
    '{"generationConfig":{"maxOutputTokens":7}}',
  );
  assert.equal(
    limited('gemini_generate_content', '{"generationConfig":{"topK":1}}', 7),
    '{"generationConfig":{"maxOutputTokens":7,"topK":1}}',
  );
  assert.equal(
    limited('bedrock_converse', '{"inferenceConfig":null}', 7),
    '{"inferenceConfig":{"maxTokens":7}}',
  );
});

test('output limit: a key written twice counts with its highest value and is lowered each time', () => {
  const twice = '{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":900}}';
  assert.equal(written('gemini_generate_content', twice).written, 900);
  assert.equal(
    limited('gemini_generate_content', twice, 7),
    '{"generationConfig":{"maxOutputTokens":7,"maxOutputTokens":7}}',
  );
  assert.equal(written('openai_chat', '{"max_tokens":900,"max_completion_tokens":8}').written, 900);
});

test('output limit: several answers, thinking, and values that are no count', () => {
  assert.equal(written('openai_chat', '{"n":4}').answers, 4);
  assert.equal(written('gemini_generate_content', '{"generationConfig":{"candidateCount":3}}').answers, 3);
  assert.equal(
    written('anthropic_messages', '{"thinking":{"budget_tokens":2000},"max_tokens":1}').thinking,
    2000,
  );
  assert.equal(written('anthropic_messages', '{"max_tokens":"900"}').written, null);
  assert.equal(written('openai_chat', '{"n":-4}').answers, 1);
  assert.deepEqual(written('openai_embeddings', '{}'), {
    written: null,
    answers: 1,
    thinking: 0,
    clampable: false,
    producesTokens: false,
  });
});
