/** 100,000 rows in bounded memory, without holding up the event loop (DESIGN section 11). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRow } from '../../store/index.ts';
import { NOON, requestRow } from '../../store/sqlite/rows.fixture.ts';
import type { RecordedRows } from './ports.ts';
import { DOCUMENT, replay } from './test-simulation.ts';

const ROWS = 100_000;
const WEEK_MS = 7 * 86_400_000;
const STEP_MS = Math.floor(WEEK_MS / ROWS);

/** Row by row as it is asked for: nothing but the simulation holds them. */
const generated: RecordedRows & { largestSpan: number } = {
  largestSpan: 0,
  async listRequests({ from = 0, to = 0 }, { cursor, limit }) {
    const newest = Math.min(ROWS - 1, Math.ceil((to - NOON) / STEP_MS) - 1);
    const oldest = Math.max(0, Math.ceil((from - NOON) / STEP_MS));
    const start = cursor === undefined ? newest : Number(cursor);
    const last = Math.max(oldest, start - limit + 1);
    const items: RequestRow[] = [];
    for (let i = start; i >= last; i -= 1) items.push(rowAt(i));
    generated.largestSpan = Math.max(generated.largestSpan, newest - last + 1);
    // As from the store's thread.
    await new Promise((resolve) => void setImmediate(resolve));
    return { items, nextCursor: last > oldest ? String(last - 1) : null };
  },
};

function rowAt(i: number): RequestRow {
  const person = i % 200;
  return requestRow(`req_${i}`, {
    principal: `tailscale:userid:${person}`,
    userLabel: `person-${person}@example.com`,
    door: 'tailscaled',
    startedAt: NOON + i * STEP_MS,
    requestedModel: i % 3 === 0 ? 'claude-opus-4-1' : 'claude-sonnet-4-5',
    model: i % 3 === 0 ? 'claude-opus-4-1' : 'claude-sonnet-4-5',
    sessionId: `ses_${i % 5_000}`,
    toolCalls: ['Bash'],
    costNanoUsd: 10_000_000,
    totalUs: 4_000_000,
  });
}

test('simulate: 100,000 rows under budgets and tool rules, 4,000 held at once, the loop never long', async () => {
  const draft = {
    ...DOCUMENT,
    tools: [{ tools: ['Bash'], action: 'ask' }],
    quotas: {
      'person:<user>': { capacity: '$0.50', window: 'day', parent: 'all' },
      all: { capacity: '$500.00', rate: '$100.00/day' },
      'calls:<user>': { unit: 'requests', capacity: 60, rate: '60/hour' },
    },
    grants: [
      {
        src: ['*'],
        app: {
          'postern.dev/cap/gateway': [
            {
              role: 'user',
              models: '**',
              quotas: [{ bucket: 'person:<user>' }, { bucket: 'calls:<user>' }],
            },
          ],
        },
      },
    ],
  };
  const slicesMs: number[] = [];
  let resumed = process.threadCpuUsage();
  const pause = async (): Promise<void> => {
    const { user, system } = process.threadCpuUsage(resumed);
    slicesMs.push((user + system) / 1_000);
    await new Promise((resolve) => void setImmediate(resolve));
    resumed = process.threadCpuUsage();
  };
  const began = process.threadCpuUsage();
  const report = await replay(generated, DOCUMENT, draft, { from: NOON, to: NOON + WEEK_MS, pause });
  const { user, system } = process.threadCpuUsage(began);
  assert.equal(report.rows, ROWS);
  // 200 people, about 71 requests a day each, of which 50 are within the budget.
  assert.ok(
    report.after.overBudget > 20_000 && report.after.overBudget < 40_000,
    `${report.after.overBudget}`,
  );
  assert.equal(report.after.allowed + report.after.overBudget, ROWS);
  assert.equal(report.requests.length, 100);
  assert.equal(report.requestsOmitted, ROWS - 100);
  assert.ok(generated.largestSpan <= 4_500, `${generated.largestSpan} rows in one span`);
  // This thread's own time, since others use the machine, too; most of it is what the test runner adds to promises.
  const seconds = (user + system) / 1e6;
  assert.ok(seconds < 40, `${seconds.toFixed(1)} s`);
  const p95Ms = slicesMs.toSorted((a, b) => a - b)[Math.floor(slicesMs.length * 0.95)] ?? Infinity;
  assert.ok(p95Ms < 10, `${p95Ms.toFixed(1)} ms`);
});
