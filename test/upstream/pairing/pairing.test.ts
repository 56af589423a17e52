/** The pairing rules of each provider, as its public documentation and its error messages tell them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../json.ts';
import {
  checkPairing,
  createPairingState,
  rememberAnswer,
  type PairingDialect,
  type PairingState,
} from './index.ts';

interface Case {
  readonly title: string;
  readonly dialect: PairingDialect;
  readonly body: JsonObject;
  /** What the refusal says; null where the history is accepted. */
  readonly refused: RegExp | null;
}

const user = (...content: JsonObject[]): JsonObject => ({ role: 'user', content });
const assistant = (...content: JsonObject[]): JsonObject => ({ role: 'assistant', content });
const say = (text: string): JsonObject => ({ type: 'text', text });
const use = (id: string): JsonObject => ({ type: 'tool_use', id, name: 'f', input: {} });
const result = (id: string): JsonObject => ({ type: 'tool_result', tool_use_id: id, content: 'x' });
const thought = (thinking: string, signature = 's1'): JsonObject => ({
  type: 'thinking',
  thinking,
  signature,
});

const ANTHROPIC: readonly [string, JsonObject, RegExp | null][] = [
  [
    'a call with its result',
    { messages: [user(say('q')), assistant(use('a')), user(result('a'), say('go'))] },
    null,
  ],
  [
    'a call without its result',
    { messages: [user(say('q')), assistant(use('a')), user(say('go'))] },
    /without `tool_result`/,
  ],
  [
    'a call that ends the history',
    { messages: [user(say('q')), assistant(use('a'))] },
    /without `tool_result`/,
  ],
  [
    'a result without its call',
    { messages: [user(say('q')), assistant(say('t')), user(result('a'))] },
    /unexpected `tool_use_id`/,
  ],
  [
    'one of two results',
    { messages: [user(say('q')), assistant(use('a'), use('b')), user(result('a'))] },
    /: b$/,
  ],
  [
    'a text before the result',
    { messages: [user(say('q')), assistant(use('a')), user(say('x'), result('a'))] },
    /must come first/,
  ],
  [
    'two results of one call',
    { messages: [user(say('q')), assistant(use('a')), user(result('a'), result('a'))] },
    /single result/,
  ],
  [
    'one id twice',
    { messages: [user(say('q')), assistant(use('a'), use('a')), user(result('a'))] },
    /unique/,
  ],
  ['an empty text', { messages: [user(say('q')), assistant(say(' ')), user(say('go'))] }, /non-whitespace/],
  [
    'a message without content',
    { messages: [user(say('q')), assistant(), user(say('go'))] },
    /non-empty content/,
  ],
  ['an assistant first', { messages: [assistant(say('q'))] }, /first message/],
  [
    'signed thinking, then text in place of a call',
    { messages: [user(say('q')), assistant(thought('t'), say('no')), user(say('go'))] },
    null,
  ],
  [
    'changed thinking',
    { messages: [user(say('q')), assistant(thought('u'), say('no')), user(say('go'))] },
    /cannot be modified/,
  ],
  [
    'thinking of another',
    { messages: [user(say('q')), assistant(thought('t', 's2'), say('no')), user(say('go'))] },
    /Invalid `signature`/,
  ],
  [
    'a tool turn without its thinking',
    { thinking: { type: 'enabled' }, messages: [user(say('q')), assistant(use('a')), user(result('a'))] },
    /Expected `thinking`/,
  ],
];

const chat = (role: string, more: JsonObject): JsonObject => ({ role, ...more });
const calls = (...ids: string[]): JsonObject =>
  chat('assistant', {
    content: null,
    tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } })),
  });
const tool = (id: string): JsonObject => chat('tool', { tool_call_id: id, content: 'x' });

