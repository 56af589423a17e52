/** Hooks around a whole Postern: asked before a request and a call, told afterwards (Aperture's protocol). */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { eventually } from './ask.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Ending, type Postern } from './harness.ts';
import { startFakeCloud } from '../upstream/cloud/server.ts';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';

interface Heard {
  readonly body: Record<string, unknown>;
  readonly headers: http.IncomingHttpHeaders;
}

/** A hook that answers as it is told and keeps what it heard. */
async function startHook(
  t: Ending,
  answer: (heard: Heard) => unknown,
): Promise<{ readonly url: string; readonly heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const one = {
        body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
        headers: req.headers,
      };
      heard.push(one);
      const said = answer(one);
      if (said === undefined) {
        req.socket.destroy();
        return;
      }
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, heard };
}

interface Scene {
  readonly postern: Postern;
  readonly upstream: FakeUpstream;
}

async function scene(
  t: Ending,
  url: string,
  events: readonly string[],
  hook: object = {},
  send: readonly string[] = ['request_body'],
): Promise<Scene> {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const postern = await startPostern(t, {
    document: documentFor(upstream.url, {
      more: { hooks: { guard: { url, apikey: 'env:HOOK_KEY', ...hook } } },
      capability: { send_hooks: [{ name: 'guard', events, send }] },
    }),
    env: { ...PROVIDER_ENV, HOOK_KEY: 'hook-key' },
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  return { postern, upstream };
}

const chat = (postern: Postern, more: object = {}) =>
  postern.call('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: { model: 'gpt-fake', messages: [{ role: 'user', content: 'hello' }], ...more },
  });

const TOOLS = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];

test('hooks: pre_request is asked with the key and the body, and may block with its own status', async (t) => {
  const hook = await startHook(t, () => ({ action: 'block', status_code: 451, message: 'not here' }));
  const { postern, upstream } = await scene(t, hook.url, ['pre_request']);
  const answer = await chat(postern);
  assert.equal(answer.status, 451, answer.text);
  assert.match(answer.text, /not here/);
  assert.equal(answer.headers['x-postern-reason'], 'content_blocked');
  assert.equal(upstream.requests.length, 0);
  const [heard] = hook.heard;
  assert.ok(heard);
  assert.equal(heard.headers.authorization, 'Bearer hook-key');
  assert.ok(heard.headers['x-postern-signature']);
  assert.match(JSON.stringify(heard.body['metadata']), /"model":"gpt-fake"/);
});

test('hooks: a modified body is sent in place of the original', async (t) => {
  const hook = await startHook(t, ({ body }) => ({
    action: 'modify',
    request_body: { ...(body['request_body'] as object), messages: [{ role: 'user', content: 'changed' }] },
  }));
  const { postern, upstream } = await scene(t, hook.url, ['pre_request']);
  assert.equal((await chat(postern)).status, 200);
  assert.match(upstream.requests.at(-1)?.body.toString() ?? '', /changed/);
});

test('hooks: one that names another model gets its route and its rules (DESIGN section 3, step 5)', async (t) => {
  const hook = await startHook(t, ({ body }) => ({
    action: 'modify',
    request_body: { ...(body['request_body'] as object), model: 'gpt-other' },
  }));
  const { postern, upstream } = await scene(t, hook.url, ['pre_request']);
  assert.equal((await chat(postern)).status, 200);
  assert.match(upstream.requests.at(-1)?.body.toString() ?? '', /"gpt-other"/);
  assert.equal(hook.heard.length, 1, 'the hook is not asked about its own change');
  const [row] = await postern.requests(1);
  assert.equal(row?.['model'], 'gpt-other');
  const foreign = await startHook(t, ({ body }) => ({
    action: 'modify',
    request_body: { ...(body['request_body'] as object), model: 'nobody-grants-this' },
  }));
  const refused = await scene(t, foreign.url, ['pre_request']);
  assert.equal((await chat(refused.postern)).status, 404);
});

