/** Claude Code's requests in OpenAI's formats and Gemini's: whole bodies, and what is reported as lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSurfaceMiss, matchSurface } from '../../surfaces.ts';
import { sealOpaque } from '../opaque.ts';
import { FORMATS, translate } from '../translate.fixture.ts';

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { command: { type: 'string' } },
  required: ['command'],
  additionalProperties: false,
};
const PNG = 'iVBORw0KGgo=';
const MARK = { type: 'ephemeral' };

/** A turn in the middle of Claude Code's work, as it is sent. */
const REQUEST = {
  max_tokens: 32_000,
  system: [
    { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1; cch=12ab;' },
    { type: 'text', text: 'You are Claude Code.', cache_control: MARK },
  ],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: '<system-reminder>Today is Monday.</system-reminder>' },
        { type: 'text', text: 'What is in a.png?', cache_control: { type: 'ephemeral', ttl: '1h' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'I look.', signature: 'c2lnbmVkIGJ5IGFub3RoZXI=' },
        { type: 'text', text: 'I will look.' },
        { type: 'tool_use', id: 'toolu_01', name: 'Bash', input: { command: 'ls' } },
        { type: 'tool_use', id: 'toolu_02', name: 'Read', input: { file_path: '/a.png' } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_01', content: 'exit 1', is_error: true },
        {
          type: 'tool_result',
          tool_use_id: 'toolu_02',
          content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } }],
        },
        { type: 'text', text: 'Go on.', cache_control: MARK },
      ],
    },
  ],
  tools: [
    { name: 'Bash', description: 'Runs a command.', input_schema: SCHEMA },
    { name: 'Read', description: 'Reads a file.', input_schema: { type: 'object', properties: {} } },
    { type: 'web_search_20250305', name: 'web_search' },
  ],
  tool_choice: { type: 'auto' },
  thinking: { type: 'adaptive' },
  output_config: { effort: 'high' },
  context_management: { edits: [] },
  metadata: { user_id: JSON.stringify({ device_id: 'd'.repeat(64), session_id: 's' }) },
  temperature: 1,
};

const COMMON_LOSSES = [
  'cache_control',
  'context_management',
  'messages.is_error',
  'messages.thinking',
  'metadata.user_id',
  'system.billing',
  'tools.web_search_20250305',
];

test('Claude Code to Chat Completions: results follow their calls, images come after, the rest is named as lost', () => {
  const { json, losses, path } = translate('anthropic_messages', 'openai_chat', REQUEST, {
    stream: true,
    target: { model: 'gpt-5.2' },
  });
  assert.equal(path, '/v1/chat/completions');
  assert.deepEqual(losses, COMMON_LOSSES);
  assert.deepEqual(json, {
    model: 'gpt-5.2',
    messages: [
      { role: 'system', content: 'You are Claude Code.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: '<system-reminder>Today is Monday.</system-reminder>' },
          { type: 'text', text: 'What is in a.png?' },
        ],
      },
      {
        role: 'assistant',
        content: 'I will look.',
        tool_calls: [
          { id: 'toolu_01', type: 'function', function: { name: 'Bash', arguments: '{"command":"ls"}' } },
          {
            id: 'toolu_02',
            type: 'function',
            function: { name: 'Read', arguments: '{"file_path":"/a.png"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'toolu_01', content: 'exit 1' },
      { role: 'tool', tool_call_id: 'toolu_02', content: '(see the next message)' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'From the result of tool call toolu_02:' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
          { type: 'text', text: 'Go on.' },
        ],
      },
    ],
    max_completion_tokens: 32_000,
    tools: [
      { type: 'function', function: { name: 'Bash', description: 'Runs a command.', parameters: SCHEMA } },
      {
        type: 'function',
        function: {
          name: 'Read',
          description: 'Reads a file.',
          parameters: { type: 'object', properties: {} },
        },
      },
    ],
    tool_choice: 'auto',
    reasoning_effort: 'high',
    stream: true,
    stream_options: { include_usage: true },
  });
});

test('Claude Code to Responses: nothing is stored, encrypted reasoning is asked for, results keep their images', () => {
  const { json, losses, path } = translate('anthropic_messages', 'openai_responses', REQUEST, {
    stream: true,
    target: { model: 'gpt-5.2' },
  });
  assert.equal(path, '/v1/responses');
  assert.deepEqual(losses, COMMON_LOSSES);
  assert.deepEqual(json, {
    model: 'gpt-5.2',
    instructions: 'You are Claude Code.',
    input: [
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: '<system-reminder>Today is Monday.</system-reminder>' },
          { type: 'input_text', text: 'What is in a.png?' },
        ],
      },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I will look.' }] },
      { type: 'function_call', call_id: 'toolu_01', name: 'Bash', arguments: '{"command":"ls"}' },
      { type: 'function_call', call_id: 'toolu_02', name: 'Read', arguments: '{"file_path":"/a.png"}' },
      { type: 'function_call_output', call_id: 'toolu_01', output: 'exit 1' },
      {
        type: 'function_call_output',
        call_id: 'toolu_02',
        output: [{ type: 'input_image', image_url: `data:image/png;base64,${PNG}`, detail: 'auto' }],
      },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Go on.' }] },
    ],
    max_output_tokens: 32_000,
    tools: [
      { type: 'function', name: 'Bash', description: 'Runs a command.', parameters: SCHEMA, strict: false },
      {
        type: 'function',
        name: 'Read',
        description: 'Reads a file.',
        parameters: { type: 'object', properties: {} },
        strict: false,
      },
    ],
    tool_choice: 'auto',
    reasoning: { effort: 'high', summary: 'auto' },
    include: ['reasoning.encrypted_content'],
    store: false,
    stream: true,
  });
});

