import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolCall } from '../../llm/answer/index.ts';
import type { Keeping } from './keeping.ts';
import { createCallVerdicts } from './refused-calls.ts';

const ALLOW = { action: 'allow' } as const;

function call(id: string | null, argumentsText = '{}', name = 'Bash'): ToolCall {
  return { id, name, argumentsText, arguments: undefined };
}

test('a verdict is of one caller, and of the same call only: an id alone proves nothing', () => {
  const verdicts = createCallVerdicts();
  verdicts.remember('home ann', call('c1', '{"command":"ls"}'), ALLOW, false);
  assert.deepEqual(verdicts.of('home ann', call('c1', '{"command":"ls"}')), ALLOW);
  assert.equal(verdicts.of('home bob', call('c1', '{"command":"ls"}')), undefined);
  assert.equal(verdicts.of('home ann', call('c1', '{"command":"rm -rf /"}')), undefined);
  assert.equal(verdicts.of('home ann', call('c1', '{"command":"ls"}', 'Write')), undefined);
  verdicts.remember('home ann', call(null), ALLOW, false);
  assert.equal(verdicts.of('home ann', call(null)), undefined);
});

test('what is remembered of one caller is bounded by count and by size', () => {
  const verdicts = createCallVerdicts();
  for (let i = 0; i <= 1_000; i += 1) verdicts.remember('a', call(`c${i}`), ALLOW, false);
  assert.equal(verdicts.of('a', call('c0')), undefined);
  assert.deepEqual(verdicts.of('a', call('c1000')), ALLOW);
  const large = { action: 'deny', text: 'x'.repeat(1 << 20) } as const;
  for (const id of ['l1', 'l2', 'l3']) verdicts.remember('a', call(id), large, false);
  assert.equal(verdicts.of('a', call('l1')), undefined);
  assert.equal(verdicts.of('a', call('c1000')), undefined);
  assert.deepEqual(verdicts.of('a', call('l3')), large);
  verdicts.remember('a', call('huge'), { action: 'deny', text: 'x'.repeat(3 << 20) }, false);
  assert.equal(verdicts.of('a', call('huge')), undefined);
});

test('what is remembered of all callers is bounded: who asked for nothing longest is forgotten', () => {
  const verdicts = createCallVerdicts();
  const large = { action: 'deny', text: 'x'.repeat(1 << 20) } as const;
  for (let i = 0; i < 40; i += 1) verdicts.remember(`caller ${i}`, call('c'), large, false);
  assert.equal(verdicts.of('caller 0', call('c')), undefined);
  assert.deepEqual(verdicts.of('caller 39', call('c')), large);
});

test('what a person or a hook decided is kept over a restart, of the same caller and call alone (issue 3, Proof)', () => {
  const kept = new Map<string, unknown>();
  const keeping: Keeping = {
    put: (name, value) => void kept.set(JSON.stringify(name), JSON.parse(JSON.stringify(value))),
    delete: (name) => void kept.delete(JSON.stringify(name)),
  };
  const before = createCallVerdicts(keeping);
  const denied = { action: 'deny', text: 'refused' } as const;
  before.remember('home ann', call('asked'), ALLOW, true);
  before.remember('home ann', call('denied'), denied, true);
  before.remember('home ann', call('by rules'), denied, false);
  before.remember('home ann', call('large'), { action: 'deny', text: 'x'.repeat(100_000) }, true);
  const after = createCallVerdicts(keeping, [null, {}, { owner: 'x', call: 'y' }, ...kept.values()]);
  assert.deepEqual(after.of('home ann', call('asked')), ALLOW);
  assert.deepEqual(after.of('home ann', call('denied')), denied);
  assert.equal(after.of('home ann', call('by rules')), undefined);
  assert.equal(after.of('home ann', call('large')), undefined);
  assert.equal(after.of('home bob', call('asked')), undefined);
  assert.equal(after.of('home ann', call('asked', '{"other":1}')), undefined);
});
