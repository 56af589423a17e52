/**
 * Budgets in SQLite. The sums are those of `../budget-ledger.ts`; here are only the reads and
 * writes around them, each call in one transaction. A killed process loses nothing that was
 * committed; what it held stays debited.
 */
import { storeError } from '../errors.ts';
import { enter, isBudgetAmount, LEASE_BELIEVED_MS, refill } from '../budget-ledger.ts';
import type {
  BudgetFilter,
  BudgetGrant,
  BudgetLeaseCall,
  BudgetLeaseRequest,
  BudgetName,
  BudgetRow,
  BudgetState,
} from '../budget-shapes.ts';
import type { Page, PageRequest } from '../shapes.ts';
import { useStandingApproval } from './approvals.ts';
import { createCodec, intOf } from './columns.ts';
import { pageLimit } from './cursor.ts';
import type { Database } from './database.ts';

const REQUESTS_MAX = 1_000;
const NAMES_MAX = 100;
/** Buckets that nobody touched for so long are forgotten: sessions and people that are gone. 400 days. */
const FORGOTTEN_MS = 400 * 86_400_000;

interface Asker {
  readonly instance: string;
  readonly now: number;
}

export interface BudgetRefill {
  readonly tailnet: string;
  readonly bucket: string;
  readonly amount: number;
  readonly asker: Asker;
  /** Used up by it; null where an admin refills. */
  readonly approval: { readonly id: string; readonly now: number } | null;
}

const CODEC = createCodec<BudgetRow>({
  tailnet: ['tailnet', 'text'],
  quota: ['quota', 'text'],
  bucket: ['bucket', 'text'],
  unit: ['unit', 'text'],
  capacity: ['capacity', 'int'],
  rateAmount: ['rate_amount', 'int'],
  ratePeriodMs: ['rate_period_ms', 'int'],
  windowStart: ['window_start', 'int'],
  epoch: ['epoch', 'int'],
  balance: ['balance', 'int'],
  refilledAt: ['refilled_at', 'int'],
  remainder: ['remainder', 'int'],
  updatedAt: ['updated_at', 'int'],
});

const HELD = 'SELECT coalesce(sum(holding), 0) FROM budget_leases AS l';
const SAME_BUCKET = 'l.tailnet = b.tailnet AND l.quota = b.quota AND l.bucket = b.bucket';

/** See `BudgetStore.leaseBudget`. Throws `store_invalid_row` for amounts that are none. */
export function leaseBudget(database: Database, call: BudgetLeaseCall): BudgetGrant[] {
  const now = Math.floor(call.now);
  if (call.requests.length > REQUESTS_MAX)
    throw storeError('store_invalid_row', `a call takes at most ${REQUESTS_MAX} buckets`);
  for (const request of call.requests) checkAmounts(request);
  return database.transaction(() => {
    if (call.first) begin(database, now);
    return call.requests.map((request) => lease(database, call.instance, request, now));
  });
}

/** See `BudgetStore.returnBudget`. */
export function returnBudget(database: Database, call: BudgetLeaseCall): void {
  const now = Math.floor(call.now);
  for (const request of call.requests) checkAmounts(request);
  database.transaction(() => {
    for (const request of call.requests)
      lease(database, call.instance, { ...request, need: 0, want: 0 }, now);
    database.prepare('DELETE FROM budget_leases WHERE instance = ?').run(call.instance);
  });
}

/** See `BudgetStore.listBudgets`. Read by the reading thread: what is committed. */
export function listBudgets(
  database: Database,
  filter: BudgetFilter,
  page: PageRequest,
  asker: Asker,
): Page<BudgetState> {
  const names = filter.buckets;
  if (names !== undefined && names.length > NAMES_MAX)
    throw storeError('store_query_too_large', `a query names at most ${NAMES_MAX} buckets`);
  const after = page.cursor === undefined ? null : readNameCursor(page.cursor);
  const parts = ['tailnet = ?'];
  const values: string[] = [filter.tailnet];
  if (filter.quota !== undefined) {
    parts.push('quota = ?');
    values.push(filter.quota);
  }
  if (names !== undefined) {
    parts.push('bucket IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(names));
  }
  if (after !== null) {
    parts.push('(quota, bucket) > (?, ?)');
    values.push(...after);
  }
  const limit = pageLimit(page.limit);
  const states = readStates(database, parts.join(' AND '), values, asker, limit + 1);
  const items = states.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: states.length > limit && last !== undefined ? writeNameCursor(last) : null,
  };
}

/** See `BudgetStore.refillBudget`. */
export function refillBudget(
  database: Database,
  { tailnet, bucket, amount, asker, approval }: BudgetRefill,
): BudgetState[] | null {
  if (!isBudgetAmount(amount))
    throw storeError('store_invalid_row', 'the amount of a refill is a whole number from 0');
  const now = Math.floor(asker.now);
  const refillAll = (): BudgetState[] => {
    const named = (): BudgetState[] =>
      readStates(database, 'tailnet = ? AND bucket = ?', [tailnet, bucket], asker, NAMES_MAX);
    for (const state of named()) {
      if (state.unit === 'concurrency') continue;
      const row = refill(state, state.held, now);
      const room = Math.max(row.balance, row.capacity - state.held);
      writeRow(database, { ...row, balance: Math.min(row.balance + amount, room), updatedAt: now });
    }
    return named();
  };
  if (approval === null) return database.transaction(refillAll);
  return database.durableTransaction(() =>
    useStandingApproval(database, { tailnet, ...approval, sessionId: null }) === null ? null : refillAll(),
  );
}

