/**
 * Callers of every format on models that clouds serve (issue 3, Routing): Claude by Bedrock's InvokeModel and by
 * Vertex's raw predictions, any model by Converse. Event streams are framed by AWS's own code.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { createMeter } from '../index.ts';
import type { TargetFormat, TranslatedFormat } from './contract.ts';
import { servesModel } from './targets.ts';
import { FORMATS, plainRequest, readBySdk, transcode, translate, tryTranslate } from './translate.fixture.ts';

type Cloud = Exclude<TargetFormat, TranslatedFormat>;

const CLOUDS = ['bedrock_model_invoke', 'bedrock_converse', 'google_raw_predict'] as const;
const MODELS: Readonly<Record<Cloud, string>> = {
  bedrock_model_invoke: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  bedrock_converse: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  google_raw_predict: 'claude-sonnet-4-5@20250929',
};
const CELLS = FORMATS.flatMap((from) => CLOUDS.map((to) => [from, to] as const));

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

function frame(headers: Record<string, string>, payload: object): Uint8Array {
  const named = Object.entries(headers).map(([name, value]) => [`:${name}`, { type: 'string', value }]);
  return codec.encode({
    headers: Object.fromEntries(named) as Parameters<typeof codec.encode>[0]['headers'],
    body: Buffer.from(JSON.stringify(payload)),
  });
}

const ARGUMENTS = { command: 'ls -la "a b"', deep: { list: [1, null, 'ü'] } };
const TEXT = 'Grüße, 世界 🌍.';
const USAGE = { input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 30 };

/** Claude's own events: signed thinking, a text, two calls. */
const CLAUDE_EVENTS: readonly (Record<string, unknown> & { readonly type: string })[] = [
  {
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...USAGE, output_tokens: 1 },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Let me ' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'see …' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'c2lnbmVk' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'ping' },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: TEXT } },
  { type: 'content_block_stop', index: 1 },
  ...['Bash', 'Read'].flatMap((name, at) => [
    {
      type: 'content_block_start',
      index: at + 2,
      content_block: { type: 'tool_use', id: `toolu_${at}`, name, input: {} },
    },
    ...(at === 0 ? (JSON.stringify(ARGUMENTS).match(/[^]{1,9}/gu) ?? []) : ['{}']).map((part) => ({
      type: 'content_block_delta',
      index: at + 2,
      delta: { type: 'input_json_delta', partial_json: part },
    })),
    { type: 'content_block_stop', index: at + 2 },
  ]),
  {
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 30 },
  },
  { type: 'message_stop' },
];