test('Claude Code to Gemini: results are named after their calls, foreign calls carry the signature that Gemini 3 takes', () => {
  const { json, path, query } = translate('anthropic_messages', 'gemini_generate_content', REQUEST, {
    stream: true,
    target: { model: 'gemini-3.5-flash' },
  });
  assert.equal(path, '/v1beta/models/gemini-3.5-flash:streamGenerateContent');
  assert.equal(query, 'alt=sse');
  const { $schema: _dialect, ...schema } = SCHEMA;
  const thoughtSignature = 'skip_thought_signature_validator';
  assert.deepEqual(json['contents'], [
    {
      role: 'user',
      parts: [{ text: '<system-reminder>Today is Monday.</system-reminder>' }, { text: 'What is in a.png?' }],
    },
    {
      role: 'model',
      parts: [
        { text: 'I will look.' },
        { functionCall: { name: 'Bash', args: { command: 'ls' } }, thoughtSignature },
        { functionCall: { name: 'Read', args: { file_path: '/a.png' } }, thoughtSignature },
      ],
    },
    {
      role: 'user',
      parts: [
        { functionResponse: { name: 'Bash', response: { error: 'exit 1' } } },
        { functionResponse: { name: 'Read', response: { output: '' } } },
        { inlineData: { mimeType: 'image/png', data: PNG } },
        { text: 'Go on.' },
      ],
    },
  ]);
  assert.deepEqual(json['generationConfig'], {
    maxOutputTokens: 32_000,
    temperature: 1,
    thinkingConfig: { thinkingLevel: 'high', includeThoughts: true },
  });
  assert.deepEqual(json['tools'], [
    {
      functionDeclarations: [
        { name: 'Bash', description: 'Runs a command.', parametersJsonSchema: schema },
        {
          name: 'Read',
          description: 'Reads a file.',
          parametersJsonSchema: { type: 'object', properties: {} },
        },
      ],
    },
  ]);
});

test('the route that a translation names is the one that the surface finds', () => {
  for (const to of FORMATS.filter((format) => format !== 'anthropic_messages')) {
    for (const stream of [true, false]) {
      const { path, match } = translate('anthropic_messages', to, REQUEST, {
        stream,
        target: { model: 'a-1' },
      });
      const found = matchSurface('POST', path, false);
      assert.ok(!isSurfaceMiss(found));
      assert.deepEqual(match, found);
    }
  }
});

test('no signature of another provider, and none of another format, is sent', () => {
  const foreign = sealOpaque({
    origin: 'openai_responses:elsewhere',
    data: '{"id":"rs_1","encrypted":"SECRET"}',
  });
  const messages = [
    { role: 'user', content: 'q' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'hm', signature: foreign },
        { type: 'text', text: 'a' },
      ],
    },
    { role: 'assistant', content: [{ type: 'redacted_thinking', data: 'SECRET' }] },
    { role: 'assistant', content: [{ type: 'thinking', thinking: '', signature: 'SECRET' }] },
    { role: 'user', content: 'r' },
  ];
  for (const to of FORMATS.filter((format) => format !== 'anthropic_messages')) {
    const { body } = translate('anthropic_messages', to, { max_tokens: 9, messages });
    assert.doesNotMatch(body.toString(), /SECRET|encrypted_content":|cG9zdGVybjog/);
  }
});

