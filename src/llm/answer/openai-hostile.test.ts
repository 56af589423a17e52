/**
 * What servers send that is odd, and what a hostile one would send to get a governed call past the
 * gate: either every reader sees what was decided, or the stream ends with a fault.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Format } from '../surface.ts';
import { createAnswerEditor, createReplayRest, editWholeAnswer } from './index.ts';
import {
  chunk,
  delta,
  namedSse,
  outputItem,
  response,
  RESPONSES_STREAMED,
  responsesEvents,
  SSE,
  sse,
  type Block,
  type Turn,
} from './openai-turns.fixture.ts';
import {
  allow,
  deny,
  gateOf,
  later,
  piecesOf,
  runEditor,
  type EditedStream,
  type TestGate,
} from './streams/answer-run.fixture.ts';

const NO = deny('refused: no shell');
const BASH: Block = { call: 'Bash', id: 'call_1', args: '{"command":"ls"}', kind: 'function' };
const TURN: Turn = { blocks: [{ text: 'Hm.' }, BASH], stop: 'tool_calls' };

async function run(
  format: Format,
  bytes: Buffer,
  gate: TestGate = gateOf({ Bash: NO }),
): Promise<EditedStream> {
  const editor = createAnswerEditor(format, gate.edits, { contentType: SSE, streamed: true });
  assert.ok(editor);
  return runEditor(editor, [bytes]);
}

const chat = (...events: string[]): Promise<EditedStream> => run('openai_chat', sse(events));
const call = (
  index: number | undefined,
  name: string,
  args: string,
  id: string | undefined = `call_${name}`,
): object => ({
  ...(index === undefined ? {} : { index }),
  ...(id === '' ? {} : { id }),
  type: 'function',
  function: { name, arguments: args },
});
const toolCalls = (...calls: object[]): string => chunk([delta({ tool_calls: calls })]);
const END = chunk([delta({}, 'tool_calls')]);

interface SeenCall {
  readonly index: number;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

/** The chunks that went on. */
function chunks({ bytes }: EditedStream): {
  choices: {
    index: number;
    delta: { content?: string; tool_calls?: SeenCall[] };
    finish_reason: string | null;
  }[];
}[] {
  return bytes
    .toString()
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));
}

function callsIn(edited: EditedStream): string[] {
  return chunks(edited).flatMap(({ choices }) =>
    choices.flatMap((choice) =>
      (choice.delta.tool_calls ?? []).map(
        (seen) => `${seen.index}:${seen.function?.name ?? ''}${seen.function?.arguments ?? ''}`,
      ),
    ),
  );
}

function said(edited: EditedStream, choice = 0): string {
  return chunks(edited)
    .flatMap(({ choices }) =>
      choices.filter(({ index }) => index === choice).map((each) => each.delta.content ?? ''),
    )
    .join('');
}

