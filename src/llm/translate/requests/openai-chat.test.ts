/** What is particular to Chat Completions callers: custom tools, allowed tools, schemas of answers, what asks for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTranslationProblem } from '../contract.ts';
import { readBySdk, transcode, translate, tryTranslate } from '../translate.fixture.ts';

const MESSAGES = [{ role: 'user', content: 'q' }];

test("answers by schema, allowed tools, limits and users are said in Anthropic's words", () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const { json, losses } = translate('openai_chat', 'anthropic_messages', {
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'system', content: [{ type: 'text', text: 'Be kind.' }] },
      ...MESSAGES,
    ],
    tools: ['a', 'b'].map((name) => ({ type: 'function', function: { name } })),
    tool_choice: {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'b' } }] },
    },
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } },
    stop: 'END',
    temperature: 1.5,
    max_tokens: 50,
    user: 'u-1',
    n: 1,
    store: false,
  });
  assert.deepEqual(losses, ['temperature']);
  assert.deepEqual(json, {
    model: 'target-model',
    max_tokens: 50,
    system: [
      { type: 'text', text: 'Be brief.' },
      { type: 'text', text: 'Be kind.' },
    ],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'q' }] }],
    tools: [{ name: 'b', input_schema: { type: 'object' } }],
    tool_choice: { type: 'any' },
    temperature: 1,
    stop_sequences: ['END'],
    output_config: { format: { type: 'json_schema', schema } },
    metadata: { user_id: 'u-1' },
    stream: false,
  });
});

test("what a target cannot do is named: several answers, probabilities, spoken input, Gemini's keys", () => {
  const { losses } = translate('openai_chat', 'anthropic_messages', {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'input_audio', input_audio: { data: '', format: 'wav' } },
          { type: 'text', text: 'q' },
        ],
      },
    ],
    n: 3,
    logprobs: true,
    seed: 7,
    presence_penalty: 1,
    response_format: { type: 'json_object' },
    verbosity: 'low',
  });
  assert.deepEqual(losses, [
    'logprobs',
    'messages.input_audio',
    'n',
    'presence_penalty',
    'response_format',
    'seed',
    'verbosity',
  ]);
});

test('custom tools stay custom for Responses, and are functions elsewhere; their calls come back as text', async () => {
  const request = {
    messages: [
      ...MESSAGES,
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'custom', custom: { name: 'edit', input: 'a "b"' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'ok' },
    ],
    tools: [{ type: 'custom', custom: { name: 'edit', description: 'Edits.' } }],
    tool_choice: { type: 'custom', custom: { name: 'edit' } },
  };
  const responses = translate('openai_chat', 'openai_responses', request);
  assert.deepEqual((responses.json['input'] as object[]).slice(1), [
    { type: 'custom_tool_call', call_id: 'c1', name: 'edit', input: 'a "b"' },
    { type: 'custom_tool_call_output', call_id: 'c1', output: 'ok' },
  ]);
  assert.deepEqual(responses.json['tools'], [{ type: 'custom', name: 'edit', description: 'Edits.' }]);
  assert.deepEqual(responses.json['tool_choice'], { type: 'custom', name: 'edit' });

  const events = [
    { type: 'response.created', response: { id: 'r' } },
    {
      type: 'response.output_item.added',
      output_index: 0,
      item: { type: 'custom_tool_call', call_id: 'c2', name: 'edit', input: '' },
    },
    { type: 'response.custom_tool_call_input.delta', output_index: 0, delta: 'x "y"' },
    {
      type: 'response.output_item.done',
      output_index: 0,
      item: { type: 'custom_tool_call', call_id: 'c2', name: 'edit', input: 'x "y"' },
    },
    {
      type: 'response.completed',
      response: { id: 'r', status: 'completed', usage: { input_tokens: 1, output_tokens: 2 } },
    },
  ];
  const bytes = Buffer.from(
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
  );
  const out = transcode(
    translate('openai_chat', 'openai_responses', request, { stream: true }).answers,
    bytes,
  );
  assert.match(
    out.toString(),
    /"tool_calls":\[\{"index":0,"id":"c2","type":"custom","custom":\{"name":"edit","input":"x \\"y\\""\}\}\]/,
  );

  const claude = translate('openai_chat', 'anthropic_messages', request);
  assert.deepEqual((claude.json['messages'] as { content: object[] }[])[1]?.content, [
    { type: 'tool_use', id: 'c1', name: 'edit', input: { input: 'a "b"' } },
  ]);
  const message = {
    id: 'm',
    content: [{ type: 'tool_use', id: 'c3', name: 'edit', input: { input: 'z' } }],
    stop_reason: 'tool_use',
  };
  const whole = claude.answers.whole(200, Buffer.from(JSON.stringify(message)));
  assert.deepEqual((await readBySdk('openai_chat', whole.body, false)).calls, [
    { id: 'c3', name: 'edit', args: 'z' },
  ]);
});

test('requests that are no conversation are refused', () => {
  for (const change of [{ messages: 'q' }, { messages: [{ role: 'robot' }] }, { messages: [7] }]) {
    const made = tryTranslate('openai_chat', 'anthropic_messages', change);
    assert.ok(isTranslationProblem(made) && made.problem === 'translation_malformed', JSON.stringify(change));
  }
});

test('documents: PDFs as they are, plain text as text, what the target cannot read is named', () => {
  const file = (type: string, data: string): object => ({
    type: 'file',
    file: { filename: 'a', file_data: `data:${type};base64,${data}` },
  });
  const content = [
    file('application/pdf', 'AAAA'),
    file('text/plain', Buffer.from('hi').toString('base64')),
    file('application/zip', 'AAAA'),
  ];
  const { json, losses } = translate('openai_chat', 'anthropic_messages', {
    messages: [{ role: 'user', content }],
  });
  assert.deepEqual(losses, ['messages.document']);
  assert.deepEqual((json['messages'] as { content: object[] }[])[0]?.content, [
    { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' }, title: 'a' },
    { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'hi' }, title: 'a' },
  ]);
});
