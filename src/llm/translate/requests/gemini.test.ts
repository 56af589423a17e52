/** What is particular to Gemini: signatures of calls, calls without ids, its schemas, both spellings of fields. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTranslationProblem } from '../contract.ts';
import { translate, tryTranslate } from '../translate.fixture.ts';

test('a signed call goes through Claude Code and back to Gemini with its signature', () => {
  const first = translate('anthropic_messages', 'gemini_generate_content', {
    max_tokens: 9,
    messages: [{ role: 'user', content: 'q' }],
  });
  const parts = [
    { text: 'Hm.', thought: true },
    { functionCall: { name: 'Bash', args: { command: 'ls' } }, thoughtSignature: 'U0lH' },
    { functionCall: { name: 'Bash', args: {} } },
  ];
  const body = { responseId: 'r', candidates: [{ content: { parts, role: 'model' }, finishReason: 'STOP' }] };
  const answer = first.answers.whole(200, Buffer.from(JSON.stringify(body)));
  const { content, stop_reason: stop } = JSON.parse(answer.body.toString()) as {
    content: { type: string; id?: string }[];
    stop_reason: string;
  };
  assert.equal(stop, 'tool_use', 'Gemini says STOP for calls too');
  assert.deepEqual(
    content.map(({ type }) => type),
    ['thinking', 'tool_use', 'tool_use'],
  );
  const ids = content.flatMap(({ id }) => id ?? []);
  assert.equal(new Set(ids).size, 2, 'ids are made up where there are none');
  const results = ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: 'ok' }));
  const next = {
    max_tokens: 9,
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content },
      { role: 'user', content: results },
    ],
  };
  const contents = (provider: string): unknown =>
    translate('anthropic_messages', 'gemini_generate_content', next, {
      target: { provider, model: 'gemini-2.5-pro' },
    }).json['contents'];
  assert.deepEqual(contents('there'), [
    { role: 'user', parts: [{ text: 'q' }] },
    {
      role: 'model',
      parts: [
        { functionCall: { name: 'Bash', args: { command: 'ls' } }, thoughtSignature: 'U0lH' },
        { functionCall: { name: 'Bash', args: {} } },
      ],
    },
    {
      role: 'user',
      parts: [
        { functionResponse: { name: 'Bash', response: { output: 'ok' } } },
        { functionResponse: { name: 'Bash', response: { output: 'ok' } } },
      ],
    },
  ]);
  assert.doesNotMatch(JSON.stringify(contents('elsewhere')), /U0lH/);
});

test("the Gemini CLI keeps another provider's signature on the call that follows it", () => {
  const request = { contents: [{ role: 'user', parts: [{ text: 'q' }] }] };
  const first = translate('gemini_generate_content', 'anthropic_messages', request);
  const content = [
    { type: 'thinking', thinking: 'Hm.', signature: 'SIG' },
    { type: 'tool_use', id: 'toolu_1', name: 'ls', input: {} },
  ];
  const answer = first.answers.whole(
    200,
    Buffer.from(JSON.stringify({ id: 'm', content, stop_reason: 'tool_use' })),
  );
  const { candidates } = JSON.parse(answer.body.toString()) as {
    candidates: { content: { parts: Record<string, unknown>[] } }[];
  };
  // The CLI drops thoughts and keeps calls as they came.
  const call = candidates[0]?.content.parts.find((part) => part['functionCall'] !== undefined);
  assert.match(String(call?.['thoughtSignature']), /^[A-Za-z0-9+/]+=*$/);
  const reply = { functionResponse: { id: 'toolu_1', name: 'ls', response: { output: 'a' } } };
  const next = {
    contents: [...request.contents, { role: 'model', parts: [call] }, { role: 'user', parts: [reply] }],
    generationConfig: { thinkingConfig: { thinkingBudget: 2_000, includeThoughts: true } },
  };
  const { json } = translate('gemini_generate_content', 'anthropic_messages', next, {
    target: { model: 'claude-sonnet-4-5' },
  });
  assert.deepEqual(json['messages'], [
    { role: 'user', content: [{ type: 'text', text: 'q' }] },
    { role: 'assistant', content },
    {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'a' }] }],
    },
  ]);
  assert.deepEqual(json['thinking'], { type: 'enabled', budget_tokens: 2_000 });
});

test("snake case, Google's schemas and calls without ids are read as what they mean", () => {
  const request = {
    system_instruction: { parts: [{ text: 'Be brief.' }] },
    contents: [
      { role: 'user', parts: [{ text: 'q' }, { inline_data: { mime_type: 'image/png', data: 'AA' } }] },
      {
        role: 'model',
        parts: [{ function_call: { name: 'a', args: {} } }, { functionCall: { name: 'a', args: { x: 1 } } }],
      },
      {
        role: 'user',
        parts: [
          { functionResponse: { name: 'a', response: { error: 'no' } } },
          { function_response: { name: 'a', response: { rows: [1] } } },
        ],
      },
    ],
    tools: [
      {
        function_declarations: [
          {
            name: 'a',
            parameters: {
              type: 'OBJECT',
              properties: {
                type: { type: 'STRING', nullable: true },
                list: { type: 'ARRAY', items: { type: 'NUMBER' } },
              },
            },
          },
          { name: 'b' },
        ],
      },
      { googleSearch: {} },
    ],
    tool_config: { function_calling_config: { mode: 'ANY', allowed_function_names: ['a'] } },
    safetySettings: [{ category: 'x' }],
    generation_config: { max_output_tokens: 77, stop_sequences: ['END'], candidateCount: 2 },
  };
  const { json, losses } = translate('gemini_generate_content', 'openai_chat', request);
  assert.deepEqual(losses, [
    'generationConfig.candidateCount',
    'messages.is_error',
    'safetySettings',
    'tools.googleSearch',
  ]);
  assert.deepEqual(json, {
    model: 'target-model',
    messages: [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'q' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_0', type: 'function', function: { name: 'a', arguments: '{}' } },
          { id: 'call_1', type: 'function', function: { name: 'a', arguments: '{"x":1}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_0', content: 'no' },
      { role: 'tool', tool_call_id: 'call_1', content: '{"rows":[1]}' },
    ],
    max_completion_tokens: 77,
    stop: ['END'],
    tools: [
      {
        type: 'function',
        function: {
          name: 'a',
          parameters: {
            type: 'object',
            properties: {
              type: { type: ['string', 'null'] },
              list: { type: 'array', items: { type: 'number' } },
            },
          },
        },
      },
    ],
    tool_choice: 'required',
    stream: false,
  });
});

test('contents that Google keeps are refused', () => {
  for (const change of [
    { cachedContent: 'cachedContents/1' },
    { cached_content: 'cachedContents/1' },
    { contents: 7 },
  ]) {
    const made = tryTranslate('gemini_generate_content', 'openai_chat', { contents: [], ...change });
    assert.ok(isTranslationProblem(made), JSON.stringify(change));
  }
});

test('efforts become budgets in 2.5 and levels from 3 on, and nothing before', () => {
  const config = (model: string): unknown => {
    const request = { input: 'q', reasoning: { effort: 'medium' }, store: false };
    const { json, losses } = translate('openai_responses', 'gemini_generate_content', request, {
      target: { model },
    });
    return (json['generationConfig'] as { thinkingConfig: unknown } | undefined)?.thinkingConfig ?? losses;
  };
  assert.deepEqual(config('gemini-2.5-pro'), { thinkingBudget: 16_384 });
  assert.deepEqual(config('gemini-3.5-flash'), { thinkingLevel: 'medium' });
  assert.deepEqual(config('gemini-2.0-flash'), ['reasoning']);
});
