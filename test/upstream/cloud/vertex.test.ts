import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { generateKeyPair, exportPKCS8 } from 'jose';
import { Secret } from '../../../src/base/secret.ts';
import type { FetchSmall } from '../../../src/llm/providers/index.ts';
import { startFakeCloud } from './server.ts';
import type { FakeCloud } from './server.ts';
import { createMovableClock, createPlainFetch, createTestProviders, inputOf, send, until } from './send.ts';
import type { Call } from './send.ts';

let cloud: FakeCloud;
const clock = createMovableClock(Date.now());

before(async () => {
  cloud = await startFakeCloud({ now: () => clock.now() });
});
after(() => cloud.close());

const CLAUDE = {
  anthropic_version: 'vertex-2023-10-16',
  max_tokens: 10,
  messages: [{ role: 'user', content: 'hi' }],
};
const GEMINI = { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] };
const GEMINI_PATH =
  '/v1/projects/fake-project/locations/us-central1/publishers/google/models/gemini-2.5-pro:generateContent';

function call(target: string, body: unknown = GEMINI, more: Partial<Call> = {}): Call {
  return {
    kind: 'vertex',
    baseUrl: cloud.origin,
    key: ['bearer', cloud.serviceAccountKey],
    target,
    body,
    ...more,
  };
}

function providers(fetchSmall: FetchSmall = createPlainFetch()): ReturnType<typeof createTestProviders> {
  return createTestProviders({ clock, fetchSmall });
}

test('Vertex: a service-account key becomes a token by a signed assertion, pasted or as keyfile::', async () => {
  const base64 = `keyfile::${Buffer.from(cloud.serviceAccountKey).toString('base64')}`;
  for (const key of [cloud.serviceAccountKey, base64]) {
    const reply = await send(providers(), call(GEMINI_PATH, GEMINI, { key: ['bearer', key] }));
    assert.equal(reply.status, 200, reply.body.toString());
    assert.match(reply.body.toString(), /vertex:gemini-2\.5-pro/);
  }
  assert.deepEqual(cloud.violations, []);
});

test('Vertex: every form of path that clients send arrives as the full one', async () => {
  const own = providers();
  const project = 'projects/fake-project/locations/us-east5';
  const auto = 'projects/_aperture_auto_vertex_project_id_/locations/_aperture_auto_vertex_region_';
  const cases: [asked: string, body: unknown, sent: string][] = [
    [
      `/v1/${project}/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict`,
      CLAUDE,
      `/v1/${project}/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict`,
    ],
    [
      `/${project}/publishers/anthropic/models/claude-haiku:streamRawPredict`,
      CLAUDE,
      `/v1/${project}/publishers/anthropic/models/claude-haiku:streamRawPredict`,
    ],
    [
      `/v1/${auto}/publishers/anthropic/models/claude-haiku:rawPredict`,
      CLAUDE,
      '/v1/projects/fake-project/locations/global/publishers/anthropic/models/claude-haiku:rawPredict',
    ],
    [
      `/v1beta1/${project}/publishers/google/models/gemini-x:countTokens`,
      GEMINI,
      `/v1beta1/${project}/publishers/google/models/gemini-x:countTokens`,
    ],
    [
      '/v1beta1/publishers/google/models/gemini-x:streamGenerateContent?alt=sse',
      GEMINI,
      '/v1beta1/projects/fake-project/locations/global/publishers/google/models/gemini-x:streamGenerateContent',
    ],
    [
      '/v1beta/models/gemini-x:streamGenerateContent?alt=sse',
      GEMINI,
      '/v1beta1/projects/fake-project/locations/global/publishers/google/models/gemini-x:streamGenerateContent',
    ],
  ];
  for (const [asked, body, sent] of cases) {
    const reply = await send(own, call(asked, body));
    assert.equal(reply.status, 200, `${asked}: ${reply.body.toString()}`);
    assert.equal(cloud.requests.at(-1)?.path, sent);
  }
});

test('Vertex: the routed model replaces the one in the path, the body keeps its bytes', async () => {
  const body = '{"contents":[ {"parts":[{"text":"\\u00e9"}]} ],  "unknown":1e2}';
  const reply = await send(providers(), call(GEMINI_PATH, body, { model: 'gemini-other' }));
  assert.match(reply.body.toString(), /vertex:gemini-other/);
  assert.equal(cloud.requests.at(-1)?.body.toString(), body);
});

test('Vertex: an API key uses the express mode', async () => {
  const key = ['bearer', cloud.google.apiKey] as const;
  const reply = await send(
    providers(),
    call('/v1beta1/publishers/google/models/gemini-x:generateContent', GEMINI, { key }),
  );
  assert.equal(reply.status, 200, reply.body.toString());
  assert.equal(cloud.requests.at(-1)?.path, '/v1beta1/publishers/google/models/gemini-x:generateContent');
});

