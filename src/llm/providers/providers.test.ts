import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secret.ts';
import { isSurfaceMiss, matchSurface } from '../surfaces.ts';
import type { UpstreamInput, UpstreamKind, UpstreamProvider, UpstreamRequest } from './index.ts';
import { createProviders } from './index.ts';

const providers = createProviders({
  clock: systemClock,
  fetchSmall: () => Promise.reject(new Error('no network in this test')),
  operator: {
    env: {},
    homeDirectory: '/home/operator',
    readFile: () => Promise.reject(new Error('no files in this test')),
    fetchAwsMetadata: null,
    fetchGcpMetadata: null,
    trustedOrigins: new Set(),
  },
});

interface Call {
  readonly kind: UpstreamKind;
  readonly base: string;
  readonly path: string;
  readonly query?: string;
  readonly model?: string;
  readonly key?: readonly [header: string, value: string];
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly method?: string;
  readonly authMode?: UpstreamProvider['authMode'];
  readonly addHeaders?: UpstreamProvider['addHeaders'];
  readonly grantHeaders?: UpstreamProvider['addHeaders'];
}

function inputOf(call: Call): UpstreamInput {
  const base = new URL(call.base);
  const method = call.method ?? 'POST';
  const headers = call.headers ?? [];
  const match = matchSurface(method, call.path, headers.includes('anthropic-version'));
  if (isSurfaceMiss(match)) throw new Error(`no route: ${call.path}`);
  return {
    provider: {
      kind: call.kind,
      baseUrl: { origin: base.origin, pathPrefix: base.pathname === '/' ? '' : base.pathname },
      authorization: 'bearer',
      authMode: call.authMode ?? 'override',
      addHeaders: call.addHeaders ?? [],
    },
    match,
    model: call.model ?? match.model ?? '',
    method,
    path: call.path,
    query: call.query ?? '',
    headers,
    credential: call.key === undefined ? null : { header: call.key[0], secret: new Secret(call.key[1]) },
    body: Buffer.from(call.body ?? '{}'),
    ...(call.grantHeaders === undefined ? {} : { addHeaders: call.grantHeaders }),
  };
}

function prepare(call: Call): UpstreamRequest {
  const prepared = providers.prepareUpstream(inputOf(call));
  assert.ok(!(prepared instanceof Promise), 'no token is to be minted here');
  return prepared;
}

function headersOf(call: Call): Record<string, string> {
  const { headers } = prepare(call);
  const found: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    assert.ok(!(name in found), `${name} twice`);
    found[name] = headers[i + 1] ?? '';
  }
  return found;
}

