/** Codex's requests in Anthropic's format and in Chat Completions, and the items of its answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTranslationProblem } from '../contract.ts';
import { readBySdk, transcode, translate, tryTranslate } from '../translate.fixture.ts';

const GRAMMAR = { type: 'grammar', syntax: 'lark', definition: 'start: "*** Begin Patch"' };
const SHELL_SCHEMA = {
  type: 'object',
  properties: { command: { type: 'array', items: { type: 'string' } } },
};

/** A turn in the middle of Codex's work, as it is sent. */
const REQUEST = {
  input: [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'You are Codex.' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Mend it.' }] },
    {
      type: 'reasoning',
      summary: [{ type: 'summary_text', text: 'old' }],
      encrypted_content: 'gAAAA-another',
    },
    { type: 'function_call', call_id: 'call_1', name: 'shell', arguments: '{"command":["ls"]}' },
    { type: 'custom_tool_call', call_id: 'call_2', name: 'apply_patch', input: '*** Begin Patch\n"x"' },
    { type: 'function_call_output', call_id: 'call_1', output: 'a.txt' },
    { type: 'custom_tool_call_output', call_id: 'call_2', output: 'done' },
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'The mode is now: ask.' }] },
  ],
  tools: [
    { type: 'function', name: 'shell', description: 'Runs.', strict: false, parameters: SHELL_SCHEMA },
    { type: 'custom', name: 'apply_patch', description: 'Edits files.', format: GRAMMAR },
    {
      type: 'namespace',
      name: 'mcp__gw',
      description: 'Tools of gw.',
      tools: [{ type: 'function', name: 'find', description: 'Finds.', parameters: { type: 'object' } }],
    },
    { type: 'web_search' },
  ],
  tool_choice: 'auto',
  parallel_tool_calls: false,
  reasoning: { effort: 'medium', summary: 'auto' },
  include: ['reasoning.encrypted_content'],
  store: false,
  prompt_cache_key: 'thread-1',
  text: { verbosity: 'low' },
  client_metadata: { session_id: 's' },
};

test('Codex to Anthropic: freeform tools become functions, caches are marked, groups of tools are flattened', () => {
  const { json, losses, path } = translate('openai_responses', 'anthropic_messages', REQUEST, {
    stream: true,
    target: { model: 'claude-opus-4-8' },
  });
  assert.equal(path, '/v1/messages');
  assert.deepEqual(losses, ['messages.thinking', 'tools.format', 'tools.web_search', 'verbosity']);
  const mark = { cache_control: { type: 'ephemeral' } };
  const input = { type: 'string', description: 'The whole input of the tool, as plain text.' };
  assert.deepEqual(json, {
    model: 'claude-opus-4-8',
    max_tokens: 32_000,
    system: [{ type: 'text', text: 'You are Codex.', ...mark }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'Mend it.', ...mark }] },
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'call_1', name: 'shell', input: { command: ['ls'] } },
          { type: 'tool_use', id: 'call_2', name: 'apply_patch', input: { input: '*** Begin Patch\n"x"' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'a.txt' }] },
          { type: 'tool_result', tool_use_id: 'call_2', content: [{ type: 'text', text: 'done' }] },
          { type: 'text', text: '<system-reminder>\nThe mode is now: ask.\n</system-reminder>', ...mark },
        ],
      },
    ],
    tools: [
      { name: 'shell', description: 'Runs.', input_schema: SHELL_SCHEMA, strict: false },
      {
        name: 'apply_patch',
        description: `Edits files.\n\nThe input must follow this grammar (lark):\n${GRAMMAR.definition}`,
        input_schema: {
          type: 'object',
          properties: { input },
          required: ['input'],
          additionalProperties: false,
        },
      },
      { name: 'mcp__gw__find', description: 'Finds.', input_schema: { type: 'object' } },
    ],
    tool_choice: { type: 'auto', disable_parallel_tool_use: true },
    thinking: { type: 'adaptive', display: 'summarized' },
    output_config: { effort: 'medium' },
    stream: true,
  });
});

