import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSurfaceMiss, matchSurface } from '../../llm/index.ts';
import { translatedFormatOf, translationOf, withTranslated } from './translation-format.ts';

function targetOf(path: string, formats: readonly string[], model = 'm'): string | null | undefined {
  const match = matchSurface('POST', path, path.startsWith('/v1/messages'));
  assert.ok(!isSurfaceMiss(match));
  return translationOf(match)?.(new Set(formats), model);
}

test('a request is put into the format that says most of it', () => {
  assert.equal(targetOf('/v1/messages', ['openai_chat', 'openai_responses']), 'openai_responses');
  assert.equal(targetOf('/v1/messages', ['openai_chat', 'openai_embeddings']), 'openai_chat');
  assert.equal(targetOf('/v1/responses', ['anthropic_messages']), 'anthropic_messages');
  assert.equal(targetOf('/v1/messages/count_tokens', ['openai_chat']), 'openai_chat');
  assert.equal(targetOf('/v1/messages', ['openai_embeddings']), null);
});

test('what is no conversation is not translated', () => {
  for (const path of ['/v1/embeddings', '/v1/files', '/v1/batches', '/v1/responses/compact'])
    assert.equal(targetOf(path, ['anthropic_messages', 'openai_chat']), undefined, path);
});

test('a provider is listed with the formats that are translated for it', () => {
  assert.deepEqual(withTranslated(new Set(['openai_embeddings']), 'm'), ['openai_embeddings']);
  assert.deepEqual([...withTranslated(new Set(['openai_chat']), 'm')].sort(), [
    'anthropic_messages',
    'gemini_generate_content',
    'openai_chat',
    'openai_responses',
  ]);
});

test('the name of a format alone gives the same answer as the request itself', () => {
  const formats = [
    ['openai_chat'],
    ['anthropic_messages', 'openai_responses'],
    ['gemini_generate_content'],
    [],
  ];
  const paths = [
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/chat/completions',
    '/v1/responses',
    '/v1/embeddings',
    '/v1beta/models/m:generateContent',
    '/v1beta/models/m:countTokens',
    '/v1/projects/p/locations/l/publishers/google/models/m:generateContent',
  ];
  for (const path of paths) {
    const match = matchSurface('POST', path, path.startsWith('/v1/messages'));
    assert.ok(!isSurfaceMiss(match), path);
    for (const spoken of formats)
      assert.equal(
        translatedFormatOf(match.format, new Set(spoken), 'm'),
        translationOf(match)?.(new Set(spoken), 'm') ?? null,
        `${path} to ${spoken.join(', ')}`,
      );
  }
});
