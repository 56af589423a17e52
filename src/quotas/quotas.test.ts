import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BudgetCrossing } from './events.ts';
import type { Quotas } from './quotas.ts';
import type { BucketUse } from './bucket-use.ts';
import type { Estimate } from './estimate.ts';
import type { Refusal } from './refusal.ts';
import type { Reservation } from './reservation.ts';
import {
  ESTIMATE_NANO,
  estimate,
  openQuotas,
  quota,
  settled,
  testStore,
  testTime,
  useOf,
  type TestStore,
  type TestTime,
} from './test-quotas.ts';

interface Scene {
  readonly store: TestStore;
  readonly time: TestTime;
  readonly quotas: Quotas;
  readonly events: { readonly name: string; readonly event: BudgetCrossing }[];
}

async function scene(play: (scene: Scene) => Promise<void>): Promise<void> {
  const store = testStore();
  const time = testTime();
  const events: Scene['events'] = [];
  const quotas = openQuotas(store, time, { publish: (name, event) => void events.push({ name, event }) });
  try {
    await play({ store, time, quotas, events });
    await settled();
  } finally {
    store.close();
  }
}

async function granted(
  quotas: Quotas,
  uses: readonly BucketUse[],
  given?: Partial<Estimate>,
): Promise<Reservation> {
  const answer = await quotas.reserve(uses, estimate(given));
  assert.ok(answer.granted, answer.granted ? '' : `${answer.code}: ${answer.message}`);
  return answer;
}

async function refused(
  quotas: Quotas,
  uses: readonly BucketUse[],
  given?: Partial<Estimate>,
): Promise<Refusal> {
  const answer = await quotas.reserve(uses, estimate(given));
  assert.ok(!answer.granted, 'a refusal was due');
  return answer;
}

const paid = (costNanoUsd: number) => ({
  inputTokens: 1_000,
  outputTokens: 1_000,
  costNanoUsd,
  estimated: false,
});

async function balance(quotas: Quotas, use: BucketUse): Promise<number | undefined> {
  return (await quotas.view([use]))[0]?.balance;
}

test('under no budget nothing is asked, counted or allocated', async () => {
  await scene(async ({ quotas, store }) => {
    const first = quotas.reserve([], estimate());
    assert.equal(first, quotas.reserve([], estimate()));
    assert.ok(!(first instanceof Promise) && first.granted && first.outputTokensAllowed === null);
    assert.equal(store.calls, 0);
  });
});

test('the first use of a bucket waits for the store; from then on a reservation is given at once', async () => {
  await scene(async ({ quotas, store }) => {
    const use = useOf(quota('team'));
    const first = quotas.reserve([use], estimate());
    assert.ok(first instanceof Promise);
    const answer = await first;
    assert.ok(answer.granted);
    answer.settle(paid(5_000_000));
    const second = quotas.reserve([use], estimate());
    assert.ok(!(second instanceof Promise) && second.granted);
    second.release();
    assert.equal(store.calls, 1);
    assert.equal(await balance(quotas, use), 10e9 - 5_000_000);
  });
});

test('settle and release count once, whichever comes first', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team'));
    const one = await granted(quotas, [use]);
    one.settle(paid(3_000_000));
    one.settle(paid(3_000_000));
    one.release();
    const two = await granted(quotas, [use]);
    two.release();
    two.settle(paid(3_000_000));
    two.release();
    assert.equal(await balance(quotas, use), 10e9 - 3_000_000);
  });
});

test('all buckets or none: what the first gave is free again when the second refuses', async () => {
  await scene(async ({ quotas }) => {
    const wide = useOf(quota('team'));
    const narrow = useOf(quota('alice', { capacity: 1_000 }));
    const answer = await refused(quotas, [wide, narrow]);
    assert.deepEqual([answer.code, answer.bucket, answer.retryAfterSec], ['too_large', 'alice', null]);
    await settled();
    const [view] = await quotas.view([wide]);
    assert.deepEqual([view?.balance, view?.reserved], [10e9, 0]);
  });
});

test('`worst` reserves the whole output limit and refuses what does not fit', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: 2 * ESTIMATE_NANO + 1_000, reserve: 'worst' }));
    const held = [await granted(quotas, [use]), await granted(quotas, [use])];
    assert.equal(held[0]?.outputTokensAllowed, null);
    const answer = await refused(quotas, [use]);
    assert.deepEqual([answer.code, answer.needed, answer.retryAfterSec], ['exhausted', ESTIMATE_NANO, 5]);
    held[0]?.release();
    (await granted(quotas, [use])).release();
  });
});

