import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { BREAK_GLASS, caller, startTestApi, type TestApi, tokenCaller } from '../test-api.ts';
import { budgetOf } from '../test-budgets.ts';

const alice = caller('local:1');
const lead = caller('local:2');
const auditor = caller('local:3');
const operator = { authorization: `Bearer ${BREAK_GLASS}` };

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  t.world.access.set('local:2', { roles: new Set(['user', 'lead']), leads: ['group:red'] });
  t.world.access.set('local:3', { roles: new Set(['auditor']) });
  t.world.access.set('local:4', { roles: new Set(['admin']) });
  t.world.budgets.set('local:1', [budgetOf('daily:alice', { balance: 1.5e9 })]);
  t.world.budgets.set('group:red', [budgetOf('red', { quota: '<group>' })]);
});
afterEach(() => t.close());

const buckets = async (as: typeof alice, query = ''): Promise<unknown> => {
  const answer = await t.send(as, 'GET', `/api/v1/budgets${query}`);
  return answer.status === 200 ? answer.items.map(({ bucket }) => bucket) : answer.json['code'];
};

describe('whose budgets are shown (DESIGN section 7)', () => {
  test('callers theirs, leads their groups, auditors all', async () => {
    assert.deepEqual(await buckets(alice), ['daily:alice']);
    assert.equal(await buckets(alice, '?of=all'), 'not_yours');
    assert.equal(await buckets(alice, '?group=group:red'), 'not_yours');
    assert.deepEqual(await buckets(lead), []);
    assert.deepEqual(await buckets(lead, '?group=group:red'), ['red']);
    assert.equal(await buckets(lead, '?group=group:blue'), 'not_yours');
    assert.deepEqual(await buckets(auditor), ['daily:alice', 'red']);
    assert.deepEqual(await buckets(auditor, '?of=mine'), []);
    assert.equal(await buckets(tokenCaller('local:1', ['use'])), 'scope_missing');
  });

  test('with what is left, and the thresholds that are crossed', async () => {
    const [item] = (await t.send(alice, 'GET', '/api/v1/budgets')).items;
    assert.deepEqual([item?.['remaining'], item?.['warned']], [1.5e9, [0.5, 0.8]]);
    const [shape] = JSON.parse((await t.send(alice, 'GET', '/api/quotas')).text);
    assert.deepEqual([shape.balance, shape.capacity, shape.rate], ['$1.50', '$10.00', null]);
  });
});

describe('refilling', () => {
  const refill = (body: object, headers: Record<string, string> = operator, as: typeof alice | null = null) =>
    t.send(as, 'POST', '/api/v1/budgets/refill', { body, headers });

  test('by an admin with presence, logged before, by text or by number, never above the capacity', async () => {
    const first = await refill({ bucket: 'daily:alice', amount: '$1.25', reason: 'a release' });
    assert.equal(first.items[0]?.['remaining'], 2.75e9);
    const second = await refill({ bucket: 'daily:alice', amount: 9e9 });
    assert.equal(second.items[0]?.['remaining'], 10e9);
    const rows = t.world.store.audit.map(({ action, target, reason, facts }) => [
      action,
      target,
      reason,
      facts['amount'],
    ]);
    assert.deepEqual(rows, [
      ['budget.refill', 'daily:alice', 'a release', 1.25e9],
      ['budget.refill', 'daily:alice', null, 9e9],
    ]);
  });

  test('nobody else, nothing without the log, and only what can be refilled', async () => {
    const body = { bucket: 'daily:alice', amount: '$1.00' };
    assert.equal((await refill(body, {}, alice)).json['code'], 'role_missing');
    assert.equal((await refill(body, {}, auditor)).json['code'], 'role_missing');
    assert.equal((await refill(body, {}, caller('local:4'))).json['code'], 'presence_required');
    for (const amount of ['1.00', '$0', 0, -1, 1.5, '$-1', 'x']) {
      const { status } = await refill({ ...body, amount });
      assert.equal(status, 400, String(amount));
    }
    assert.equal((await refill({ ...body, bucket: 'none' })).status, 404);
    t.world.budgets.set('x', [budgetOf('slots', { unit: 'concurrency', capacity: 2 })]);
    assert.equal((await refill({ bucket: 'slots', amount: 1 })).status, 400);
    t.world.storeDown = true;
    assert.equal((await refill(body)).status, 503);
    assert.equal(t.world.budgets.get('local:1')?.[0]?.balance, 1.5e9);
  });
});
