import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isSurfaceMiss, matchSurface, type SurfaceMiss } from './surfaces.ts';
import type { SurfaceMatch } from './surface.ts';

function match(line: string, anthropic = false): SurfaceMatch {
  const [method = '', path = ''] = line.split(' ');
  const found = matchSurface(method, path, anthropic);
  assert.ok(!isSurfaceMiss(found), `${line} is a route`);
  return found;
}

function miss(line: string, anthropic = false): SurfaceMiss {
  const [method = '', path = ''] = line.split(' ');
  const found = matchSurface(method, path, anthropic);
  assert.ok(isSurfaceMiss(found), `${line} is no route`);
  return found;
}

/** Line, format, dialect, model, stream, action. */
const ROUTES: readonly [string, string, string, string | null, boolean | null, string][] = [
  ['POST /v1/chat/completions', 'openai_chat', 'openai', null, null, ''],
  ['POST /v1/completions', 'openai_completions', 'openai', null, null, ''],
  ['POST /v1/responses', 'openai_responses', 'openai', null, null, ''],
  ['POST /v1/embeddings', 'openai_embeddings', 'openai', null, false, ''],
  ['POST /v1/images/generations', 'openai_images', 'openai', null, null, 'generations'],
  ['POST /v1/audio/speech', 'openai_audio_speech', 'openai', null, null, ''],
  ['POST /v1/audio/transcriptions', 'openai_audio_transcription', 'openai', null, null, 'transcriptions'],
  ['POST /v1/moderations', 'openai_moderations', 'openai', null, false, ''],
  ['POST /v1/messages', 'anthropic_messages', 'anthropic', null, null, ''],
  ['POST /v1/messages/count_tokens', 'anthropic_count_tokens', 'anthropic', null, false, ''],
  ['GET /v1/messages/batches', 'anthropic_batches', 'anthropic', null, false, ''],
  ['GET /v1/models', 'models', 'openai', null, false, ''],
  ['GET /v1/models/meta-llama/llama-4', 'models', 'openai', 'meta-llama/llama-4', false, ''],
  ['GET /v1/models/meta-llama%2Fllama-4', 'models', 'openai', 'meta-llama/llama-4', false, ''],
  ['GET /v1beta/models', 'models', 'google', null, false, ''],
  ['GET /v1beta/models/gemini-x', 'models', 'google', 'gemini-x', false, ''],
  [
    'POST /v1beta/models/gemini-x:generateContent',
    'gemini_generate_content',
    'google',
    'gemini-x',
    false,
    'generateContent',
  ],
  [
    'POST /v1/models/a%2Fb:streamGenerateContent',
    'gemini_generate_content',
    'google',
    'a/b',
    true,
    'streamGenerateContent',
  ],
  ['POST /v1beta/models/g:countTokens', 'gemini_count_tokens', 'google', 'g', false, 'countTokens'],
  ['POST /v1beta/models/g:embedContent', 'gemini_embed_content', 'google', 'g', false, 'embedContent'],
  [
    'POST /v1/projects/p/locations/us-east1/publishers/google/models/g:generateContent',
    'google_generate_content',
    'google',
    'g',
    false,
    'generateContent',
  ],
  [
    'POST /projects/_aperture_auto_vertex_project_id_/locations/l/publishers/anthropic/models/c@20250101:streamRawPredict',
    'google_raw_predict',
    'google',
    'c@20250101',
    true,
    'streamRawPredict',
  ],
  [
    'POST /v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict',
    'google_raw_predict',
    'google',
    'c',
    false,
    'rawPredict',
  ],
  [
    'POST /v1beta1/publishers/google/models/g:streamGenerateContent',
    'google_generate_content',
    'google',
    'g',
    true,
    'streamGenerateContent',
  ],
  [
    'POST /bedrock/model/anthropic.claude-v1:0/invoke',
    'bedrock_model_invoke',
    'bedrock',
    'anthropic.claude-v1:0',
    false,
    'invoke',
  ],
  [
    'POST /model/m/invoke-with-response-stream',
    'bedrock_model_invoke',
    'bedrock',
    'm',
    true,
    'invoke-with-response-stream',
  ],
  [
    'POST /bedrock/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ainference-profile%2Fx/converse',
    'bedrock_converse',
    'bedrock',
    'arn:aws:bedrock:us:1:inference-profile/x',
    false,
    'converse',
  ],
  ['POST /bedrock/model/a/b/converse-stream', 'bedrock_converse', 'bedrock', 'a/b', true, 'converse-stream'],
  ['GET /inference-profiles', 'models', 'bedrock', null, false, 'inference-profiles'],
  ['HEAD /api/hello', 'models', 'anthropic', null, false, 'hello'],
];

test('every path of the surface is matched with its format, dialect and model', () => {
  for (const [line, format, dialect, model, stream, action] of ROUTES) {
    const found = match(line);
    assert.deepEqual(
      [found.format, found.dialect, found.model, found.stream, found.action],
      [format, dialect, model, stream, action],
      line,
    );
  }
});

