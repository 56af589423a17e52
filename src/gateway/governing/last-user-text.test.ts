import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBodyProblem, readRequestBody, type SurfaceMatch } from '../../llm/index.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { lastUserText, lastUserWords } from './last-user-text.ts';

const MATCH = {
  format: 'anthropic_messages',
  dialect: 'anthropic',
  modelInBody: true,
  model: null,
  stream: null,
};

function requestOf(messages: readonly object[]): LlmRequest {
  const body = Buffer.from(JSON.stringify({ model: 'm', messages }));
  const facts = readRequestBody(body, MATCH as unknown as SurfaceMatch);
  assert.ok(!isBodyProblem(facts));
  return { match: MATCH, body, facts } as unknown as LlmRequest;
}

test('what the user said last is found behind calls and results, and without notes of the agent', () => {
  const note = '<system-reminder>be brief</system-reminder>';
  const request = requestOf([
    { role: 'user', content: 'earlier' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'clean up' },
        { type: 'text', text: note },
      ],
    },
    { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'Bash', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'a result' }] },
  ]);
  assert.equal(lastUserWords(request), 'clean up');
  assert.equal(lastUserText(request, request.body), note, 'hooks get the text as it is');
});

test('who said nothing has no words', () => {
  const request = requestOf([{ role: 'assistant', content: 'hi' }]);
  assert.equal(lastUserWords(request), null);
});
