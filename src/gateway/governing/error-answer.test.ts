import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerGuard } from '../../guardrails/index.ts';
import { ErrorAnswer } from './error-answer.ts';

/** Makes `secret` to `[gone]`, and blocks at `forbidden`. */
function guard(): AnswerGuard {
  let blocked: AnswerGuard['blocked'] = null;
  return {
    get blocked() {
      return blocked;
    },
    findings: () => [],
    text: () => ({
      push(text) {
        if (text.includes('forbidden')) blocked = { guardrail: 'g', kind: 'k', message: 'not that' };
        return text.replaceAll('secret', '[gone]');
      },
      finish: () => '',
    }),
  };
}

function pass(body: string, isPlain = true): { readonly body: string; readonly reason: string | null } {
  const answer = new ErrorAnswer(guard(), isPlain);
  for (const byte of Buffer.from(body)) answer.push(Buffer.of(byte));
  answer.end();
  const { stop } = answer;
  return { body: answer.finish().toString(), reason: stop?.code ?? null };
}

test('strings of an error are filtered where they stand; what is clean stays byte for byte', () => {
  const clean = '{ "error" : {"message":"no  such\\u0020model","code":404} }';
  assert.deepEqual(pass(clean), { body: clean, reason: null });
  assert.deepEqual(pass('{"error":{"message":"a \\"secret\\" thing","n":[1,"secret"]}}'), {
    body: '{"error":{"message":"a \\"[gone]\\" thing","n":[1,"[gone]"]}}',
    reason: null,
  });
  assert.equal(pass('<h1>secret</h1>').body, '<h1>[gone]</h1>');
});

test('an error that a guardrail blocks, or that cannot be checked, is not passed on', () => {
  assert.equal(pass('{"error":"forbidden"}').reason, 'content_blocked');
  assert.equal(pass('{"secret":1}').reason, 'answer_not_governable');
  assert.equal(pass('{}', false).reason, 'answer_not_governable');
  assert.equal(pass(`${'['.repeat(100)}${']'.repeat(100)}`).reason, 'answer_not_governable');
  assert.equal(pass(`"${'x'.repeat(256 * 1024)}"`).reason, 'answer_not_governable');
});