test("Claude's token counting on Vertex has its model in the body, and its name is no model's", () => {
  for (const place of ['/v1/projects/p/locations/l', '/projects/p/locations/l', '/v1'])
    for (const name of ['count-tokens', 'count%2Dtokens']) {
      const found = match(`POST ${place}/publishers/anthropic/models/${name}:rawPredict`);
      assert.deepEqual(
        [found.format, found.model, found.modelInBody, found.stream, found.action],
        ['google_raw_predict', null, true, false, 'countTokens'],
      );
    }
  for (const line of [
    'POST /v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:streamRawPredict',
    'POST /v1/projects/p/locations/l/publishers/google/models/count-tokens:rawPredict',
    'POST /v1/projects/p/locations/l/publishers/google/models/count-tokens:generateContent',
  ])
    assert.equal(miss(line).miss, 'unknown_path', line);
  assert.equal(miss('GET /v1/publishers/anthropic/models/count-tokens:rawPredict').status, 405);
});

test("a path of Azure's own API is a miss that names the client to use", () => {
  for (const line of [
    'POST /v1/deployments/gpt-4o/chat/completions',
    'POST /openai/deployments/gpt-4o/chat/completions',
    'POST /openai/v1/responses',
    'POST /v1/openai/deployments/gpt-4o/embeddings',
  ]) {
    const found = miss(line);
    assert.deepEqual([found.miss, found.status, found.dialect], ['unknown_path', 404, 'openai'], line);
    assert.match(found.message, /OpenAI instead of AzureOpenAI.*\/v1/, line);
  }
});

test('anthropic-version decides the dialect of the paths that both providers have', () => {
  assert.equal(match('GET /v1/models', true).dialect, 'anthropic');
  assert.equal(match('GET /v1/models/m', true).dialect, 'anthropic');
  assert.equal(match('POST /v1/files', true).format, 'anthropic_files');
  assert.equal(match('POST /v1/files').format, 'openai_files');
  assert.equal(match('GET /v1/files/file_1/content', true).format, 'anthropic_files');
  assert.equal(match('POST /v1/chat/completions', true).dialect, 'openai');
});

test("Google's client asks for Gemini's list on /v1/models too", () => {
  for (const [path, dialect] of [
    ['/v1/models', 'google'],
    ['/v1/models/m', 'google'],
    ['/v1/files', 'openai'],
  ] as const) {
    const found = matchSurface('GET', path, false, true);
    assert.equal(found.dialect, dialect);
  }
  assert.equal(matchSurface('GET', '/v1/models', true, true).dialect, 'anthropic');
});

test('ids of provider objects are taken from the path', () => {
  const found = match('GET /v1/responses/resp_1');
  assert.deepEqual([found.format, found.objectId, found.action], ['openai_objects', 'resp_1', '']);
  assert.equal(match('GET /v1/files/file-1/content').action, 'content');
  assert.equal(match('POST /v1/batches/batch_1/cancel').objectId, 'batch_1');
  assert.equal(match('GET /v1/messages/batches/msgbatch_1/results').action, 'results');
  for (const line of [
    'GET /v1/files/..',
    'GET /v1/files/a%2Fb',
    'GET /v1/files/',
    'GET /v1/files/a/',
    'GET /v1/files/a/other',
  ]) {
    assert.equal(miss(line).miss, 'unknown_path', line);
  }
});

test('a doubled version is a miss that says so', () => {
  for (const line of [
    'POST /v1/v1/messages',
    'POST /v1/v1/chat/completions',
    'POST /v1/v1beta/models/g:generateContent',
    'GET /v1/v1',
  ]) {
    const found = miss(line);
    assert.deepEqual([found.miss, found.status], ['doubled_version', 404]);
    assert.match(found.message, /base URL/);
  }
  assert.equal(miss('POST /v1/v1/messages').dialect, 'anthropic');
});

test('a wrong method is told apart from an unknown path', () => {
  const found = miss('GET /v1/chat/completions');
  assert.deepEqual([found.miss, found.status, found.allow], ['method_not_allowed', 405, ['POST']]);
  assert.equal(miss('DELETE /v1/models/m').status, 405);
  assert.equal(miss('GET /v1beta/models/m:generateContent').status, 405);
  assert.equal(miss('POST /v1/nothing').status, 404);
  assert.equal(miss('POST /v1beta/models/m:predict').status, 405);
});

test('a model id cannot climb out of its path or split it', () => {
  for (const id of [
    '..',
    '../x',
    'a/../b',
    'a//b',
    '%2e%2e',
    'a%2f..%2fb',
    'a%00b',
    'a%0d%0ab',
    'a%3Fb',
    'a%5Cb',
    '%',
    '%zz',
    '/a',
  ]) {
    assert.equal(miss(`GET /v1beta/models/${id}`).miss, 'bad_model_id', id);
    assert.equal(miss(`POST /bedrock/model/${id}/converse`).miss, 'bad_model_id', id);
  }
  assert.equal(
    miss('POST /v1/projects/../locations/l/publishers/google/models/g:generateContent').miss,
    'unknown_path',
  );
});

test('a fixed path has one ready answer, which nobody can change', () => {
  const found = match('POST /v1/chat/completions');
  assert.equal(found, match('POST /v1/chat/completions', true));
  assert.ok(Object.isFrozen(found));
  assert.ok(Object.isFrozen(match('POST /v1/files', true)));
  assert.equal(match('GET /v1/files'), match('POST /v1/files'));
});

test('no path makes it throw', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ unit: 'binary' }),
      (method, path) => void matchSurface(method, `/v1/${path}`, false),
    ),
  );
});
