import type { SQLInputValue } from 'node:sqlite';
import type { RequestFilter } from '../shapes.ts';

/** A condition on table `requests`, with its parameters in order. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/**
 * The condition of a filter. Its text depends only on which fields are there and whether the outcome
 * is `ok`, never on other values; lists travel as one JSON parameter, so that the number of texts stays small. `alias` is
 * the table's name within the statement.
 */
export function toCondition(filter: RequestFilter, alias: 'r' | 'l' = 'r'): Condition {
  const parts: string[] = [`${alias}.tailnet = ?`];
  const values: SQLInputValue[] = [filter.tailnet];
  const add = (sql: string, value: SQLInputValue | undefined): void => {
    if (value === undefined) return;
    parts.push(sql);
    values.push(value);
  };
  const [onlyPrincipal] = filter.principals ?? [];
  if (filter.principals?.length === 1) add(`${alias}.principal = ?`, onlyPrincipal);
  else add(`${alias}.principal IN (SELECT value FROM json_each(?))`, jsonList(filter.principals));
  add(
    `EXISTS (SELECT 1 FROM json_each(${alias}.groups) AS mine JOIN json_each(?) AS asked ON mine.value = asked.value)`,
    jsonList(filter.groups),
  );
  add(`${alias}.provider = ?`, filter.provider);
  add(`${alias}.model = ?`, filter.model);
  add(`${alias}.agent = ?`, filter.agent);
  add(`${alias}.session_id = ?`, filter.sessionId);
  add(`${alias}.device_id = ?`, filter.deviceId);
  add(`${alias}.token_id = ?`, filter.tokenId);
  add(`${alias}.outcome = ?`, filter.outcome);
  // What SQLite must see to use the index of those that did not end well.
  if (filter.outcome !== undefined && filter.outcome !== 'ok') parts.push(`${alias}.outcome <> 'ok'`);
  add(`${alias}.reason = ?`, filter.reason);
  add(`${alias}.status >= ?`, filter.statusFrom);
  add(`${alias}.status <= ?`, filter.statusTo);
  const decided = Object.entries(filter.decision ?? {});
  if (decided.length > 0) {
    // Most rows have none, and their list need not be read.
    parts.push(
      `${alias}.decisions <> '[]' AND EXISTS (SELECT 1 FROM json_each(${alias}.decisions) AS d WHERE ${decided
        .map(([member]) => `d.value ->> '${member === 'about' ? 'about' : 'action'}' = ?`)
        .join(' AND ')})`,
    );
    values.push(...decided.map(([, value]) => value));
  }
  add(`${alias}.cost_nano_usd >= ?`, filter.costMinNanoUsd);
  add(`${alias}.total_us >= ?`, filter.totalMinUs);
  if (filter.text !== undefined) {
    const columns = SEARCHED.map((column) => `coalesce(${alias}.${column}, '')`).join(' || char(10) || ');
    add(`(${columns}) LIKE ? ESCAPE '\\'`, likePattern(filter.text));
  }
  add(`${alias}.started_at >= ?`, filter.from);
  add(`${alias}.started_at < ?`, filter.to);
  return { sql: parts.join(' AND '), values };
}

/** Columns in which people look for words. */
const SEARCHED = [
  'id',
  'user_label',
  'principal',
  'model',
  'requested_model',
  'agent',
  'session_id',
  'device_name',
  'provider',
  'path',
  'reason',
] as const;

/** Anywhere in a text; ASCII letters in either case (sqlite.org/lang_expr.html, LIKE). */
export function likePattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
}

function jsonList(list: readonly string[] | undefined): string | undefined {
  return list === undefined ? undefined : JSON.stringify(list);
}