test('`bounded` makes the answer shorter when the rest is short, and refuses when it is of no use', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO + 1_000_000 + 500 * 10_000 }));
    const whole = await granted(quotas, [use]);
    assert.equal(whole.outputTokensAllowed, null);
    const shorter = await granted(quotas, [use]);
    assert.equal(shorter.outputTokensAllowed, 500);
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    shorter.settle(paid(1_000_000 + 490 * 10_000));
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    whole.settle(paid(2_000_000));
    assert.equal((await granted(quotas, [use])).outputTokensAllowed, 810);
  });
});

test('a limit is written into a request that has none; without a way to write one it is refused', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team'));
    assert.equal((await granted(quotas, [use], { outputTokensMax: null })).outputTokensAllowed, 8_192);
    const answer = await refused(quotas, [use], { outputTokensMax: null, clampable: false });
    assert.equal(answer.code, 'output_unlimited');
    const worst = useOf(quota('worst', { reserve: 'worst' }));
    assert.equal(
      (await refused(quotas, [worst], { outputTokensMax: null, clampable: false, metered: true })).code,
      'output_unlimited',
    );
    const tight = useOf(quota('tight', { capacity: ESTIMATE_NANO - 1 }));
    assert.equal((await refused(quotas, [tight], { clampable: false })).code, 'too_large');
  });
});

test('a stream reserves by slices, grows as it goes on, and is cut before the budget is spent', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: 1_000_000 + 5_000 * 10_000 }));
    const stream = await granted(quotas, [use], {
      outputTokensMax: null,
      metered: true,
      clampable: false,
    });
    assert.equal((await quotas.view([use]))[0]?.reserved, 1_000_000 + 2_048 * 10_000);
    let tokens = 0;
    while (stream.spend(tokens) === 'go on') {
      tokens += 20;
      assert.ok(tokens < 6_000, 'never cut');
      await settled();
    }
    assert.ok(tokens > 4_000 && tokens <= 5_000, `cut at ${tokens}`);
    assert.equal(stream.spend(tokens + 1), 'cut');
    stream.settle(paid(1_000_000 + tokens * 10_000));
    assert.ok(((await balance(quotas, use)) ?? -1) >= 0);
  });
});

test('a stream whose whole limit is reserved is never cut', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team'));
    const stream = await granted(quotas, [use], { metered: true });
    for (let tokens = 0; tokens <= 1_000; tokens += 10) assert.equal(stream.spend(tokens), 'go on');
  });
});

test('`none` is Aperture’s rule: a positive balance lets through, the real cost is debited', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: 1_000, reserve: 'none' }));
    const both = [await granted(quotas, [use]), await granted(quotas, [use])];
    for (const reservation of both) reservation.settle(paid(5_000));
    await settled();
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    assert.equal(await balance(quotas, use), 1_000 - 10_000);
    assert.equal((await quotas.refill('home', 'team', 9_500))[0]?.balance, 500);
    (await granted(quotas, [use])).release();
  });
});

test('overdraft: the bucket pays first, then its lenders in order; one request may be split (Aperture)', async () => {
  await scene(async ({ quotas }) => {
    const lender = quota('team', { capacity: ESTIMATE_NANO });
    const own = quota('alice', { capacity: 4_000_000, overdraft: ['team'], reserve: 'worst' });
    const use = useOf(own, [lender]);
    const first = await granted(quotas, [use]);
    first.settle(paid(6_000_000));
    assert.deepEqual(
      [await balance(quotas, use), await balance(quotas, useOf(lender))],
      [0, ESTIMATE_NANO - 2_000_000],
    );
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
  });
});

test('overdraft of `none`: the last may go below zero and blocks until the sum is above it (Aperture)', async () => {
  await scene(async ({ quotas }) => {
    const lender = quota('team', { capacity: 1_000, reserve: 'none' });
    const use = useOf(quota('alice', { capacity: 1_000, reserve: 'none', overdraft: ['team'] }), [lender]);
    (await granted(quotas, [use])).settle(paid(5_000));
    await settled();
    assert.deepEqual([await balance(quotas, use), await balance(quotas, useOf(lender))], [0, -3_000]);
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    await quotas.refill('home', 'alice', 1_000);
    assert.equal((await refused(quotas, [use])).code, 'exhausted', '1,000 against a debt of 3,000');
    await quotas.refill('home', 'team', 2_500);
    (await granted(quotas, [use])).release();
  });
});

