/**
 * The promise of DESIGN section 12: a budget that is not `none` is not overrun, whatever runs at the
 * same time, on another replica, through a crash, or under a clock that jumps. A model counts what
 * providers really charged and compares it with all that the bucket ever held.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import type { QuotaEntry } from '../policy/document.ts';
import type { BudgetStore } from '../store/budget-shapes.ts';
import { withStore } from '../store/sqlite/rows.fixture.ts';
import type { BucketUse } from './bucket-use.ts';
import type { Quotas } from './quotas.ts';
import { CUT_MARGIN_TOKENS, type Reservation } from './reservation.ts';
import {
  openQuotas,
  quota,
  settled,
  testStore,
  testTime,
  useOf,
  type TestStore,
  type TestTime,
} from './test-quotas.ts';

const DAY_MS = 86_400_000;
const INPUT_NANO = 1_000;
const NANO_PER_TOKEN = 10;

/** An exchange that is under way at a provider. */
interface Call {
  readonly reservation: Reservation;
  readonly metered: boolean;
  /** The provider stops here. */
  readonly limit: number;
  tokens: number;
  isCut: boolean;
}

interface Replica {
  readonly quotas: Quotas;
  readonly calls: Call[];
  /** After a crash nothing of it runs any more. */
  kill(): void;
}

/** Two replicas over one store, and what providers charged. */
class World {
  readonly store: TestStore = testStore();
  readonly time: TestTime = testTime();
  readonly entry: QuotaEntry;
  readonly uses: readonly BucketUse[];
  readonly replicas: Replica[] = [];
  charged = 0;
  granted = 0;
  /** All that the bucket may have held up to now. */
  #allowance: number;
  #latestDay: number;