test('the target takes its own encrypted reasoning back from its answer of the turn before', () => {
  const first = translate('anthropic_messages', 'openai_responses', {
    max_tokens: 9,
    messages: [{ role: 'user', content: 'q' }],
  });
  const answer = first.answers.whole(
    200,
    Buffer.from(
      JSON.stringify({
        id: 'resp_1',
        status: 'completed',
        output: [
          {
            type: 'reasoning',
            id: 'rs_1',
            summary: [{ type: 'summary_text', text: 'hm' }],
            encrypted_content: 'ENC',
          },
          {
            type: 'function_call',
            id: 'fc_1',
            call_id: 'call_1',
            name: 'Bash',
            arguments: '{"command":"ls"}',
          },
        ],
      }),
    ),
  );
  const { content, stop_reason: stop } = JSON.parse(answer.body.toString()) as {
    content: object[];
    stop_reason: string;
  };
  assert.equal(stop, 'tool_use');
  const next = {
    max_tokens: 9,
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'ok' }] },
    ],
  };
  const { json, losses } = translate('anthropic_messages', 'openai_responses', next);
  assert.deepEqual((json['input'] as object[])[1], {
    type: 'reasoning',
    id: 'rs_1',
    summary: [{ type: 'summary_text', text: 'hm' }],
    encrypted_content: 'ENC',
  });
  assert.deepEqual(losses, []);
  const elsewhere = translate('anthropic_messages', 'openai_responses', next, {
    target: { provider: 'other' },
  });
  assert.doesNotMatch(elsewhere.body.toString(), /ENC/);
  assert.deepEqual(elsewhere.losses, ['messages.thinking']);
});

test('a tool name that the target refuses is shortened and comes back whole', () => {
  const name = `mcp__server__${'very_long_'.repeat(8)}name`;
  const request = {
    max_tokens: 9,
    messages: [{ role: 'user', content: 'q' }],
    tools: [{ name, input_schema: { type: 'object' } }],
    tool_choice: { type: 'tool', name },
  };
  const { json, answers } = translate('anthropic_messages', 'openai_chat', request);
  const sent = (json['tools'] as { function: { name: string } }[])[0]?.function.name ?? '';
  assert.match(sent, /^[\w-]{1,64}$/);
  assert.deepEqual(json['tool_choice'], { type: 'function', function: { name: sent } });
  const message = {
    role: 'assistant',
    tool_calls: [{ id: 'functions.x:0', type: 'function', function: { name: sent, arguments: '{}' } }],
  };
  const answer = answers.whole(
    200,
    Buffer.from(JSON.stringify({ id: 'c', choices: [{ index: 0, message, finish_reason: 'stop' }] })),
  );
  const { content, stop_reason: stop } = JSON.parse(answer.body.toString()) as {
    content: { name: string; id: string }[];
    stop_reason: string;
  };
  assert.equal(content[0]?.name, name);
  assert.match(content[0]?.id ?? '', /^[\w-]+$/, 'ids of other makers fit what Anthropic takes');
  assert.equal(stop, 'tool_use', 'an answer with calls says so, whatever the server said');
});

test('models that do not reason get no effort, and limits are those of the target', () => {
  const { json, losses } = translate('anthropic_messages', 'openai_chat', REQUEST, {
    target: { model: 'gpt-4o', outputMaxTokens: 16_384, chatLimitKey: 'max_tokens' },
  });
  assert.equal(json['reasoning_effort'], undefined);
  assert.equal(json['max_tokens'], 16_384);
  assert.ok(losses.includes('max_tokens'));
});

test('a server of Chat Completions gets its own reasoning back beside its calls, and no other does', () => {
  const first = translate('anthropic_messages', 'openai_chat', {
    max_tokens: 9,
    messages: [{ role: 'user', content: 'q' }],
  });
  const call = { id: 'call_1', type: 'function', function: { name: 'Bash', arguments: { command: 'ls' } } };
  const message = { role: 'assistant', reasoning_content: 'I must look.', content: '', tool_calls: [call] };
  const body = { id: 'c', choices: [{ index: 0, message, finish_reason: 'tool_calls' }] };
  const answer = first.answers.whole(200, Buffer.from(JSON.stringify(body)));
  const { content } = JSON.parse(answer.body.toString()) as { content: { type: string; input?: object }[] };
  assert.deepEqual(
    content.map(({ type }) => type),
    ['thinking', 'tool_use'],
  );
  assert.deepEqual(content[1]?.input, { command: 'ls' }, 'arguments of servers that give an object');
  const next = {
    max_tokens: 9,
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'ok' }] },
    ],
  };
  const same = translate('anthropic_messages', 'openai_chat', next);
  assert.equal(
    (same.json['messages'] as { reasoning_content?: string }[])[1]?.reasoning_content,
    'I must look.',
  );
  const other = translate('anthropic_messages', 'openai_chat', next, { target: { provider: 'other' } });
  assert.doesNotMatch(other.body.toString(), /I must look|reasoning/);
  assert.deepEqual(other.losses, ['messages.thinking']);
});

test('OpenAI is told the properties of every object, also of tools without any', () => {
  const tools = [
    { name: 'now', input_schema: { type: 'object' } },
    { name: 'any', input_schema: {} },
  ];
  const request = { max_tokens: 9, messages: [{ role: 'user', content: 'q' }], tools };
  for (const to of ['openai_chat', 'openai_responses'] as const) {
    const { body } = translate('anthropic_messages', to, request);
    assert.equal(body.toString().match(/"parameters":\{"type":"object","properties":\{\}\}/g)?.length, 2, to);
  }
});
