/** Tool calls under rules through a whole Postern: refused, rewritten, held for a person, in every dialect (DESIGN section 3, step 7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScene, type DocumentOptions } from './fake-providers.ts';
import type { Postern } from './harness.ts';

const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } };

interface Surface {
  readonly name: string;
  readonly path: (streamed: boolean) => string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (streamed: boolean) => object;
  /** Whether the answer asks for a call. */
  readonly asks: RegExp;
}

const SURFACES: readonly Surface[] = [
  {
    name: 'messages',
    path: () => '/v1/messages',
    headers: { 'anthropic-version': '2023-06-01' },
    body: (stream) => ({
      model: 'claude-fake--tool-call',
      max_tokens: 100,
      stream,
      tools: [{ name: 'weather', input_schema: PARAMETERS }],
      messages: [{ role: 'user', content: 'weather?' }],
    }),
    asks: /"type":\s*"tool_use"|"stop_reason":\s*"tool_use"/,
  },
  {
    name: 'chat',
    path: () => '/v1/chat/completions',
    headers: {},
    body: (stream) => ({
      model: 'gpt-fake--tool-call',
      stream,
      tools: [{ type: 'function', function: { name: 'weather', parameters: PARAMETERS } }],
      messages: [{ role: 'user', content: 'weather?' }],
    }),
    asks: /"tool_calls":\s*\[|"finish_reason":\s*"tool_calls"/,
  },
  {
    name: 'responses',
    path: () => '/v1/responses',
    headers: {},
    body: (stream) => ({
      model: 'gpt-fake--tool-call',
      stream,
      tools: [{ type: 'function', name: 'weather', parameters: PARAMETERS }],
      input: 'weather?',
    }),
    asks: /"type":\s*"function_call"/,
  },
  {
    name: 'gemini',
    path: (stream) =>
      `/v1beta/models/gemini-fake--tool-call:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    headers: {},
    body: () => ({
      contents: [{ role: 'user', parts: [{ text: 'weather?' }] }],
      tools: [{ functionDeclarations: [{ name: 'weather', parameters: PARAMETERS }] }],
    }),
    asks: /"functionCall"/,
  },
];

const ask = (postern: Postern, surface: Surface, streamed: boolean) =>
  postern.call(surface.path(streamed), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...surface.headers },
    body: surface.body(streamed),
  });

function eachWay(
  title: string,
  options: DocumentOptions,
  check: (postern: Postern, surface: Surface, streamed: boolean) => Promise<void>,
): void {
  test(title, async (t) => {
    const { postern } = await startScene(t, options);
    for (const surface of SURFACES)
      for (const streamed of [false, true])
        await t.test(`${surface.name}, ${streamed ? 'streamed' : 'whole'}`, () =>
          check(postern, surface, streamed),
        );
  });
}

eachWay('tools: without a rule the call passes', {}, async (postern, surface, streamed) => {
  const answer = await ask(postern, surface, streamed);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.text, surface.asks);
});

eachWay(
  'tools: a denied call becomes a text that the model reads, and no call is left',
  { more: { tools: [{ tools: ['weather'], action: 'deny', message: 'ask the weather office' }] } },
  async (postern, surface, streamed) => {
    const answer = await ask(postern, surface, streamed);
    assert.equal(answer.status, 200, answer.text);
    assert.doesNotMatch(answer.text, surface.asks);
    assert.match(answer.text, /refused by policy: ask the weather office/);
  },
);

eachWay(
  'tools: a rule for every tool lets calls and texts pass where it allows',
  { more: { tools: [{ tools: ['*'], action: 'allow' }] } },
  async (postern, surface, streamed) => {
    const answer = await ask(postern, surface, streamed);
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, surface.asks);
    assert.doesNotMatch(answer.text, /cannot be checked/);
  },
);

eachWay(
  'tools: a rule for every tool refuses what it does not know',
  { more: { tools: [{ tools: ['*'], action: 'deny' }] } },
  async (postern, surface, streamed) => {
    const answer = await ask(postern, surface, streamed);
    assert.equal(answer.status, 200, answer.text);
    assert.doesNotMatch(answer.text, surface.asks);
    assert.match(answer.text, /refused by policy/);
  },
);

eachWay(
  'tools: a rewritten call carries the arguments of the rule',
  { more: { tools: [{ tools: ['weather'], action: 'rewrite', set: { '$.city': 'Nowhere' } }] } },
  async (postern, surface, streamed) => {
    const answer = await ask(postern, surface, streamed);
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, surface.asks);
    assert.match(answer.text.replaceAll('\\', ''), /Nowhere/);
  },
);

eachWay(
  'tools: an asked call is answered as pending where nothing may be held, and names the approval',
  {
    more: {
      tools: [{ tools: ['weather'], action: 'ask' }],
      approvals: { default: { hold: false } },
    },
  },
  async (postern, surface, streamed) => {
    const answer = await ask(postern, surface, streamed);
    assert.equal(answer.status, 200, answer.text);
    assert.doesNotMatch(answer.text, surface.asks);
    assert.match(answer.text, /waits for approval apr_/);
  },
);

test('tools: a surface whose calls cannot be checked is refused to a caller under a rule', async (t) => {
  const { postern } = await startScene(t, { more: { tools: [{ tools: ['*'], action: 'deny' }] } });
  const background = await postern.call('/v1/responses', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: { model: 'gpt-fake', input: 'x', background: true },
  });
  assert.equal(background.status, 403, background.text);
  assert.equal(background.headers['x-postern-reason'], 'surface_not_governed');
  const batch = await postern.call('/v1/messages/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
    body: {
      requests: [
        {
          custom_id: 'a',
          params: { model: 'claude-fake', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] },
        },
      ],
    },
  });
  assert.equal(batch.status, 403, batch.text);
  assert.equal(batch.headers['x-postern-reason'], 'surface_not_governed');
});

test('tools: a call by a name of more than 512 characters is refused under any rule, and says why; 512 are judged', async (t) => {
  const { postern } = await startScene(t, { more: { tools: [{ tools: ['*'], action: 'allow' }] } });
  for (const stream of [false, true]) {
    for (const [length, isRefused] of [
      [512, false],
      [513, true],
    ] as const) {
      const name = 'w'.repeat(length);
      const tools = [{ type: 'function', function: { name, parameters: PARAMETERS } }];
      const messages = [{ role: 'user', content: 'weather?' }];
      const body = { model: 'gpt-fake--tool-call', messages, tools, stream };
      const reply = await postern.call('/v1/chat/completions', { body });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.text.includes(name), !isRefused);
      if (isRefused) assert.match(reply.text, /its name has more than 512 characters/);
    }
  }
});