  constructor(entry: QuotaEntry, lenders: readonly QuotaEntry[], parents: readonly QuotaEntry[]) {
    this.entry = entry;
    this.uses = [useOf(entry, lenders), ...parents.map((parent) => useOf(parent))];
    this.#allowance = lenders.reduce((sum, { capacity: lent }) => sum + lent, entry.capacity);
    this.#latestDay = this.#day();
    this.replicas.push(this.#start(), this.#start());
  }

  /** Charged already, and by what is under way at most. */
  get spent(): number {
    return (
      this.charged + this.replicas.flatMap(({ calls }) => calls).reduce((sum, call) => sum + cost(call), 0)
    );
  }

  check(): void {
    assert.ok(this.spent <= this.#allowance, `spent ${this.spent} of ${this.#allowance}`);
  }

  async reserve(index: number, outputTokensMax: number, metered: boolean): Promise<void> {
    const replica = this.#replica(index);
    const answer = await replica.quotas.reserve(this.uses, {
      inputTokensMax: INPUT_NANO / 10,
      outputTokensMax,
      unknownInput: false,
      metered,
      price: { inputNanoPerToken: 10, outputNanoPerToken: NANO_PER_TOKEN, requestNano: 0 },
    });
    if (!answer.granted || !this.replicas.includes(replica)) return;
    this.granted += 1;
    const limit = answer.outputTokensAllowed ?? outputTokensMax;
    // What is not metered may come all at once.
    replica.calls.push({ reservation: answer, metered, limit, tokens: metered ? 0 : limit, isCut: false });
  }

  stream(index: number, chunks: number): void {
    const call = this.#replica(index).calls.at(-1);
    if (call === undefined || !call.metered) return;
    for (let i = 0; i < chunks && !call.isCut && call.tokens < call.limit; i += 1) {
      call.isCut = call.reservation.spend(call.tokens) === 'cut';
      if (!call.isCut) call.tokens = Math.min(call.limit, call.tokens + CUT_MARGIN_TOKENS);
    }
  }

  settle(index: number, share: number): void {
    const call = this.#replica(index).calls.shift();
    if (call === undefined) return;
    if (!call.metered) call.tokens = Math.floor(call.limit * share);
    this.charged += cost(call);
    const costNanoUsd = cost(call);
    call.reservation.settle({ inputTokens: 100, outputTokens: call.tokens, costNanoUsd, estimated: false });
    call.reservation.release();
  }

  release(index: number): void {
    const call = this.#replica(index).calls.pop();
    if (call === undefined) return;
    call.reservation.release();
    call.reservation.settle({ inputTokens: 1, outputTokens: 1, costNanoUsd: 10 ** 9, estimated: false });
  }

  /** The process dies; providers go on with what was asked of them. */
  crash(index: number): void {
    const replica = this.#replica(index);
    replica.kill();
    for (const call of replica.calls) this.charged += cost(call);
    this.#replace(replica);
  }

  async restart(index: number): Promise<void> {
    const replica = this.#replica(index);
    while (replica.calls.length > 0) this.settle(index, 0.5);
    await replica.quotas.close();
    replica.kill();
    this.#replace(replica);
  }

  async refill(index: number, amount: number): Promise<void> {
    this.#allowance += amount;
    await this.#replica(index).quotas.refill('home', this.entry.name, amount);
  }

  async advance(durationMs: number): Promise<void> {
    this.#moved(durationMs);
    await this.time.advance(durationMs);
    this.#enterDay();
  }

  jump(byMs: number): void {
    this.time.jump(byMs);
    this.#moved(Math.max(0, byMs));
    this.#enterDay();
  }

  #moved(byMs: number): void {
    const { rate } = this.entry;
    if (rate !== null) this.#allowance += Math.ceil((rate.amount * byMs) / rate.periodMs);
  }

  /** Each day is filled once, the first time that the clock reaches it. */
  #enterDay(): void {
    const day = this.#day();
    if (this.entry.window !== null && day > this.#latestDay)
      this.#allowance += this.entry.capacity * (day - this.#latestDay);
    this.#latestDay = Math.max(this.#latestDay, day);
  }

  /**
   * A process believes the clock of its first call, which may make the bucket too: the days after it
   * are yet to come, even if the clock was there before.
   */
  #beginOn(day: number): void {
    this.#latestDay = Math.min(this.#latestDay, day);
    this.#enterDay();
  }

  #day(): number {
    return Math.floor(this.time.clock.now() / DAY_MS);
  }

  #replace(replica: Replica): void {
    this.replicas[this.replicas.indexOf(replica)] = this.#start();
  }

  #replica(index: number): Replica {
    const replica = this.replicas[index % this.replicas.length];
    assert.ok(replica !== undefined);
    return replica;
  }

  #start(): Replica {
    const life = { alive: true };
    const never = new Promise<never>(() => {});
    const ifAlive = <Value>(work: () => Promise<Value>): Promise<Value> =>
      life.alive ? work().then((value) => (life.alive ? value : never)) : never;
    const { store, time } = this;
    const living: BudgetStore = {
      leaseBudget: (call) =>
        ifAlive(async () => {
          const day = this.#day();
          const grants = await store.leaseBudget(call);
          if (call.first) this.#beginOn(day);
          return grants;
        }),
      returnBudget: (call) => ifAlive(() => store.returnBudget(call)),
      listBudgets: (filter, page, asker) => ifAlive(() => store.listBudgets(filter, page, asker)),
      refillBudget: (tailnet, bucket, amount, asker, approval) =>
        ifAlive(() => store.refillBudget(tailnet, bucket, amount, asker, approval)),
      deleteBudgets: (tailnet, keep) => ifAlive(() => store.deleteBudgets(tailnet, keep)),
    };
    const guarded =
      (run: () => void): (() => void) =>
      () => {
        if (life.alive) run();
      };
    const quotas = openQuotas(living, time, {
      timers: {
        after: (delayMs, run) => time.timers.after(delayMs, guarded(run)),
        every: (periodMs, run) => time.timers.every(periodMs, guarded(run)),
      },
    });
    return { quotas, calls: [], kill: () => void (life.alive = false) };
  }
}

