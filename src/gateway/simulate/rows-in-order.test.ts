import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import { NOON, requestRow, withStore } from '../../store/sqlite/rows.fixture.ts';
import { rowsInOrder } from './rows-in-order.ts';
import { rowsOf } from './test-simulation.ts';

const DAY = 86_400_000;

async function idsOf(store: Parameters<typeof rowsInOrder>[0], from: number, to: number): Promise<string[]> {
  const ids: string[] = [];
  for await (const chunk of rowsInOrder(store, { tailnet: 'home', from, to }))
    for (const { id } of chunk) ids.push(id);
  return ids;
}

test('rows come oldest first, each once, within the range, from the real store', async () => {
  await withStore(async (store) => {
    const rows = Array.from({ length: 1_200 }, (_, i) =>
      requestRow(`req_${String(i).padStart(5, '0')}`, { startedAt: NOON + i * 600_000 }),
    );
    await store.appendRequests({ rows: rows.toReversed(), bodies: [] });
    const wanted = rows.slice(10, 1_100).map(({ id }) => id);
    assert.deepEqual(await idsOf(store, NOON + 10 * 600_000, NOON + 1_100 * 600_000), wanted);
  });
});

test('property: however rows are spread, none is lost, doubled or out of order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 0, max: 6 * DAY })), {
        maxLength: 300,
      }),
      async (offsets) => {
        const rows = offsets.map((offset, i) => requestRow(`r${i}`, { startedAt: NOON + offset }));
        const ids = await idsOf(rowsOf(rows), NOON, NOON + 7 * DAY);
        const times = ids.map((id) => offsets[Number(id.slice(1))] ?? Number.NaN);
        assert.deepEqual(
          times,
          offsets.toSorted((a, b) => a - b),
        );
        assert.equal(new Set(ids).size, offsets.length);
      },
    ),
    { numRuns: 40 },
  );
});

test('a span with more rows than are held is divided; more in one millisecond come page by page', async () => {
  const burst = Array.from({ length: 9_000 }, (_, i) => requestRow(`r${i}`, { startedAt: NOON + (i % 3) }));
  assert.equal(new Set(await idsOf(rowsOf(burst), NOON - DAY, NOON + DAY)).size, 9_000);
  const moment = Array.from({ length: 5_000 }, (_, i) => requestRow(`r${i}`, { startedAt: NOON }));
  assert.equal(new Set(await idsOf(rowsOf(moment), NOON - DAY, NOON + DAY)).size, 5_000);
});
