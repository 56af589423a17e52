/** Answers of every format in every other: as the official SDKs read them, at every split point. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { systemClock } from '../../../base/clock.ts';
import { systemRandom } from '../../../base/random.ts';
import { createEcho } from '../../echo/index.ts';
import type { TranslatedFormat } from '../contract.ts';
import { SHORT_NAMES, ToolNames } from '../tool-names.ts';
import {
  FORMATS,
  PAIRS,
  plainRequest,
  readBySdk,
  target,
  transcode,
  translate,
  type SeenAnswer,
} from '../translate.fixture.ts';
import type { Answer, AnswerContext, AnswerStream, StopReason } from './answer.ts';
import { streamAnthropicAnswer, writeAnthropicAnswer } from './anthropic.ts';
import { BlockQueue } from './block-queue.ts';
import { streamGeminiAnswer, writeGeminiAnswer } from './gemini.ts';
import { streamChatAnswer, writeChatAnswer } from './openai-chat.ts';
import { streamResponsesAnswer, writeResponsesAnswer } from './openai-responses-write.ts';

const STREAMS = {
  anthropic_messages: streamAnthropicAnswer,
  openai_chat: streamChatAnswer,
  openai_responses: streamResponsesAnswer,
  gemini_generate_content: streamGeminiAnswer,
} as const;
const WHOLES = {
  anthropic_messages: writeAnthropicAnswer,
  openai_chat: writeChatAnswer,
  openai_responses: writeResponsesAnswer,
  gemini_generate_content: writeGeminiAnswer,
} as const;

/** What a model says, in no format. */
interface Turn {
  readonly thinking: string;
  readonly text: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly args: object }[];
  readonly stop: StopReason;
}

const TURN: Turn = {
  thinking: 'Let me see …',
  text: 'Grüße, 世界 🌍.\nA second line.',
  calls: [
    { id: 'call_a', name: 'Bash', args: { command: 'ls -la "a b"', deep: { list: [1, null, 'ü'] } } },
    { id: 'call_b', name: 'Read', args: {} },
  ],
  stop: 'calls',
};

function context(): AnswerContext {
  return { ...target(), model: 'm', estimatedInputTokens: 1, includeUsage: true, request: {} };
}

/** A provider's answer in its format, as this module writes it: the writers are held to the SDKs below. */
function provider(
  format: TranslatedFormat,
  turn: Turn,
  piece: number,
): { readonly stream: Buffer; readonly whole: Buffer } {
  const out: Buffer[] = [];
  const answers: Answer[] = [];
  const stream = STREAMS[format](context(), out);
  const kept: AnswerStream = {
    start: (id) => stream.start(id),
    open: (block) => stream.open(block),
    delta: (block, text) => stream.delta(block, text),
    close: (block) => stream.close(block),
    fail: (error) => stream.fail(error),
    keepAlive: () => stream.keepAlive(),
    end(answer) {
      answers.push(answer);
      stream.end(answer);
    },
  };
  const queue = new BlockQueue(kept, {
    names: new ToolNames(SHORT_NAMES),
    origin: 'x',
    newId: target().newId,
    answerIdPrefix: 'msg',
    callIdPrefix: 'call',
    callId: (id) => id,
  });
  const cut = (text: string): string[] => text.match(new RegExp(`[^]{1,${piece}}`, 'gu')) ?? [];
  for (const part of cut(turn.thinking)) queue.text('thinking', part);
  queue.endText();
  for (const part of cut(turn.text)) queue.text('text', part);
  queue.endText();
  for (const { id, name, args } of turn.calls) {
    queue.openCall(id, id, name);
    for (const part of cut(JSON.stringify(args))) queue.callArguments(id, part);
    queue.endCall(id);
  }
  queue.end({
    reason: turn.stop,
    stopSequence: null,
    usage: { inputTokens: 120, cacheReadTokens: 100, outputTokens: 30, reasoningTokens: 7 },
  });
  const [answer] = answers;
  assert.ok(answer);
  return {
    stream: Buffer.concat(out),
    whole: Buffer.from(JSON.stringify(WHOLES[format](answer, context()))),
  };
}

/** Each format's words for why a turn ended. */
const STOPS: Readonly<
  Record<TranslatedFormat, Readonly<Record<'stop' | 'calls' | 'length' | 'refusal', string>>>
> = {
  anthropic_messages: { stop: 'end_turn', calls: 'tool_use', length: 'max_tokens', refusal: 'refusal' },
  openai_chat: { stop: 'stop', calls: 'tool_calls', length: 'length', refusal: 'content_filter' },
  openai_responses: {
    stop: 'completed',
    calls: 'completed',
    length: 'max_output_tokens',
    refusal: 'content_filter',
  },
  gemini_generate_content: { stop: 'STOP', calls: 'STOP', length: 'MAX_TOKENS', refusal: 'SAFETY' },
};

function expected(
  format: TranslatedFormat,
  turn: Turn & { readonly stop: 'stop' | 'calls' | 'length' | 'refusal' },
): SeenAnswer {
  return {
    text: turn.text,
    thinking: turn.thinking,
    calls: turn.calls,
    stop: STOPS[format][turn.stop],
    input: 120,
    output: 30,
  };
}

for (const format of FORMATS) {
  test(`${format}: what is written, streamed and whole, the official SDK reads`, async () => {
    const { stream, whole } = provider(format, TURN, 5);
    assert.deepEqual(await readBySdk(format, stream, true), expected(format, { ...TURN, stop: 'calls' }));
    assert.deepEqual(await readBySdk(format, whole, false), expected(format, { ...TURN, stop: 'calls' }));
  });
}

