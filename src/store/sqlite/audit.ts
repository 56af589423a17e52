/**
 * The audit log: a keyed hash chain for each tailnet, with signed checkpoints (DESIGN section 8).
 *
 *   hash(n) = HMAC(key, hash(n - 1) || canonical row n), hash(0) = 32 zero bytes
 *
 * Without the key no row can be altered, inserted, reordered or dropped unseen. The signed head
 * shows rows cut off at the end. Whoever puts back an older copy of the whole file is found only
 * by a checkpoint that was kept elsewhere.
 */
import {
  canonicalJson,
  constantTimeEqual,
  hashChainNext,
  keyedHash,
  SHA256_BYTES,
} from '../../crypto/index.ts';
import { storeError } from '../errors.ts';
import type { AuditEntry, AuditFilter, AuditRow, Page, PageRequest } from '../shapes.ts';
import { bytesOf, createCodec, intOf, textOf, type SqlRow } from './columns.ts';
import { pageLimit, readCursor, writeCursor } from './cursor.ts';
import type { Database } from './database.ts';
import { likePattern } from './filter.ts';

const CHECKPOINT_ROWS = 1_000;
/** One hour. */
const CHECKPOINT_MS = 3_600_000;
/** Facts are small; what is larger belongs elsewhere. */
const FACTS_BYTES_MAX = 64 * 1024;

/** `facts` as canonical text, so that the hash covers exactly what is stored. */
type StoredEntry = Omit<AuditEntry, 'facts'> & { readonly seq: number; readonly facts: string };

const CODEC = createCodec<StoredEntry>({
  tailnet: ['tailnet', 'text'],
  seq: ['seq', 'int'],
  at: ['at', 'int'],
  actor: ['actor', 'text'],
  actorLabel: ['actor_label', 'text'],
  door: ['door', 'text'],
  presence: ['presence', 'text'],
  action: ['action', 'text'],
  target: ['target', 'text'],
  reason: ['reason', 'text'],
  facts: ['facts', 'text'],
});

/** Adds a row; on disk when it returns. Throws `store_invalid_row` for facts that are no small JSON. */
export function appendAudit(database: Database, key: Uint8Array, entry: AuditEntry): AuditRow {
  const facts = factsText(entry);
  return database.durableTransaction(() => {
    const head = readHead(database, entry.tailnet);
    if (head !== null && !isSigned(key, 'head', entry.tailnet, head)) {
      throw storeError(
        'store_corrupt',
        'the end of the audit log does not bear its signature; run "postern audit verify"',
      );
    }
    const stored: StoredEntry = { ...entry, at: Math.round(entry.at), seq: (head?.seq ?? 0) + 1, facts };
    const hash = hashChainNext(key, head?.hash ?? FIRST_LINK, canonicalRow(stored));
    database
      .prepare(`INSERT INTO audit (${CODEC.columnList}, hash) VALUES (${CODEC.placeholders}, ?)`)
      .run(...CODEC.toValues(stored), hash);
    const link = { seq: stored.seq, hash };
    writeHead(database, key, entry.tailnet, link);
    writeCheckpoint(database, key, stored, hash);
    return { ...entry, at: stored.at, seq: stored.seq, hash: Buffer.from(hash).toString('hex') };
  });
}

/** Newest first. */
export function listAudit(
  database: Database,
  tailnet: string,
  filter: AuditFilter,
  page: PageRequest,
): Page<AuditRow> {
  const before = page.cursor === undefined ? null : readCursor(page.cursor).seq;
  const parts: string[] = ['tailnet = ?'];
  const values: (string | number)[] = [tailnet];
  const add = (sql: string, value: string | number | null | undefined): void => {
    if (value === undefined || value === null) return;
    parts.push(sql);
    values.push(value);
  };
  add('actor = ?', filter.actor);
  if (filter.action?.endsWith('.') === true)
    add("action LIKE ? ESCAPE '\\'", likePattern(filter.action).slice(1));
  else add('action = ?', filter.action);
  add('target = ?', filter.target);
  add(
    "(actor || char(10) || actor_label || char(10) || action || char(10) || target || char(10) || coalesce(reason, '') || char(10) || facts) LIKE ? ESCAPE '\\'",
    filter.text === undefined ? undefined : likePattern(filter.text),
  );
  add('at >= ?', filter.from);
  add('at < ?', filter.to);
  add('seq < ?', before);
  const limit = pageLimit(page.limit);
  const rows = database
    .prepare(
      `SELECT ${CODEC.columnList}, hash FROM audit WHERE ${parts.join(' AND ')} ORDER BY seq DESC LIMIT ?`,
    )
    .all(...values, limit + 1);
  const items = rows.slice(0, limit).map(toAuditRow);
  const last = items.at(-1);
  const nextCursor =
    rows.length > limit && last !== undefined ? writeCursor({ at: last.at, seq: last.seq }) : null;
  return { items, nextCursor };
}

