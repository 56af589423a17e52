import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, isSurfaceMiss, matchSurface, readRequestBody } from '../../llm/index.ts';
import type { Governance, GuardrailEntry } from '../../policy/index.ts';
import { cacheability, type CacheRefusal, type CacheSource } from './cacheability.ts';

const CACHE: Pick<Governance, 'cache' | 'guardrails'> = {
  cache: { scope: 'user', ttlMs: 1_000 },
  guardrails: [],
};

interface Asked {
  readonly path?: string;
  readonly body?: object;
  readonly change?: Partial<CacheSource>;
}

function ask({ path = '/v1/chat/completions', body = {}, change = {} }: Asked): CacheRefusal | null {
  const match = matchSurface('POST', path, path.includes('messages'), false);
  assert.ok(!isSurfaceMiss(match), path);
  const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const facts = readRequestBody(bytes, match, 'application/json');
  assert.ok(!isBodyProblem(facts), JSON.stringify(facts));
  return cacheability({
    governance: CACHE,
    capture: 'full',
    match,
    method: 'POST',
    facts,
    hasReferences: false,
    hasOwnCredential: false,
    cacheControl: undefined,
    ...change,
  });
}

const CACHED: readonly [string, object][] = [
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x' }], temperature: 1, stream: true }],
  ['/v1/chat/completions', { messages: [], store: false, audio: null }],
  ['/v1/completions', { prompt: 'x' }],
  ['/v1/responses', { input: 'x', store: false }],
  ['/v1/embeddings', { input: 'x' }],
  ['/v1/messages', { messages: [], max_tokens: 1 }],
  ['/v1beta/models/m:generateContent', { contents: [] }],
  ['/v1beta/models/m:embedContent', { content: {} }],
  ['/bedrock/model/m/converse', { messages: [] }],
  [
    '/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict',
    { anthropic_version: 'vertex-2023-10-16', messages: [] },
  ],
];
for (const [path, body] of CACHED) {
  test(`a question that stands for itself may be cached: ${path} ${JSON.stringify(body)}`, () => {
    assert.equal(ask({ path, body }), null);
  });
}

const REFUSED: readonly [CacheRefusal, string, Asked][] = [
  ['not_granted', 'no rule holds for the caller', { change: { governance: null } }],
  ['not_granted', 'no grant has `cache`', { change: { governance: { ...CACHE, cache: null } } }],
  ['capture_none', 'nothing of the caller is kept', { change: { capture: 'none' } }],
  [
    'redacted',
    'placeholders are those of a session',
    { change: { governance: { ...CACHE, guardrails: [guardrail('redact')] } } },
  ],
  ['own_credential', "the caller's own credential pays", { change: { hasOwnCredential: true } }],
  ['declined', 'the caller wants a new answer', { change: { cacheControl: 'max-age=0, No-Cache' } }],
  ['declined', 'the caller wants nothing kept', { change: { cacheControl: 'no-store' } }],
  ['stateful', 'objects of the provider are named', { change: { hasReferences: true } }],
  ['stateful', 'an object is named in the path', { path: '/v1/responses', change: { match: ofObject() } }],
  ['no_question', 'another method', { change: { method: 'GET' } }],
  ['no_question', 'no body', { change: { facts: null } }],
  ['no_question', 'a format that makes something', { path: '/v1/images/generations', body: { prompt: 'x' } }],
  [
    'no_question',
    "a body of a publisher's own making",
    { path: '/v1/projects/p/locations/l/publishers/x/models/m:rawPredict', body: { instances: [] } },
  ],
  ['no_question', 'a count', { path: '/v1/messages/count_tokens', body: { messages: [] } }],
  [
    'no_question',
    'a batch',
    { path: '/v1/batches', body: { input_file_id: 'f' }, change: { match: ofFormat() } },
  ],
  ['tools', 'tools of the caller', { body: { tools: [{ type: 'function' }] } }],
  ['tools', 'functions, the older name', { body: { functions: [{ name: 'f' }] } }],
  ['tools', 'servers of tools', { path: '/v1/messages', body: { mcp_servers: [{}] } }],
  ['tools', 'tools in Bedrock', { path: '/bedrock/model/m/converse', body: { toolConfig: {} } }],
  ['stateful', 'a chat that is stored', { body: { store: true } }],
  [
    'stateful',
    'a response that is stored because nobody said no',
    { path: '/v1/responses', body: { input: 'x' } },
  ],
  ['stateful', 'a response that is stored', { path: '/v1/responses', body: { input: 'x', store: true } }],
  [
    'stateful',
    'a response that goes on from another',
    { path: '/v1/responses', body: { store: false, previous_response_id: 'r' } },
  ],
  ['stateful', 'a conversation', { path: '/v1/responses', body: { store: false, conversation: 'c' } }],
  ['stateful', 'work in the background', { path: '/v1/responses', body: { store: false, background: true } }],
  [
    'stateful',
    'a prompt kept at the provider',
    { path: '/v1/responses', body: { store: false, prompt: { id: 'p' } } },
  ],
  ['stateful', 'a container', { path: '/v1/messages', body: { container: 'c' } }],
  [
    'stateful',
    'a cache of the provider',
    { path: '/v1beta/models/m:generateContent', body: { cachedContent: 'c' } },
  ],
  ['stateful', 'speech, which the provider keeps', { body: { audio: { voice: 'v' } } }],
  [
    'stateful',
    'a search in the web, as a server without case reads it',
    { body: { Web_Search_Options: {} } },
  ],
  ['stateful', 'a search in the web', { body: { web_search_options: {} } }],
];
for (const [refusal, title, asked] of REFUSED) {
  test(`not from the cache nor into it: ${title}`, () => {
    assert.equal(ask(asked), refusal);
  });
}

test('rules that only watch or block do not forbid the cache: a hit passes them too', () => {
  const guardrails = [guardrail('flag'), guardrail('block')];
  assert.equal(ask({ change: { governance: { ...CACHE, guardrails } } }), null);
});

function guardrail(action: GuardrailEntry['action']): GuardrailEntry {
  return {
    name: 'g',
    path: 'guardrails.g',
    src: [],
    models: null,
    on: ['request'],
    detect: ['email'],
    patterns: [],
    action,
    message: null,
    limits: {
      maxBodyBytes: null,
      maxDepth: null,
      maxTools: null,
      maxMessages: null,
      maxOutputTokens: null,
    },
  };
}

function ofObject(): CacheSource['match'] {
  return { format: 'openai_responses', objectId: 'resp_1', objectKind: 'response', action: '' };
}

function ofFormat(): CacheSource['match'] {
  return { format: 'openai_batches', objectId: null, action: '' };
}