test('hooks: one that dies follows its fail policy', async (t) => {
  const hook = await startHook(t, () => undefined);
  const closed = await scene(t, hook.url, ['pre_request'], { fail_policy: 'fail_closed' });
  const refused = await chat(closed.postern);
  assert.equal(refused.status, 503, refused.text);
  assert.equal(refused.headers['x-postern-reason'], 'hook_failed');
  const open = await scene(t, hook.url, ['pre_request'], { fail_policy: 'fail_open' });
  assert.equal((await chat(open.postern)).status, 200);
});

test('hooks: tool_call may veto in the stream', async (t) => {
  const hook = await startHook(t, () => ({ action: 'deny', message: 'not that tool' }));
  const { postern } = await scene(t, hook.url, ['tool_call']);
  for (const stream of [false, true]) {
    const answer = await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS, stream });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, /not that tool/);
    assert.doesNotMatch(answer.text, /"finish_reason":\s*"tool_calls"/);
  }
});

test('hooks: entire_request is told of the answer, its calls and its cost afterwards', async (t) => {
  let told: (() => void) | null = null;
  const done = new Promise<void>((resolve) => {
    told = resolve;
  });
  const hook = await startHook(t, () => {
    told?.();
    return {};
  });
  const send = ['request_body', 'response_body', 'tools', 'user_message'];
  const { postern } = await scene(t, hook.url, ['entire_request'], {}, send);
  assert.equal((await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS })).status, 200);
  await done;
  const [heard] = hook.heard;
  assert.match(JSON.stringify(heard?.body['response_body']), /tool_calls/);
  assert.equal(heard?.body['user_message'], 'hello');
  assert.match(JSON.stringify(heard?.body['tool_calls']), /weather/);
});

test('hooks: the rules hold for what a hook writes into a call', async (t) => {
  const hook = await startHook(t, () => ({ action: 'rewrite', params: { path: 'SECRET.md' } }));
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  for (const [action, shown] of [
    ['deny', /refused by policy/],
    ['ask', /waits for approval/],
  ] as const) {
    const when = [{ path: '$.path', equals: 'SECRET.md' }];
    const postern = await startPostern(t, {
      document: documentFor(upstream.url, {
        more: {
          hooks: { guard: { url: hook.url, apikey: 'env:HOOK_KEY' } },
          tools: [{ tools: ['weather'], when, action }],
        },
        capability: { send_hooks: [{ name: 'guard', events: ['tool_call'] }] },
      }),
      env: { ...PROVIDER_ENV, HOOK_KEY: 'hook-key' },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    const answer = await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS });
    assert.match(answer.text, shown);
    assert.doesNotMatch(answer.text, /"tool_calls":/);
  }
});