function cost(call: Call): number {
  return INPUT_NANO + call.tokens * NANO_PER_TOKEN;
}

type Step = (world: World) => void | Promise<void>;

const replica = fc.integer({ min: 0, max: 1 });
const calm: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(replica, fc.integer({ min: 0, max: 6_000 }), fc.boolean(), fc.boolean())
      .map(([i, tokens, metered, waits]): Step => (world) => {
        const reserved = world.reserve(i, tokens, metered);
        return waits ? reserved : undefined;
      }),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(replica, fc.integer({ min: 1, max: 40 })).map(
      ([i, chunks]): Step =>
        (world) =>
          world.stream(i, chunks),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(replica, fc.double({ min: 0, max: 1, noNaN: true })).map(
      ([i, share]): Step =>
        (world) =>
          world.settle(i, share),
    ),
  },
  {
    weight: 2,
    arbitrary: replica.map(
      (i): Step =>
        (world) =>
          world.release(i),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>(() => settled()) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 90_000 }).map(
      (ms): Step =>
        (world) =>
          world.advance(ms),
    ),
  },
);
const troubled: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: calm },
  {
    weight: 1,
    arbitrary: replica.map(
      (i): Step =>
        (world) =>
          world.crash(i),
    ),
  },
  {
    weight: 1,
    arbitrary: replica.map(
      (i): Step =>
        (world) =>
          world.restart(i),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(replica, fc.integer({ min: 0, max: 50_000 })).map(
      ([i, amount]): Step =>
        (world) =>
          world.refill(i, amount),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((fails): Step => (world) => {
      world.store.failure = fails ? new Error('disk full') : null;
    }),
  },
);
const jumping: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: troubled },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }).map(
      (ms): Step =>
        (world) =>
          world.jump(ms),
    ),
  },
);

async function play(
  entry: QuotaEntry,
  steps: readonly Step[],
  lenders: readonly QuotaEntry[] = [],
  parents: readonly QuotaEntry[] = [],
): Promise<number> {
  const world = new World(entry, lenders, parents);
  try {
    for (const step of steps) {
      try {
        await step(world);
      } catch (error) {
        // A store that fails refuses a refill and a clean end.
        assert.equal(world.store.failure, error);
        world.store.failure = null;
      }
      world.check();
    }
    world.store.failure = null;
    await settled();
    world.check();
    return world.granted;
  } finally {
    for (const { kill } of world.replicas) kill();
    world.store.close();
  }
}

const reserve = fc.constantFrom('bounded', 'worst');
const capacity = fc.integer({ min: 0, max: 200_000 });

test('two replicas that reserve, stream, settle and release never overspend (DESIGN section 12)', async () => {
  let granted = 0;
  await fc.assert(
    fc.asyncProperty(
      reserve,
      capacity,
      fc.array(calm, { minLength: 10, maxLength: 80, size: 'max' }),
      async (mode, size, steps) => {
        granted += await play(quota('team', { reserve: mode, capacity: size }), steps);
      },
    ),
    { numRuns: 120 },
  );
  assert.ok(granted > 200, `only ${granted} requests were granted: nothing was tested`);
});

test('… nor with rates, crashes, restarts, refills and a store that fails', async () => {
  const rate = fc.option(
    fc.record({ amount: fc.integer({ min: 0, max: 50_000 }), periodMs: fc.constantFrom(60_000, 3_600_000) }),
  );
  await fc.assert(
    fc.asyncProperty(
      reserve,
      capacity,
      rate,
      fc.array(troubled, { minLength: 10, maxLength: 80, size: 'max' }),
      async (mode, size, refills, steps) => {
        await play(quota('team', { reserve: mode, capacity: size, rate: refills }), steps);
      },
    ),
    { numRuns: 150 },
  );
});

