/** Counting tokens where the target has another format: its own counter, or an estimate that says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, readRequestBody } from '../request-body.ts';
import { isSurfaceMiss, matchSurface } from '../surfaces.ts';
import { isTranslationProblem, type CountTranslation, type TranslatedFormat } from './contract.ts';
import { translateCount } from './count-tokens.ts';
import { target } from './translate.fixture.ts';

const CLAUDE = { model: 'm', messages: [{ role: 'user', content: 'hello there' }], system: 'Be brief.' };

function count(path: string, body: object, to: TranslatedFormat, hasCounter = true): CountTranslation {
  const match = matchSurface('POST', path, path.startsWith('/v1/messages'));
  assert.ok(!isSurfaceMiss(match));
  const facts = readRequestBody(Buffer.from(JSON.stringify(body)), match);
  assert.ok(!isBodyProblem(facts));
  const made = translateCount(match, facts, to, target(), hasCounter);
  assert.ok(made !== null && !isTranslationProblem(made));
  return made;
}

test('Claude Code counts by the counters of Responses and Gemini, on routes that the surface knows', () => {
  const cases = [
    ['openai_responses', '/v1/responses/input_tokens', { input_tokens: 42 }],
    ['gemini_generate_content', '/v1beta/models/target-model:countTokens', { totalTokens: 42 }],
  ] as const;
  for (const [to, path, counted] of cases) {
    const made = count('/v1/messages/count_tokens', CLAUDE, to);
    assert.ok(made.kind === 'request');
    assert.equal(made.request.path, path);
    assert.deepEqual(made.request.match, matchSurface('POST', path, false));
    assert.match(made.request.body.toString(), /hello there/);
    assert.doesNotMatch(made.request.body.toString(), /"store"|"stream"|max_/);
    const answer = made.request.answer(200, Buffer.from(JSON.stringify(counted)));
    assert.deepEqual(JSON.parse(answer.body.toString()), { input_tokens: 42 });
    assert.equal(made.request.answer(200, Buffer.from('{}')).status, 502);
    const failed = made.request.answer(404, Buffer.from('{"error":{"message":"no such model"}}'));
    assert.equal(failed.status, 404);
    assert.match(failed.body.toString(), /"not_found_error","message":"no such model"/);
  }
});

test('Chat Completions has no counter: an estimate of a token for four bytes', () => {
  for (const [to, hasCounter] of [
    ['openai_chat', true],
    ['openai_responses', false],
  ] as const) {
    const made = count('/v1/messages/count_tokens', CLAUDE, to, hasCounter);
    assert.ok(made.kind === 'estimate');
    const { input_tokens: tokens } = JSON.parse(made.answer.body.toString()) as { input_tokens: number };
    assert.equal(tokens, 5);
  }
});

test("the Gemini CLI counts by Anthropic's counter, contents or a whole request", () => {
  const contents = [{ role: 'user', parts: [{ text: 'hello there' }] }];
  for (const body of [{ contents }, { generateContentRequest: { model: 'models/m', contents } }]) {
    const made = count('/v1beta/models/m:countTokens', body, 'anthropic_messages');
    assert.ok(made.kind === 'request');
    assert.equal(made.request.path, '/v1/messages/count_tokens');
    assert.deepEqual(JSON.parse(made.request.body.toString()), {
      model: 'target-model',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hello there' }] }],
    });
    assert.deepEqual(
      JSON.parse(made.request.answer(200, Buffer.from('{"input_tokens":3}')).body.toString()),
      { totalTokens: 3 },
    );
  }
});

test('what is no count, or needs no translation, is null; a broken request is a problem', () => {
  const match = matchSurface('POST', '/v1/messages/count_tokens', true);
  assert.ok(!isSurfaceMiss(match));
  const facts = readRequestBody(Buffer.from('{"model":"m","messages":7}'), match);
  assert.ok(!isBodyProblem(facts));
  assert.equal(translateCount(match, facts, 'anthropic_messages', target(), true), null);
  assert.equal(
    translateCount({ ...match, format: 'openai_chat' }, facts, 'openai_responses', target(), true),
    null,
  );
  const broken = translateCount(match, facts, 'openai_chat', target(), true);
  assert.ok(broken !== null && isTranslationProblem(broken));
});