test('hooks: one that hangs or lies about a call follows its fail policy in the stream', async (t) => {
  const lying = await startHook(t, () => ({ action: 'permit everything', arguments: 7 }));
  const hanging = http.createServer(() => {});
  await new Promise<void>((resolve) => void hanging.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    hanging.closeAllConnections();
    hanging.close();
  });
  const silent = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/hook`;
  for (const url of [lying.url, silent]) {
    const { postern } = await scene(t, url, ['tool_call'], { fail_policy: 'fail_closed', timeout: '300ms' });
    for (const stream of [false, true]) {
      const answer = await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS, stream });
      assert.equal(answer.status, 200, answer.text);
      assert.doesNotMatch(answer.text, /"tool_calls":/, `${url} ${stream}`);
    }
  }
});

test('hooks: what one rewrites stays where another asks: the person sees it, and it runs', async (t) => {
  const rewriting = await startHook(t, () => ({ action: 'rewrite', params: { path: 'CHANGED.md' } }));
  const asking = await startHook(t, () => ({ action: 'ask', message: 'is this file yours?' }));
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const token = 'break-glass-token-of-this-test-0123456789';
  const hook = (url: string, preference: number) => ({ url, apikey: 'env:HOOK_KEY', preference });
  const use = (name: string) => ({ name, events: ['tool_call'] });
  for (const [first, second] of [
    [rewriting.url, asking.url],
    [asking.url, rewriting.url],
  ] as const) {
    const postern = await startPostern(t, {
      document: documentFor(upstream.url, {
        more: { hooks: { first: hook(first, 2), second: hook(second, 1) } },
        capability: { send_hooks: [use('first'), use('second')] },
      }),
      env: { ...PROVIDER_ENV, HOOK_KEY: 'hook-key', POSTERN_ADMIN_TOKEN: token },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    const asked = await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS });
    const id = /apr_[0-9a-z]+/.exec(asked.text)?.[0] ?? assert.fail(asked.text);
    const headers = { authorization: `Bearer ${token}` };
    const shown = (await postern.call(`/api/v1/approvals/${id}`, { headers })).json();
    assert.equal(shown['arguments'], '{"path":"CHANGED.md"}');
    assert.equal(shown['note'], 'is this file yours?');
    assert.match(String(shown['rule']), /^hook:/);
    const body = { verdict: 'approve' };
    assert.equal((await postern.call(`/api/v1/approvals/${id}/decision`, { body, headers })).status, 200);
    const passed = await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS });
    assert.match(passed.text, /CHANGED\.md/);
  }
});

test('hooks: those that are told afterwards get placeholders, unless the document gives them the values', async (t) => {
  for (const [values, shown] of [
    [undefined, false],
    ['original', true],
  ] as const) {
    const hook = await startHook(t, () => ({}));
    const upstream = await startFakeUpstream();
    t.after(() => upstream.close());
    const send = ['request_body', 'response_body', 'raw_responses', 'tools'];
    const postern = await startPostern(t, {
      document: documentFor(upstream.url, {
        more: {
          hooks: {
            guard: { url: hook.url, apikey: 'env:HOOK_KEY', ...(values === undefined ? {} : { values }) },
          },
          guardrails: { mail: { detect: ['email'], action: 'redact' } },
        },
        capability: {
          guardrails: ['mail'],
          send_hooks: [{ name: 'guard', events: ['entire_request'], send }],
        },
      }),
      env: { ...PROVIDER_ENV, HOOK_KEY: 'hook-key' },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    for (const stream of [false, true]) {
      const messages = [{ role: 'user', content: 'write to someone@example.com' }];
      const answer = await chat(postern, { model: 'postern/echo', messages, stream });
      assert.equal(answer.status, 200);
      const count = stream ? 2 : 1;
      await eventually(() => (hook.heard.length === count ? true : null), 'the hook is told');
      const told = JSON.stringify(hook.heard[count - 1]?.body);
      assert.match(told, stream ? /chat\.completion\.chunk/ : /chat\.completion/);
      assert.match(told, /<EMAIL_/, 'the request went out redacted');
      assert.equal(
        told.replaceAll(/"\}.{1,300}?"content":"/g, '').includes('someone@example.com'),
        shown,
        told,
      );
    }
  }
});

test('hooks: the whole answer is told of a stream too, put together as its format writes it (issue 3)', async (t) => {
  const hook = await startHook(t, () => ({}));
  const send = ['response_body'];
  const { postern } = await scene(t, hook.url, ['entire_request'], {}, send);
  const bodies: unknown[] = [];
  for (const stream of [false, true]) {
    assert.equal((await chat(postern, { model: 'gpt-fake--tool-call', tools: TOOLS, stream })).status, 200);
    const count = stream ? 2 : 1;
    await eventually(() => (hook.heard.length === count ? true : null), 'the hook is told');
    bodies.push(hook.heard[count - 1]?.body['response_body']);
  }
  // Ids are made anew by the provider; a stream says nothing of members that are null.
  const [whole, streamed] = bodies.map((body) => {
    const text = JSON.stringify(body).replaceAll(/"(?:logprobs|refusal)":null,?/g, '');
    return JSON.parse(text.replaceAll(/"(?:call_|chatcmpl-?)\w+"/g, '"id"')) as Record<string, unknown>;
  });
  assert.deepEqual(streamed?.['choices'], whole?.['choices']);
  for (const member of ['id', 'object', 'model']) assert.equal(streamed?.[member], whole?.[member]);
});

test('hooks: tool_call hooks get placeholders where guardrails redact, and what they write gets the values back', async (t) => {
  for (const [values, shown] of [
    [undefined, false],
    ['original', true],
  ] as const) {
    const hook = await startHook(t, ({ body }) => {
      const { params } = body['tool_call'] as { readonly params: { readonly to?: string } };
      return { action: 'rewrite', params: { ...params, checked: `for ${params.to ?? ''}` } };
    });
    const upstream = await startFakeUpstream();
    t.after(() => upstream.close());
    const postern = await startPostern(t, {
      document: documentFor(upstream.url, {
        more: {
          hooks: {
            guard: { url: hook.url, apikey: 'env:HOOK_KEY', ...(values === undefined ? {} : { values }) },
          },
          guardrails: { mail: { detect: ['email'], action: 'redact' } },
        },
        capability: {
          guardrails: ['mail'],
          send_hooks: [{ name: 'guard', events: ['tool_call'], send: ['request_body'] }],
        },
      }),
      env: { ...PROVIDER_ENV, HOOK_KEY: 'hook-key' },
      flags: { allowUpstream: '127.0.0.0/8' },
    });
    const parameters = { type: 'object', properties: { to: { type: 'string' } }, required: ['to'] };
    const tools = [{ type: 'function', function: { name: 'mail', parameters } }];
    for (const stream of [false, true]) {
      const messages = [{ role: 'user', content: 'call mail {"to":"someone@example.com"}' }];
      const answer = await chat(postern, { model: 'postern/echo', messages, tools, stream });
      assert.equal(answer.status, 200);
      const heard = hook.heard.at(-1) ?? assert.fail('the hook was not asked');
      const { to } = (heard.body['tool_call'] as { params: { to: string } }).params;
      assert.equal(to.includes('someone@example.com'), shown, to);
      assert.match(to, shown ? /@/ : /^<EMAIL_/);
      assert.match(answer.text, /for someone@example\.com/, 'the caller gets the value');
      assert.match(JSON.stringify(heard.body['request_body']), /<EMAIL_/);
    }
  }
});

test('hooks: the events of an AWS event stream are told as JSON (issue 3)', async (t) => {
  const hook = await startHook(t, () => ({}));
  const cloud = await startFakeCloud();
  t.after(() => cloud.close());
  const send = ['raw_responses'];
  const postern = await startPostern(t, {
    document: {
      providers: {
        bedrock: {
          baseurl: cloud.origin,
          apikey: 'env:FAKE_AWS_KEYS',
          models: ['us.anthropic.claude-haiku'],
          compatibility: { bedrock_model_invoke: true, bedrock_converse: true },
        },
      },
      hooks: { guard: { url: hook.url, apikey: 'env:HOOK_KEY' } },
      grants: [
        {
          src: ['(loopback)'],
          app: {
            'postern.dev/cap/gateway': [
              {
                role: 'user',
                models: '**',
                send_hooks: [{ name: 'guard', events: ['entire_request'], send }],
              },
            ],
          },
        },
      ],
    },
    env: {
      HOOK_KEY: 'hook-key',
      FAKE_AWS_KEYS: JSON.stringify({ ...cloud.awsKeys, region: cloud.aws.region }),
    },
    flags: { allowUpstream: '127.0.0.0/8' },
  });
  const events = async (action: string, body: object, count: number): Promise<string> => {
    const reply = await postern.call(`/model/us.anthropic.claude-haiku/${action}`, { body });
    assert.equal(reply.status, 200, reply.text);
    await eventually(() => (hook.heard.length === count ? true : null), 'the hook is told');
    return JSON.stringify(hook.heard[count - 1]?.body['raw_responses']);
  };
  const messages = [{ role: 'user', content: [{ text: 'hi' }] }];
  const conversed = await events('converse-stream', { messages }, 1);
  assert.match(conversed, /^\[\{"messageStart":.*"metadata":\{"usage":\{"inputTokens":13/);
  const asked = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 9, messages };
  const invoked = await events('invoke-with-response-stream', asked, 2);
  assert.match(invoked, /^\[\{"type":"message_start".*"type":"message_stop"/);
});
