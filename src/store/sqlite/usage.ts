/** Usage and cost, summed over exchanges. */
import { storeError } from '../errors.ts';
import { type RequestFilter, USAGE_ROWS_MAX, type UsageGroupBy, type UsageRow } from '../shapes.ts';
import { intOf, type SqlRow } from './columns.ts';
import type { Database } from './database.ts';
import { toCondition } from './filter.ts';
import { FAILED_SQL } from './request-queries.ts';
import { createLabeller, QUARTER_MS, type BucketLabeller, type TimeUnit } from './time-buckets.ts';

/** Dimensions of one query. */
const GROUP_BY_MAX = 4;
/** Sums held while folding; about 40 MB. */
const FOLD_MAX = 100_000;

/** What each `groupBy` reads. People and devices are grouped by the name that was recorded. */
const EXPRESSION: Record<Exclude<UsageGroupBy, TimeUnit>, string> = {
  user: 'r.user_label',
  group: 'g.value',
  model: 'r.model',
  provider: 'r.provider',
  agent: 'r.agent',
  session: 'r.session_id',
  device: 'coalesce(r.device_name, r.device_id)',
  token: 'r.token_id',
  format: 'r.format',
};

const SUMS = {
  requests: 'count(*)',
  refused: "total(r.outcome = 'refused')",
  failed: `total(${FAILED_SQL})`,
  estimated: 'total(r.estimated)',
  unpriced: "total(r.cost_state = 'unpriced')",
  inputTokens: 'total(r.input_tokens)',
  cacheReadTokens: 'total(r.cache_read_tokens)',
  cacheWriteTokens: 'total(coalesce(r.cache_write_tokens, 0) + coalesce(r.cache_write1h_tokens, 0))',
  outputTokens: 'total(r.output_tokens)',
  reasoningTokens: 'total(r.reasoning_tokens)',
  costNanoUsd: 'total(r.cost_nano_usd)',
  cacheHits: 'total(r.saved_nano_usd > 0)',
  savedNanoUsd: 'total(r.saved_nano_usd)',
} as const satisfies Record<Exclude<keyof UsageRow, 'key'>, string>;

type Sums = { -readonly [Name in keyof typeof SUMS]: number };

const NO_SUMS: Readonly<Sums> = {
  requests: 0,
  refused: 0,
  failed: 0,
  estimated: 0,
  unpriced: 0,
  inputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  costNanoUsd: 0,
  cacheHits: 0,
  savedNanoUsd: 0,
};
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the literal above.
const SUM_NAMES = Object.keys(NO_SUMS) as (keyof Sums)[];

/**
 * Sums for each combination of the asked `groupBy`; see `Store.queryUsage`. An exchange of a caller
 * with several groups counts in each of them (and in those of the filter only, if it names some).
 * Throws `store_query_too_large`, and `store_read_failed` for an unknown time zone.
 */
export function queryUsage(
  database: Database,
  filter: RequestFilter,
  groupBy: readonly UsageGroupBy[],
  timeZone: string,
): UsageRow[] {
  if (groupBy.length > GROUP_BY_MAX) {
    throw storeError(
      'store_query_too_large',
      `usage is grouped by at most ${GROUP_BY_MAX} things, got ${groupBy.length}`,
    );
  }
  const labels = groupBy.map((by) => labellerOf(by, timeZone));
  return fold(selectUsage(database, filter, groupBy), labels)
    .filter(({ sums }) => sums.requests > 0)
    .sort(
      (a, b) =>
        a.from - b.from ||
        b.sums.costNanoUsd - a.sums.costNanoUsd ||
        b.sums.requests - a.sums.requests ||
        compareText(JSON.stringify(a.key), JSON.stringify(b.key)),
    )
    .slice(0, USAGE_ROWS_MAX + 1)
    .map(({ key, sums }) => ({ key, ...sums }));
}

/** Sums by the asked columns `k0`, `k1` …, and by quarters of an hour where a time is asked. */
function selectUsage(
  database: Database,
  filter: RequestFilter,
  groupBy: readonly UsageGroupBy[],
): Iterable<SqlRow> {
  const condition = toCondition(filter);
  const keys = groupBy.map((by) => (isTime(by) ? `r.started_at / ${QUARTER_MS}` : EXPRESSION[by]));
  const columns = [
    ...keys.map((key, i) => `${key} AS k${i}`),
    ...SUM_NAMES.map((name) => `${SUMS[name]} AS ${name}`),
  ];
  const byGroup = groupBy.includes('group');
  const ownGroups = byGroup && filter.groups !== undefined ? [JSON.stringify(filter.groups)] : [];
  return database
    .prepare(
      `SELECT ${columns.join(', ')}
       FROM requests AS r ${byGroup ? 'LEFT JOIN json_each(r.groups) AS g' : ''}
       WHERE ${condition.sql} ${ownGroups.length > 0 ? 'AND g.value IN (SELECT value FROM json_each(?))' : ''}
       ${keys.length > 0 ? `GROUP BY ${keys.map((_, i) => i + 1).join(', ')}` : ''}`,
    )
    .iterate(...condition.values, ...ownGroups);
}

interface Folded {
  readonly key: (string | null)[];
  readonly sums: Sums;
  /** Where the first asked unit of time begins, as far as it has exchanges; 0 where none is asked. */
  readonly from: number;
}

/** Adds up the quarters that bear the same labels. */
function fold(rows: Iterable<SqlRow>, labels: readonly (BucketLabeller | null)[]): Folded[] {
  const timeAt = labels.findIndex((label) => label !== null);
  const folded = new Map<string, Omit<Folded, 'from'>>();
  const starts = new Map<string | null, number>();
  for (const row of rows) {
    const key = labels.map((label, i) => keyPart(row, `k${i}`, label));
    const name = JSON.stringify(key);
    const sum = folded.get(name) ?? { key, sums: { ...NO_SUMS } };
    folded.set(name, sum);
    addTo(sum.sums, row);
    if (timeAt !== -1) {
      const label = key[timeAt] ?? null;
      const quarter = intOf(row, `k${timeAt}`);
      starts.set(label, Math.min(starts.get(label) ?? quarter, quarter));
    }
    if (folded.size > FOLD_MAX) {
      throw storeError(
        'store_query_too_large',
        `the answer would have more than ${FOLD_MAX} rows; ask for less time or group by less`,
      );
    }
  }
  return [...folded.values()].map((sum) => ({ ...sum, from: starts.get(sum.key[timeAt] ?? null) ?? 0 }));
}

function isTime(by: UsageGroupBy): by is TimeUnit {
  return by === 'hour' || by === 'day' || by === 'week' || by === 'month';
}

function labellerOf(by: UsageGroupBy, timeZone: string): BucketLabeller | null {
  if (!isTime(by)) return null;
  try {
    return createLabeller(by, timeZone);
  } catch (cause) {
    throw storeError(
      'store_read_failed',
      `unknown time zone ${JSON.stringify(timeZone)}; use a name such as "Europe/Zurich"`,
      undefined,
      cause,
    );
  }
}

function keyPart(row: SqlRow, column: string, label: BucketLabeller | null): string | null {
  const value = row[column];
  if (label !== null) return label(intOf(row, column));
  return value === null || value === undefined ? null : String(value);
}

function addTo(sums: Sums, row: SqlRow): void {
  for (const name of SUM_NAMES) sums[name] += intOf(row, name);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
