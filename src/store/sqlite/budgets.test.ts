import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BudgetLeaseCall, BudgetLeaseRequest } from '../budget-shapes.ts';
import { LEASE_BELIEVED_MS } from '../budget-ledger.ts';
import {
  type BudgetRefill,
  deleteBudgets,
  leaseBudget,
  listBudgets,
  refillBudget,
  returnBudget,
} from './budgets.ts';
import type { Database } from './database.ts';
import { NOON, withDatabase, withStore } from './rows.fixture.ts';

const asker = { instance: 'a', now: NOON };

function ask(bucket: string, given: Partial<BudgetLeaseRequest> = {}): BudgetLeaseRequest {
  return {
    tailnet: 'home',
    quota: 'team',
    bucket,
    unit: 'usd',
    capacity: 1_000,
    rateAmount: null,
    ratePeriodMs: null,
    windowStart: null,
    epoch: null,
    holding: 0,
    give: 0,
    debit: 0,
    need: 0,
    want: 0,
    ...given,
  };
}

function call(
  requests: readonly BudgetLeaseRequest[],
  given: Partial<BudgetLeaseCall> = {},
): BudgetLeaseCall {
  return { instance: 'a', first: false, now: NOON, requests, ...given };
}

function balanceOf(database: Database, bucket: string): readonly [number | undefined, number | undefined] {
  const [state] = listBudgets(database, { tailnet: 'home', buckets: [bucket] }, { limit: 1 }, asker).items;
  return [state?.balance, state?.held];
}

test('leases are debited in advance and kept apart by process', () => {
  withDatabase((database) => {
    leaseBudget(database, call([ask('x', { want: 100, need: 1 })]));
    leaseBudget(database, call([ask('x', { want: 200, need: 1 })], { instance: 'b' }));
    assert.deepEqual(balanceOf(database, 'x'), [700, 300]);
  });
});

test('what a process gives back once is taken once, and its clean end forgets it', () => {
  withDatabase((database) => {
    const [grant] = leaseBudget(database, call([ask('x', { want: 100, need: 1 })]));
    const give = ask('x', { epoch: grant?.epoch ?? null, give: 60 });
    returnBudget(database, call([give]));
    returnBudget(database, call([give]));
    assert.deepEqual(balanceOf(database, 'x'), [960, 0]);
  });
});

test('slots of a process that is heard of no more are free after the time that leases are believed', () => {
  withDatabase((database) => {
    const slots = ask('x', { unit: 'concurrency', capacity: 2, want: 2, need: 1 });
    leaseBudget(database, call([slots]));
    const other = (now: number): number | undefined =>
      leaseBudget(database, call([slots], { instance: 'b', now }))[0]?.granted;
    assert.equal(other(NOON + LEASE_BELIEVED_MS - 1), 0);
    assert.equal(other(NOON + LEASE_BELIEVED_MS), 2);
  });
});

test('a process that starts sets back times that lie ahead of its clock; others do not', () => {
  withDatabase((database) => {
    const rate = { rateAmount: 1_000, ratePeriodMs: 1_000 };
    leaseBudget(database, call([ask('x', { ...rate, debit: 1_000 })], { now: NOON + 1e9 }));
    const balance = (now: number, first: boolean): number | undefined =>
      leaseBudget(database, call([ask('x', rate)], { instance: 'b', now, first }))[0]?.balance;
    assert.equal(balance(NOON + 500, false), 0);
    assert.equal(balance(NOON, true), 0);
    assert.equal(balance(NOON + 500, false), 500);
  });
});

test('a call is one transaction: a bad amount leaves nothing of it', () => {
  withDatabase((database) => {
    for (const bad of [{ want: -1 }, { debit: Number.NaN }, { capacity: 1e17 }, { give: 0.5 }])
      assert.throws(() => leaseBudget(database, call([ask('x'), ask('y', bad)])), {
        code: 'store_invalid_row',
      });
    const many = Array.from({ length: 1_001 }, (_, i) => ask(`b${i}`));
    assert.throws(() => leaseBudget(database, call(many)), { code: 'store_invalid_row' });
    assert.deepEqual(listBudgets(database, { tailnet: 'home' }, { limit: 10 }, asker).items, []);
  });
});