test('Codex to a Claude with budgets: it does not think on where the turn began without thinking', () => {
  const made = translate('openai_responses', 'anthropic_messages', REQUEST, {
    target: { model: 'claude-sonnet-4-5' },
  });
  assert.equal(made.json['thinking'], undefined);
  assert.ok(made.losses.includes('reasoning'));
  const fresh = translate(
    'openai_responses',
    'anthropic_messages',
    { ...REQUEST, input: 'Mend it.' },
    { target: { model: 'claude-sonnet-4-5' } },
  );
  assert.deepEqual(fresh.json['thinking'], { type: 'enabled', budget_tokens: 16_384 });
});

const STREAM = [
  {
    type: 'message_start',
    message: { id: 'msg_1', usage: { input_tokens: 10, output_tokens: 1, cache_read_input_tokens: 5 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'I mend ' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'it.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'SIG' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'ping' },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Now.' } },
  { type: 'content_block_stop', index: 1 },
  {
    type: 'content_block_start',
    index: 2,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'apply_patch', input: {} },
  },
  {
    type: 'content_block_delta',
    index: 2,
    delta: { type: 'input_json_delta', partial_json: '{"input":"*** Begin' },
  },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: ' Patch\\n"}' } },
  { type: 'content_block_stop', index: 2 },
  {
    type: 'content_block_start',
    index: 3,
    content_block: { type: 'tool_use', id: 'toolu_2', name: 'mcp__gw__find', input: {} },
  },
  { type: 'content_block_stop', index: 3 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 20 } },
  { type: 'message_stop' },
]
  .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  .join('');

interface Event {
  readonly type: string;
  readonly sequence_number: number;
  readonly item?: Record<string, unknown>;
  readonly response?: { readonly output: Record<string, unknown>[]; readonly usage: unknown };
}

function events(bytes: Buffer): Event[] {
  return bytes
    .toString()
    .split('\n\n')
    .filter((event) => event.includes('data: '))
    .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Event);
}

