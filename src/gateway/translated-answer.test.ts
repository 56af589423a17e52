import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerTranslation } from '../llm/translate/index.ts';
import type { Refused } from './reasons.ts';
import type { Relay } from './relay.ts';
import { TranslatedAnswer } from './translated-answer.ts';

interface Seen {
  readonly heads: (readonly [status: number, headers: readonly unknown[]])[];
  text: string;
  ends: number;
  readonly failures: string[];
}

const UPPER: AnswerTranslation = {
  streamContentType: 'text/event-stream',
  whole: (status, body) => ({
    status,
    contentType: 'application/json',
    body: Buffer.from(Buffer.from(body).toString().toUpperCase()),
  }),
  createTranscoder: () => ({
    fault: null,
    push: (chunk) => Buffer.from(Buffer.from(chunk).toString().toUpperCase()),
    finish: () => Buffer.from('END'),
  }),
};

function open(streamed: boolean): { readonly answer: TranslatedAnswer; readonly seen: Seen } {
  const seen: Seen = { heads: [], text: '', ends: 0, failures: [] };
  const answer = new TranslatedAnswer({ translation: UPPER, format: 'openai_chat', streamed });
  const relay = {
    head: (status: number, headers: readonly unknown[]) => seen.heads.push([status, headers]),
    data: (chunk: Buffer) => {
      seen.text += chunk.toString();
    },
    end: () => {
      seen.ends += 1;
    },
    fail: (refused: Refused) => seen.failures.push(refused.code),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that is called of a relay
  answer.into(relay as unknown as Relay);
  return { answer, seen };
}

test('a whole answer is translated at its end, with a length of its own', () => {
  const { answer, seen } = open(false);
  answer.head(200, ['Content-Type', 'application/json', 'content-length', '99', 'x-kept', '1']);
  answer.data(Buffer.from('ab'));
  assert.deepEqual(seen.heads, []);
  answer.data(Buffer.from('c'));
  answer.end();
  assert.deepEqual(seen.heads, [
    [200, ['x-kept', '1', 'content-type', 'application/json', 'content-length', '3']],
  ]);
  assert.deepEqual([seen.text, seen.ends], ['ABC', 1]);
});

test('an error to a streamed request is translated whole', () => {
  const { answer, seen } = open(true);
  answer.head(429, ['content-type', 'application/json', 'retry-after', '7']);
  answer.data(Buffer.from('{}'));
  answer.end();
  assert.equal(seen.heads[0]?.[0], 429);
  assert.ok(seen.heads[0]?.[1].includes('retry-after'));
  assert.equal(seen.text, '{}');
});

test('a stream that broke off is not ended by the translation: the relay tells it, once', () => {
  const { answer, seen } = open(true);
  answer.head(200, ['content-type', 'text/event-stream']);
  answer.data(Buffer.from('data: {"choices":[{"delta":{"content":"x"}}]}\n\n'));
  answer.end();
  assert.ok(!seen.text.includes('END'), seen.text);
  assert.equal(answer.meter.finish().complete, false);
});

test('what is compressed or too large is refused', () => {
  const compressed = open(false);
  compressed.answer.head(200, ['content-encoding', 'gzip']);
  assert.deepEqual(compressed.seen.failures, ['answer_not_translatable']);
  const large = open(false);
  large.answer.head(200, ['content-type', 'application/json']);
  const chunk = Buffer.alloc(11 * 1024 * 1024);
  for (let i = 0; i < 3; i += 1) large.answer.data(chunk);
  assert.deepEqual(large.seen.failures, ['answer_not_translatable']);
});

test('the relay’s meter counts the provider’s bytes, not the translated ones', () => {
  const { answer } = open(false);
  answer.head(200, ['content-type', 'application/json']);
  answer.data(Buffer.from('{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}'));
  answer.meter.push(Buffer.from('{"usage":{"prompt_tokens":500,"completion_tokens":600}}'));
  answer.end();
  assert.equal(answer.meter.finish().usage?.outputTokens, 6);
});