/** Every action of a tailnet with its number of entries, by name. */
export function countAuditActions(
  database: Database,
  tailnet: string,
): { readonly action: string; readonly entries: number }[] {
  const rows = database
    .prepare(
      'SELECT action, count(*) AS entries FROM audit WHERE tailnet = ? GROUP BY action ORDER BY action',
    )
    .all(tailnet);
  return rows.map((row) => ({ action: textOf(row, 'action'), entries: intOf(row, 'entries') }));
}

const FIRST_LINK: Uint8Array = new Uint8Array(SHA256_BYTES);

/** How far a check of the chain has come. */
export interface AuditCheck {
  /** Rows read. */
  readonly rows: number;
  /** The last row read; -1 before the first. */
  readonly lastSeq: number;
  /** The last link that fits. */
  readonly link: Link;
  /** The first row that does not fit, so far. */
  readonly brokenAt: number | null;
  /** The verdict stands: every row was read, and checkpoints and head were compared. */
  readonly isDone: boolean;
}

export const AUDIT_CHECK_START: AuditCheck = {
  rows: 0,
  lastSeq: -1,
  link: { seq: 0, hash: FIRST_LINK },
  brokenAt: null,
  isDone: false,
};

/** About 8 ms: the only reading thread answers others in between. */
export const AUDIT_SLICE_ROWS = 1_000;

/** Recomputes the chain of a tailnet a slice further; behind its last row, compares checkpoints and head. */
export function verifyAuditSlice(
  database: Database,
  key: Uint8Array,
  tailnet: string,
  from: AuditCheck,
): AuditCheck {
  const checkpoints = readCheckpoints(database, tailnet, from.lastSeq);
  let { rows, lastSeq, link, brokenAt } = from;
  const slice = database.prepare(
    `SELECT ${CODEC.columnList}, hash FROM audit WHERE tailnet = ? AND seq > ? ORDER BY seq LIMIT ${AUDIT_SLICE_ROWS}`,
  );
  for (const row of slice.iterate(tailnet, from.lastSeq)) {
    rows += 1;
    lastSeq = intOf(row, 'seq');
    if (brokenAt !== null) continue;
    const entry = CODEC.fromRow(row);
    const hash = hashChainNext(key, link.hash, canonicalRow(entry));
    if (entry.seq !== link.seq + 1) brokenAt = link.seq + 1;
    else if (!constantTimeEqual(hash, bytesOf(row, 'hash'))) brokenAt = entry.seq;
    else if (!fitsCheckpoint(key, tailnet, checkpoints.get(entry.seq), hash)) brokenAt = entry.seq;
    else link = { seq: entry.seq, hash };
  }
  const head = readHead(database, tailnet);
  const isFull = rows - from.rows === AUDIT_SLICE_ROWS;
  // A head beyond what was read may be that of a row written meanwhile: looked for once more.
  const isBehind = rows > from.rows && head !== null && head.seq > lastSeq;
  if (isFull || isBehind) return { rows, lastSeq, link, brokenAt, isDone: false };
  if (brokenAt !== null) return { rows, lastSeq, link, brokenAt, isDone: true };
  const headFits =
    head === null
      ? link.seq === 0
      : isSigned(key, 'head', tailnet, head) &&
        head.seq === link.seq &&
        constantTimeEqual(head.hash, link.hash);
  const lastCheckpoint = Math.max(0, ...checkpoints.keys());
  brokenAt = headFits && lastCheckpoint <= link.seq ? null : link.seq + 1;
  return { rows, lastSeq, link, brokenAt, isDone: true };
}

interface Link {
  readonly seq: number;
  readonly hash: Uint8Array;
}

interface SignedLink extends Link {
  readonly signature: Uint8Array;
}

