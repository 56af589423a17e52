/** Whole reports of recorded cases (test/corpus/simulate), through the real store and engine. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { RequestRow } from '../../store/index.ts';
import { requestRow, withStore } from '../../store/sqlite/rows.fixture.ts';
import type { ReplayPrices } from './ports.ts';
import { replay } from './test-simulation.ts';

const FOLDER = resolve(import.meta.dirname, '../../../test/corpus/simulate');

interface RecordedCase {
  readonly provenance: string;
  readonly from: number;
  readonly to: number;
  readonly before: object;
  readonly draft: object;
  readonly rows: readonly (Partial<RequestRow> & { readonly id: string })[];
  readonly report: unknown;
}

/** Prices that stay: 3 and 15 dollars a million. */
const prices: ReplayPrices = {
  price: ({ usage }) => ({
    state: 'priced',
    costNanoUsd: 3_000 * (usage?.inputTokens ?? 0) + 15_000 * (usage?.outputTokens ?? 0),
  }),
};

for (const name of readdirSync(FOLDER)) {
  test(`simulate: the report of ${name} is the recorded one`, async () => {
    const recorded: RecordedCase = JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
    await withStore(async (store) => {
      const rows = recorded.rows.map((row) => requestRow(row.id, row));
      await store.appendRequests({ rows, bodies: [] });
      const { from, to } = recorded;
      const report = await replay(store, recorded.before, recorded.draft, { from, to, prices });
      assert.deepEqual(JSON.parse(JSON.stringify(report)), recorded.report);
    });
  });
}
