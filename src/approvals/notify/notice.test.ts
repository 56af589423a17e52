import assert from 'node:assert/strict';
import { test } from 'node:test';
import { question, testWorld } from '../test-approvals.ts';
import { requestedNotice } from './notice.ts';

test('a notice says how much of what is asked for, in words and for programs', async () => {
  const world = testWorld();
  const subject = { kind: 'budget', bucket: 'day:ann', amount: 5_000_000_000, unit: 'usd' } as const;
  await world.open().ask(question({ mode: 'pending', subject, argumentsText: '', arguments: undefined }));
  const asked = world.events.find(({ name }) => name === 'approval.requested');
  assert.ok(asked);
  const { title, data } = requestedNotice(asked.event, 'http://localhost/approvals/x');
  assert.equal(title, 'alice@example.com asks for $5.00 more in the budget day:ann');
  assert.deepEqual([data['amount'], data['unit'], data['amount_text']], [5_000_000_000, 'usd', '$5.00']);
});
