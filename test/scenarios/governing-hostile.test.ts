/**
 * No way around a rule (DESIGN section 3, step 7): rule × every route of the LLM surface. Each route
 * either carries the rule out or refuses the caller who is under it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { startFakeCloud, type FakeCloud } from '../upstream/cloud/server.ts';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { eventually } from './ask.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, suiteEnd, type Postern, type Reply } from './harness.ts';
import {
  FIXED_ROUTES,
  MODEL_ROUTES,
  objectRoutes,
  routesOfSource,
  SECRET_WORD,
  storedResponse,
  VERTEX_CLAUDE,
  type RouteRequest,
} from './llm-routes.ts';
import type { Send } from './object-kinds.ts';

const REFUSALS: ReadonlySet<unknown> = new Set([
  'surface_not_governed',
  'budget_not_enforceable',
  'budget_exhausted',
  'budget_too_small',
  'content_blocked',
  'answer_not_governable',
]);

/** What the fakes say, in all formats. */
const SAID = 'fake upstream|bedrock:|vertex:|batched';

const RULES: Readonly<Record<'none' | 'tool' | 'answer' | 'request' | 'budget', object>> = {
  none: {},
  tool: { more: { tools: [{ tools: ['weather'], action: 'deny' }] } },
  answer: {
    more: {
      guardrails: { said: { patterns: [{ name: 'said', pattern: SAID }], on: ['answer'], action: 'block' } },
    },
    capability: { guardrails: ['said'] },
  },
  request: {
    more: {
      guardrails: {
        word: { patterns: [{ name: 'word', pattern: SECRET_WORD }], on: ['request'], action: 'block' },
      },
    },
    capability: { guardrails: ['word'] },
  },
  budget: {
    more: { quotas: { none: { unit: 'usd', capacity: '$0.000000001', reserve: 'bounded' } } },
    capability: { quotas: [{ bucket: 'none' }] },
  },
};

