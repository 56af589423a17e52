/** Reading exchanges and the sessions that they make up. */
import type { SQLInputValue } from 'node:sqlite';
import type { Page, PageRequest, RequestFilter, RequestRow, SessionRow } from '../shapes.ts';
import { intOf, textOf, textOrNullOf, type SqlRow } from './columns.ts';
import { pageLimit, readCursor, writeCursor, type Place } from './cursor.ts';
import type { Database } from './database.ts';
import { toCondition } from './filter.ts';
import { REQUEST_CODEC } from './request-codec.ts';

/** Whether an exchange did not end as its provider should have made it. */
export const FAILED_SQL = "r.outcome IN ('upstream_error', 'upstream_failed', 'truncated', 'gateway_error')";
/** Names of models told of one session. */
const SESSION_MODELS_MAX = 20;

/** Newest first, by the time they began. */
export function listRequests(database: Database, filter: RequestFilter, page: PageRequest): Page<RequestRow> {
  const { sql, values } = withPlace(toCondition(filter), page);
  const limit = pageLimit(page.limit);
  const rows = database
    .prepare(
      `SELECT r.seq AS seq, ${REQUEST_CODEC.columnList} FROM requests AS r WHERE ${sql}
       ORDER BY r.started_at DESC, r.seq DESC LIMIT ?`,
    )
    .all(...values, limit + 1);
  return toPage(rows, limit, REQUEST_CODEC.fromRow);
}

export function getRequest(database: Database, tailnet: string, id: string): RequestRow | null {
  const row = database
    .prepare(`SELECT ${REQUEST_CODEC.columnList} FROM requests WHERE id = ? AND tailnet = ?`)
    .get(id, tailnet);
  return row === undefined ? null : REQUEST_CODEC.fromRow(row);
}

/**
 * Sessions by their latest exchange, newest first; counts and sums cover the exchanges that the
 * filter lets through. A session id is a label that callers may choose, so a session is always one
 * principal's: two principals with the same label have two sessions.
 *
 * The time index is walked backwards and an exchange stands for its session if none is later, so a
 * page costs what lies within it, not what the table holds.
 */
export function listSessions(database: Database, filter: RequestFilter, page: PageRequest): Page<SessionRow> {
  const condition = toCondition(filter);
  const later = toCondition(filter, 'l');
  const placed = withPlace(condition, page);
  const limit = pageLimit(page.limit);
  const heads = database
    .prepare(
      `SELECT r.seq AS seq, r.started_at AS started_at, r.session_id AS session_id, r.principal AS principal
       FROM requests AS r WHERE ${placed.sql} AND r.session_id IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM requests AS l WHERE l.session_id = r.session_id AND l.principal = r.principal
           AND (l.started_at, l.seq) > (r.started_at, r.seq) AND ${later.sql})
       ORDER BY r.started_at DESC, r.seq DESC LIMIT ?`,
    )
    .all(...placed.values, ...later.values, limit + 1);
  return toPage(heads, limit, (head) =>
    readSession(database, condition, textOf(head, 'session_id'), textOf(head, 'principal')),
  );
}

function readSession(
  database: Database,
  condition: { readonly sql: string; readonly values: readonly SQLInputValue[] },
  id: string,
  principal: string,
): SessionRow {
  const where = `${condition.sql} AND r.session_id = ? AND r.principal = ?`;
  const values = [...condition.values, id, principal];
  // With a lone max(), SQLite takes the bare columns from the row that has it: the newest labels.
  const sums = database
    .prepare(
      `SELECT max(r.started_at) AS last_at, r.tailnet AS tailnet, r.user_label AS user_label, r.agent AS agent,
         r.started_at + r.total_us / 1000 AS ended_at, count(*) AS requests,
         total(r.outcome = 'refused') AS refused, total(${FAILED_SQL}) AS failed,
         total(r.input_tokens) AS input_tokens, total(r.cache_read_tokens) AS cache_read_tokens,
         total(r.output_tokens) AS output_tokens, total(r.cost_nano_usd) AS cost_nano_usd,
         total(r.saved_nano_usd) AS saved_nano_usd
       FROM requests AS r WHERE ${where}`,
    )
    .get(...values);
  const first = database
    .prepare(`SELECT min(r.started_at) AS first_at FROM requests AS r WHERE ${where}`)
    .get(...values);
  const models = database
    .prepare(
      // The plus keeps SQLite from walking the index of models, which is that of the whole table.
      `SELECT DISTINCT r.model AS model FROM requests AS r WHERE ${where} AND +r.model IS NOT NULL
       ORDER BY +r.model LIMIT ${SESSION_MODELS_MAX}`,
    )
    .all(...values);
  const row: SqlRow = { ...sums, ...first };
  return {
    id,
    tailnet: textOf(row, 'tailnet'),
    principal,
    userLabel: textOf(row, 'user_label'),
    agent: textOrNullOf(row, 'agent'),
    firstAt: intOf(row, 'first_at'),
    lastAt: intOf(row, 'last_at'),
    endedAt: intOf(row, 'ended_at'),
    requests: intOf(row, 'requests'),
    refused: intOf(row, 'refused'),
    failed: intOf(row, 'failed'),
    models: models.map((model) => textOf(model, 'model')),
    inputTokens: intOf(row, 'input_tokens'),
    cacheReadTokens: intOf(row, 'cache_read_tokens'),
    outputTokens: intOf(row, 'output_tokens'),
    costNanoUsd: intOf(row, 'cost_nano_usd'),
    savedNanoUsd: intOf(row, 'saved_nano_usd'),
  };
}

function withPlace(
  condition: { readonly sql: string; readonly values: readonly SQLInputValue[] },
  page: PageRequest,
): { sql: string; values: SQLInputValue[] } {
  if (page.cursor === undefined) return { sql: condition.sql, values: [...condition.values] };
  const place = readCursor(page.cursor);
  return {
    sql: `${condition.sql} AND (r.started_at, r.seq) < (?, ?)`,
    values: [...condition.values, place.at, place.seq],
  };
}

/** `rows` holds one more than the page if there is a next one. */
function toPage<Item>(rows: readonly SqlRow[], limit: number, read: (row: SqlRow) => Item): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit && last !== undefined;
  return { items: shown.map(read), nextCursor: hasMore ? writeCursor(placeOf(last)) : null };
}

function placeOf(row: SqlRow): Place {
  return { at: intOf(row, 'started_at'), seq: intOf(row, 'seq') };
}
