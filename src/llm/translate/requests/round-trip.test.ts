/** What a format's writer says, its reader reads; and no request makes a translation throw. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import type { TranslatedFormat } from '../contract.ts';
import {
  functionNamed,
  joinMessages,
  textBlock,
  type Block,
  type Conversation,
  type Message,
} from '../conversation.ts';
import { Losses } from '../losses.ts';
import { originOf } from '../opaque.ts';
import { SHORT_NAMES, ToolNames } from '../tool-names.ts';
import { FORMATS, PAIRS, plainRequest, target, translate, tryTranslate } from '../translate.fixture.ts';
import { readAnthropicRequest } from './anthropic-read.ts';
import { writeAnthropicRequest } from './anthropic-write.ts';
import type { RequestReader, RequestWriter } from './context.ts';
import { readGeminiRequest } from './gemini-read.ts';
import { writeGeminiRequest } from './gemini-write.ts';
import { readChatRequest } from './openai-chat-read.ts';
import { writeChatRequest } from './openai-chat-write.ts';
import { readResponsesRequest } from './openai-responses-read.ts';
import { writeResponsesRequest } from './openai-responses-write.ts';

const READ: Readonly<Record<TranslatedFormat, RequestReader>> = {
  anthropic_messages: readAnthropicRequest,
  openai_chat: readChatRequest,
  openai_responses: readResponsesRequest,
  gemini_generate_content: readGeminiRequest,
};
const WRITE: Readonly<Record<TranslatedFormat, RequestWriter>> = {
  anthropic_messages: writeAnthropicRequest,
  openai_chat: writeChatRequest,
  openai_responses: writeResponsesRequest,
  gemini_generate_content: writeGeminiRequest,
};

const words = fc
  .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
  .filter((text) => text.trim() !== '');
const text = words.map((found): Block => textBlock(found));
const image = fc.constantFrom<Block>(
  { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' }, cache: null },
  { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' }, cache: null },
);
const document: Block = {
  type: 'document',
  source: { kind: 'base64', mediaType: 'application/pdf', data: 'BBBB' },
  name: null,
  cache: null,
};

/** Turns of user and assistant in which every call has its result; ids as a format without ids makes them up. */
const messages = fc
  .array(
    fc.record({
      ask: fc.array(fc.oneof(text, image, fc.constant(document)), { minLength: 1, maxLength: 3 }),
      say: fc.option(text, { nil: null }),
      calls: fc.array(
        fc.record({
          name: fc.constantFrom('Bash', 'Read'),
          args: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), words, {
            maxKeys: 2,
            noNullPrototype: true,
          }),
          result: words,
        }),
        { maxLength: 2 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((rounds): Message[] => {
    let made = 0;
    return joinMessages(
      rounds.flatMap(({ ask, say, calls }): Message[] => {
        const ids = calls.map(() => `call_${made++}`);
        const asked = calls.map(({ name, args }, at): Block => ({
          type: 'call',
          id: ids[at] ?? '',
          tool: functionNamed(name),
          argumentsText: JSON.stringify(args),
          cache: null,
        }));
        const results = calls.map(({ result }, at): Block => ({
          type: 'result',
          callId: ids[at] ?? '',
          content: [{ type: 'text', text: result, cache: null }],
          isError: false,
          cache: null,
        }));
        return [
          { role: 'user', blocks: ask },
          { role: 'assistant', blocks: [...(say === null ? [] : [say]), ...asked] },
          { role: 'user', blocks: results },
        ];
      }),
    );
  });

const conversations: fc.Arbitrary<Conversation> = fc.record({
  system: words.map((found) => [textBlock(found)]),
  messages,
  tools: fc.constant([
    {
      name: functionNamed('Bash'),
      description: 'Runs.',
      schema: { type: 'object', properties: { q: {} } },
      strict: null,
      cache: null,
    },
    {
      name: functionNamed('Read'),
      description: null,
      schema: { type: 'object', properties: {} },
      strict: null,
      cache: null,
    },
  ]),
  toolChoice: fc.constantFrom(
    null,
    { mode: 'auto' } as const,
    { mode: 'required' } as const,
    { mode: 'none' } as const,
  ),
  parallelCalls: fc.constantFrom(null, false),
  maxOutputTokens: fc.integer({ min: 16, max: 9_000 }),
  sampling: fc.record({
    temperature: fc.constantFrom(null, 0, 0.5, 1),
    topP: fc.constant(null),
    topK: fc.constantFrom(null, 40),
    seed: fc.constantFrom(null, 7),
    presencePenalty: fc.constantFrom(null, 0.5),
    frequencyPenalty: fc.constantFrom(null, 0.5),
  }),
  stop: fc.constantFrom([], ['END']),
  reasoning: fc.constant(null),
  format: fc.constantFrom(null, {
    name: 'answer',
    description: null,
    schema: { type: 'object' },
    strict: null,
  }),
  verbosity: fc.constantFrom(null, 'low'),
  endUser: fc.constantFrom(null, 'user-1'),
  cacheKey: fc.constant(null),
  stream: fc.constant(false),
  includeUsage: fc.constant(true),
});

/** Which member of a conversation a loss excuses. */
const EXCUSED: Readonly<Record<string, readonly string[]>> = {
  top_k: ['sampling.topK'],
  seed: ['sampling.seed'],
  presence_penalty: ['sampling.presencePenalty'],
  frequency_penalty: ['sampling.frequencyPenalty'],
  stop_sequences: ['stop'],
  verbosity: ['verbosity'],
  'metadata.user_id': ['endUser'],
  parallel_tool_calls: ['parallelCalls'],
};

/** A conversation as flat members, without those that are excused. */
function told(
  conversation: Conversation,
  losses: readonly string[],
  format: TranslatedFormat,
): Record<string, unknown> {
  const excused = new Set(losses.flatMap((loss) => EXCUSED[loss] ?? []));
  // No words of a format, and therefore no losses: the chunk with the usage, a name for a schema.
  const { sampling, includeUsage: _usage, format: answer, ...rest } = conversation;
  const flat = [
    ...Object.entries(rest),
    ...Object.entries(sampling).map(([key, value]) => [`sampling.${key}`, value] as const),
  ].filter(([key]) => !excused.has(key));
  return {
    ...Object.fromEntries(flat),
    schema: answer?.schema ?? null,
    ...(format === 'openai_responses' ? { tools: conversation.tools.map(({ name }) => name) } : {}),
    // "Parallel calls: no" needs a choice beside it in Anthropic's words, and is lost under "none".
    ...(format === 'anthropic_messages' ? { toolChoice: null, parallelCalls: null } : {}),
    // Names of documents are made up where a format demands them.
    messages: JSON.parse(
      JSON.stringify(conversation.messages).replaceAll('"name":"document.pdf"', '"name":null'),
    ) as unknown,
  };
}

for (const format of FORMATS) {
  test(`${format}: what is written is read again, but for what is reported as lost`, () => {
    fc.assert(
      fc.property(conversations, (conversation) => {
        const losses = new Losses();
        const body = WRITE[format](conversation, {
          losses,
          target: target(),
          names: new ToolNames(SHORT_NAMES),
          origin: originOf(format, 'there'),
        });
        const again = new Losses();
        const read = READ[format](JSON.parse(JSON.stringify(body)) as Record<string, unknown>, {
          losses: again,
          stream: false,
        });
        assert.ok(!('problem' in read));
        assert.deepEqual(again.list(), [], 'what we write ourselves holds nothing that is lost');
        assert.deepEqual(told(read, losses.list(), format), told(conversation, losses.list(), format));
      }),
      { numRuns: 150 },
    );
  });
}

for (const [from, to] of PAIRS) {
  test(`${from} to ${to} and back: text, images, calls, results, tools and limits are the same`, () => {
    fc.assert(
      fc.property(conversations, (conversation) => {
        const names = new ToolNames(SHORT_NAMES);
        const losses = new Losses();
        const plain = { ...conversation, system: conversation.system };
        const start = WRITE[from](plain, { losses, target: target(), names, origin: '' });
        const there = translate(from, to, start);
        const back = translate(to, from, there.json);
        const context = { losses, stream: false };
        const [first, last] = [READ[from](start, context), READ[from](back.json, context)];
        assert.ok(!('problem' in first) && !('problem' in last));
        // A web address of a document has no place in Chat Completions; Gemini takes no ids and counts calls.
        assert.deepEqual(withoutNames(last.messages), withoutNames(first.messages));
        assert.deepEqual(last.system, first.system);
        assert.deepEqual(
          last.tools.map(({ name, schema }) => [name, schema]),
          first.tools.map(({ name, schema }) => [name, schema]),
        );
        assert.equal(last.maxOutputTokens, first.maxOutputTokens);
      }),
      { numRuns: 60 },
    );
  });
}

function withoutNames(found: readonly Message[]): unknown {
  return JSON.parse(JSON.stringify(found).replaceAll('"name":"document.pdf"', '"name":null'));
}

const KEYS = [
  'messages',
  'content',
  'role',
  'type',
  'text',
  'tools',
  'function',
  'name',
  'input',
  'parts',
  'contents',
  'source',
  'data',
  'tool_calls',
  'image_url',
  'url',
  'output',
  'functionCall',
  'functionResponse',
  'thinking',
  'signature',
  'tool_choice',
  'reasoning',
  'system',
  'id',
  'call_id',
  'arguments',
  'input_schema',
  'parameters',
  'format',
  'max_tokens',
  'generationConfig',
  '__proto__',
] as const;
const VALUES = [
  'user',
  'assistant',
  'system',
  'tool',
  'text',
  'image',
  'tool_use',
  'tool_result',
  'thinking',
  'function',
  'custom',
  'message',
  'function_call',
  'function_call_output',
  'reasoning',
  'model',
  'base64',
  'data:image/png;base64,AA',
  'input_text',
  '',
] as const;

const { value: oddity } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(...VALUES, 0, -1, 1.5, true, false, null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.constantFrom(...KEYS), tie('value')), { maxLength: 6 })
      .map((entries) => Object.fromEntries(entries)),
  ),
}));

for (const [from, to] of PAIRS) {
  test(`${from} to ${to}: no request makes the translation throw`, () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...KEYS), oddity), (changes) => {
        const { model: _model, ...body } = { ...plainRequest(from), ...changes } as Record<string, unknown>;
        const made = tryTranslate(from, to, body);
        if ('problem' in made) assert.match(made.message, /^["a-z]/);
        else JSON.parse(made.body.toString('utf8'));
      }),
      { numRuns: 100 },
    );
  });
}
