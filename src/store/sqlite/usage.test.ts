import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRow, UsageGroupBy } from '../shapes.ts';
import { appendRequests, requestRow, TEST_KEYS, withDatabase } from './rows.fixture.ts';
import { createLabeller, QUARTER_MS, type TimeUnit } from './time-buckets.ts';
import { queryUsage } from './usage.ts';

function usageOf(
  rows: readonly RequestRow[],
  groupBy: readonly UsageGroupBy[],
  zone = 'UTC',
  groups?: readonly string[],
): ReturnType<typeof queryUsage> {
  let answer: ReturnType<typeof queryUsage> = [];
  withDatabase((database) => {
    appendRequests(database, TEST_KEYS, { rows, bodies: [] });
    answer = queryUsage(
      database,
      { tailnet: 'home', ...(groups === undefined ? {} : { groups }) },
      groupBy,
      zone,
    );
  });
  return answer;
}

const counts = (rows: ReturnType<typeof queryUsage>): [string | null | undefined, number][] =>
  rows.map(({ key, requests }) => [key[0], requests]);
const label = (unit: TimeUnit, zone: string, time: string): string =>
  createLabeller(unit, zone)(Math.floor(Date.parse(time) / QUARTER_MS));

test('sums add up tokens, money and kinds of outcome; no other tailnet counts', () => {
  const rows = [
    requestRow('req_1'),
    requestRow('req_2', { outcome: 'refused', costNanoUsd: 0, costState: 'free', inputTokens: null }),
    requestRow('req_3', { outcome: 'truncated', estimated: true, costNanoUsd: null, costState: 'unpriced' }),
    requestRow('req_4', { tailnet: 'work' }),
  ];
  assert.deepEqual(usageOf(rows, []), [
    {
      key: [],
      requests: 3,
      refused: 1,
      failed: 1,
      estimated: 1,
      unpriced: 1,
      inputTokens: 20,
      cacheReadTokens: 12,
      cacheWriteTokens: 15,
      outputTokens: 15,
      reasoningTokens: 3,
      costNanoUsd: 1000,
      cacheHits: 0,
      savedNanoUsd: 0,
    },
  ]);
});

test('the largest cost comes first where no time is asked', () => {
  const rows = [
    requestRow('a', { model: 'small' }),
    requestRow('b', { model: 'big', costNanoUsd: 9_000 }),
    requestRow('c', { model: null, costNanoUsd: 10 }),
  ];
  assert.deepEqual(
    usageOf(rows, ['model', 'provider']).map(({ key }) => key),
    [
      ['big', 'anthropic'],
      ['small', 'anthropic'],
      [null, 'anthropic'],
    ],
  );
});

test('money beyond 2^53 nano-dollars does not fail', () => {
  const rows = [1, 2, 3].map((i) => requestRow(`req_${i}`, { costNanoUsd: Number.MAX_SAFE_INTEGER }));
  assert.ok((usageOf(rows, ['user'])[0]?.costNanoUsd ?? 0) > Number.MAX_SAFE_INTEGER);
});

test('an exchange counts in each group of its caller, and only in those asked for if the filter names some', () => {
  const rows = [
    requestRow('a', { groups: ['group:x', 'group:y'] }),
    requestRow('b', { groups: ['group:x'] }),
    requestRow('c'),
  ];
  assert.deepEqual(counts(usageOf(rows, ['group'])), [
    ['group:x', 2],
    ['group:y', 1],
    [null, 1],
  ]);
  assert.deepEqual(counts(usageOf(rows, ['group'], 'UTC', ['group:y'])), [['group:y', 1]]);
});

test('days are those of the asked zone, in order of time', () => {
  const rows = ['2026-03-01T22:30:00Z', '2026-03-01T23:30:00Z', '2026-03-02T23:30:00Z'].map((time, i) =>
    requestRow(`req_${i}`, { startedAt: Date.parse(time) }),
  );
  assert.deepEqual(counts(usageOf(rows, ['day'], 'Europe/Zurich')), [
    ['2026-03-01', 1],
    ['2026-03-02', 1],
    ['2026-03-03', 1],
  ]);
  assert.deepEqual(counts(usageOf(rows, ['day'], 'UTC')), [
    ['2026-03-01', 2],
    ['2026-03-02', 1],
  ]);
  assert.deepEqual(counts(usageOf(rows, ['month'], 'Asia/Kathmandu')), [['2026-03', 3]]);
});

test('the day on which clocks change has 23 or 25 hours, and the hour that comes twice is two', () => {
  const autumn = ['2026-10-25T00:10:00Z', '2026-10-25T01:10:00Z'].map((time, i) =>
    requestRow(`req_${i}`, { startedAt: Date.parse(time) }),
  );
  assert.deepEqual(counts(usageOf(autumn, ['hour'], 'Europe/Zurich')), [
    ['2026-10-25T02:00+02:00', 1],
    ['2026-10-25T02:00+01:00', 1],
  ]);
  assert.equal(label('day', 'Europe/Zurich', '2026-10-24T22:00:00Z'), '2026-10-25');
  assert.equal(label('day', 'Europe/Zurich', '2026-10-25T22:45:00Z'), '2026-10-25');
  assert.equal(label('day', 'Europe/Zurich', '2026-10-25T23:00:00Z'), '2026-10-26');
  assert.equal(label('day', 'Europe/Zurich', '2026-03-29T21:45:00Z'), '2026-03-29');
  assert.equal(label('day', 'Europe/Zurich', '2026-03-29T22:00:00Z'), '2026-03-30');
});

test('weeks are those of ISO 8601: a week belongs to the year of its Thursday', () => {
  assert.equal(label('week', 'UTC', '2026-01-01T00:00:00Z'), '2026-W01');
  assert.equal(label('week', 'UTC', '2027-01-03T00:00:00Z'), '2026-W53');
  assert.equal(label('week', 'UTC', '2027-01-04T00:00:00Z'), '2027-W01');
  assert.equal(label('week', 'UTC', '2024-12-30T00:00:00Z'), '2025-W01');
});

test('hours carry their offset, also in zones of half hours and west of Greenwich', () => {
  assert.equal(label('hour', 'Asia/Kolkata', '2026-06-01T00:00:00Z'), '2026-06-01T05:00+05:30');
  assert.equal(label('hour', 'America/St_Johns', '2026-06-01T00:00:00Z'), '2026-05-31T21:00-02:30');
  assert.equal(label('hour', 'UTC', '2026-06-01T00:59:00Z'), '2026-06-01T00:00+00:00');
});

test('an unknown zone is refused by name', () => {
  assert.throws(() => usageOf([], ['day'], 'Mars/Base'), {
    code: 'store_read_failed',
    message: /Mars\/Base/,
  });
});

test('more than four dimensions are refused', () => {
  assert.throws(() => usageOf([], ['user', 'model', 'agent', 'device', 'format']), {
    code: 'store_query_too_large',
  });
});