test('Anthropic to Codex: events in their order and numbered, freeform calls as text, groups found again', async () => {
  const { answers } = translate('openai_responses', 'anthropic_messages', REQUEST, { stream: true });
  const bytes = transcode(answers, Buffer.from(STREAM), 13);
  const seen = events(bytes);
  assert.deepEqual(
    seen.map(({ sequence_number: number }) => number),
    seen.map((_, at) => at),
  );
  assert.deepEqual(
    seen.map(({ type }) => type.replace('response.', '')),
    [
      'created',
      'in_progress',
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'custom_tool_call_input.delta',
      'custom_tool_call_input.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ],
  );
  const done = seen.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
  const final = seen.at(-1)?.response;
  assert.deepEqual(final?.output, done);
  const [reasoning, , patch, find] = done;
  assert.match(String(reasoning?.['encrypted_content']), /^cG9zdGVybjog/);
  assert.deepEqual(
    [patch?.['type'], patch?.['call_id'], patch?.['input']],
    ['custom_tool_call', 'toolu_1', '*** Begin Patch\n'],
  );
  assert.deepEqual(
    [find?.['type'], find?.['namespace'], find?.['name'], find?.['arguments']],
    ['function_call', 'mcp__gw', 'find', '{}'],
  );
  assert.deepEqual(final?.usage, {
    input_tokens: 15,
    input_tokens_details: { cached_tokens: 5 },
    output_tokens: 20,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 35,
  });
  const read = await readBySdk('openai_responses', bytes, true);
  assert.deepEqual([read.text, read.thinking, read.stop], ['Now.', 'I mend it.', 'completed']);
});

test('Anthropic takes its signed thinking back from Codex, with the text that the signature covers', () => {
  const { answers } = translate('openai_responses', 'anthropic_messages', REQUEST, { stream: true });
  const output = events(transcode(answers, Buffer.from(STREAM))).at(-1)?.response?.output ?? [];
  const results = ['toolu_1', 'toolu_2'].map((id, at) => ({
    type: at === 0 ? 'custom_tool_call_output' : 'function_call_output',
    call_id: id,
    output: 'ok',
  }));
  // Codex keeps no ids, and a client may shorten summaries: the sealed text counts.
  const history = output.map(({ id: _id, ...item }) =>
    item['type'] === 'reasoning' ? { ...item, summary: [] } : item,
  );
  const request = { ...REQUEST, input: [{ role: 'user', content: 'Mend it.' }, ...history, ...results] };
  const { json, losses } = translate('openai_responses', 'anthropic_messages', request, {
    target: { model: 'claude-sonnet-4-5' },
  });
  assert.deepEqual((json['messages'] as { content: object[] }[])[1]?.content, [
    { type: 'thinking', thinking: 'I mend it.', signature: 'SIG' },
    { type: 'text', text: 'Now.' },
    { type: 'tool_use', id: 'toolu_1', name: 'apply_patch', input: { input: '*** Begin Patch\n' } },
    { type: 'tool_use', id: 'toolu_2', name: 'mcp__gw__find', input: {} },
  ]);
  assert.deepEqual(json['thinking'], { type: 'enabled', budget_tokens: 16_384 });
  assert.ok(!losses.includes('messages.thinking'));
});

test('local shell and tool search go out as functions and come back as their own items', () => {
  const request = {
    input: [
      { role: 'user', content: 'q' },
      {
        type: 'local_shell_call',
        call_id: 'c1',
        action: { type: 'exec', command: ['ls'], env: {} },
        status: 'completed',
      },
      { type: 'local_shell_call_output', id: 'c1', call_id: 'c1', output: 'x' },
      { type: 'tool_search_call', call_id: 'c2', execution: 'client', arguments: { query: 'mail' } },
      {
        type: 'tool_search_output',
        call_id: 'c2',
        tools: [{ type: 'function', name: 'send', parameters: { type: 'object' } }],
      },
    ],
    tools: [
      { type: 'local_shell' },
      { type: 'tool_search', execution: 'client', parameters: { type: 'object' } },
    ],
    store: false,
  };
  const { json, answers } = translate('openai_responses', 'openai_chat', request);
  assert.deepEqual(
    (json['tools'] as { function: { name: string } }[]).map((tool) => tool.function.name),
    ['local_shell', 'tool_search', 'send'],
  );
  const call = (id: string, name: string, args: object): object => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(args) },
  });
  const message = {
    tool_calls: [call('a', 'local_shell', { command: ['pwd'] }), call('b', 'tool_search', { query: 'x' })],
  };
  const answer = answers.whole(
    200,
    Buffer.from(JSON.stringify({ choices: [{ message, finish_reason: 'tool_calls' }] })),
  );
  const { output } = JSON.parse(answer.body.toString()) as { output: Record<string, unknown>[] };
  assert.deepEqual(output[0]?.['action'], { command: ['pwd'], env: {}, type: 'exec' });
  assert.deepEqual([output[0]?.['type'], output[0]?.['call_id']], ['local_shell_call', 'a']);
  assert.deepEqual(
    [output[1]?.['type'], output[1]?.['execution'], output[1]?.['arguments']],
    ['tool_search_call', 'client', { query: 'x' }],
  );
});

test('what only the provider of the stored history knows is refused, with what would help', () => {
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ previous_response_id: 'resp_1' }, /"previous_response_id".*send the whole history/],
    [{ conversation: 'conv_1' }, /"conversation"/],
    [{ prompt: { id: 'pmpt_1' } }, /"prompt"/],
    [{ background: true }, /"background"/],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, /"item_reference"/],
    [{ input: [{ type: 'compaction', encrypted_content: 'x' }] }, /"compaction"/],
    [{ input: [{ type: 'message', role: 'tool', content: 'x' }] }, /role/],
    [{ input: 7 }, /"input" must be/],
  ];
  for (const [change, message] of refused) {
    const made = tryTranslate('openai_responses', 'anthropic_messages', { input: 'q', ...change });
    assert.ok(isTranslationProblem(made), JSON.stringify(change));
    assert.match(made.message, message);
  }
});

test('a tool that must be called is called without thinking', () => {
  const request = { ...REQUEST, tool_choice: { type: 'function', name: 'shell' } };
  const { json, losses } = translate('openai_responses', 'anthropic_messages', request, {
    target: { model: 'claude-opus-4-8' },
  });
  assert.deepEqual(json['tool_choice'], { type: 'tool', name: 'shell', disable_parallel_tool_use: true });
  assert.equal(json['thinking'], undefined);
  assert.ok(losses.includes('reasoning'));
});