test('a lender that two buckets of one request share is not promised twice, and nothing stays taken', async () => {
  await scene(async ({ quotas }) => {
    const pool = quota('pool', { capacity: ESTIMATE_NANO + 5_000_000 });
    const borrower = (name: string): BucketUse =>
      useOf(quota(name, { capacity: 1_000_000, reserve: 'worst', overdraft: ['pool'] }), [pool]);
    const uses = [borrower('a'), borrower('b')];
    assert.equal((await refused(quotas, uses)).code, 'exhausted');
    const views = await quotas.view([...uses, useOf(pool)]);
    assert.deepEqual(
      views.map(({ balance: left, reserved }) => [left, reserved]),
      [
        [1_000_000, 0],
        [1_000_000, 0],
        [ESTIMATE_NANO + 5_000_000, 0],
      ],
    );
    (await granted(quotas, uses.slice(0, 1))).release();
  });
});

test('requests and concurrency: one each; slots come back, requests do not', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('calls', { unit: 'requests', capacity: 2 }));
    const slots = useOf(quota('slots', { unit: 'concurrency', capacity: 1 }));
    const one = await granted(quotas, [use, slots]);
    const busy = await refused(quotas, [use, slots]);
    assert.deepEqual([busy.bucket, busy.retryAfterSec], ['slots', 1]);
    one.settle(paid(1));
    (await granted(quotas, [use, slots])).settle(paid(1));
    assert.equal((await refused(quotas, [use, slots])).bucket, 'calls');
  });
});

test('requests: a batch counts each of its requests, all or none; one of unknown size takes the stated ceiling or is refused', async () => {
  await scene(async ({ quotas, store, time }) => {
    const use = useOf(quota('calls', { unit: 'requests', capacity: 10 }));
    (await granted(quotas, [use], { requests: 4 })).settle(paid(1));
    assert.equal(await balance(quotas, use), 6);
    (await granted(quotas, [use], { requests: 6 })).release();
    assert.equal(await balance(quotas, use), 6);
    assert.equal((await refused(quotas, [use], { requests: 7 })).bucket, 'calls');
    assert.equal((await refused(quotas, [use], { requests: null })).code, 'input_unknown');
    const stated = openQuotas(store, time, { unknownInput: () => ({ kind: 'ceiling', amount: 5 }) });
    const other = useOf(quota('others', { unit: 'requests', capacity: 6 }));
    (await granted(stated, [other], { requests: null })).settle(paid(1));
    assert.equal(await balance(stated, other), 1);
  });
});

test('tokens: the limit is reserved, what was used is kept', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('tokens', { unit: 'tokens', capacity: 5_000, reserve: 'worst' }));
    (await granted(quotas, [use], { price: null })).settle({ ...paid(0), outputTokens: 10 });
    assert.equal(await balance(quotas, use), 5_000 - 1_010);
  });
});

test('a model without a price is refused under a dollar budget, unless told otherwise', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team'));
    assert.equal((await refused(quotas, [use], { price: null })).code, 'unpriced');
    (await granted(quotas, [use], { price: null, unpriced: 'allow' })).settle({
      ...paid(0),
      costNanoUsd: null,
    });
    assert.equal(await balance(quotas, use), 10e9);
  });
});

test('input that cannot be known is refused, or reserved with the stated ceiling', async () => {
  await scene(async ({ quotas, store, time }) => {
    const use = useOf(quota('team'));
    assert.equal((await refused(quotas, [use], { unknownInput: true })).code, 'input_unknown');
    const stated = openQuotas(store, time, {
      unknownInput: () => ({ kind: 'ceiling', amount: 500_000_000 }),
    });
    await granted(stated, [use], { unknownInput: true });
    assert.equal((await stated.view([use]))[0]?.reserved, ESTIMATE_NANO + 500_000_000);
  });
});

test('usage above the reservation is debited, said, and holds up what follows', async () => {
  await scene(async ({ quotas, events }) => {
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO, reserve: 'worst' }));
    (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO + 1_000));
    await settled();
    assert.deepEqual(
      events.map(({ name }) => name),
      ['budget.overrun'],
    );
    assert.equal(await balance(quotas, use), -1_000);
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
  });
});

