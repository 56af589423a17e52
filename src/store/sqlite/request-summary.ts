/** Sums, counts and times over exchanges, for the heads of lists and the page of providers. */
import type { SQLInputValue } from 'node:sqlite';
import type {
  CountOf,
  LatencySummary,
  Outcome,
  ProviderUse,
  RequestFilter,
  RequestSummary,
} from '../shapes.ts';
import { intOf, textOf, textOrNullOf } from './columns.ts';
import type { Database } from './database.ts';
import { toCondition, type Condition } from './filter.ts';
import { FAILED_SQL } from './request-queries.ts';

/** Newest rows whose times are looked at: enough for a steady p95, and read in some 10 ms. */
const SAMPLE_MAX = 10_000;
/** Of each of at most `PROVIDERS_MAX`. */
const PROVIDER_SAMPLE_MAX = 2_000;
const PROVIDERS_MAX = 500;
const REASONS_MAX = 20;

/** See `Store.summarizeRequests`. */
export function summarizeRequests(database: Database, filter: RequestFilter): RequestSummary {
  const condition = toCondition(filter);
  const sums = database
    .prepare(
      `SELECT count(*) AS requests, total(r.input_tokens) AS input_tokens,
         total(r.cache_read_tokens) AS cache_read_tokens, total(r.output_tokens) AS output_tokens,
         total(r.cost_nano_usd) AS cost_nano_usd, total(r.saved_nano_usd) AS saved_nano_usd
       FROM requests AS r WHERE ${condition.sql}`,
    )
    .get(...condition.values);
  const row = sums ?? {};
  return {
    requests: intOf(row, 'requests'),
    outcomes: countBy(database, condition, 'outcome', 10),
    reasons: countBy(database, condition, 'reason', REASONS_MAX).filter(({ name }) => name !== null),
    inputTokens: intOf(row, 'input_tokens'),
    cacheReadTokens: intOf(row, 'cache_read_tokens'),
    outputTokens: intOf(row, 'output_tokens'),
    costNanoUsd: intOf(row, 'cost_nano_usd'),
    savedNanoUsd: intOf(row, 'saved_nano_usd'),
    latency: latencyOf(database, condition, SAMPLE_MAX),
  };
}

/** See `Store.summarizeProviders`. */
export function summarizeProviders(database: Database, filter: RequestFilter): ProviderUse[] {
  const condition = toCondition(filter);
  const rows = database
    .prepare(
      `SELECT r.provider AS provider, count(*) AS requests, total(${FAILED_SQL}) AS failed,
         total(r.cost_nano_usd) AS cost_nano_usd, max(r.started_at) AS last_at
       FROM requests AS r WHERE ${condition.sql} AND r.provider IS NOT NULL
       GROUP BY r.provider ORDER BY requests DESC, provider LIMIT ${PROVIDERS_MAX}`,
    )
    .all(...condition.values);
  return rows.map((row) => {
    const provider = textOf(row, 'provider');
    const own = toCondition({ ...filter, provider });
    return {
      provider,
      requests: intOf(row, 'requests'),
      failed: intOf(row, 'failed'),
      costNanoUsd: intOf(row, 'cost_nano_usd'),
      lastAt: intOf(row, 'last_at'),
      lastFailure: lastFailure(database, own),
      latency: latencyOf(database, own, PROVIDER_SAMPLE_MAX),
    };
  });
}

function countBy(
  database: Database,
  { sql, values }: Condition,
  column: 'outcome' | 'reason',
  limit: number,
): CountOf[] {
  const rows = database
    .prepare(
      `SELECT r.${column} AS name, count(*) AS requests FROM requests AS r WHERE ${sql}
       GROUP BY r.${column} ORDER BY requests DESC, name LIMIT ${limit}`,
    )
    .all(...values);
  return rows.map((row) => ({ name: textOrNullOf(row, 'name'), requests: intOf(row, 'requests') }));
}

function lastFailure(database: Database, { sql, values }: Condition): ProviderUse['lastFailure'] {
  const row = database
    .prepare(
      // The index of those that did not end well is used only if the statement says so.
      `SELECT r.id AS id, r.started_at AS started_at, r.outcome AS outcome, r.reason AS reason,
         r.status AS status, r.model AS model
       FROM requests AS r WHERE ${sql} AND r.outcome <> 'ok' AND ${FAILED_SQL}
       ORDER BY r.started_at DESC LIMIT 1`,
    )
    .get(...values);
  if (row === undefined) return null;
  return {
    id: textOf(row, 'id'),
    startedAt: intOf(row, 'started_at'),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the column holds what `appendRequests` was given
    outcome: textOf(row, 'outcome') as Outcome,
    reason: textOrNullOf(row, 'reason'),
    status: intOf(row, 'status'),
    model: textOrNullOf(row, 'model'),
  };
}

function latencyOf(database: Database, { sql, values }: Condition, limit: number): LatencySummary {
  const bound: SQLInputValue[] = [...values, limit];
  const rows = database
    .prepare(
      `SELECT r.total_us AS total_us, r.first_byte_us AS first_byte_us FROM requests AS r
       WHERE ${sql} AND r.first_byte_us IS NOT NULL ORDER BY r.started_at DESC LIMIT ?`,
    )
    .all(...bound);
  const totals = rows.map((row) => intOf(row, 'total_us')).sort((a, b) => a - b);
  const firstBytes = rows.map((row) => intOf(row, 'first_byte_us')).sort((a, b) => a - b);
  return {
    p50Us: quantile(totals, 0.5),
    p95Us: quantile(totals, 0.95),
    firstByteP50Us: quantile(firstBytes, 0.5),
    firstByteP95Us: quantile(firstBytes, 0.95),
    sampled: rows.length,
  };
}

/** Nearest rank. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}