test('Vertex: a path that names a project or location that is not the provider’s is refused', async () => {
  const own = providers();
  await assert.rejects(send(own, call(GEMINI_PATH.replace('fake-project', 'other-project'))), {
    code: 'upstream_place_refused',
  });
  const fixed = { baseUrl: `${cloud.origin}/v1/projects/other-project/locations/europe-west1` };
  await assert.rejects(send(own, call(GEMINI_PATH, GEMINI, fixed)), { code: 'upstream_place_refused' });
  const inFixed = GEMINI_PATH.replace('fake-project', 'other-project');
  await assert.rejects(send(own, call(inFixed, GEMINI, fixed)), {
    code: 'upstream_place_refused',
    message: /europe-west1/,
  });
  const right = inFixed.replace('us-central1', 'europe-west1');
  assert.equal((await own.prepareUpstream(inputOf(call(right, GEMINI, fixed)))).path, right);
  assert.throws(
    () =>
      own.prepareUpstream(
        inputOf(
          call('/v1/publishers/google/models/m:generateContent', GEMINI, { key: ['bearer', 'ya29.plain'] }),
        ),
      ),
    { code: 'upstream_place_unknown' },
  );
});

test('Vertex: a model id that looks like a path names no project', async () => {
  const target = '/v1beta/models/projects/evil/locations/x/publishers/y:generateContent';
  const prepared = await providers().prepareUpstream(inputOf(call(target)));
  assert.match(
    prepared.path,
    /^\/v1beta1\/projects\/fake-project\/locations\/global\/publishers\/google\/models\/projects%2Fevil/,
  );
});

