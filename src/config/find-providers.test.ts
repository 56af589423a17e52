import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { findProviders } from './find-providers.ts';

test('providers: each key of the environment gives its provider, once', () => {
  const env = {
    ANTHROPIC_API_KEY: 'sk-ant-123456',
    OPENAI_API_KEY: 'sk-123456789',
    GEMINI_API_KEY: 'gem-12345678',
    GOOGLE_API_KEY: 'goo-12345678',
    OPENROUTER_API_KEY: 'or-123456789',
    HOME: '/home/me',
  };
  const found = findProviders(env);
  assert.deepEqual(
    found.map((one) => [one.id, one.envName, one.header]),
    [
      ['anthropic', 'ANTHROPIC_API_KEY', 'x-api-key'],
      ['openai', 'OPENAI_API_KEY', 'bearer'],
      ['gemini', 'GEMINI_API_KEY', 'x-goog-api-key'],
      ['openrouter', 'OPENROUTER_API_KEY', 'bearer'],
    ],
  );
  assert.equal(found[1]?.secret?.reveal(), 'sk-123456789');
  assert.ok(!inspect(found, { depth: 9 }).includes('sk-123'));
});

test('providers: placeholders and keys that no header can carry are no keys', () => {
  for (const key of ['', '-', 'dummy', '   ', 'with blank in it', 'line\nbreak-1234'])
    assert.deepEqual(findProviders({ OPENAI_API_KEY: key }), [], key);
});

test('providers: another base address of the operator is taken, and a broken one gives no provider', () => {
  const env = { OPENAI_API_KEY: 'sk-123456789', OPENAI_BASE_URL: 'http://10.0.0.1:8000/v1' };
  assert.deepEqual(
    [findProviders(env)[0]?.baseUrl, findProviders(env)[0]?.models],
    ['http://10.0.0.1:8000/v1', ['**']],
  );
  assert.deepEqual(findProviders({ ...env, OPENAI_BASE_URL: 'not an address' }), []);
});