/** The same as Converse tells it. */
const CONVERSE_EVENTS: readonly (readonly [name: string, payload: object])[] = [
  ['messageStart', { role: 'assistant' }],
  ...['Let me ', 'see …'].map(
    (text) => ['contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text } } }] as const,
  ),
  ['contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 'c2lnbmVk' } } }],
  ['contentBlockStop', { contentBlockIndex: 0 }],
  ['contentBlockDelta', { contentBlockIndex: 1, delta: { text: TEXT } }],
  ['contentBlockStop', { contentBlockIndex: 1 }],
  ...['Bash', 'Read'].flatMap((name, at) => [
    [
      'contentBlockStart',
      { contentBlockIndex: at + 2, start: { toolUse: { toolUseId: `toolu_${at}`, name } } },
    ] as const,
    [
      'contentBlockDelta',
      {
        contentBlockIndex: at + 2,
        delta: { toolUse: { input: at === 0 ? JSON.stringify(ARGUMENTS) : '{}' } },
      },
    ] as const,
    ['contentBlockStop', { contentBlockIndex: at + 2 }] as const,
  ]),
  ['messageStop', { stopReason: 'tool_use' }],
  [
    'metadata',
    { usage: { inputTokens: 20, cacheReadInputTokens: 100, outputTokens: 30 }, metrics: { latencyMs: 1 } },
  ],
];

const CLAUDE_WHOLE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [
    { type: 'thinking', thinking: 'Let me see …', signature: 'c2lnbmVk' },
    { type: 'text', text: TEXT },
    { type: 'tool_use', id: 'toolu_0', name: 'Bash', input: ARGUMENTS },
    { type: 'tool_use', id: 'toolu_1', name: 'Read', input: {} },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: USAGE,
};
const CONVERSE_WHOLE = {
  output: {
    message: {
      role: 'assistant',
      content: [
        { reasoningContent: { reasoningText: { text: 'Let me see …', signature: 'c2lnbmVk' } } },
        { text: TEXT },
        { toolUse: { toolUseId: 'toolu_0', name: 'Bash', input: ARGUMENTS } },
        { toolUse: { toolUseId: 'toolu_1', name: 'Read', input: {} } },
      ],
    },
  },
  stopReason: 'tool_use',
  usage: { inputTokens: 20, cacheReadInputTokens: 100, outputTokens: 30 },
};

function streamOf(to: Cloud): Buffer {
  switch (to) {
    case 'google_raw_predict':
      return Buffer.from(
        CLAUDE_EVENTS.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
      );
    case 'bedrock_model_invoke':
      return Buffer.concat(
        CLAUDE_EVENTS.map((event) => {
          const bytes = Buffer.from(JSON.stringify(event)).toString('base64');
          return frame({ 'event-type': 'chunk', 'message-type': 'event' }, { bytes, p: 'abcd' });
        }),
      );
    case 'bedrock_converse':
      return Buffer.concat(
        CONVERSE_EVENTS.map(([name, payload]) =>
          frame({ 'event-type': name, 'message-type': 'event' }, { ...payload, p: 'ab' }),
        ),
      );
    default:
      return to satisfies never;
  }
}

describe('answers of Claude on a cloud, as the official SDK of the caller reads them', () => {
  for (const [from, to] of CELLS) {
    test(`${to} for a caller of ${from}: streamed and whole, split anywhere`, async () => {
      const asked = translate(from, to, plainRequest(from), { stream: true, target: { model: MODELS[to] } });
      const bytes = streamOf(to);
      const once = transcode(asked.answers, bytes);
      const whole = translate(from, to, plainRequest(from), { target: { model: MODELS[to] } });
      const body = Buffer.from(JSON.stringify(to === 'bedrock_converse' ? CONVERSE_WHOLE : CLAUDE_WHOLE));
      const answer = whole.answers.whole(200, body);
      assert.equal(answer.status, 200);
      for (const seen of [await readBySdk(from, once, true), await readBySdk(from, answer.body, false)]) {
        assert.equal(seen.text, TEXT);
        assert.equal(seen.thinking, 'Let me see …');
        assert.deepEqual(
          seen.calls.map(({ name, args }) => [name, args]),
          [
            ['Bash', ARGUMENTS],
            ['Read', {}],
          ],
        );
        assert.deepEqual([seen.input, seen.output], [120, 30]);
      }
      for (const size of [1, 7, 100]) {
        const again = translate(from, to, plainRequest(from), {
          stream: true,
          target: { model: MODELS[to] },
        });
        assert.deepEqual(transcode(again.answers, bytes, size), once, `pieces of ${size}`);
      }
    });

    test(`${to} for a caller of ${from}: an error keeps its status and words, whole and in the stream`, () => {
      const { answers } = translate(from, to, plainRequest(from), {
        stream: true,
        target: { model: MODELS[to] },
      });
      const limited = {
        message: 'Too many requests',
        error: { code: 429, message: 'Too many requests', status: 'RESOURCE_EXHAUSTED' },
      };
      const told = to === 'google_raw_predict' ? [limited] : { message: limited.message };
      const whole = answers.whole(429, Buffer.from(JSON.stringify(told)));
      assert.equal(whole.status, 429);
      assert.match(whole.body.toString(), /"message":"Too many requests"/);
      assert.match(whole.body.toString(), /rate_limit_error|RESOURCE_EXHAUSTED/);
      if (to === 'google_raw_predict') return;
      const exception = frame(
        { 'exception-type': 'throttlingException', 'message-type': 'exception' },
        { message: 'slow down' },
      );
      const streamed = transcode(answers, Buffer.from(exception)).toString();
      assert.match(streamed, /slow down/);
      assert.match(streamed, /rate_limit_error|rate_limit_exceeded|"code":429|server_error/);
    });
  }
});

describe('streams of a cloud that are no streams', () => {
  for (const [from, to] of CELLS.filter(([, cloud]) => cloud !== 'google_raw_predict')) {
    test(`${to} for a caller of ${from}: a damaged frame and an early end are errors, said once`, () => {
      const coder = (): ReturnType<ReturnType<typeof translate>['answers']['createTranscoder']> =>
        translate(from, to, plainRequest(from), {
          stream: true,
          target: { model: MODELS[to] },
        }).answers.createTranscoder();
      const bytes = streamOf(to);
      const damaged = Buffer.from(bytes);
      const at = damaged.length - 40;
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      const flipped = coder();
      flipped.push(damaged);
      flipped.finish();
      assert.match(flipped.fault ?? '', /event stream cannot be read: the checksum/);
      for (const cut of [10, bytes.length - 200]) {
        const early = coder();
        early.push(bytes.subarray(0, cut));
        const rest = early.finish().toString();
        assert.match(early.fault ?? '', /ended|cannot be read/);
        assert.match(rest, /ended|cannot be read/);
        assert.equal(early.finish().length, 0);
      }
    });
  }

  test('no bytes make a transcoder throw, and whatever is pushed after the end is dropped', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CELLS),
        fc.array(fc.uint8Array({ maxLength: 60 })),
        ([from, to], chunks) => {
          const { answers } = translate(from, to, plainRequest(from), {
            stream: true,
            target: { model: MODELS[to] },
          });
          const coder = answers.createTranscoder();
          for (const chunk of chunks) coder.push(chunk);
          coder.finish();
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...CELLS),
        fc.jsonValue(),
        fc.constantFrom(200, 400, 500),
        ([from, to], value, status) => {
          const { answers } = translate(from, to, plainRequest(from), { target: { model: MODELS[to] } });
          answers.whole(status, Buffer.from(JSON.stringify(value)));
          const events = frame({ 'event-type': 'contentBlockDelta', 'message-type': 'event' }, Object(value));
          transcode(answers, Buffer.from(events));
        },
      ),
    );
  });
});