void suite('Chat Completions as compatible servers send them', () => {
  test('whole calls in one chunk, without index or id', async () => {
    const edited = await chat(toolCalls(call(undefined, 'Bash', '{}', '')), END, '[DONE]');
    assert.equal(edited.fault, null);
    assert.deepEqual([callsIn(edited), said(edited)], [[], 'refused: no shell']);
    assert.equal(chunks(edited).at(-1)?.choices[0]?.finish_reason, 'stop');
  });

  test('two whole calls in one chunk: the one that stays gets the first index', async () => {
    const edited = await chat(toolCalls(call(0, 'Bash', '{}'), call(1, 'Read', '{}')), END, '[DONE]');
    assert.deepEqual(callsIn(edited), ['0:Read{}']);
    assert.equal(chunks(edited).at(-1)?.choices[0]?.finish_reason, 'tool_calls');
  });

  test('parallel calls that all have index 0 are told apart by their ids', async () => {
    const gate = gateOf({ Bash: allow });
    const bytes = sse([
      toolCalls(call(0, 'Read', '{"a":1}')),
      toolCalls(call(0, 'Bash', '{}')),
      END,
      '[DONE]',
    ]);
    const edited = await run('openai_chat', bytes, gate);
    assert.deepEqual(callsIn(edited), ['0:Read{"a":1}', '1:Bash{}']);
    assert.deepEqual(
      gate.asked.map(({ argumentsText }) => argumentsText),
      ['{}'],
    );
  });

  test('a name that is repeated in every chunk', async () => {
    const edited = await chat(
      toolCalls(call(0, 'Bash', '{"a"')),
      toolCalls(call(0, 'Bash', ':1}')),
      END,
      '[DONE]',
    );
    assert.deepEqual([edited.fault, callsIn(edited)], [null, []]);
  });

  test('a call whose name comes after its id', async () => {
    const open = toolCalls({ index: 0, id: 'call_1', type: 'function', function: { arguments: '' } });
    const named = (name: string): string => toolCalls({ index: 0, function: { name, arguments: '{}' } });
    const [denied, passed] = await Promise.all([
      chat(open, named('Bash'), END, '[DONE]'),
      chat(open, named('Read'), END, '[DONE]'),
    ]);
    assert.deepEqual([denied.fault, callsIn(denied)], [null, []]);
    assert.ok(passed.bytes.equals(sse([open, named('Read'), END, '[DONE]'])));
  });

  test('no finish reason before [DONE]', async () => {
    const edited = await chat(toolCalls(call(0, 'Bash', '{}')), '[DONE]');
    assert.deepEqual([edited.fault, callsIn(edited)], [null, []]);
    assert.match(edited.bytes.toString(), /refused: no shell[^]*\[DONE\]/);
  });

  test('arguments as an object', async () => {
    const gate = gateOf({ Bash: allow });
    const piece = { index: 0, id: 'c', function: { name: 'Bash', arguments: { command: 'ls' } } };
    const bytes = sse([toolCalls(piece), END, '[DONE]']);
    const edited = await run('openai_chat', bytes, gate);
    assert.ok(edited.bytes.equals(bytes));
    assert.deepEqual(gate.asked[0]?.arguments, { command: 'ls' });
  });

  test('text and a call in one chunk: the text stays, the refusal is a paragraph behind it', async () => {
    const edited = await chat(
      chunk([delta({ content: 'Now:', tool_calls: [call(0, 'Bash', '{}')] })]),
      END,
      '[DONE]',
    );
    assert.deepEqual([callsIn(edited), said(edited)], [[], 'Now:\n\nrefused: no shell']);
  });

  test('several choices are judged apart, and each gets its own reason', async () => {
    const both = chunk([
      delta({ tool_calls: [call(0, 'Bash', '{}')] }, null, 0),
      delta({ tool_calls: [call(0, 'Read', '{}')] }, null, 1),
    ]);
    const edited = await chat(
      both,
      chunk([delta({}, 'tool_calls', 0), delta({}, 'tool_calls', 1)]),
      '[DONE]',
    );
    assert.deepEqual(
      [callsIn(edited), said(edited, 0), said(edited, 1)],
      [['0:Read{}'], 'refused: no shell', ''],
    );
    const reasons = chunks(edited)
      .at(-1)
      ?.choices.map(({ finish_reason }) => finish_reason);
    assert.deepEqual(reasons, ['stop', 'tool_calls']);
  });

  test('the older function_call', async () => {
    const open = chunk([delta({ function_call: { name: 'Bash', arguments: '' } })]);
    const rest = chunk([delta({ function_call: { arguments: '{}' } })]);
    const edited = await chat(open, rest, chunk([delta({}, 'function_call')]), '[DONE]');
    assert.doesNotMatch(edited.bytes.toString(), /function_call/);
    assert.equal(chunks(edited).at(-1)?.choices[0]?.finish_reason, 'stop');
  });

  test('an error of the provider passes; a call that was not whole is gone', async () => {
    const error = JSON.stringify({ error: { message: 'overloaded', code: 500 } });
    const edited = await chat(toolCalls(call(0, 'Bash', '{"a"')), error);
    assert.deepEqual([edited.fault, edited.bytes.toString()], [null, `data: ${error}\n\n`]);
  });

  test('usage and comments pass, also beside a refusal', async () => {
    const usage = chunk([], { usage: { prompt_tokens: 1 } });
    const bytes = Buffer.concat([
      Buffer.from(': hello\r\n\r\n'),
      sse([toolCalls(call(0, 'Bash', '{}')), END, usage, '[DONE]']),
    ]);
    const edited = await run('openai_chat', bytes);
    assert.match(
      edited.bytes.toString(),
      /^: hello\r\n\r\n[^]*"usage":\{"prompt_tokens":1\}[^]*\[DONE\]\n\n$/,
    );
  });
});