function factsText(entry: AuditEntry): string {
  try {
    const text = canonicalJson(JSON.parse(JSON.stringify(entry.facts)));
    if (Buffer.byteLength(text) <= FACTS_BYTES_MAX) return text;
  } catch (cause) {
    throw storeError(
      'store_invalid_row',
      'the facts of an audit entry must be a JSON object',
      undefined,
      cause,
    );
  }
  throw storeError('store_invalid_row', `the facts of an audit entry have at most ${FACTS_BYTES_MAX} bytes`);
}

function canonicalRow(entry: StoredEntry): Uint8Array {
  return Buffer.from(canonicalJson(entry), 'utf8');
}

function readHead(database: Database, tailnet: string): SignedLink | null {
  const row = database.prepare('SELECT seq, hash, signature FROM audit_heads WHERE tailnet = ?').get(tailnet);
  return row === undefined ? null : toSignedLink(row);
}

function writeHead(database: Database, key: Uint8Array, tailnet: string, link: Link): void {
  database
    .prepare(
      `INSERT INTO audit_heads (tailnet, seq, hash, signature) VALUES (?, ?, ?, ?)
       ON CONFLICT (tailnet) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, signature = excluded.signature`,
    )
    .run(tailnet, link.seq, link.hash, sign(key, 'head', tailnet, link));
}

/** A checkpoint for the first row, every thousandth, and the first after an hour. */
function writeCheckpoint(database: Database, key: Uint8Array, entry: StoredEntry, hash: Uint8Array): void {
  const last = database
    .prepare('SELECT seq, at FROM audit_checkpoints WHERE tailnet = ? ORDER BY seq DESC LIMIT 1')
    .get(entry.tailnet);
  const due =
    last === undefined ||
    entry.seq - intOf(last, 'seq') >= CHECKPOINT_ROWS ||
    entry.at - intOf(last, 'at') >= CHECKPOINT_MS;
  if (!due) return;
  database
    .prepare('INSERT INTO audit_checkpoints (tailnet, seq, at, hash, signature) VALUES (?, ?, ?, ?, ?)')
    .run(
      entry.tailnet,
      entry.seq,
      entry.at,
      hash,
      sign(key, 'checkpoint', entry.tailnet, { seq: entry.seq, hash }),
    );
}

/** Those behind a row, as many as a slice can meet and one beyond it. */
function readCheckpoints(
  database: Database,
  tailnet: string,
  after: number,
): ReadonlyMap<number, SignedLink> {
  const rows = database
    .prepare(
      `SELECT seq, hash, signature FROM audit_checkpoints WHERE tailnet = ? AND seq > ?
       ORDER BY seq LIMIT ${AUDIT_SLICE_ROWS + 1}`,
    )
    .all(tailnet, after);
  return new Map(rows.map((row) => [intOf(row, 'seq'), toSignedLink(row)]));
}

function fitsCheckpoint(
  key: Uint8Array,
  tailnet: string,
  checkpoint: SignedLink | undefined,
  hash: Uint8Array,
): boolean {
  if (checkpoint === undefined) return true;
  return isSigned(key, 'checkpoint', tailnet, checkpoint) && constantTimeEqual(checkpoint.hash, hash);
}

function sign(key: Uint8Array, kind: 'head' | 'checkpoint', tailnet: string, link: Link): Uint8Array {
  return keyedHash(key, Buffer.from(JSON.stringify(['audit', kind, tailnet, link.seq]), 'utf8'), link.hash);
}

function isSigned(key: Uint8Array, kind: 'head' | 'checkpoint', tailnet: string, link: SignedLink): boolean {
  return constantTimeEqual(link.signature, sign(key, kind, tailnet, link));
}

function toSignedLink(row: SqlRow): SignedLink {
  return { seq: intOf(row, 'seq'), hash: bytesOf(row, 'hash'), signature: bytesOf(row, 'signature') };
}

function toAuditRow(row: SqlRow): AuditRow {
  const { facts, ...entry } = CODEC.fromRow(row);
  return {
    ...entry,
    facts: parseFacts(facts),
    hash: Buffer.from(bytesOf(row, 'hash')).toString('hex'),
  };
}

function parseFacts(text: string): AuditRow['facts'] {
  const facts: unknown = JSON.parse(text);
  return typeof facts === 'object' && facts !== null ? { ...facts } : {};
}