const TOOLS_BY_CHAT = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'see' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        { type: 'file', file: { filename: 'a  b*.pdf', file_data: 'data:application/pdf;base64,BBBB' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'Bash', arguments: '{"command":"ls"}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: 'a.txt' },
  ],
  tools: [
    {
      type: 'function',
      function: {
        name: 'Bash',
        description: 'Runs',
        parameters: { type: 'object', properties: { command: { type: 'string' } } },
      },
    },
  ],
  tool_choice: 'required',
  temperature: 0.5,
  max_tokens: 99,
  seed: 3,
  user: 'u1',
  stop: ['END'],
};

test('Bedrock’s invoke and Vertex get Claude’s own body: a version, no model; what they refuse is reported', () => {
  for (const to of ['bedrock_model_invoke', 'google_raw_predict'] as const) {
    const made = translate('openai_chat', to, TOOLS_BY_CHAT, { stream: true, target: { model: MODELS[to] } });
    const isBedrock = to === 'bedrock_model_invoke';
    assert.equal(made.json['anthropic_version'], isBedrock ? 'bedrock-2023-05-31' : 'vertex-2023-10-16');
    assert.ok(!('model' in made.json));
    assert.equal(made.json['stream'], isBedrock ? undefined : true, 'Bedrock’s path says it');
    assert.deepEqual(made.json['metadata'], isBedrock ? undefined : { user_id: 'u1' });
    assert.deepEqual(made.losses, isBedrock ? ['seed', 'user'] : ['seed']);
    assert.deepEqual(made.json['tool_choice'], { type: 'any' });
    assert.equal(made.match.format, to);
    assert.equal(made.match.action, isBedrock ? 'invoke-with-response-stream' : 'streamRawPredict');
    assert.equal(made.match.model, MODELS[to]);
  }
});

test('Converse gets blocks, tools and parameters in its own form, and what it cannot take is reported', () => {
  const made = translate('openai_chat', 'bedrock_converse', TOOLS_BY_CHAT, {
    target: { model: 'amazon.nova-lite-v1:0' },
  });
  assert.equal(made.path, '/model/amazon.nova-lite-v1%3A0/converse');
  assert.deepEqual(made.json, {
    system: [{ text: 'Be brief.' }],
    messages: [
      {
        role: 'user',
        content: [
          { text: 'see' },
          { image: { format: 'png', source: { bytes: 'AAAA' } } },
          { document: { format: 'pdf', source: { bytes: 'BBBB' }, name: 'a b pdf 1' } },
        ],
      },
      {
        role: 'assistant',
        content: [{ toolUse: { toolUseId: 'call_1', name: 'Bash', input: { command: 'ls' } } }],
      },
      { role: 'user', content: [{ toolResult: { toolUseId: 'call_1', content: [{ text: 'a.txt' }] } }] },
    ],
    inferenceConfig: { maxTokens: 99, temperature: 0.5, stopSequences: ['END'] },
    toolConfig: {
      tools: [
        {
          toolSpec: {
            name: 'Bash',
            description: 'Runs',
            inputSchema: { json: { type: 'object', properties: { command: { type: 'string' } } } },
          },
        },
      ],
      toolChoice: { any: {} },
    },
  });
  assert.deepEqual(made.losses, ['seed', 'user']);
  const url = [
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
  ];
  const lost = translate(
    'openai_chat',
    'bedrock_converse',
    {
      messages: url,
      reasoning_effort: 'high',
      parallel_tool_calls: false,
      response_format: { type: 'json_object' },
    },
    { target: { model: 'amazon.nova-lite-v1:0' } },
  );
  assert.deepEqual(lost.losses, ['messages.image', 'parallel_tool_calls', 'reasoning', 'response_format']);
});