test('unknown usage counts as all that was reserved', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team'));
    (await granted(quotas, [use])).settle({ ...paid(0), costNanoUsd: null });
    assert.equal(await balance(quotas, use), 10e9 - ESTIMATE_NANO);
  });
});

test('a rate refills continuously up to the capacity, and Retry-After says when enough is there', async () => {
  await scene(async ({ quotas, time }) => {
    const rate = { amount: ESTIMATE_NANO, periodMs: 60_000 };
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO, reserve: 'worst', rate }));
    (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO));
    assert.equal((await refused(quotas, [use])).retryAfterSec, 60);
    await time.advance(45_000);
    assert.equal((await refused(quotas, [use])).retryAfterSec, 15);
    await time.advance(15_000);
    (await granted(quotas, [use])).release();
    await time.advance(10 * 60_000);
    await settled();
    assert.equal(await balance(quotas, use), ESTIMATE_NANO);
  });
});

test('a calendar window fills anew at its begin, and Retry-After is its end', async () => {
  await scene(async ({ quotas, time }) => {
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO, reserve: 'worst', window: 'day' }));
    const open = await granted(quotas, [use]);
    open.settle(paid(ESTIMATE_NANO));
    assert.equal((await refused(quotas, [use])).retryAfterSec, 12 * 3600);
    await time.advance(12 * 3_600_000 - 1_000);
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    await time.advance(1_000);
    const held = await granted(quotas, [use]);
    await time.advance(24 * 3_600_000);
    const next = await granted(quotas, [use]);
    held.release();
    assert.equal(
      (await refused(quotas, [use])).code,
      'exhausted',
      'what yesterday held does not come back today',
    );
    next.release();
    (await granted(quotas, [use])).release();
  });
});

test('setting the wall clock fills no window twice and no rate at all', async () => {
  await scene(async ({ quotas, time }) => {
    const day = useOf(quota('day', { capacity: ESTIMATE_NANO, reserve: 'worst', window: 'day' }));
    const rate = { amount: ESTIMATE_NANO, periodMs: 3_600_000 };
    const flow = useOf(quota('flow', { capacity: ESTIMATE_NANO, reserve: 'worst', rate }));
    for (const use of [day, flow]) (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO));
    const tomorrow = 24 * 3_600_000;
    time.jump(tomorrow);
    (await granted(quotas, [day])).settle(paid(ESTIMATE_NANO));
    assert.equal((await refused(quotas, [flow])).code, 'exhausted');
    for (const jump of [-tomorrow, tomorrow, -tomorrow, tomorrow]) {
      time.jump(jump);
      await time.advance(1_000);
      assert.equal((await refused(quotas, [day])).code, 'exhausted');
      assert.equal((await refused(quotas, [flow])).code, 'exhausted');
    }
    await time.advance(tomorrow);
    (await granted(quotas, [day])).release();
  });
});

test('a process whose clock was put right before its first call fills no window again', async () => {
  await scene(async ({ quotas, store, time }) => {
    const day = useOf(quota('day', { capacity: ESTIMATE_NANO, reserve: 'worst', window: 'day' }));
    (await granted(quotas, [day])).settle(paid(ESTIMATE_NANO));
    time.jump(-24 * 3_600_000);
    const late = openQuotas(store, time);
    time.jump(24 * 3_600_000);
    assert.equal((await refused(late, [day])).code, 'exhausted');
    await late.close();
  });
});

test('thresholds are told once, and again only after a refill or a new window', async () => {
  await scene(async ({ quotas, events, time }) => {
    const use = useOf(quota('team', { capacity: 10 * ESTIMATE_NANO, window: 'day', warnAt: [0.5, 0.8] }));
    const spend = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i += 1) (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO));
    };
    const told = (): unknown[] => events.map(({ event }) => ('threshold' in event ? event.threshold : null));
    await spend(4);
    assert.deepEqual(told(), []);
    await spend(1);
    assert.deepEqual(told(), [0.5]);
    const warned = await granted(quotas, [use]);
    assert.deepEqual(warned.warnings, [{ bucket: 'team', threshold: 0.5 }]);
    warned.settle(paid(ESTIMATE_NANO));
    await spend(2);
    assert.deepEqual(told(), [0.5, 0.8]);
    assert.deepEqual(quotas.remaining([use])[0]?.threshold, 0.8);
    await time.advance(24 * 3_600_000);
    await spend(6);
    assert.deepEqual(told(), [0.5, 0.8, 0.5]);
  });
});

