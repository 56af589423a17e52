/**
 * Approvals in SQLite. Each call is one transaction of the only writer of the file, and on disk
 * (fsync) where something may then run because of it: what was used stays used after a power cut.
 */
import type {
  ApprovalAsk,
  ApprovalFilter,
  ApprovalRow,
  ApprovalUse,
  AskedApproval,
} from '../approval-shapes.ts';
import { storeError } from '../errors.ts';
import type { Page, PageRequest } from '../shapes.ts';
import { createCodec, intOf, textOf } from './columns.ts';
import { pageLimit, readCursor, writeCursor } from './cursor.ts';
import type { Database } from './database.ts';

const IDS_MAX = 1_000;
const EXPIRE_MAX = 500;
/** Rows forgotten in one call, so that no call is long. */
const FORGET_MAX = 2_000;

const CODEC = createCodec<ApprovalRow>({
  id: ['id', 'text'],
  tailnet: ['tailnet', 'text'],
  state: ['state', 'text'],
  revision: ['revision', 'int'],
  binding: ['binding', 'text'],
  principal: ['principal', 'text'],
  label: ['label', 'text'],
  deviceId: ['device_id', 'text'],
  tokenId: ['token_id', 'text'],
  agent: ['agent', 'text'],
  sessionId: ['session_id', 'text'],
  subjectKind: ['subject_kind', 'text'],
  subject: ['subject', 'text'],
  amount: ['amount', 'int'],
  unit: ['unit', 'text'],
  entry: ['entry', 'text'],
  terms: ['terms', 'json'],
  rule: ['rule', 'text'],
  requestId: ['request_id', 'text'],
  provider: ['provider', 'text'],
  model: ['model', 'text'],
  held: ['held', 'bool'],
  sealedPreview: ['sealed_preview', 'bytes'],
  sealedContent: ['sealed_content', 'bytes'],
  sealedEdit: ['sealed_edit', 'bytes'],
  edits: ['edits', 'int'],
  votes: ['votes', 'json'],
  createdAt: ['created_at', 'int'],
  expiresAt: ['expires_at', 'int'],
  decidedAt: ['decided_at', 'int'],
  reason: ['reason', 'text'],
  once: ['once', 'bool'],
  sessionBound: ['session_bound', 'bool'],
  validUntil: ['valid_until', 'int'],
  usedAt: ['used_at', 'int'],
});

/** When a row ended, or will. */
const ENDED = "CASE WHEN state = 'approved' THEN valid_until ELSE coalesce(used_at, decided_at) END";

/** See `ApprovalStore.askApproval`. */
export function askApproval(database: Database, row: ApprovalRow, ask: ApprovalAsk): AskedApproval {
  return database.durableTransaction(() => {
    const { tailnet, binding, sessionId, createdAt: now } = row;
    const standing = findStanding(database, { tailnet, binding, sessionId, now });
    if (standing !== null)
      return ask.uses
        ? { kind: 'used', row: markUsed(database, standing, now) }
        : { kind: 'stands', row: standing };
    const waiting = findPending(database, row);
    if (waiting !== null && waiting.expiresAt > now) return { kind: 'joined', row: waiting };
    const lapsed = waiting === null ? null : lapse(database, waiting, now);
    if (!hasRoom(database, row, ask)) return { kind: 'too_many' };
    database
      .prepare(`INSERT INTO approvals (${CODEC.columnList}) VALUES (${CODEC.placeholders})`)
      .run(...CODEC.toValues(row));
    return { kind: 'opened', row, lapsed };
  });
}

/** See `ApprovalStore.useApproval`. */
export function useApproval(database: Database, use: ApprovalUse): ApprovalRow | null {
  return database.durableTransaction(() => useStandingApproval(database, use));
}

/** As `useApproval`, within a transaction that does more with it. */
export function useStandingApproval(database: Database, use: ApprovalUse): ApprovalRow | null {
  const standing = findStanding(database, use);
  return standing === null ? null : markUsed(database, standing, use.now);
}