test('Vertex: the location of the placeholder follows the host', async () => {
  const auto =
    '/v1/projects/p/locations/_aperture_auto_vertex_region_/publishers/google/models/m:generateContent';
  const pathAt = async (host: string): Promise<string> =>
    (
      await providers().prepareUpstream(
        inputOf(call(auto, GEMINI, { baseUrl: `https://${host}`, key: ['bearer', 'ya29.plain'] })),
      )
    ).path;
  assert.match(await pathAt('us-east5-aiplatform.googleapis.com'), /locations\/us-east5\//);
  assert.match(await pathAt('aiplatform.eu.rep.googleapis.com'), /locations\/eu\//);
  assert.match(await pathAt('aiplatform.googleapis.com'), /locations\/global\//);
});

test("Vertex: fields that only the Gemini API knows are cut out of its clients' bodies, all else stays", async () => {
  const body =
    '{"store":true,"contents":[{"role":"user","parts":[{"text":"of partMetadata","partMetadata":{"a":[1]}},{"partMetadata":{}}]}], "toolConfig": {"includeServerSideToolInvocations" : true },"generationConfig":{"temperature":0.10,"enableEnhancedCivicAnswers":false},"systemInstruction":{"parts":[{"text":"s"}]}}';
  const reply = await send(providers(), call('/v1beta/models/gemini-x:generateContent', body));
  assert.equal(reply.status, 200, reply.body.toString());
  assert.equal(
    cloud.requests.at(-1)?.body.toString(),
    '{"contents":[{"role":"user","parts":[{"text":"of partMetadata"},{}]}], "toolConfig": { },"generationConfig":{"temperature":0.10},"systemInstruction":{"parts":[{"text":"s"}]}}',
  );
});

test('Vertex: a token is minted once for all who wait, kept, and renewed before it ends', async () => {
  const fetchSmall = createPlainFetch();
  const own = providers(fetchSmall);
  const issued = cloud.google.tokens.size;
  // Equal keys in new objects share a token.
  const replies = await Promise.all(Array.from({ length: 20 }, () => send(own, call(GEMINI_PATH))));
  assert.ok(replies.every(({ status }) => status === 200));
  assert.equal(fetchSmall.urls.length, 1);
  assert.ok(
    !(own.prepareUpstream(inputOf(call(GEMINI_PATH))) instanceof Promise),
    'synchronous while the token holds',
  );
  clock.move(56 * 60_000);
  assert.ok(
    !(own.prepareUpstream(inputOf(call(GEMINI_PATH))) instanceof Promise),
    'the old token still serves',
  );
  await until(() => headersOf(own).includes(`Bearer ya29.fake-${issued + 2}`));
  clock.move(3_600_000);
  assert.equal((await send(own, call(GEMINI_PATH))).status, 200);
  assert.equal(fetchSmall.urls.length, 3);
});

function headersOf(own: ReturnType<typeof createTestProviders>): readonly string[] {
  const prepared = own.prepareUpstream(inputOf(call(GEMINI_PATH)));
  return prepared instanceof Promise ? [] : prepared.headers;
}

test('Vertex: after a rejection the token is minted anew', async () => {
  const fetchSmall = createPlainFetch();
  const own = providers(fetchSmall);
  const input = call(GEMINI_PATH, GEMINI, { key: ['bearer', new Secret(cloud.serviceAccountKey)] });
  assert.equal((await send(own, input)).status, 200);
  cloud.google.tokens.clear();
  assert.equal((await send(own, input)).status, 401);
  own.noteRejected(inputOf(input));
  assert.equal(
    (await send(own, input)).status,
    401,
    'not at once: it may have been refused for another reason',
  );
  clock.move(30_000);
  own.noteRejected(inputOf(input));
  assert.equal((await send(own, input)).status, 200);
  assert.equal(fetchSmall.urls.length, 2);
});

test('Vertex: a user credential of gcloud is refreshed', async () => {
  const user = {
    type: 'authorized_user',
    client_id: 'c',
    client_secret: 'user-secret',
    refresh_token: 'user-refresh',
    quota_project_id: 'fake-project',
    token_uri: `${cloud.origin}/token`,
  };
  const reply = await send(providers(), call(GEMINI_PATH, GEMINI, { key: ['bearer', JSON.stringify(user)] }));
  assert.equal(reply.status, 200, reply.body.toString());
});

test('Vertex: the metadata server is asked only if the operator enabled it, and its token goes to Google only', async () => {
  const { key: _, ...bare } = call(
    '/v1/projects/_aperture_auto_vertex_project_id_/locations/us-central1/publishers/google/models/m:generateContent',
  );
  const fetchGcpMetadata = createPlainFetch(cloud.origin);
  const enabled = createTestProviders({
    clock,
    operator: { fetchGcpMetadata, trustedOrigins: new Set([cloud.origin]) },
  });
  assert.equal((await send(enabled, bare)).status, 200);
  assert.ok(
    fetchGcpMetadata.urls.every((url) =>
      url.startsWith('http://metadata.google.internal/computeMetadata/v1/'),
    ),
  );
  for (const baseUrl of [
    'https://evil.example',
    'http://aiplatform.googleapis.com',
    'https://aiplatform.googleapis.com.evil.example',
    'https://googleapis.com',
  ]) {
    assert.throws(() => enabled.prepareUpstream(inputOf({ ...bare, baseUrl })), {
      code: 'upstream_credential_missing',
    });
  }
  const disabled = createTestProviders({ clock, operator: { trustedOrigins: new Set([cloud.origin]) } });
  assert.throws(() => disabled.prepareUpstream(inputOf(bare)), {
    code: 'upstream_credential_missing',
    message: /--ambient-credentials gcp/,
  });
});

test('Vertex: a malformed key file is refused without being quoted', async () => {
  const good: unknown = JSON.parse(cloud.serviceAccountKey);
  const with_ = (fields: object): string =>
    JSON.stringify({ ...(typeof good === 'object' ? good : {}), ...fields });
  const keys = [
    '{',
    'keyfile::%%%',
    '{}',
    with_({ type: 'external_account' }),
    with_({ client_email: '' }),
    with_({ private_key: 'secret-not-pem' }),
    with_({ token_uri: 'http://metadata.example/token' }),
    with_({ token_uri: 'file:///secret-path' }),
  ];
  for (const key of keys) {
    await assert.rejects(
      async () => send(providers(), call(GEMINI_PATH, GEMINI, { key: ['bearer', key] })),
      (error: Error & { code?: string }) =>
        error.code === 'upstream_credential_invalid' && !error.message.includes('secret-'),
      key.slice(0, 60),
    );
  }
});

test('Vertex: a key that Google does not know is rejected; a silent endpoint is unavailable', async () => {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const foreign = cloud.serviceAccountKey.replace(
    JSON.stringify(cloud.google.privateKeyPem),
    JSON.stringify(await exportPKCS8(privateKey)),
  );
  await assert.rejects(send(providers(), call(GEMINI_PATH, GEMINI, { key: ['bearer', foreign] })), {
    code: 'upstream_credential_rejected',
  });
  const silent = providers(() => Promise.reject(new Error('down')));
  await assert.rejects(send(silent, call(GEMINI_PATH)), { code: 'upstream_credential_unavailable' });
  const odd = providers(() => Promise.resolve({ status: 200, body: Buffer.from('<html>') }));
  await assert.rejects(send(odd, call(GEMINI_PATH)), { code: 'upstream_credential_unavailable' });
});