test('the format’s path is appended to the base URL, and a stray version is understood', () => {
  const cases: [kind: UpstreamKind, base: string, path: string, url: string][] = [
    [
      'openai',
      'https://api.openai.com',
      '/v1/chat/completions',
      'https://api.openai.com/v1/chat/completions',
    ],
    ['openai', 'https://api.openai.com/v1', '/v1/responses', 'https://api.openai.com/v1/responses'],
    ['openai', 'https://api.openai.com/v1/', '/v1/batches', 'https://api.openai.com/v1/batches'],
    [
      'openai',
      'https://chatgpt.com/backend-api/codex',
      '/v1/responses',
      'https://chatgpt.com/backend-api/codex/responses',
    ],
    [
      'compatible',
      'https://api.groq.com/openai/v1',
      '/v1/chat/completions',
      'https://api.groq.com/openai/v1/chat/completions',
    ],
    [
      'compatible',
      'https://api.groq.com/openai',
      '/v1/chat/completions',
      'https://api.groq.com/openai/v1/chat/completions',
    ],
    [
      'compatible',
      'https://api.z.ai/api/paas/v4',
      '/v1/chat/completions',
      'https://api.z.ai/api/paas/v4/chat/completions',
    ],
    [
      'compatible',
      'https://api.z.ai/api/anthropic',
      '/v1/messages',
      'https://api.z.ai/api/anthropic/v1/messages',
    ],
    ['compatible', 'http://127.0.0.1:11434', '/v1/embeddings', 'http://127.0.0.1:11434/v1/embeddings'],
    [
      'compatible',
      'http://[::1]:8080/llm',
      '/v1beta/models/m:countTokens',
      'http://[::1]:8080/llm/v1beta/models/m:countTokens',
    ],
    [
      'openrouter',
      'https://openrouter.ai',
      '/v1/chat/completions',
      'https://openrouter.ai/api/v1/chat/completions',
    ],
    [
      'openrouter',
      'https://openrouter.ai/v1',
      '/v1/chat/completions',
      'https://openrouter.ai/api/v1/chat/completions',
    ],
    ['openrouter', 'https://openrouter.ai/api', '/v1/messages', 'https://openrouter.ai/api/v1/messages'],
    ['openrouter', 'https://openrouter.ai/api/v1', '/v1/responses', 'https://openrouter.ai/api/v1/responses'],
    ['anthropic', 'https://api.anthropic.com', '/v1/messages', 'https://api.anthropic.com/v1/messages'],
    [
      'anthropic',
      'https://api.anthropic.com/v1',
      '/v1/messages/count_tokens',
      'https://api.anthropic.com/v1/messages/count_tokens',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com',
      '/v1beta/models/g:generateContent',
      'https://generativelanguage.googleapis.com/v1beta/models/g:generateContent',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com/v1beta',
      '/v1/models/g:embedContent',
      'https://generativelanguage.googleapis.com/v1/models/g:embedContent',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com',
      '/v1beta1/publishers/google/models/g:streamGenerateContent',
      'https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com/v1beta/openai',
      '/v1/chat/completions',
      'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com',
      '/v1/chat/completions',
      'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions',
    ],
  ];
  for (const [kind, base, path, url] of cases) {
    const sent = prepare({ kind, base, path });
    assert.equal(sent.origin + sent.path, url);
  }
});

test('the query passes on; the routed model replaces the one in a Google path', () => {
  const sent = prepare({
    kind: 'gemini',
    base: 'https://g.example',
    path: '/v1beta/models/alias:streamGenerateContent',
    query: 'alt=sse',
    model: 'gemini-2.5-pro',
  });
  assert.equal(sent.path, '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse');
  const tuned = prepare({
    kind: 'gemini',
    base: 'https://g.example',
    path: '/v1beta/models/x:generateContent',
    model: 'tunedModels/mine',
  });
  assert.equal(tuned.path, '/v1beta/tunedModels/mine:generateContent');
  assert.equal(
    prepare({ kind: 'anthropic', base: 'https://a.example', path: '/v1/messages', query: 'beta=true' }).path,
    '/v1/messages?beta=true',
  );
});

test('the body is the same buffer', () => {
  for (const kind of ['openai', 'anthropic', 'compatible', 'openrouter'] as const) {
    const input = inputOf({ kind, base: 'https://x.example', path: '/v1/messages', body: '{"a": 1.0}' });
    const prepared = providers.prepareUpstream(input);
    assert.ok(!(prepared instanceof Promise));
    assert.equal(prepared.body, input.body);
  }
});

test('the credential is put into the header that it was entered for', () => {
  const at = (kind: UpstreamKind, path: string, key: readonly [string, string]): Record<string, string> =>
    headersOf({ kind, base: 'https://x.example', path, key });
  assert.equal(at('openai', '/v1/chat/completions', ['bearer', 'sk-1'])['authorization'], 'Bearer sk-1');
  assert.equal(
    at('openai', '/v1/chat/completions', ['Authorization', ' sk-1\n'])['authorization'],
    'Bearer sk-1',
  );
  assert.equal(at('anthropic', '/v1/messages', ['x-api-key', 'sk-ant'])['x-api-key'], 'sk-ant');
  assert.equal(
    at('gemini', '/v1beta/models/g:generateContent', ['x-goog-api-key', 'AIza'])['x-goog-api-key'],
    'AIza',
  );
  const native = '/v1beta/models/g:generateContent';
  assert.equal(at('gemini', native, ['bearer', 'AIzaKey'])['x-goog-api-key'], 'AIzaKey');
  assert.equal(at('gemini', native, ['bearer', 'ya29.x'])['authorization'], 'Bearer ya29.x');
  assert.equal(
    at('gemini', '/v1/chat/completions', ['x-goog-api-key', 'AIza'])['authorization'],
    'Bearer AIza',
  );
  assert.equal(
    headersOf({ kind: 'compatible', base: 'http://127.0.0.1:1', path: '/v1/chat/completions' })[
      'authorization'
    ],
    undefined,
  );
});