for (const [from, to] of PAIRS) {
  test(`${to} answers to a ${from} caller: thinking, text, parallel calls, usage; streamed as whole`, async () => {
    const { stream, whole } = provider(to, TURN, 4);
    const streamed = translate(from, to, plainRequest(from), { stream: true });
    const seen = await readBySdk(from, transcode(streamed.answers, stream), true);
    assert.deepEqual(seen, expected(from, { ...TURN, stop: 'calls' }));
    const answered = translate(from, to, plainRequest(from)).answers.whole(200, whole);
    assert.equal(answered.status, 200);
    assert.deepEqual(await readBySdk(from, answered.body, false), seen);
  });

  test(`${to} answers to a ${from} caller: the same bytes at every split point`, () => {
    const { stream } = provider(to, TURN, 7);
    const run = (size: number): string => {
      const { answers } = translate(from, to, plainRequest(from), { stream: true });
      return transcode(answers, stream, size).toString('utf8');
    };
    const once = run(stream.length);
    for (const size of [1, 2, 3, 17, 64, 1_000]) assert.equal(run(size), once, `pieces of ${size}`);
    for (let at = 1; at < stream.length; at += 1) {
      const coder = translate(from, to, plainRequest(from), { stream: true }).answers.createTranscoder();
      const parts = [coder.push(stream.subarray(0, at)), coder.push(stream.subarray(at)), coder.finish()];
      assert.equal(Buffer.concat(parts).toString('utf8'), once, `split at ${at}`);
    }
  });

  test(`${to} answers to a ${from} caller: reasons of the end`, async () => {
    for (const stop of ['stop', 'length', 'refusal'] as const) {
      const turn = { ...TURN, calls: [], stop };
      const { answers } = translate(from, to, plainRequest(from), { stream: true });
      const seen = await readBySdk(from, transcode(answers, provider(to, turn, 9).stream), true);
      assert.equal(seen.stop, STOPS[from][stop], stop);
    }
  });

  test(`the test model's ${to}, streamed and whole, reaches a ${from} caller`, async () => {
    const echo = createEcho({ clock: systemClock, random: systemRandom });
    for (const stream of [true, false]) {
      const made = translate(from, to, plainRequest(from), { stream });
      const answer = echo.answer({
        format: to,
        dialect: made.match.dialect,
        action: made.match.action,
        streamed: stream,
        geminiFraming: 'sse',
        model: 'target-model',
        body: made.body,
        requestId: 'req_1',
      });
      const bytes = Buffer.concat([...answer.chunks]);
      const body = stream ? transcode(made.answers, bytes, 11) : made.answers.whole(200, bytes).body;
      const seen = await readBySdk(from, body, stream);
      assert.match(seen.text, /You said: hello$/);
      assert.ok(seen.input > 0 && seen.output > 0);
      assert.equal(seen.stop, STOPS[from].stop);
    }
  });
}

const turns: fc.Arbitrary<Turn> = fc.record({
  thinking: fc.string({ maxLength: 40, unit: 'grapheme' }),
  text: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }),
  calls: fc.array(
    fc.record({
      id: fc.stringMatching(/^call_[a-z0-9]{12}$/),
      name: fc.stringMatching(/^[A-Za-z_]{1,20}$/),
      args: fc.dictionary(
        fc.stringMatching(/^[a-z]{1,8}$/),
        fc.jsonValue({ maxDepth: 2, noNullPrototype: true } as object),
      ),
    }),
    { maxLength: 3 },
  ),
  stop: fc.constant<StopReason>('stop'),
});

for (const [from, to] of PAIRS) {
  test(`any ${to} answer reaches a ${from} caller as it was said`, async () => {
    await fc.assert(
      fc.asyncProperty(turns, fc.integer({ min: 1, max: 12 }), async (turn, piece) => {
        const calls = turn.calls.filter(
          ({ id }, at) => turn.calls.findIndex((call) => call.id === id) === at,
        );
        const said = { ...turn, calls };
        const { answers } = translate(from, to, plainRequest(from), { stream: true });
        const bytes = transcode(answers, provider(to, said, piece).stream, piece);
        const seen = await readBySdk(from, bytes, true);
        assert.equal(seen.text, said.text);
        assert.equal(seen.thinking, said.thinking);
        assert.equal(JSON.stringify(seen.calls), JSON.stringify(said.calls));
      }),
      { numRuns: from === 'gemini_generate_content' ? 5 : 30 },
    );
  });
}

for (const [from, to] of PAIRS) {
  test(`${to} to ${from}: no bytes make the transcoder throw, and every stream has an end`, () => {
    const { stream, whole } = provider(to, TURN, 6);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: stream.length - 1 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 4,
        }),
        fc.nat({ max: stream.length }),
        (edits, length) => {
          const bytes = Buffer.from(stream);
          for (const [at, value] of edits) bytes[at] = value;
          const { answers } = translate(from, to, plainRequest(from), { stream: true });
          const out = transcode(answers, bytes.subarray(0, length), 50).toString('utf8');
          assert.match(out, ENDS[from]);
          answers.whole(200, bytes);
          answers.whole(500, bytes);
          answers.whole(200, whole.subarray(0, length));
        },
      ),
      { numRuns: 60 },
    );
  });
}

const ENDS: Readonly<Record<TranslatedFormat, RegExp>> = {
  anthropic_messages: /event: (?:message_stop|error)\ndata: [^\n]+\n\n$/,
  openai_chat: /data: (?:\[DONE\]|\{"error":[^\n]+)\n\n$/,
  openai_responses: /event: response\.(?:completed|incomplete|failed)\ndata: [^\n]+\n\n$/,
  gemini_generate_content: /data: [^\n]*(?:"finishReason"|"error":)[^\n]*\n\n$/,
};