const CHAT: readonly [string, JsonObject, RegExp | null][] = [
  [
    'calls with their results',
    { messages: [chat('user', { content: 'q' }), calls('a', 'b'), tool('b'), tool('a')] },
    null,
  ],
  [
    'one result missing',
    { messages: [calls('a', 'b'), tool('b'), chat('user', { content: 'q' })] },
    /did not have response messages: a$/,
  ],
  [
    'a result later on',
    { messages: [calls('a'), chat('user', { content: 'q' }), tool('a')] },
    /did not have response messages/,
  ],
  [
    'a result of no call',
    { messages: [chat('assistant', { content: 'no' }), tool('a')] },
    /must be a response/,
  ],
  ['a result of another call', { messages: [calls('a'), tool('a'), tool('b')] }, /must be a response/],
  [
    'an empty list of calls',
    { messages: [chat('assistant', { content: 'x', tool_calls: [] })] },
    /empty array/,
  ],
  ['an assistant with nothing', { messages: [chat('assistant', { content: null })] }, /got null/],
  ['one id twice', { messages: [calls('a', 'a'), tool('a')] }, /id of its own/],
];

const bedrockUse = (id: string): JsonObject => ({ toolUse: { toolUseId: id, name: 'f', input: {} } });
const bedrockResult = (id: string): JsonObject => ({ toolResult: { toolUseId: id, content: [] } });
const reasoned = (text: string): JsonObject => ({
  reasoningContent: { reasoningText: { text, signature: 's1' } },
});
const plain = (text: string): JsonObject => ({ text });
const toolConfig = {};

const BEDROCK: readonly [string, JsonObject, RegExp | null][] = [
  [
    'a call with its result',
    { toolConfig, messages: [user(plain('q')), assistant(bedrockUse('a')), user(bedrockResult('a'))] },
    null,
  ],
  [
    'a call without its result',
    { toolConfig, messages: [user(plain('q')), assistant(bedrockUse('a')), user(plain('x'))] },
    /Expected toolResult blocks at messages.2/,
  ],
  [
    'a result without its call',
    { toolConfig, messages: [user(plain('q')), assistant(plain('a')), user(bedrockResult('a'))] },
    /exceeds the number of toolUse/,
  ],
  [
    'calls without toolConfig',
    { messages: [user(plain('q')), assistant(bedrockUse('a')), user(bedrockResult('a'))] },
    /toolConfig field must be defined/,
  ],
  ['two turns of one role', { messages: [user(plain('q')), user(plain('q'))] }, /must alternate/],
  ['a blank text', { messages: [user(plain(' '))] }, /is blank/],
  ['an empty content', { messages: [user()] }, /is empty/],
  ['an assistant first', { messages: [assistant(plain('q'))] }, /must start with a user/],
  [
    'signed reasoning unchanged',
    { messages: [user(plain('q')), assistant(reasoned('t'), plain('no')), user(plain('x'))] },
    null,
  ],
  [
    'changed reasoning',
    { messages: [user(plain('q')), assistant(reasoned('u'), plain('no')), user(plain('x'))] },
    /cannot be modified/,
  ],
];

const contents = (...turns: [string, ...JsonObject[]][]): JsonObject => ({
  contents: turns.map(([role, ...parts]) => ({ role, parts })),
});
const call = (name: string, thoughtSignature?: string): JsonObject => ({
  functionCall: { name, args: {} },
  ...(thoughtSignature === undefined ? {} : { thoughtSignature }),
});
const response = (name: string): JsonObject => ({ functionResponse: { name, response: {} } });