/** See `BudgetStore.deleteBudgets`. */
export function deleteBudgets(database: Database, tailnet: string, keepQuotas: readonly string[]): number {
  const gone = 'tailnet = ? AND quota NOT IN (SELECT value FROM json_each(?))';
  const values = [tailnet, JSON.stringify(keepQuotas)];
  return database.transaction(() => {
    database.prepare(`DELETE FROM budget_leases WHERE ${gone}`).run(...values);
    return Number(database.prepare(`DELETE FROM budgets WHERE ${gone}`).run(...values).changes);
  });
}

/**
 * A process starts: leases that are no longer believed are forgotten, and what lies ahead of its
 * clock is set back to it. Only here, so that clocks that differ cannot fill a bucket by turns.
 */
function begin(database: Database, now: number): void {
  database.prepare('DELETE FROM budget_leases WHERE believed_until <= ?').run(now);
  database
    .prepare('UPDATE budget_leases SET believed_until = ? WHERE believed_until > ?')
    .run(now + LEASE_BELIEVED_MS, now + LEASE_BELIEVED_MS);
  database.prepare('UPDATE budgets SET refilled_at = ? WHERE refilled_at > ?').run(now, now);
  database.prepare('UPDATE budgets SET window_start = ? WHERE window_start > ?').run(now, now);
  database
    .prepare(
      `DELETE FROM budgets AS b WHERE updated_at < ? AND NOT EXISTS (SELECT 1 FROM budget_leases AS l WHERE ${SAME_BUCKET})`,
    )
    .run(now - FORGOTTEN_MS);
}

function lease(database: Database, instance: string, request: BudgetLeaseRequest, now: number): BudgetGrant {
  const key = [request.tailnet, request.quota, request.bucket];
  const found = database
    .prepare(`SELECT ${CODEC.columnList} FROM budgets WHERE tailnet = ? AND quota = ? AND bucket = ?`)
    .get(...key);
  const held = database
    .prepare(
      `SELECT coalesce(sum(CASE WHEN instance = ? THEN holding END), 0) AS mine,
              coalesce(sum(CASE WHEN instance <> ? THEN holding END), 0) AS others
       FROM budget_leases WHERE tailnet = ? AND quota = ? AND bucket = ? AND believed_until > ?`,
    )
    .get(instance, instance, ...key, now);
  const holdings = held === undefined ? NOBODY : { mine: intOf(held, 'mine'), others: intOf(held, 'others') };
  const entry = enter(found === undefined ? null : CODEC.fromRow(found), request, holdings, now);
  if (entry.voidsOthers)
    database.prepare('DELETE FROM budget_leases WHERE tailnet = ? AND quota = ? AND bucket = ?').run(...key);
  writeRow(database, entry.row);
  writeLease(database, request, instance, entry.holding, now);
  return entry.grant;
}

const NOBODY = { mine: 0, others: 0 } as const;

function writeRow(database: Database, row: BudgetRow): void {
  database
    .prepare(`INSERT OR REPLACE INTO budgets (${CODEC.columnList}) VALUES (${CODEC.placeholders})`)
    .run(...CODEC.toValues(row));
}

function writeLease(
  database: Database,
  { tailnet, quota, bucket }: BudgetName,
  instance: string,
  holding: number,
  now: number,
): void {
  if (holding === 0) {
    database
      .prepare('DELETE FROM budget_leases WHERE tailnet = ? AND quota = ? AND bucket = ? AND instance = ?')
      .run(tailnet, quota, bucket, instance);
    return;
  }
  database
    .prepare(
      `INSERT OR REPLACE INTO budget_leases (tailnet, quota, bucket, instance, holding, believed_until)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .run(tailnet, quota, bucket, instance, holding, now + LEASE_BELIEVED_MS);
}

function readStates(
  database: Database,
  where: string,
  values: readonly string[],
  asker: Asker,
  limit: number,
): BudgetState[] {
  const rows = database
    .prepare(
      `SELECT ${CODEC.columnList},
         (${HELD} WHERE ${SAME_BUCKET} AND l.believed_until > ?) AS held,
         (${HELD} WHERE ${SAME_BUCKET} AND l.believed_until > ? AND l.instance = ?) AS held_by_asker
       FROM budgets AS b WHERE ${where} ORDER BY quota, bucket LIMIT ?`,
    )
    .all(asker.now, asker.now, asker.instance, ...values, limit);
  return rows.map((row) => ({
    ...CODEC.fromRow(row),
    held: intOf(row, 'held'),
    heldByAsker: intOf(row, 'held_by_asker'),
  }));
}

function checkAmounts(request: BudgetLeaseRequest): void {
  const amounts = [
    request.capacity,
    request.rateAmount ?? 0,
    request.ratePeriodMs ?? 1,
    request.holding,
    request.give,
    request.debit,
    request.need,
    request.want,
  ];
  if (!amounts.every(isBudgetAmount))
    throw storeError(
      'store_invalid_row',
      `the amounts of bucket ${JSON.stringify(request.bucket)} are whole numbers from 0`,
    );
}

function writeNameCursor({ quota, bucket }: BudgetName): string {
  return Buffer.from(JSON.stringify([quota, bucket]), 'utf8').toString('base64url');
}

function readNameCursor(text: string): readonly [string, string] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    value = null;
  }
  if (Array.isArray(value) && value.length === 2) {
    const [quota, bucket] = value as readonly unknown[];
    if (typeof quota === 'string' && typeof bucket === 'string') return [quota, bucket];
  }
  throw storeError('store_bad_cursor', 'the cursor is not one that a list of budgets gave');
}