void suite('Chat Completions that would smuggle a call', () => {
  const smuggled: readonly [string, string[]][] = [
    [
      'a key twice',
      [
        `{"choices":[{"index":0,"delta":{"tool_calls":[],"tool_calls":[${JSON.stringify(call(0, 'Bash', '{}'))}]}}]}`,
      ],
    ],
    [
      'a key in two cases',
      [
        `{"choices":[{"index":0,"delta":{"tool_calls":[],"Tool_calls":[${JSON.stringify(call(0, 'Bash', '{}'))}]}}]}`,
      ],
    ],
    ['two names for one call', [toolCalls(call(0, 'Ba', '{}')), toolCalls(call(0, 'sh', '', 'call_Ba'))]],
    [
      'a call of two kinds',
      [toolCalls({ index: 0, id: 'c', function: { name: 'Read' }, custom: { name: 'Bash', input: '' } })],
    ],
    [
      'a whole message in a chunk',
      [JSON.stringify({ choices: [{ index: 0, message: { tool_calls: [call(0, 'Bash', '{}')] } }] })],
    ],
    [
      'a whole message beside a piece of another call',
      [
        JSON.stringify({
          choices: [
            {
              index: 0,
              delta: { tool_calls: [call(0, 'Read', '{}')] },
              message: { tool_calls: [call(0, 'Bash', '{}')] },
            },
          ],
        }),
      ],
    ],
    [
      'arguments after the end of the call',
      [toolCalls(call(0, 'Bash', '{}')), END, toolCalls({ index: 0, function: { arguments: '[1]' } })],
    ],
    ['a call without a name', [toolCalls({ index: 0, id: 'c', function: { arguments: '{}' } }), END]],
    ['an index that is none', [toolCalls({ ...call(0, 'Bash', '{}'), index: -1 })]],
    ['tool_calls that are no list', [chunk([delta({ tool_calls: { 0: call(0, 'Bash', '{}') } })])]],
    ['data that is no JSON', ['{"choices":[{"delta":{"tool_calls":[']],
    ['an end within the call', [toolCalls(call(0, 'Bash', '{}'))]],
  ];
  for (const [name, events] of smuggled) {
    test(`${name}: a fault, and nothing of the call`, async () => {
      const edited = await chat(...events);
      assert.notEqual(edited.fault, null);
      assert.doesNotMatch(edited.bytes.toString(), /Bash|"sh"/);
    });
  }

  test('names and keys in escapes are read as what they spell', async () => {
    const escaped = sse([toolCalls(call(0, 'Bash', '{}')), END, '[DONE]'])
      .toString()
      .replace('tool_calls', String.raw`t\u006fol\u005fcalls`)
      .replace('"Bash"', String.raw`"\u0042ash"`);
    const edited = await run('openai_chat', Buffer.from(escaped));
    assert.deepEqual([edited.fault, callsIn(edited)], [null, []]);
  });

  test('odd framing changes nothing: CR, CRLF, data in several lines, a byte order mark', async () => {
    for (const end of ['\r', '\r\n', '\n']) {
      const [open, close] = toolCalls(call(0, 'Bash', '{}')).split(',"created"');
      const events = [
        `data: ${open}`,
        `data: ,"created"${close}`,
        '',
        `data:${END}`,
        '',
        'data: [DONE]',
        '',
        '',
      ];
      const edited = await run('openai_chat', Buffer.from(`\u{feff}${events.join(end)}`));
      assert.deepEqual([edited.fault, callsIn(edited)], [null, []]);
    }
  });

  test('a call larger than what may be held is refused, and the stream goes on', async () => {
    const gate = gateOf({ Bash: allow }, { heldMaxBytes: 500 });
    const more = Array.from({ length: 9 }, () =>
      toolCalls({ index: 0, function: { arguments: 'x'.repeat(99) } }),
    );
    const edited = await run(
      'openai_chat',
      sse([toolCalls(call(0, 'Bash', '')), ...more, END, '[DONE]']),
      gate,
    );
    assert.deepEqual([edited.fault, callsIn(edited), said(edited)], [null, [], 'too large to decide']);
    assert.deepEqual(edited.refused, [{ id: 'call_Bash', name: 'Bash', text: 'too large to decide' }]);
    assert.equal(chunks(edited).at(-1)?.choices[0]?.finish_reason, 'stop');
  });
});