test('a key that is no header value is refused without being quoted', () => {
  for (const key of [
    ['bearer', 'sk-secret\r\nx-evil: 1'],
    ['bearer', ''],
    ['bearer', 'sk-secret-é'],
    ['no header', 'sk-secret'],
  ] as const) {
    assert.throws(
      () => prepare({ kind: 'openai', base: 'https://x.example', path: '/v1/chat/completions', key }),
      (error: Error & { code?: string }) =>
        error.code === 'upstream_credential_invalid' && !error.message.includes('secret'),
    );
  }
});

test("the caller's headers keep their bytes and order; framing, credentials and what we set are ours", () => {
  const headers = [
    'X-Stainless-OS',
    'Linux',
    'anthropic-beta',
    'a,b',
    'Anthropic-Version',
    '2023-01-01',
    'Authorization',
    'Bearer caller',
    'X-API-Key',
    'caller',
    'api-key',
    'caller',
    'x-goog-api-key',
    'caller',
    'Content-Length',
    '999',
    'Accept-Encoding',
    'br',
    'Host',
    'gw',
    'Transfer-Encoding',
    'chunked',
    'anthropic-beta',
    'c',
  ];
  const sent = prepare({
    kind: 'anthropic',
    base: 'https://x.example',
    path: '/v1/messages',
    headers,
    key: ['x-api-key', 'ours'],
    body: '{"a":1}',
  });
  assert.deepEqual(sent.headers, [
    'X-Stainless-OS',
    'Linux',
    'anthropic-beta',
    'a,b',
    'Anthropic-Version',
    '2023-01-01',
    'anthropic-beta',
    'c',
    'x-api-key',
    'ours',
    'accept-encoding',
    'identity',
    'content-length',
    '7',
  ]);
});

test('anthropic-version is sent where the caller forgot it', () => {
  assert.equal(
    headersOf({ kind: 'anthropic', base: 'https://x.example', path: '/v1/messages' })['anthropic-version'],
    '2023-06-01',
  );
  assert.equal(
    headersOf({ kind: 'compatible', base: 'https://x.example', path: '/v1/messages' })['anthropic-version'],
    '2023-06-01',
  );
  assert.equal(
    headersOf({ kind: 'openai', base: 'https://x.example', path: '/v1/chat/completions' })[
      'anthropic-version'
    ],
    undefined,
  );
});

test('who is billed is not the caller’s to choose, unless the credential is theirs', () => {
  const headers = [
    'OpenAI-Organization',
    'org-2',
    'openai-project',
    'p',
    'x-goog-user-project',
    'q',
    'HTTP-Referer',
    'https://app',
    'X-Title',
    'App',
  ];
  const call = {
    kind: 'openrouter',
    base: 'https://openrouter.ai/api',
    path: '/v1/chat/completions',
    headers,
    key: ['bearer', 'k'],
  } as const;
  const ours = headersOf(call);
  assert.deepEqual(
    [ours['openai-organization'], ours['openai-project'], ours['x-goog-user-project']],
    [undefined, undefined, undefined],
  );
  assert.deepEqual([ours['http-referer'], ours['x-title']], ['https://app', 'App']);
  const theirs = headersOf({
    ...call,
    authMode: 'passthrough',
    headers: [...headers, 'authorization', 'Bearer own'],
  });
  assert.deepEqual([theirs['openai-organization'], theirs['authorization']], ['org-2', 'Bearer own']);
});

test('passthrough keeps exactly one credential of the caller, never a Postern token, else ours', () => {
  const call = {
    kind: 'anthropic',
    base: 'https://x.example',
    path: '/v1/messages',
    key: ['x-api-key', 'ours'],
    authMode: 'passthrough',
  } as const;
  const both = headersOf({ ...call, headers: ['authorization', 'Bearer own', 'x-api-key', 'second'] });
  assert.deepEqual([both['authorization'], both['x-api-key']], ['Bearer own', undefined]);
  const postern = headersOf({
    ...call,
    headers: ['authorization', 'Bearer pst_abc', 'x-api-key', 'pst_abc'],
  });
  assert.deepEqual([postern['authorization'], postern['x-api-key']], [undefined, 'ours']);
  assert.equal(headersOf(call)['x-api-key'], 'ours');
  const override = headersOf({ ...call, authMode: 'override', headers: ['authorization', 'Bearer own'] });
  assert.deepEqual([override['authorization'], override['x-api-key']], [undefined, 'ours']);
});

