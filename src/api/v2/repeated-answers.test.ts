/** Answers that are kept for requests that come again: for an hour, and not without bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepeatedAnswers } from './repeated-answers.ts';

function setUp() {
  let now = 1_800_000_000_000;
  let made = 0;
  const answers = new RepeatedAnswers({ now: () => now, monotonicMs: () => now });
  const ask = async (key: string, body = '{}'): Promise<unknown> => {
    const request = { whose: ['oauth-client:a', 'tn_1', '/x'], key, body: Buffer.from(body) };
    const { body: answer } = await answers.answer(request, () => {
      made += 1;
      return Promise.resolve({ body: made });
    });
    return answer;
  };
  return { ask, pass: (ms: number) => void (now += ms) };
}

test('an answer is kept for an hour, then the key is free', async () => {
  const { ask, pass } = setUp();
  assert.equal(await ask('a'), 1);
  pass(3_599_999);
  assert.equal(await ask('a'), 1);
  await assert.rejects(ask('a', '{"other":1}'), /it was used for another request/);
  pass(1);
  assert.equal(await ask('a', '{"other":1}'), 2);
});

test('of more than a thousand the oldest go', async () => {
  const { ask } = setUp();
  for (let i = 1; i <= 1001; i += 1) assert.equal(await ask(`key ${i}`), i);
  assert.equal(await ask('key 2'), 2);
  assert.equal(await ask('key 1'), 1002);
});