const GEMINI: readonly [string, JsonObject, RegExp | null][] = [
  [
    'parallel calls, the first one signed',
    contents(
      ['user', plain('q')],
      ['model', call('f', 'sig-f'), call('g')],
      ['user', response('f'), response('g')],
    ),
    null,
  ],
  [
    'a call without its signature',
    contents(['user', plain('q')], ['model', call('f')], ['user', response('f')]),
    /missing a thought_signature.*`f`/,
  ],
  [
    'a step of an earlier turn without its signature',
    contents(
      ['user', plain('q')],
      ['model', call('f')],
      ['user', response('f')],
      ['model', plain('a')],
      ['user', plain('q')],
    ),
    null,
  ],
  [
    'a signature on another call',
    contents(['user', plain('q')], ['model', call('g', 'sig-f')], ['user', response('g')]),
    /not valid/,
  ],
  [
    'a signature of a call on a text',
    contents(
      ['user', plain('q')],
      ['model', { text: 'no', thoughtSignature: 'sig-f' }],
      ['user', response('f')],
    ),
    /function response turn comes immediately after/,
  ],
  [
    'an unknown signature',
    contents(['user', plain('q')], ['model', call('f', 'x')], ['user', response('f')]),
    /Corrupted/,
  ],
  [
    'the documented placeholder',
    contents(
      ['user', plain('q')],
      ['model', call('f', 'skip_thought_signature_validator')],
      ['user', response('f')],
    ),
    null,
  ],
  [
    'fewer responses than calls',
    contents(['user', plain('q')], ['model', call('f', 'sig-f'), call('g')], ['user', response('f')]),
    /number of function response parts/,
  ],
  [
    'a response of another name',
    contents(['user', plain('q')], ['model', call('f', 'sig-f')], ['user', response('g')]),
    /name the functions/,
  ],
  [
    'a call after a turn of the model',
    contents(
      ['user', plain('q')],
      ['model', plain('a')],
      ['model', call('f', 'sig-f')],
      ['user', response('f')],
    ),
    /function call turn comes immediately after/,
  ],
  [
    'a content without parts',
    contents(['user', plain('q')], ['model'], ['user', plain('q')]),
    /must not be empty/,
  ],
];

const fc = (id: string): JsonObject => ({
  type: 'function_call',
  id: `fc_${id}`,
  call_id: id,
  name: 'f',
  arguments: '{}',
});
const out = (id: string): JsonObject => ({ type: 'function_call_output', call_id: id, output: 'x' });
const rs = (id = 'rs_1'): JsonObject => ({ type: 'reasoning', id, summary: [] });
const ask: JsonObject = { role: 'user', content: 'q' };
const noId = (item: JsonObject): JsonObject => ({ ...item, id: undefined });
const message = (id: string): JsonObject => ({
  type: 'message',
  role: 'assistant',
  id,
  content: [{ type: 'output_text', text: 'no' }],
});

const RESPONSES: readonly [string, JsonObject, RegExp | null][] = [
  [
    'a stored response gone on from with the outputs',
    { previous_response_id: 'resp_1', input: [out('a'), out('b')] },
    null,
  ],
  [
    'a stored response without an output',
    { previous_response_id: 'resp_1', input: [out('a')] },
    /No tool output found for function call b/,
  ],
  [
    'a stored response, text only',
    { previous_response_id: 'resp_1', input: 'go on' },
    /No tool output found for function call a/,
  ],
  ['an unknown response', { previous_response_id: 'resp_2', input: 'q' }, /not found/],
  [
    'a conversation without its outputs',
    { conversation: { id: 'conv_1' }, input: 'q' },
    /No tool output found/,
  ],
  ['all items back', { input: [ask, rs(), fc('a'), fc('b'), out('b'), out('a')] }, null],
  [
    'all items back without ids',
    { input: [ask, rs(), noId(fc('a')), out('a'), noId(fc('b')), out('b')] },
    null,
  ],
  [
    'all items back by reference',
    {
      input: [
        ask,
        ...['rs_1', 'fc_a', 'fc_b'].map((id) => ({ type: 'item_reference', id })),
        out('a'),
        out('b'),
      ],
    },
    null,
  ],
  [
    'a reference to nothing',
    { input: [ask, { type: 'item_reference', id: 'msg_x' }] },
    /Item with id 'msg_x' not found/,
  ],
  ['an output without its call', { input: [ask, out('a')] }, /No tool call found/],
  ['an output before its call', { input: [ask, out('a'), noId(fc('a'))] }, /No tool call found/],
  ['two outputs of one call', { input: [ask, rs(), fc('a'), out('a'), out('a')] }, /Duplicate tool output/],
  ['reasoning at the end', { input: [ask, rs()] }, /without its required following item/],
  [
    'reasoning with another item after it',
    { input: [ask, rs(), message('msg_9'), ask] },
    /without its required following item/,
  ],
  [
    'a call without its reasoning',
    { input: [ask, fc('a'), out('a')] },
    /without its required 'reasoning' item: 'rs_1'/,
  ],
  [
    'an item twice',
    { previous_response_id: 'resp_1', input: [fc('a'), out('a'), out('b')] },
    /Duplicate item found/,
  ],
  ['an id of the wrong kind', { input: [ask, message('fc_9')] }, /begins with 'msg'/],
  [
    'a local shell call with its output',
    {
      input: [
        ask,
        { type: 'local_shell_call', call_id: 'l' },
        { type: 'local_shell_call_output', call_id: 'l', output: '' },
      ],
    },
    null,
  ],
];