test('mode none sends no credential at all', () => {
  const sent = headersOf({
    kind: 'openai',
    base: 'https://x.example',
    path: '/v1/chat/completions',
    key: ['bearer', 'k'],
    authMode: 'none',
    headers: ['authorization', 'Bearer own'],
  });
  assert.equal(sent['authorization'], undefined);
});

test("add_headers win over the caller's, the grant's over the provider's, and none can frame the message", () => {
  const sent = headersOf({
    kind: 'openai',
    base: 'https://x.example',
    path: '/v1/chat/completions',
    headers: ['x-team', 'caller', 'x-keep', '1'],
    addHeaders: [
      ['X-Team', 'provider'],
      ['Host', 'evil'],
      ['content-length', '1'],
      ['x-bad', 'a\r\nb: c'],
      ['OpenAI-Project', 'proj'],
    ],
    grantHeaders: [['x-team', 'grant']],
  });
  assert.deepEqual(
    [
      sent['x-team'],
      sent['x-keep'],
      sent['host'],
      sent['content-length'],
      sent['x-bad'],
      sent['openai-project'],
    ],
    ['grant', '1', undefined, '2', undefined, 'proj'],
  );
});

test('a request without a body has no content-length unless its method needs one', () => {
  assert.equal(
    headersOf({
      kind: 'openai',
      base: 'https://x.example',
      path: '/v1/responses/resp_1',
      method: 'GET',
      body: '',
    })['content-length'],
    undefined,
  );
  assert.equal(
    headersOf({ kind: 'openai', base: 'https://x.example', path: '/v1/responses/resp_1/cancel', body: '' })[
      'content-length'
    ],
    '0',
  );
});

test('paths that climb, or hold what a path may not, are refused', () => {
  const input = inputOf({ kind: 'openai', base: 'https://x.example', path: '/v1/chat/completions' });
  for (const path of [
    '/v1/files/../models',
    '/v1/files/%2e%2E/models',
    '/v1/files/a%2f..%2Fb',
    '/v1/./x',
    '/v1/x/..',
    'v1/x',
    '/v1/a b',
    '/v1/a\r\nb',
    '/v1/é',
    '/v1/a#b',
    '/v1/a?b',
    '/v1/a\\b',
    '/v1/a%5c..%5cb',
  ]) {
    assert.throws(
      () => providers.prepareUpstream({ ...input, path }),
      { code: 'upstream_path_refused' },
      path,
    );
  }
  const dots = prepare({
    kind: 'openai',
    base: 'https://x.example',
    path: '/v1/files/file-1..2',
    method: 'GET',
  });
  assert.equal(dots.path, '/v1/files/file-1..2');
});

test('a format that the kind does not speak is refused by name', () => {
  const cases: [UpstreamKind, string][] = [
    ['openrouter', '/v1beta/models/m:generateContent'],
    ['compatible', '/model/m/converse'],
    ['gemini', '/v1/messages'],
    ['gemini', '/v1/audio/speech'],
    ['azure', '/model/m/converse'],
    ['bedrock', '/v1beta/models/m:generateContent'],
    ['vertex', '/v1/messages'],
    ['vertex', '/v1/responses'],
  ];
  for (const [kind, path] of cases) {
    const key = ['bearer', 'plain'] as const;
    assert.throws(
      () => prepare({ kind, base: 'https://x.example', path, key }),
      { code: 'upstream_format_unsupported' },
      `${kind} ${path}`,
    );
  }
});

test('prepared requests of a Secret never print it', () => {
  const input = inputOf({
    kind: 'openai',
    base: 'https://x.example',
    path: '/v1/chat/completions',
    key: ['bearer', 'sk-secret'],
  });
  assert.ok(!JSON.stringify(input).includes('sk-secret'));
});