test('Converse: history with calls declares its tools; a choice of none without calls sends none', () => {
  const { tools: _, tool_choice: __, ...rest } = TOOLS_BY_CHAT;
  const target = { model: MODELS.bedrock_converse };
  const undeclared = translate('openai_chat', 'bedrock_converse', rest, { target });
  assert.deepEqual(undeclared.json['toolConfig'], {
    tools: [{ toolSpec: { name: 'Bash', inputSchema: { json: { type: 'object' } } } }],
  });
  const none = { ...TOOLS_BY_CHAT, messages: [{ role: 'user', content: 'hi' }], tool_choice: 'none' };
  assert.equal(translate('openai_chat', 'bedrock_converse', none, { target }).json['toolConfig'], undefined);
  const kept = translate(
    'openai_chat',
    'bedrock_converse',
    { ...TOOLS_BY_CHAT, tool_choice: 'none' },
    { target },
  );
  assert.ok(kept.losses.includes('tool_choice'));
});

test('Claude thinks on a cloud, and its signature goes back there and nowhere else', () => {
  for (const to of ['bedrock_model_invoke', 'bedrock_converse'] as const) {
    const target = { model: MODELS[to], provider: 'aws' };
    const asked = {
      input: 'q',
      reasoning: { effort: 'medium' },
      store: false,
      max_output_tokens: 40_000,
      include: ['reasoning.encrypted_content'],
    };
    const first = translate('openai_responses', to, asked, { target });
    const thinking =
      to === 'bedrock_converse'
        ? (first.json['additionalModelRequestFields'] as { thinking?: unknown }).thinking
        : first.json['thinking'];
    assert.deepEqual(thinking, { type: 'enabled', budget_tokens: 16_384 });
    const body = Buffer.from(JSON.stringify(to === 'bedrock_converse' ? CONVERSE_WHOLE : CLAUDE_WHOLE));
    const { output } = JSON.parse(first.answers.whole(200, body).body.toString()) as {
      output: { type: string }[];
    };
    const history = [
      { role: 'user', content: 'q' },
      ...output,
      ...[0, 1].map((at) => ({ type: 'function_call_output', call_id: `toolu_${at}`, output: 'ok' })),
    ];
    const next = translate('openai_responses', to, { ...asked, input: history }, { target });
    const signed =
      to === 'bedrock_converse'
        ? { reasoningContent: { reasoningText: { text: 'Let me see …', signature: 'c2lnbmVk' } } }
        : { type: 'thinking', thinking: 'Let me see …', signature: 'c2lnbmVk' };
    const messages = next.json['messages'] as { content: unknown[] }[];
    assert.deepEqual(messages[1]?.content[0], signed);
    const elsewhere = translate(
      'openai_responses',
      to,
      { ...asked, input: history },
      { target: { ...target, provider: 'other' } },
    );
    assert.doesNotMatch(elsewhere.body.toString(), /c2lnbmVk/);
    assert.ok(elsewhere.losses.includes('messages.thinking'));
  }
});