function prepared(): PairingState {
  const state = createPairingState();
  rememberAnswer('anthropic', {}, { content: [thought('t')] }, state);
  rememberAnswer('bedrock', {}, { output: { message: assistant(reasoned('t')) } }, state);
  rememberAnswer('gemini', {}, { candidates: [{ content: { parts: [call('f', 'sig-f')] } }] }, state);
  const answer = { id: 'resp_1', output: [rs(), fc('a'), fc('b')] };
  rememberAnswer('openai_responses', { input: [ask], conversation: 'conv_1' }, answer, state);
  return state;
}

const CASES: readonly Case[] = [
  ...ANTHROPIC.map((row) => toCase('anthropic', row)),
  ...CHAT.map((row) => toCase('openai_chat', row)),
  ...BEDROCK.map((row) => toCase('bedrock', row)),
  ...GEMINI.map((row) => toCase('gemini', row)),
  ...RESPONSES.map((row) => toCase('openai_responses', row)),
];

function toCase(
  dialect: PairingDialect,
  [title, body, refused]: readonly [string, JsonObject, RegExp | null],
): Case {
  return { title, dialect, body, refused };
}

for (const { title, dialect, body, refused } of CASES) {
  test(`${dialect}: ${title} is ${refused === null ? 'accepted' : 'refused'}`, () => {
    const found = checkPairing(dialect, Buffer.from(JSON.stringify(body)), prepared());
    if (refused === null) assert.equal(found, null);
    else assert.match(found?.message ?? 'accepted', refused);
  });
}

test('openai_responses: a response that is not stored cannot be gone on from, nor referred to', () => {
  const state = createPairingState();
  rememberAnswer(
    'openai_responses',
    { input: 'q', store: false },
    { id: 'resp_1', output: [message('msg_1')] },
    state,
  );
  assert.match(
    checkPairing('openai_responses', { previous_response_id: 'resp_1', input: 'q' }, state)?.message ?? '',
    /not found/,
  );
  const input = [{ type: 'item_reference', id: 'msg_1' }];
  assert.match(checkPairing('openai_responses', { input }, state)?.message ?? '', /not found/);
});

test('openai_responses: encrypted reasoning without an id needs its following item as well', () => {
  const state = createPairingState();
  const sealed = { ...rs(), encrypted_content: 'sealed' };
  rememberAnswer(
    'openai_responses',
    { input: 'q', store: false },
    { id: 'resp_1', output: [sealed, fc('a')] },
    state,
  );
  const back = (next: JsonObject): JsonObject => ({ input: [ask, noId(sealed), next, out('a')] });
  assert.equal(checkPairing('openai_responses', back(noId(fc('a'))), state), null);
  assert.match(
    checkPairing('openai_responses', back(fc('a')), state)?.message ?? '',
    /without its required 'reasoning' item: 'rs_1'/,
  );
  const torn = { input: [ask, noId(sealed), noId(message('msg_1')), ask] };
  assert.match(checkPairing('openai_responses', torn, state)?.message ?? '', /required following item/);
});

test('gemini: models before Gemini 3 take calls without signatures', () => {
  const state = createPairingState({ needsThoughtSignatures: false });
  const body = contents(['user', plain('q')], ['model', call('f')], ['user', response('f')]);
  assert.equal(checkPairing('gemini', body, state), null);
});
