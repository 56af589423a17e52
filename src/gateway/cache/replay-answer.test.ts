import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerSource } from '../relay.ts';
import { replayAnswer } from './replay-answer.ts';
import type { CachedAnswer } from './response-cache.ts';

function collect(onData: (sink: { source: AnswerSource | null; chunks: Buffer[] }) => void) {
  const seen = {
    source: null as AnswerSource | null,
    head: null as unknown,
    chunks: [] as Buffer[],
    ends: 0,
  };
  return {
    seen,
    sink: {
      begin: (source: AnswerSource) => {
        seen.source = source;
      },
      head: (status: number, headers: unknown) => {
        seen.head = [status, headers];
      },
      data: (chunk: Buffer) => {
        seen.chunks.push(chunk);
        onData(seen);
      },
      end: () => {
        seen.ends += 1;
      },
    },
  };
}

const ANSWER: CachedAnswer = {
  contentType: 'application/json',
  body: Buffer.alloc(200_000, 'abc'),
  storedAt: 0,
  ageSec: 7,
};

test('a kept answer is given whole, with its media type, length and age and no other header', () => {
  const { seen, sink } = collect(() => {});
  replayAnswer(ANSWER, sink);
  assert.deepEqual(seen.head, [
    200,
    ['content-length', '200000', 'age', '7', 'content-type', 'application/json'],
  ]);
  assert.ok(Buffer.concat(seen.chunks).equals(ANSWER.body));
  assert.equal(seen.ends, 1);
});

test('a slow reader holds it back, also one that pauses and resumes within a chunk', () => {
  const { seen, sink } = collect(({ source }) => source?.pause());
  replayAnswer(ANSWER, sink);
  assert.equal(seen.chunks.length, 1);
  for (let i = 0; i < 5; i += 1) seen.source?.resume();
  assert.ok(Buffer.concat(seen.chunks).equals(ANSWER.body));
  assert.equal(seen.ends, 1);
  const eager = collect(({ source }) => {
    source?.pause();
    source?.resume();
  });
  replayAnswer(ANSWER, eager.sink);
  assert.ok(Buffer.concat(eager.seen.chunks).equals(ANSWER.body));
  assert.equal(eager.seen.ends, 1);
});

test('nothing comes after it was stopped', () => {
  const { seen, sink } = collect(({ source }) => source?.abort(new Error('left')));
  replayAnswer(ANSWER, sink);
  seen.source?.resume();
  assert.equal(seen.chunks.length, 1);
  assert.equal(seen.ends, 0);
});

test('bytes that are changed on their way are not changed in the cache', () => {
  const { sink } = collect(({ chunks }) => chunks.at(-1)?.fill(0));
  replayAnswer(ANSWER, sink);
  assert.ok(ANSWER.body.equals(Buffer.alloc(200_000, 'abc')));
});