const item = (more: object = {}): Record<string, unknown> => ({ ...outputItem(BASH, 'completed'), ...more });
const added = (value: object, output_index = 0): Record<string, unknown> => ({
  type: 'response.output_item.added',
  output_index,
  item: value,
});
const done = (value: object, output_index = 0): Record<string, unknown> => ({
  type: 'response.output_item.done',
  output_index,
  item: value,
});
const completed = (...output: object[]): Record<string, unknown> => ({
  type: 'response.completed',
  response: { ...response(TURN, ''), output },
});
const READ = { ...outputItem({ ...BASH, call: 'Read' }, 'completed') };

void suite('Responses that would smuggle a call', () => {
  const smuggled: readonly [string, Record<string, unknown>[]][] = [
    [
      'arguments of a call that never began',
      [
        {
          type: 'response.function_call_arguments.done',
          output_index: 0,
          item_id: 'fc_1',
          name: 'Bash',
          arguments: '{}',
        },
      ],
    ],
    ['a call that ends as another', [added(READ), done(item())]],
    [
      'a message that ends as a call',
      [added({ ...outputItem({ text: 'of a _call' }, ''), id: 'fc_1' }), done(item({ id: 'fc_1' }))],
    ],
    ['an index used twice', [added(READ), added(item())]],
    ['an end that comes twice', [added(READ), done(READ), done(item())]],
    [
      'an index of one item and the id of another',
      [
        added(READ),
        { type: 'response.function_call_arguments.delta', output_index: 0, item_id: 'other', delta: 'x' },
      ],
    ],
    ['a call without a name', [added(item({ name: undefined }))]],
    ['an item without a type', [added(item({ type: 7 }))]],
    ['an unknown event with a call', [{ type: 'response.new_thing', item: item() }]],
    ['an end within the call', [added(item())]],
  ];
  for (const [name, events] of smuggled) {
    test(`${name}: a fault, and nothing of the call`, async () => {
      const edited = await run('openai_responses', namedSse(events));
      assert.notEqual(edited.fault, null);
      assert.doesNotMatch(edited.bytes.toString(), /Bash/);
    });
  }

  test('an event named otherwise than it is typed: a fault, whichever of the two a reader takes', async () => {
    const data = JSON.stringify({
      type: 'response.output_text.delta',
      item_id: 'fc_1',
      delta: '',
      arguments: '{}',
    });
    const bytes = Buffer.from(`event: response.function_call_arguments.done\ndata: ${data}\n\n`);
    const edited = await run('openai_responses', bytes);
    assert.deepEqual([edited.fault, edited.bytes.length], ['an event has two types', 0]);
  });

  test('an error of the provider passes; a call that was not whole is gone', async () => {
    const error = { type: 'error', message: 'overloaded', sequence_number: 2 };
    const edited = await run('openai_responses', namedSse([added(item({ arguments: '' })), error]));
    assert.deepEqual([edited.fault, edited.bytes.toString()], [null, namedSse([error]).toString()]);
  });

  test('a call that only the whole response has is decided there', async () => {
    const edited = await run(
      'openai_responses',
      namedSse([completed(item(), READ)]),
      gateOf({ Bash: later(NO) }),
    );
    assert.equal(edited.fault, null);
    assert.doesNotMatch(edited.bytes.toString(), /Bash/);
    assert.match(edited.bytes.toString(), /"msg_pst_fc_call_1"[^]*"Read"/);
  });

  test('a whole response that asks for more than was allowed is decided again', async () => {
    const gate = gateOf({ Bash: allow });
    const events = [
      added(item({ arguments: '' })),
      done(item()),
      completed(item({ arguments: '{"command":"rm"}' })),
    ];
    await run('openai_responses', namedSse(events), gate);
    assert.deepEqual(
      gate.asked.map(({ argumentsText }) => argumentsText),
      ['{"command":"ls"}', '{"command":"rm"}'],
    );
  });

  test('deltas that say other than the item: what was decided is written anew', async () => {
    const events = [
      added(item({ arguments: '' })),
      {
        type: 'response.function_call_arguments.delta',
        output_index: 0,
        item_id: item()['id'],
        delta: '{"command":"rm"}',
      },
      done(item()),
      completed(item()),
    ];
    const edited = await run('openai_responses', namedSse(events), gateOf({ Bash: allow }));
    assert.equal(edited.fault, null);
    assert.doesNotMatch(edited.bytes.toString(), /"rm/);
  });

  test('a call whose end never came is taken from the whole response', async () => {
    const events = namedSse([added(item({ arguments: '' })), completed(item())]);
    const edited = await run('openai_responses', events);
    assert.equal(edited.fault, null);
    assert.doesNotMatch(edited.bytes.toString(), /Bash/);
  });

  test('a call larger than what may be held is refused in its events and in the whole response', async () => {
    const gate = gateOf({ Bash: allow }, { heldMaxBytes: 600 });
    const large: Block = { ...BASH, args: `{"x":"${'y'.repeat(2_000)}"}` };
    const bytes = RESPONSES_STREAMED.write({ ...TURN, blocks: [large, { text: 'after' }] });
    const edited = await run('openai_responses', bytes, gate);
    assert.equal(edited.fault, null);
    assert.deepEqual((await RESPONSES_STREAMED.read(edited.bytes)).blocks, [
      { text: 'too large to decide' },
      { text: 'after' },
    ]);
    assert.deepEqual(
      edited.refused.map(({ id, original }) => [id, JSON.parse(original ?? '{}').call_id]),
      [['call_1', 'call_1']],
    );
  });

  test('items that the provider runs are no calls', async () => {
    const shell = {
      ...outputItem({ call: 'shell', id: 'c', args: '{"commands":[]}', kind: 'shell' }, 'completed'),
      environment: { type: 'container_reference' },
    };
    const items = [
      shell,
      { id: 'ws_1', type: 'web_search_call', status: 'completed' },
      { id: 'm', type: 'mcp_call', name: 'x', arguments: '' },
    ];
    const bytes = namedSse([
      ...items.flatMap((each, at) => [added(each, at), done(each, at)]),
      completed(...items),
    ]);
    const edited = await run('openai_responses', bytes, gateOf({ shell: NO, web_search: NO, Bash: NO }));
    assert.equal(edited.fault, null);
    assert.ok(edited.bytes.equals(bytes));
  });

  test('a call of a kind to come is governed by the name of its type', async () => {
    const future = { id: 'x_1', type: 'browser_call', call_id: 'c', status: 'completed', url: 'https://a' };
    const gate = gateOf({ browser: NO });
    const edited = await run(
      'openai_responses',
      namedSse([added(future), done(future), completed(future)]),
      gate,
    );
    assert.deepEqual(
      gate.asked.map(({ name, argumentsText }) => [name, argumentsText]),
      [['browser', '{"url":"https://a"}']],
    );
    assert.doesNotMatch(edited.bytes.toString(), /browser_call/);
  });

  test('the numbers of the events stay in order, and those that follow keep theirs', async () => {
    const events = responsesEvents({ ...TURN, blocks: [BASH, { text: 'after' }] });
    const edited = await run('openai_responses', namedSse(events));
    const numbers = [...edited.bytes.toString().matchAll(/"sequence_number":(\d+)/g)].map((match) =>
      Number(match[1]),
    );
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    assert.equal(numbers.at(-1), events.length - 1);
  });

  test('the rest of a replay begins behind the last event that the caller has, edited as the whole', async () => {
    const { bytes } = await run('openai_responses', namedSse(responsesEvents(TURN)));
    const whole = bytes.toString().split(/(?<=\n\n)/);
    const numberOf = (event: string): number => Number(/"sequence_number":(\d+)/.exec(event)?.[1]);
    for (const after of [0, 7, 11, 15]) {
      const rest = createReplayRest(after);
      const got = Buffer.concat([...piecesOf(bytes, [33]).map((piece) => rest.push(piece)), rest.finish()]);
      assert.equal(got.toString(), whole.filter((event) => numberOf(event) > after).join(''));
    }
  });

  test('a stored response, a page of items, a single item: the call is gone as well', async () => {
    const gate = gateOf({ Bash: NO });
    for (const stored of [
      { ...response(TURN, 'completed') },
      { object: 'list', data: [READ, item()] },
      item(),
    ]) {
      const { body, fault } = await editWholeAnswer(
        'openai_objects',
        Buffer.from(JSON.stringify(stored)),
        gate.edits,
      );
      assert.equal(fault, null);
      assert.doesNotMatch(body.toString(), /Bash/);
      assert.match(body.toString(), /msg_pst_fc_call_1/);
    }
  });
});