/** See `ApprovalStore.replaceApproval`. */
export function replaceApproval(database: Database, row: ApprovalRow, expected: number): boolean {
  return database.durableTransaction(() => replace(database, row, expected));
}

/** Read by the reading thread: what is committed. */
export function getApproval(database: Database, tailnet: string, id: string): ApprovalRow | null {
  const found = database
    .prepare(`SELECT ${CODEC.columnList} FROM approvals WHERE tailnet = ? AND id = ?`)
    .get(tailnet, id);
  return found === undefined ? null : CODEC.fromRow(found);
}

/** See `ApprovalStore.settledApprovals`. */
export function settledApprovals(
  database: Database,
  tailnet: string,
  ids: readonly string[],
): { id: string; row: ApprovalRow | null }[] {
  if (ids.length > IDS_MAX)
    throw storeError('store_query_too_large', `a query names at most ${IDS_MAX} approvals`);
  return ids.flatMap((id) => {
    const row = getApproval(database, tailnet, id);
    return row?.state === 'pending' ? [] : [{ id, row }];
  });
}

/** Newest first. */
export function listApprovals(
  database: Database,
  filter: ApprovalFilter,
  page: PageRequest,
): Page<ApprovalRow> {
  const parts = ['tailnet = ?'];
  const values: (string | number)[] = [filter.tailnet];
  if (filter.states !== undefined) {
    parts.push('state IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(filter.states));
  }
  if (filter.principal !== undefined) {
    parts.push('principal = ?');
    values.push(filter.principal);
  }
  if (filter.subjectKind !== undefined) {
    parts.push('subject_kind = ?');
    values.push(filter.subjectKind);
  }
  if (page.cursor !== undefined) {
    const place = readCursor(page.cursor);
    parts.push('(created_at, seq) < (?, ?)');
    values.push(place.at, place.seq);
  }
  const limit = pageLimit(page.limit);
  const rows = database
    .prepare(
      `SELECT seq, ${CODEC.columnList} FROM approvals WHERE ${parts.join(' AND ')}
       ORDER BY created_at DESC, seq DESC LIMIT ?`,
    )
    .all(...values, limit + 1);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: items.map((item) => CODEC.fromRow(item)),
    nextCursor: more ? writeCursor({ at: intOf(last, 'created_at'), seq: intOf(last, 'seq') }) : null,
  };
}

/** See `ApprovalStore.expireApprovals`. */
export function expireApprovals(database: Database, tailnet: string, now: number): ApprovalRow[] {
  const at = Math.floor(now);
  const isDue = "tailnet = ? AND state = 'pending' AND expires_at <= ?";
  // Most calls find nothing, and then write nothing.
  const due = database
    .prepare(`SELECT id FROM approvals WHERE ${isDue} LIMIT ${EXPIRE_MAX}`)
    .all(tailnet, at)
    .map((found) => textOf(found, 'id'));
  if (due.length === 0) return [];
  return database.durableTransaction(() =>
    due.flatMap((id) => {
      const row = getApproval(database, tailnet, id);
      if (row === null || row.state !== 'pending' || row.expiresAt > at) return [];
      return lapse(database, row, at) ?? [];
    }),
  );
}

/** See `ApprovalStore.forgetApprovals`. */
export function forgetApprovals(
  database: Database,
  tailnet: string,
  before: { readonly contentBefore: number; readonly rowsBefore: number },
): void {
  const ended = (condition: string): string =>
    `tailnet = ? AND seq IN (SELECT seq FROM approvals WHERE tailnet = ? AND state <> 'pending' AND ${ENDED} < ? ${condition} LIMIT ${FORGET_MAX})`;
  database.transaction(() => {
    database
      .prepare(`DELETE FROM approvals WHERE ${ended('')}`)
      .run(tailnet, tailnet, Math.floor(before.rowsBefore));
    database
      .prepare(
        `UPDATE approvals SET sealed_preview = NULL, sealed_content = NULL, sealed_edit = NULL, revision = revision + 1
         WHERE ${ended('AND coalesce(sealed_preview, sealed_content, sealed_edit) IS NOT NULL')}`,
      )
      .run(tailnet, tailnet, Math.floor(before.contentBefore));
  });
}

