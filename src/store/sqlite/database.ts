/**
 * One connection to the database file, for use inside a worker thread: pragmas, transactions, a
 * cache of prepared statements, and the translation of SQLite's result codes.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isStoreError, storeError, type StoreErrorCode } from '../errors.ts';

/** 5 s: another process (`postern doctor`, a backup) may hold the file for a moment. */
const BUSY_TIMEOUT_MS = 5_000;
/** Page cache in KiB. Small, because the operating system caches the file too. */
const CACHE_KIB = { writer: 8_192, reader: 4_096 } as const;
/** The write-ahead log is cut back to this size after a checkpoint. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;

/** Statements kept; filters and groupings make some hundred texts, seldom more than 50 in use. */
const STATEMENTS_MAX = 200;

export type ConnectionRole = 'writer' | 'reader';

export class Database {
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens the file. WAL with `synchronous=NORMAL`: a killed process loses nothing that was committed. */
  constructor(file: string, role: ConnectionRole) {
    this.#connection = new DatabaseSync(file, {
      readOnly: role === 'reader',
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: false,
    });
    if (role === 'writer') {
      this.exec('PRAGMA journal_mode = WAL');
      this.exec(`PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`);
      // Deleted rows (old keys, tokens) do not linger in the pages that are rewritten anyway.
      this.exec('PRAGMA secure_delete = FAST');
    }
    this.exec('PRAGMA synchronous = NORMAL');
    this.exec(`PRAGMA cache_size = -${CACHE_KIB[role]}`);
  }

  /** Runs statements without parameters. Never for text that holds a value from outside. */
  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  /** A prepared statement, kept for the next use of the same text. */
  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare(sql);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > STATEMENTS_MAX && oldest !== undefined) this.#statements.delete(oldest);
    return statement;
  }

  /** Runs `work` in a write transaction: all of it is stored, or none. */
  transaction<Result>(work: () => Result): Result {
    this.exec('BEGIN IMMEDIATE');
    let result: Result;
    try {
      result = work();
      this.exec('COMMIT');
    } catch (error) {
      // Some failures (disk full) have rolled back already.
      if (this.#connection.isTransaction) this.exec('ROLLBACK');
      throw error;
    }
    return result;
  }

  /**
   * As `transaction`, and on disk (fsync) when it returns: for few and weighty writes, such as a
   * revocation, which must survive a power cut too.
   */
  durableTransaction<Result>(work: () => Result): Result {
    this.exec('PRAGMA synchronous = FULL');
    try {
      return this.transaction(work);
    } finally {
      this.exec('PRAGMA synchronous = NORMAL');
    }
  }

  close(): void {
    this.#statements.clear();
    this.#connection.close();
  }
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const SQLITE_CORRUPT = 11;
const SQLITE_CONSTRAINT = 19;
const SQLITE_MISMATCH = 20;
const SQLITE_NOTADB = 26;

/** Gives a failure of SQLite one of the store's codes; `fallback` is used where the code tells no more. */
export function toStoreError(error: unknown, fallback: StoreErrorCode): Error {
  if (isStoreError(error)) return error;
  const detail = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') {
    return storeError(fallback, 'the store failed', detail, error);
  }
  switch (error.errcode & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return storeError('store_invalid_row', 'a row breaks a rule of the schema', detail, error);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return storeError('store_corrupt', 'the database file is damaged or is not a database', detail, error);
    default:
      return storeError(fallback, `the database answered "${detail}"`, `result code ${error.errcode}`, error);
  }
}
