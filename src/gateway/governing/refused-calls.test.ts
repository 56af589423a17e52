import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolCall } from '../../llm/answer/index.ts';
import { createCallVerdicts } from './refused-calls.ts';

const ALLOW = { action: 'allow' } as const;

function call(id: string | null, argumentsText = '{}', name = 'Bash'): ToolCall {
  return { id, name, argumentsText, arguments: undefined };
}

test('a verdict is of one caller, and of the same call only: an id alone proves nothing', () => {
  const verdicts = createCallVerdicts();
  verdicts.remember('home ann', call('c1', '{"command":"ls"}'), ALLOW);
  assert.deepEqual(verdicts.of('home ann', call('c1', '{"command":"ls"}')), ALLOW);
  assert.equal(verdicts.of('home bob', call('c1', '{"command":"ls"}')), undefined);
  assert.equal(verdicts.of('home ann', call('c1', '{"command":"rm -rf /"}')), undefined);
  assert.equal(verdicts.of('home ann', call('c1', '{"command":"ls"}', 'Write')), undefined);
  verdicts.remember('home ann', call(null), ALLOW);
  assert.equal(verdicts.of('home ann', call(null)), undefined);
});

test('what is remembered of one caller is bounded by count and by size', () => {
  const verdicts = createCallVerdicts();
  for (let i = 0; i <= 1_000; i += 1) verdicts.remember('a', call(`c${i}`), ALLOW);
  assert.equal(verdicts.of('a', call('c0')), undefined);
  assert.deepEqual(verdicts.of('a', call('c1000')), ALLOW);
  const large = 'x'.repeat(1 << 20);
  for (const id of ['l1', 'l2', 'l3']) verdicts.remember('a', call(id, large), ALLOW);
  assert.equal(verdicts.of('a', call('l1', large)), undefined);
  assert.equal(verdicts.of('a', call('c1000')), undefined);
  assert.deepEqual(verdicts.of('a', call('l3', large)), ALLOW);
  const tooLarge = 'x'.repeat(3 << 20);
  verdicts.remember('a', call('huge', tooLarge), ALLOW);
  assert.equal(verdicts.of('a', call('huge', tooLarge)), undefined);
});

test('what is remembered of all callers is bounded: who asked for nothing longest is forgotten', () => {
  const verdicts = createCallVerdicts();
  const large = 'x'.repeat(1 << 20);
  for (let i = 0; i < 40; i += 1) verdicts.remember(`caller ${i}`, call('c', large), ALLOW);
  assert.equal(verdicts.of('caller 0', call('c', large)), undefined);
  assert.deepEqual(verdicts.of('caller 39', call('c', large)), ALLOW);
});