test('an Anthropic caller’s body goes to a cloud as it wrote it, but for what the cloud refuses', () => {
  const asked = {
    max_tokens: 9,
    system: [
      { type: 'text', text: 'x-anthropic-billing-header: cc' },
      { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h', scope: 'global' } },
    ],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'q', unknown: [1] }] }],
    metadata: { user_id: 'u' },
    service_tier: 'auto',
    context_management: { edits: [] },
    thinking: { type: 'adaptive' },
    top_k: 3,
  };
  const betas = ['claude-code-20250219', 'interleaved-thinking-2025-05-14'];
  const bedrock = translate('anthropic_messages', 'bedrock_model_invoke', asked, {
    stream: true,
    target: { model: MODELS.bedrock_model_invoke, betas },
  });
  assert.deepEqual(bedrock.json, {
    max_tokens: 9,
    system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    messages: asked.messages,
    thinking: { type: 'adaptive' },
    top_k: 3,
    anthropic_beta: ['interleaved-thinking-2025-05-14'],
    anthropic_version: 'bedrock-2023-05-31',
  });
  assert.deepEqual(bedrock.losses, [
    'anthropic-beta',
    'context_management',
    'metadata',
    'service_tier',
    'system.billing',
  ]);
  const vertex = translate('anthropic_messages', 'google_raw_predict', asked, {
    target: { model: MODELS.google_raw_predict, betas: [...betas, 'context-management-2025-06-27'] },
  });
  assert.deepEqual(vertex.headers, [
    'anthropic-beta',
    'interleaved-thinking-2025-05-14,context-management-2025-06-27',
  ]);
  assert.deepEqual(vertex.json['context_management'], { edits: [] });
  assert.deepEqual(vertex.json['metadata'], { user_id: 'u' });
  assert.equal(vertex.json['anthropic_beta'], undefined);
});

test('reasoning that another provider sealed is not sent to Claude; its own is opened', () => {
  const first = translate('anthropic_messages', 'bedrock_converse', plainRequest('anthropic_messages'), {
    target: { model: MODELS.bedrock_converse, provider: 'aws' },
  });
  const { content } = JSON.parse(
    first.answers.whole(200, Buffer.from(JSON.stringify(CONVERSE_WHOLE))).body.toString(),
  ) as { content: unknown[] };
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content },
  ];
  const next = translate(
    'anthropic_messages',
    'bedrock_model_invoke',
    { max_tokens: 9, messages },
    { target: { model: MODELS.bedrock_model_invoke, provider: 'aws' } },
  );
  assert.deepEqual(next.losses, ['messages.thinking'], 'Converse’s seal is not that of InvokeModel');
  const again = translate(
    'anthropic_messages',
    'bedrock_converse',
    { max_tokens: 9, messages },
    { target: { model: MODELS.bedrock_converse, provider: 'aws' } },
  );
  assert.deepEqual(again.losses, []);
  const native = [{ role: 'assistant', content: [{ type: 'thinking', thinking: 't', signature: 'native' }] }];
  const kept = translate(
    'anthropic_messages',
    'bedrock_model_invoke',
    { max_tokens: 9, messages: native },
    { target: { model: MODELS.bedrock_model_invoke } },
  );
  assert.deepEqual(kept.json['messages'], native);
});

test('a request that is none is refused for every cloud', () => {
  for (const to of CLOUDS) {
    const made = tryTranslate(
      'anthropic_messages',
      to,
      { max_tokens: 9, messages: 'q' },
      { target: { model: MODELS[to] } },
    );
    assert.ok('problem' in made && made.problem === 'translation_malformed', to);
  }
});

test('what the translator makes for a cloud is metered by the cloud’s own bytes', () => {
  for (const to of CLOUDS) {
    const contentType =
      to === 'google_raw_predict' ? 'text/event-stream' : 'application/vnd.amazon.eventstream';
    const meter = createMeter(to, { streamed: true, contentType });
    meter.push(streamOf(to));
    const { usage, complete } = meter.finish();
    assert.deepEqual([usage?.inputTokens, usage?.outputTokens, complete], [120, 30, true], to);
  }
});

test('a format serves the models that its name allows: Claude by invoke and raw predictions', () => {
  const claude = [
    'anthropic.claude-3-haiku-20240307-v1:0',
    'global.anthropic.claude-opus-4-6-v1',
    'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  ];
  for (const model of claude) assert.ok(servesModel('bedrock_model_invoke', model), model);
  for (const model of [
    'amazon.nova-lite-v1:0',
    'arn:aws:bedrock:us-east-1:1:application-inference-profile/abc',
  ])
    assert.ok(!servesModel('bedrock_model_invoke', model) && servesModel('bedrock_converse', model), model);
  assert.ok(servesModel('google_raw_predict', 'claude-sonnet-4-5@20250929'));
  assert.ok(!servesModel('google_raw_predict', 'gemini-2.5-pro'));
});