test('exhaustion is told once a minute', async () => {
  await scene(async ({ quotas, events, time }) => {
    const use = useOf(quota('calls', { unit: 'requests', capacity: 1 }));
    (await granted(quotas, [use])).settle(paid(1));
    for (let i = 0; i < 5; i += 1) await refused(quotas, [use]);
    assert.deepEqual(
      events.map(({ name }) => name),
      ['budget.exhausted'],
    );
    await time.advance(61_000);
    await refused(quotas, [use]);
    assert.equal(events.length, 2);
  });
});

test('a lowered capacity clips for good; a raised one only makes room (Aperture)', async () => {
  await scene(async ({ quotas }) => {
    const at = (capacity: number): BucketUse => useOf(quota('team', { capacity }));
    (await granted(quotas, [at(10e9)])).release();
    (await granted(quotas, [at(1e9)])).release();
    await settled();
    assert.equal(await balance(quotas, at(1e9)), 1e9);
    (await granted(quotas, [at(10e9)])).release();
    await settled();
    const left = (await balance(quotas, at(10e9))) ?? 0;
    assert.ok(left <= 1e9, `${left}`);
  });
});

test('deleting a definition deletes its buckets, and what was reserved of them does not come back', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO, reserve: 'worst' }));
    const other = useOf(quota('other'));
    (await granted(quotas, [other])).settle(paid(1_000));
    const open = await granted(quotas, [use]);
    await quotas.configure('home', ['other']);
    await quotas.configure('elsewhere', []);
    const { items } = await quotas.list({ tailnet: 'home' }, { limit: 10 });
    assert.deepEqual(
      items.map(({ bucket }) => bucket),
      ['other'],
    );
    const again = await granted(quotas, [use]);
    open.release();
    assert.equal((await refused(quotas, [use])).code, 'exhausted');
    again.release();
  });
});

test('refill is clipped at the capacity and reaches a bucket at once', async () => {
  await scene(async ({ quotas }) => {
    const use = useOf(quota('team', { capacity: ESTIMATE_NANO, reserve: 'worst' }));
    (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO));
    await refused(quotas, [use]);
    assert.equal((await quotas.refill('home', 'team', 5 * ESTIMATE_NANO))[0]?.balance, ESTIMATE_NANO);
    (await granted(quotas, [use])).release();
    assert.deepEqual(await quotas.refill('elsewhere', 'team', 1), [], 'of another tailnet');
    await assert.rejects(quotas.refill('home', 'team', -1), { code: 'store_invalid_row' });
  });
});

test('the store down: what is held is spent, then requests are refused as unavailable, within the deadline', async () => {
  await scene(async ({ quotas, store, time }) => {
    const use = useOf(quota('team', { capacity: 100 * ESTIMATE_NANO, reserve: 'worst' }));
    (await granted(quotas, [use])).release();
    store.failure = new Error('disk full');
    (await granted(quotas, [use])).settle(paid(ESTIMATE_NANO));
    let answer: Reservation | Refusal = await quotas.reserve([use], estimate());
    while (answer.granted) answer = await quotas.reserve([use], estimate());
    assert.deepEqual([answer.code, answer.retryAfterSec], ['unavailable', 1]);
    store.failure = null;
    await time.advance(6_000);
    await settled();
    (await granted(quotas, [use])).release();
  });
});

test('a store that does not answer holds a request no longer than the deadline', async () => {
  await scene(async ({ quotas, store, time }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.gate = promise;
    const waiting = quotas.reserve([useOf(quota('team'))], estimate());
    await settled();
    await time.advance(1_000);
    const answer = await waiting;
    assert.ok(!answer.granted && answer.code === 'unavailable');
    resolve();
  });
});

test('a debt that the store could not take is not forgotten', async () => {
  await scene(async ({ quotas, store, time }) => {
    const use = useOf(quota('team', { capacity: 1_000, reserve: 'none' }));
    const open = await granted(quotas, [use]);
    store.failure = new Error('disk full');
    open.settle(paid(5_000));
    await settled();
    store.failure = null;
    await time.advance(2_000);
    await settled();
    assert.equal(await balance(quotas, use), -4_000);
  });
});

test('a use whose rule cannot be followed is refused', async () => {
  await scene(async ({ quotas }) => {
    const use = { ...useOf(quota('team')), fault: 'quota "team" has the parent "x", which is not defined' };
    assert.equal((await refused(quotas, [use])).code, 'misconfigured');
  });
});
