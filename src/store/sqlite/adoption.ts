/** How many people, devices, programs and sessions were seen, by time. */
import { storeError } from '../errors.ts';
import type { AdoptionRow, RequestFilter } from '../shapes.ts';
import { intOf, type SqlRow } from './columns.ts';
import type { Database } from './database.ts';
import { toCondition } from './filter.ts';
import { createLabeller, QUARTER_MS, type BucketLabeller, type TimeUnit } from './time-buckets.ts';

/** Rows that one query looks at: some 5 s, and 200 MB if every one is a session of its own. */
const ROWS_MAX = 2_000_000;
/** Units of time in an answer. */
const UNITS_MAX = 9_999;
const TOTAL = 'total';

interface Seen {
  readonly users: Set<unknown>;
  readonly devices: Set<unknown>;
  readonly agents: Set<unknown>;
  readonly sessions: Set<unknown>;
  requests: number;
}

/** See `Store.queryAdoption`. Throws `store_query_too_large`, and `store_read_failed` for an unknown time zone. */
export function queryAdoption(
  database: Database,
  filter: RequestFilter,
  unit: TimeUnit,
  timeZone: string,
): AdoptionRow[] {
  const label = labeller(unit, timeZone);
  const condition = toCondition(filter);
  const rows = database
    .prepare(
      `SELECT r.started_at / ${QUARTER_MS} AS quarter, r.principal AS principal, r.device_id AS device_id,
         r.agent AS agent, r.session_id AS session_id
       FROM requests AS r WHERE ${condition.sql}`,
    )
    .iterate(...condition.values);
  const units = new Map<string, Seen>();
  const byQuarter = new Map<number, Seen>();
  const total = nobody();
  let read = 0;
  for (const row of rows) {
    read += 1;
    if (read > ROWS_MAX)
      throw storeError('store_query_too_large', 'too many requests in this time; ask for less');
    const quarter = intOf(row, 'quarter');
    let seen = byQuarter.get(quarter);
    if (seen === undefined) {
      const name = label(quarter);
      seen = units.get(name) ?? nobody();
      units.set(name, seen);
      byQuarter.set(quarter, seen);
    }
    add(seen, row);
    add(total, row);
  }
  const sorted = [...units].sort(([a], [b]) => (a < b ? -1 : 1)).slice(-UNITS_MAX);
  return [...sorted, [TOTAL, total] as const].map(([name, seen]) => ({
    label: name,
    users: seen.users.size,
    devices: seen.devices.size,
    agents: seen.agents.size,
    sessions: seen.sessions.size,
    requests: seen.requests,
  }));
}

function labeller(unit: TimeUnit, timeZone: string): BucketLabeller {
  try {
    return createLabeller(unit, timeZone);
  } catch (cause) {
    throw storeError('store_read_failed', `unknown time zone ${JSON.stringify(timeZone)}`, undefined, cause);
  }
}

function nobody(): Seen {
  return { users: new Set(), devices: new Set(), agents: new Set(), sessions: new Set(), requests: 0 };
}

function add(seen: Seen, row: SqlRow): void {
  seen.users.add(row['principal']);
  if (row['device_id'] !== null) seen.devices.add(row['device_id']);
  if (row['agent'] !== null) seen.agents.add(row['agent']);
  // A session label is its principal's.
  if (row['session_id'] !== null)
    seen.sessions.add(`${String(row['session_id'])}\n${String(row['principal'])}`);
  seen.requests += 1;
}
