import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../base/random.ts';
import { createPriceBook } from '../../llm/index.ts';
import { NOON, requestRow } from '../../store/sqlite/rows.fixture.ts';
import type { RecordedRows } from './ports.ts';
import { createSimulations, SimulationError, type Simulations } from './simulations.ts';
import { ABILITIES, compiled, DOCUMENT, rowsOf } from './test-simulation.ts';

const REQUEST = {
  owner: 'local:1',
  draft: JSON.stringify(DOCUMENT),
  from: NOON,
  to: NOON + 86_400_000,
  requestsMax: 10,
};

interface Time {
  ms: number;
}

function open(store: RecordedRows, time: Time = { ms: 0 }): Simulations {
  return createSimulations({
    tailnet: 'home',
    store,
    policy: { current: () => compiled(DOCUMENT).snapshot },
    compile: (text) => {
      if (text === 'bad') {
        const problem = {
          severity: 'error' as const,
          code: 'bad_syntax' as const,
          path: '',
          line: 1,
          column: 1,
          message: 'no document',
          fix: 'write one',
        };
        return Promise.resolve({ ...compiled(DOCUMENT), problems: [problem] });
      }
      return Promise.resolve(compiled(DOCUMENT));
    },
    prices: createPriceBook(),
    abilities: ABILITIES,
    tokenOf: () => null,
    clock: { now: () => NOON, monotonicMs: () => time.ms },
    random: systemRandom,
  });
}

/** Rows that nobody gets before `release`. */
function gated(): RecordedRows & { release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const rows = rowsOf([requestRow('r1')]);
  return {
    release: resolve,
    async listRequests(filter, page) {
      await promise;
      return rows.listRequests(filter, page);
    },
  };
}

function refusedAs(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SimulationError && error.code === code;
}

test('a simulation is asked for until it is done, by its owner only', async () => {
  const store = gated();
  const simulations = open(store);
  const { id, state } = await simulations.start(REQUEST);
  assert.equal(state, 'running');
  assert.equal(await simulations.view(id, 'local:2', 0), null);
  assert.equal(simulations.cancel(id, 'local:2'), false);
  assert.equal((await simulations.view(id, 'local:1', 1))?.state, 'running');
  store.release();
  const done = await simulations.view(id, 'local:1', 10_000);
  assert.deepEqual(
    [done?.state, done?.rows, done?.progress, done?.report?.changedRequests],
    ['done', 1, 1, 0],
  );
});

test('no more than two run at the same time, and a cancelled one makes room', async () => {
  const simulations = open(gated());
  const first = await simulations.start(REQUEST);
  await simulations.start({ ...REQUEST, owner: 'local:2' });
  await assert.rejects(simulations.start(REQUEST), refusedAs('simulation_limit'));
  assert.equal(simulations.cancel(first.id, 'local:1'), true);
  assert.equal(await simulations.view(first.id, 'local:1', 0), null);
  await simulations.start(REQUEST);
  simulations.close();
});

test('a time that is none and a draft with an error are refused', async () => {
  const simulations = open(rowsOf([]));
  await assert.rejects(simulations.start({ ...REQUEST, to: NOON }), refusedAs('simulation_range'));
  await assert.rejects(
    simulations.start({ ...REQUEST, to: NOON + 401 * 86_400_000 }),
    refusedAs('simulation_range'),
  );
  await assert.rejects(simulations.start({ ...REQUEST, from: Number.NaN }), refusedAs('simulation_range'));
  await assert.rejects(
    simulations.start({ ...REQUEST, draft: 'bad' }),
    (error) => error instanceof SimulationError && error.problems[0]?.code === 'bad_syntax',
  );
});

test('one that nobody asks for ends, and a failure of the store is told without its details', async () => {
  const time = { ms: 0 };
  const rows = Array.from({ length: 50 }, (_, i) => requestRow(`r${i}`, { startedAt: NOON + i }));
  const base = rowsOf(rows);
  const simulations = open(
    {
      async listRequests(filter, page) {
        // After the first question about it.
        await new Promise((resolve) => void setImmediate(resolve));
        time.ms += 61_000;
        return base.listRequests(filter, page);
      },
    },
    time,
  );
  const { id } = await simulations.start(REQUEST);
  const view = await simulations.view(id, 'local:1', 10_000);
  assert.deepEqual([view?.state, view?.error], ['failed', 'nobody asked for it any more']);
  const broken = open({ listRequests: () => Promise.reject(new Error('disk /secret/path')) });
  const failed = await broken.start(REQUEST);
  const answer = await broken.view(failed.id, 'local:1', 10_000);
  assert.deepEqual([answer?.state, answer?.error], ['failed', 'it failed inside']);
});

test('done ones are forgotten after ten minutes', async () => {
  const time = { ms: 0 };
  const simulations = open(rowsOf([]), time);
  const { id } = await simulations.start(REQUEST);
  assert.equal((await simulations.view(id, 'local:1', 5_000))?.state, 'done');
  time.ms += 601_000;
  await simulations.start(REQUEST);
  assert.equal(await simulations.view(id, 'local:1', 0), null);
});