test('lists are of one tailnet, by quota and name, in pages', () => {
  withDatabase((database) => {
    leaseBudget(
      database,
      call([ask('b'), ask('a'), ask('c', { quota: 'other' }), ask('z', { tailnet: 'elsewhere' })]),
    );
    const first = listBudgets(database, { tailnet: 'home' }, { limit: 2 }, asker);
    assert.deepEqual(
      first.items.map(({ bucket }) => bucket),
      ['c', 'a'],
    );
    const cursor = first.nextCursor ?? '';
    const second = listBudgets(database, { tailnet: 'home' }, { limit: 2, cursor }, asker);
    assert.deepEqual([second.items.map(({ bucket }) => bucket), second.nextCursor], [['b'], null]);
    const named = listBudgets(
      database,
      { tailnet: 'home', quota: 'team', buckets: ['a', 'c'] },
      { limit: 9 },
      asker,
    );
    assert.deepEqual(
      named.items.map(({ bucket }) => bucket),
      ['a'],
    );
    for (const forged of ['x', '', 'bnVsbA', Buffer.from('[1,2]').toString('base64url')])
      assert.throws(() => listBudgets(database, { tailnet: 'home' }, { limit: 2, cursor: forged }, asker), {
        code: 'store_bad_cursor',
      });
    const names = Array.from({ length: 101 }, (_, i) => `b${i}`);
    assert.throws(() => listBudgets(database, { tailnet: 'home', buckets: names }, { limit: 2 }, asker), {
      code: 'store_query_too_large',
    });
  });
});

const by = (bucket: string, amount: number): BudgetRefill => ({
  tailnet: 'home',
  bucket,
  amount,
  asker,
  approval: null,
});

test('a refill is clipped at the capacity less what is held, and slots have none', () => {
  withDatabase((database) => {
    leaseBudget(database, call([ask('x', { want: 300, need: 1, debit: 500 })]));
    assert.equal(refillBudget(database, by('x', 100))?.[0]?.balance, 300);
    assert.equal(refillBudget(database, by('x', 1_000))?.[0]?.balance, 700);
    leaseBudget(database, call([ask('s', { unit: 'concurrency', capacity: 2, want: 2, need: 1 })]));
    assert.equal(refillBudget(database, by('s', 5))?.[0]?.balance, 0);
    assert.throws(() => refillBudget(database, by('x', -1)), { code: 'store_invalid_row' });
  });
});

test('buckets of quotas that are gone are deleted with their leases, in their tailnet only', () => {
  withDatabase((database) => {
    leaseBudget(
      database,
      call([ask('x', { want: 10 }), ask('y', { quota: 'kept' }), ask('z', { tailnet: 'b' })]),
    );
    assert.equal(deleteBudgets(database, 'home', ['kept']), 1);
    assert.deepEqual(listBudgets(database, { tailnet: 'home' }, { limit: 9 }, asker).items.length, 1);
    assert.deepEqual(listBudgets(database, { tailnet: 'b' }, { limit: 9 }, asker).items.length, 1);
  });
});

test('buckets cross the threads of the opened store', async () => {
  await withStore(async (store) => {
    const [grant] = await store.leaseBudget(call([ask('x', { want: 10, need: 1 })], { first: true }));
    assert.equal(grant?.granted, 31);
    await store.returnBudget(call([ask('x', { epoch: grant?.epoch ?? null, give: 31 })]));
    const { items } = await store.listBudgets({ tailnet: 'home' }, { limit: 5 }, asker);
    assert.deepEqual(
      items.map(({ balance, held }) => [balance, held]),
      [[1_000, 0]],
    );
    assert.equal((await store.refillBudget('home', 'x', 5, asker))?.length, 1);
    assert.equal(await store.deleteBudgets('home', []), 1);
  });
});