/** An approval that stands: one for many calls before one for a single call, the oldest first. */
function findStanding(database: Database, use: ApprovalUse): ApprovalRow | null {
  const found = database
    .prepare(
      `SELECT ${CODEC.columnList} FROM approvals
       WHERE tailnet = ? AND state = 'approved' AND valid_until > ?
         AND (session_bound = 0 OR (session_id IS NOT NULL AND session_id = ?))
         AND ${use.id === undefined ? 'binding' : 'id'} = ?
       ORDER BY once, seq LIMIT 1`,
    )
    .get(use.tailnet, Math.floor(use.now), use.sessionId, use.id ?? use.binding);
  return found === undefined ? null : CODEC.fromRow(found);
}

/** Inside the transaction that found it, so that nobody else can have used it. */
function markUsed(database: Database, row: ApprovalRow, now: number): ApprovalRow {
  if (!row.once) return row;
  const used: ApprovalRow = {
    ...row,
    state: 'used',
    usedAt: Math.floor(now),
    revision: row.revision + 1,
  };
  if (!replace(database, used, row.revision))
    throw storeError('store_conflict', 'an approval changed while it was used');
  return used;
}

function findPending(database: Database, { tailnet, binding }: ApprovalRow): ApprovalRow | null {
  const found = database
    .prepare(
      `SELECT ${CODEC.columnList} FROM approvals WHERE tailnet = ? AND binding = ? AND state = 'pending'`,
    )
    .get(tailnet, binding);
  return found === undefined ? null : CODEC.fromRow(found);
}

function lapse(database: Database, row: ApprovalRow, now: number): ApprovalRow | null {
  const expired: ApprovalRow = {
    ...row,
    state: 'expired',
    decidedAt: Math.floor(now),
    reason: 'nobody decided in time',
    revision: row.revision + 1,
  };
  return replace(database, expired, row.revision) ? expired : null;
}

function hasRoom(database: Database, { tailnet, principal }: ApprovalRow, room: ApprovalAsk): boolean {
  const counts = database
    .prepare(
      `SELECT (SELECT count(*) FROM approvals WHERE tailnet = ? AND principal = ? AND state = 'pending') AS own,
              (SELECT count(*) FROM approvals WHERE tailnet = ? AND state = 'pending') AS everybody`,
    )
    .get(tailnet, principal, tailnet);
  return (
    counts !== undefined &&
    intOf(counts, 'own') < room.pendingPerPrincipalMax &&
    intOf(counts, 'everybody') < room.pendingMax
  );
}

/** What decides, what is sealed and who asked: all of a row that may change. */
function replace(database: Database, row: ApprovalRow, expected: number): boolean {
  const sets = CODEC.fields
    .map(([field]) => field)
    .filter((field) => CHANGING.has(field))
    .map((field) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  const values = CODEC.toValues(row).filter((_, index) => CHANGING.has(CODEC.fields[index]?.[0] ?? 'id'));
  const { changes } = database
    .prepare(
      `UPDATE approvals SET ${sets.map((column) => `${column} = ?`).join(', ')}
       WHERE tailnet = ? AND id = ? AND revision = ?`,
    )
    .run(...values, row.tailnet, row.id, expected);
  return Number(changes) === 1;
}

/** Who asks and for what never changes. */
const CHANGING: ReadonlySet<keyof ApprovalRow> = new Set([
  'state',
  'revision',
  'held',
  'sealedPreview',
  'sealedContent',
  'sealedEdit',
  'edits',
  'votes',
  'expiresAt',
  'decidedAt',
  'reason',
  'once',
  'sessionBound',
  'validUntil',
  'usedAt',
]);