describe('no way around a rule', () => {
  const suite = suiteEnd();
  let upstream: FakeUpstream;
  let cloud: FakeCloud;
  let postern: Postern;
  let inForce: keyof typeof RULES = 'none';
  let objects: readonly RouteRequest[] = [];
  let stored: readonly RouteRequest[] = [];

  const documentUnder = (rule: keyof typeof RULES): string => {
    const document = documentFor(upstream.url, RULES[rule]);
    Object.assign(document['providers'] as object, {
      bedrock: {
        baseurl: cloud.origin,
        apikey: 'env:FAKE_AWS_KEYS',
        models: ['us.anthropic.*'],
        compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
      },
      vertex: {
        baseurl: cloud.origin,
        apikey: 'env:FAKE_GOOGLE_KEY',
        models: ['gemini-2.5-pro', VERTEX_CLAUDE],
        preference: -1,
        compatibility: { google_generate_content: true, google_raw_predict: true },
      },
    });
    return JSON.stringify(document);
  };

  const putInForce = async (rule: keyof typeof RULES): Promise<void> => {
    upstream.reset();
    cloud.requests.length = 0;
    if (inForce === rule) return;
    inForce = rule;
    const version = async () => (await postern.call('/api/v1/config')).text;
    const was = await version();
    writeFileSync(postern.documentFile, documentUnder(rule));
    await eventually(async () => ((await version()) === was ? null : true), 'the document is read again');
  };

  const ask = ({ path, method, body, headers }: RouteRequest): Promise<Reply> =>
    postern.call(path, {
      ...(method === undefined ? {} : { method }),
      ...(body === undefined ? {} : { body }),
      headers: { ...headers },
    });

  before(async () => {
    upstream = await startFakeUpstream();
    suite.after(() => upstream.close());
    cloud = await startFakeCloud();
    suite.after(() => cloud.close());
    postern = await startPostern(suite, {
      document: JSON.parse(documentUnder('none')),
      env: {
        ...PROVIDER_ENV,
        FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
        FAKE_GOOGLE_KEY: `keyfile::${Buffer.from(cloud.serviceAccountKey).toString('base64')}`,
      },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    const send: Send = async (path, options) => {
      const { status, headers, text } = await postern.call(path, options);
      return { status, reason: headers['x-postern-reason'], text };
    };
    objects = await objectRoutes(send);
    stored = await storedResponse(send);
  });
  after(() => suite.end());

  const all = (): readonly RouteRequest[] => [...FIXED_ROUTES, ...MODEL_ROUTES, ...objects, ...stored];
  const sentUpstream = (): string =>
    [...upstream.requests, ...cloud.requests].map(({ body }) => body.toString('latin1')).join('\n');

  test('the table has every route', () => {
    const { fixed, actions } = routesOfSource();
    assert.ok(fixed.length > 20 && actions.length > 8, 'the source was read');
    const tried = new Set(FIXED_ROUTES.map(({ route }) => route));
    assert.deepEqual(
      fixed.filter((path) => !tried.has(path)),
      [],
    );
    const triedActions = new Set(MODEL_ROUTES.map(({ route }) => route.split(':')[1]));
    assert.deepEqual(
      actions.filter((action) => !triedActions.has(action)),
      [],
    );
  });

  test('without a rule the requests are served, so that what follows is a proof', async () => {
    let said = 0;
    let called = 0;
    let carried = 0;
    for (const route of all()) {
      upstream.reset();
      cloud.requests.length = 0;
      const answer = await ask(route);
      if (new RegExp(SAID).test(readable(answer))) said += 1;
      if (asksForCall(answer)) called += 1;
      if (sentUpstream().includes(SECRET_WORD)) carried += 1;
      assert.ok(!REFUSALS.has(answer.headers['x-postern-reason']), `${route.path}: ${answer.text}`);
    }
    assert.ok(said > 8 && called > 10 && carried > 30, `${said} said, ${called} called, ${carried} carried`);
  });

  test('tools: a denied call is on no surface, or the surface is refused', async () => {
    await putInForce('tool');
    for (const route of all()) {
      const answer = await ask(route);
      assert.ok(!asksForCall(answer), `${route.path}: ${readable(answer).slice(0, 600)}`);
      // Nobody is there to check what is made in the background, or in a batch.
      const isLater = /"background":true/.test(JSON.stringify(route.body)) || isBatchMade(route);
      if (isLater) assert.equal(answer.headers['x-postern-reason'], 'surface_not_governed', route.path);
      if (answer.status === 403)
        assert.equal(answer.headers['x-postern-reason'], 'surface_not_governed', route.path);
    }
  });

  test('guardrails on answers: what is blocked comes by no surface', async () => {
    await putInForce('answer');
    for (const route of all()) {
      const answer = await ask(route);
      assert.ok(
        !new RegExp(SAID).test(readable(answer)),
        `${route.method ?? ''} ${route.path}: ${answer.status} ${readable(answer).slice(0, 600)}`,
      );
    }
  });

  test('guardrails on requests: what is blocked reaches no provider', async () => {
    await putInForce('request');
    const leaks: string[] = [];
    for (const route of all()) {
      upstream.reset();
      cloud.requests.length = 0;
      const answer = await ask(route);
      if (sentUpstream().includes(SECRET_WORD)) leaks.push(`${route.path}: ${answer.status}`);
    }
    assert.deepEqual(leaks, []);
  });

  test('guardrails on requests: no encoding, header, query or place in the body hides it', async () => {
    await putInForce('request');
    const body = JSON.stringify({
      model: 'gpt-fake',
      messages: [{ role: 'user', content: `say ${SECRET_WORD}` }],
    });
    const escaped = body.replace('LAUNCH', '\\u004cAUNCH');
    const twice = `{"messages":[{"role":"user","content":"fine"}],${body.slice(1)}`;
    const twiceBefore = `${body.slice(0, -1)},"messages":[{"role":"user","content":"fine"}]}`;
    const inTool = {
      model: 'gpt-fake',
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'c', type: 'function', function: { name: 'f', arguments: `{"a":"${SECRET_WORD}"}` } },
          ],
        },
        { role: 'tool', tool_call_id: 'c', content: 'done' },
      ],
    };
    const system = {
      model: 'gpt-fake',
      messages: [
        { role: 'system', content: SECRET_WORD },
        { role: 'user', content: 'x' },
      ],
    };
    const described = {
      model: 'gpt-fake',
      messages: [{ role: 'user', content: 'x' }],
      tools: [{ type: 'function', function: { name: 'f', description: SECRET_WORD } }],
    };
    const tries: readonly (readonly [
      why: string,
      body: string | Buffer,
      headers?: Record<string, string>,
      path?: string,
    ])[] = [
      ['plain', body],
      ['gzip', gzipSync(body), { 'content-encoding': 'gzip' }],
      ['zstd', zstdCompressSync(body), { 'content-encoding': 'zstd' }],
      ['gzip twice', gzipSync(gzipSync(body)), { 'content-encoding': 'gzip, gzip' }],
      ['an encoding that is none', body, { 'content-encoding': 'x-none' }],
      [
        'another charset',
        Buffer.from(body, 'utf16le'),
        { 'content-type': 'application/json; charset=utf-16' },
      ],
      ['a text', body, { 'content-type': 'text/plain' }],
      ['a form', body, { 'content-type': 'application/x-www-form-urlencoded' }],
      ['a multipart', body, { 'content-type': 'multipart/form-data; boundary=x' }],
      ['no media type', body, { 'content-type': '' }],
      ['escapes', escaped],
      ['a member twice, the fine one first', twice],
      ['a member twice, the fine one last', twiceBefore],
      ['a byte order mark', `\uFEFF${body}`],
      ['a query', body, {}, '/v1/chat/completions?key=x&stream=true'],
      ['a path with a double slash', body, {}, '//v1/chat/completions'],
      ['a path with dots', body, {}, '/v1/x/../chat/completions'],
      ['a path in escapes', body, {}, '/v1/chat%2Fcompletions'],
      ['arguments of a call', JSON.stringify(inTool)],
      ['a system message', JSON.stringify(system)],
      ['the description of a tool', JSON.stringify(described)],
    ];
    const leaks: string[] = [];
    for (const [why, bytes, headers = {}, path = '/v1/chat/completions'] of tries) {
      upstream.reset();
      await postern.call(path, {
        method: 'POST',
        body: bytes,
        headers: { 'content-type': 'application/json', ...headers },
      });
      const sent = upstream.requests.map(({ body: sentBody }) => sentBody.toString('latin1')).join('\n');
      if (/LAUNCHCODE|u004cAUNCH/.test(sent) || (sent !== '' && why.includes('gzip'))) leaks.push(why);
    }
    // What a model calls and what tools are for is not the user's text: `on` has words of its own for them.
    assert.deepEqual(
      leaks.filter((why) => why !== 'arguments of a call'),
      [],
    );
  });

  test('budgets: what costs money reaches no provider once nothing is left, on any surface', async () => {
    await putInForce('budget');
    const passed: string[] = [];
    for (const route of all()) {
      upstream.reset();
      cloud.requests.length = 0;
      const answer = await ask(route);
      const isFree =
        FREE.test(route.path) || (route.method ?? (route.body === undefined ? 'GET' : 'POST')) !== 'POST';
      const arrived =
        upstream.requests.length + cloud.requests.filter(({ path }) => path !== '/token').length;
      if (!isFree && arrived > 0) passed.push(`${route.path}: ${answer.status}`);
      if (answer.status >= 400 && arrived === 0 && !isFree)
        assert.ok(
          REFUSALS.has(answer.headers['x-postern-reason']) || answer.status === 404 || answer.status === 400,
          `${route.path}: ${answer.text}`,
        );
    }
    assert.deepEqual(passed, []);
  });

  test('HEAD, WebSocket upgrades and unknown paths open nothing', async () => {
    await putInForce('tool');
    for (const path of [
      '/v1/chat/completions',
      '/v1/responses',
      '/v1/messages',
      '/v1beta/models/gemini-fake:generateContent',
    ])
      assert.equal((await postern.call(path, { method: 'HEAD' })).status, 405, path);
    const upgrade = await postern.call('/v1/responses', {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      },
    });
    assert.ok(upgrade.status === 426 || upgrade.status === 405, String(upgrade.status));
    for (const path of [
      '/v1/realtime',
      '/v1/assistants',
      '/v1/threads/runs',
      '/v1/fine_tuning/jobs',
      '/v1beta/models/gemini-fake:bidiGenerateContent',
      '/v1beta/files',
      '/v1/responses/resp_1/../../chat/completions',
    ])
      assert.ok((await postern.call(path, { body: {} })).status >= 400, path);
    assert.equal(upstream.requests.length, 0);
  });
});

function isBatchMade({ path, body }: RouteRequest): boolean {
  return body !== undefined && path.endsWith('/batches');
}

/** Counting and keeping cost nothing at the providers. */
const FREE =
  /count|input_tokens|moderations|\/containers\/|\/files|\/uploads|\/conversations|\/cancel|\/models$|cachedContents\//;

/** Everything readable of an answer: also inside Bedrock's frames, whose bytes are base64. */
function readable({ text }: Reply): string {
  const inner = [...text.matchAll(/"bytes":"([A-Za-z0-9+/=]+)"/g)].map(([, bytes]) =>
    Buffer.from(bytes ?? '', 'base64').toString(),
  );
  // A text comes in pieces: what they say together counts.
  const joined = [
    ...[text, ...inner].join('\n').matchAll(/"(?:text|content|delta|b64_json)":\s*"((?:[^"\\]|\\.)*)"/g),
  ].map(([, piece]) => piece);
  return [text, ...inner, joined.join('')].join('\n');
}

const CALL = /"tool_use"|"tool_calls":\s*\[|"function_call"|"functionCall"|"toolUse"/;

function asksForCall(answer: Reply): boolean {
  return CALL.test(readable(answer)) && !answer.text.includes('"tools":[{');
}
