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
  add(`${alias}.outcome = ?`, filter.outcome);
  // What SQLite must see to use the index of those that did not end well.
  if (filter.outcome !== undefined && filter.outcome !== 'ok') parts.push(`${alias}.outcome <> 'ok'`);
  add(`${alias}.reason = ?`, filter.reason);
  add(`${alias}.started_at >= ?`, filter.from);
  add(`${alias}.started_at < ?`, filter.to);
  return { sql: parts.join(' AND '), values };
}

function jsonList(list: readonly string[] | undefined): string | undefined {
  return list === undefined ? undefined : JSON.stringify(list);
}
