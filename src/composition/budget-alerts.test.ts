import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Notice } from '../approvals/index.ts';
import { silentLogger } from '../base/log.ts';
import { createEventBus } from '../events/index.ts';
import type { PosternEvents } from '../gateway/index.ts';
import type { NotifyTarget } from '../policy/index.ts';
import { startBudgetAlerts } from './budget-alerts.ts';

const TARGET: NotifyTarget = { kind: 'mail', to: ['team@example.com'] };
const AT = {
  tailnet: 'home',
  quota: 'daily:<user>',
  bucket: 'daily:alice',
  unit: 'usd',
  capacity: 10e9,
  remaining: 2e9,
  at: 1_000_000,
} as const;

test('alerts: each crossing once to the targets of its quota, and to the log in any case', () => {
  const bus = createEventBus<PosternEvents>((error) => assert.fail(String(error)));
  const sent: Notice[] = [];
  const logged: string[] = [];
  const stop = startBudgetAlerts({
    events: bus,
    notifier: {
      send: (_targets, notice) => void sent.push(notice),
      stats: () => ({ delivered: 0, failed: 0 }),
    },
    targetsOf: (quota) => (quota === AT.quota ? [TARGET] : []),
    logger: { ...silentLogger, warn: (message) => void logged.push(message) },
  });
  bus.publish('budget.warned', { ...AT, threshold: 0.8 });
  bus.publish('budget.exhausted', { ...AT, remaining: 0, again: false });
  bus.publish('budget.exhausted', { ...AT, remaining: 0, again: true });
  bus.publish('budget.overrun', { ...AT, remaining: -1e9, overrunBy: 1e9 });
  bus.publish('budget.overrun', { ...AT, remaining: -2e9, overrunBy: 1e9, at: AT.at + 599_999 });
  bus.publish('budget.overrun', { ...AT, remaining: -2e9, overrunBy: 1e9, at: AT.at + 600_000 });
  bus.publish('budget.warned', { ...AT, quota: 'other', threshold: 0.5 });
  assert.deepEqual(
    sent.map(({ event, title }) => [event, title]),
    [
      ['budget.warned', 'budget daily:alice is 80 % spent'],
      ['budget.exhausted', 'budget daily:alice is used up'],
      ['budget.overrun', 'budget daily:alice was overrun'],
      ['budget.overrun', 'budget daily:alice was overrun'],
    ],
  );
  assert.equal(sent[0]?.lines[0], 'Left: $2.00 of $10.00');
  assert.deepEqual(sent[0]?.data['threshold'], 0.8);
  assert.equal(logged.length, 5);
  stop();
  bus.publish('budget.warned', { ...AT, threshold: 0.8 });
  assert.equal(sent.length, 4);
});