test('… nor by windows under a wall clock that jumps', async () => {
  await fc.assert(
    fc.asyncProperty(
      reserve,
      capacity,
      fc.array(jumping, { minLength: 10, maxLength: 80, size: 'max' }),
      async (mode, size, steps) => {
        await play(quota('team', { reserve: mode, capacity: size, window: 'day' }), steps);
      },
    ),
    { numRuns: 120 },
  );
});

test('… nor by borrowing under a parent, and a lender that both use is spent once', async () => {
  await fc.assert(
    fc.asyncProperty(
      reserve,
      fc.tuple(capacity, capacity, capacity),
      fc.array(troubled, { minLength: 10, maxLength: 80, size: 'max' }),
      async (mode, [size, lent, above], steps) => {
        const lender = quota('pool', { reserve: mode, capacity: lent });
        const parent = quota('above', { reserve: mode, capacity: above });
        // The allowance of the model is that of the chain; refills name its first bucket.
        await play(quota('team', { reserve: mode, capacity: size }), steps, [lender], [parent]);
      },
    ),
    { numRuns: 100 },
  );
});

test('500 callers at once on one bucket of two replicas over SQLite: all that fits is let through, no more', async () => {
  for (const mode of ['bounded', 'worst'] as const) {
    await withStore(async (store) => {
      const time = testTime();
      const replicas = [openQuotas(store, time), openQuotas(store, time)];
      const each = INPUT_NANO + 100 * NANO_PER_TOKEN;
      const use = useOf(quota('team', { reserve: mode, capacity: 120 * each }));
      let inFlight = 0;
      let most = 0;
      let charged = 0;
      const call = async (index: number): Promise<boolean> => {
        const answer = await replicas[index % 2]?.reserve([use], {
          inputTokensMax: 100,
          outputTokensMax: 100,
          outputTokensMin: 100,
          unknownInput: false,
          price: { inputNanoPerToken: 10, outputNanoPerToken: NANO_PER_TOKEN, requestNano: 0 },
        });
        if (answer === undefined || !answer.granted) return false;
        inFlight += each;
        most = Math.max(most, charged + inFlight);
        await settled();
        inFlight -= each;
        charged += each;
        answer.settle({ inputTokens: 100, outputTokens: 100, costNanoUsd: each, estimated: false });
        return true;
      };
      const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => call(i)));
      const through = answers.filter(Boolean).length;
      assert.ok(most <= 120 * each && through <= 120, `${through} let through`);
      assert.ok(through >= 110, `only ${through} of 120 let through`);
      for (const replica of replicas) await replica.close();
    });
  }
});

test('a crash loses what was held and nothing else; a clean end gives it back', async () => {
  await withStore(async (store) => {
    const time = testTime();
    const use = useOf(quota('team', { capacity: 1_000_000 }));
    const ask = { inputTokensMax: 100, outputTokensMax: 100, unknownInput: false };
    const price = { inputNanoPerToken: 10, outputNanoPerToken: NANO_PER_TOKEN, requestNano: 0 };
    const run = async (quotas: Quotas): Promise<void> => {
      const answer = await quotas.reserve([use], { ...ask, price });
      assert.ok(answer.granted);
      answer.settle({ inputTokens: 100, outputTokens: 100, costNanoUsd: 2_000, estimated: false });
    };
    const clean = openQuotas(store, time);
    await run(clean);
    await clean.close();
    assert.equal((await clean.view([use]))[0]?.balance, 998_000);
    const crashed = openQuotas(store, time);
    await run(crashed);
    // Long enough that nobody believes in it any more; its own timers never run.
    time.jump(60_000);
    const after = openQuotas(store, time);
    const left = (await after.view([use]))[0]?.balance ?? 0;
    assert.ok(left <= 996_000 && left >= 998_000 - 1_000_000 / 16, `${left}`);
    await after.close();
  });
});
