import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { enter, refill } from './budget-ledger.ts';
import type { BudgetLeaseRequest, BudgetRow } from './budget-shapes.ts';

const NOW = Date.UTC(2026, 0, 5, 12);

function ask(given: Partial<BudgetLeaseRequest> = {}): BudgetLeaseRequest {
  return {
    tailnet: 'home',
    quota: 'team',
    bucket: 'team',
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

const nobody = { mine: 0, others: 0 };

function rowOf(given: Partial<BudgetLeaseRequest> = {}, balance = 1_000): BudgetRow {
  return { ...enter(null, ask(given), nobody, NOW).row, balance };
}

test('a new bucket is full; a grant is the want, a slice if that is more, the exact rest at the end', () => {
  const first = enter(null, ask({ want: 10, need: 10 }), nobody, NOW);
  assert.deepEqual([first.grant.granted, first.grant.balance, first.holding], [31, 969, 31]);
  assert.equal(enter(rowOf(), ask({ want: 400, need: 1 }), nobody, NOW).grant.granted, 400);
  assert.equal(enter(rowOf({}, 90), ask({ want: 400, need: 1 }), nobody, NOW).grant.granted, 90);
  assert.equal(enter(rowOf({}, 90), ask({ want: 400, need: 91 }), nobody, NOW).grant.granted, 0);
  assert.equal(enter(rowOf({}, 90), ask({ want: 0, need: 0 }), nobody, NOW).grant.granted, 0);
});

test('nobody gives back more than it is known to hold, and nothing of an older epoch', () => {
  const row = rowOf({}, 500);
  const give = (mine: number, epoch: number): number =>
    enter(row, ask({ epoch, holding: 20, give: 80 }), { mine, others: 0 }, NOW).row.balance;
  assert.equal(give(100, row.epoch), 580);
  assert.equal(give(50, row.epoch), 530);
  assert.equal(give(0, row.epoch), 500);
  assert.equal(give(100, row.epoch - 1), 500);
});

test('what comes back fills no more room than a lowered capacity leaves', () => {
  const row = rowOf({}, 0);
  const lowered = ask({ capacity: 300, epoch: row.epoch, holding: 50, give: 950 });
  assert.equal(enter(row, lowered, { mine: 1_000, others: 0 }, NOW).row.balance, 250);
  assert.equal(enter(row, lowered, { mine: 1_000, others: 100 }, NOW).row.balance, 150);
});

test('a debit makes the balance negative, and nothing is granted until it is above zero', () => {
  const owing = enter(rowOf({}, 100), ask({ debit: 300, want: 10, need: 1 }), nobody, NOW);
  assert.deepEqual([owing.row.balance, owing.grant.granted], [-200, 0]);
});

test('a refill is exact over any steps, stops at the room that leases leave, and never runs back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 9e15 }),
      fc.integer({ min: 1, max: 2_592_000_000 }),
      fc.array(fc.integer({ min: 0, max: 10_000_000 }), { maxLength: 20 }),
      (rateAmount, ratePeriodMs, steps) => {
        let row: BudgetRow = {
          ...rowOf({ capacity: 9e15, rateAmount, ratePeriodMs }),
          balance: -9e15,
        };
        let now = NOW;
        let gained = 0n;
        for (const step of steps) {
          now += step;
          const before = row.balance;
          row = refill(row, 0, now);
          gained += BigInt(row.balance) - BigInt(before);
          assert.deepEqual(refill(row, 0, now - 1), row);
        }
        const due = (BigInt(rateAmount) * BigInt(now - NOW)) / BigInt(ratePeriodMs);
        const room = 18_000_000_000_000_000n;
        assert.equal(gained, due < room ? due : room);
      },
    ),
  );
  const full = refill(rowOf({ rateAmount: 10, ratePeriodMs: 1 }, 0), 300, NOW + 1_000);
  assert.equal(full.balance, 700);
});

test('a window fills once, forward only, and a debt outlives it', () => {
  const first = rowOf({ windowStart: NOW }, -50);
  const next = enter(first, ask({ windowStart: NOW + 10 }), { mine: 5, others: 5 }, NOW);
  assert.deepEqual([next.row.balance, next.voidsOthers, next.grant.othersHold], [950, true, 0]);
  const back = enter(next.row, ask({ windowStart: NOW }), nobody, NOW);
  assert.deepEqual([back.row.balance, back.row.windowStart, back.voidsOthers], [950, NOW + 10, false]);
  assert.equal(enter(back.row, ask({ windowStart: NOW + 10 }), nobody, NOW).row.balance, 950);
});

test('within a window the balance moves with the capacity; without one a lower capacity clips for good', () => {
  const spent = rowOf({ windowStart: NOW }, 200);
  assert.equal(enter(spent, ask({ windowStart: NOW, capacity: 500 }), nobody, NOW).row.balance, -300);
  assert.equal(enter(spent, ask({ windowStart: NOW, capacity: 2_000 }), nobody, NOW).row.balance, 1_200);
  assert.equal(enter(rowOf(), ask({ capacity: 500 }), { mine: 0, others: 100 }, NOW).row.balance, 400);
  assert.equal(enter(rowOf({}, 200), ask({ capacity: 2_000 }), nobody, NOW).row.balance, 200);
});

test('slots are the capacity less what live processes hold', () => {
  const slots = { unit: 'concurrency', capacity: 4 } as const;
  const row = rowOf(slots);
  const { grant } = enter(
    row,
    ask({ ...slots, epoch: row.epoch, holding: 1, want: 5, need: 1 }),
    { mine: 3, others: 2 },
    NOW,
  );
  assert.deepEqual([grant.granted, grant.balance], [1, 0]);
});

test('a bucket whose unit changed is a new one', () => {
  const changed = enter(rowOf({}, 7), ask({ unit: 'tokens', capacity: 40 }), nobody, NOW + 1);
  assert.deepEqual([changed.row.balance, changed.voidsOthers], [40, true]);
});
