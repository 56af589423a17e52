import { AppError } from '../base/errors.ts';

/** Closed set of failure codes of a store. */
export type StoreErrorCode =
  /** The file cannot be opened, is not a database, or cannot be made. */
  | 'store_open_failed'
  /** The database was written by a newer Postern. */
  | 'store_newer_schema'
  /** A write did not happen: disk full, read-only, locked for too long. It may be tried again. */
  | 'store_write_failed'
  | 'store_read_failed'
  /** A row breaks a rule of the schema; trying again will not help. */
  | 'store_invalid_row'
  /** Another writer was faster. */
  | 'store_conflict'
  | 'store_bad_cursor'
  /** A query would give more than its bound; narrow it. */
  | 'store_query_too_large'
  /** Stored data does not fit its hashes or keys. */
  | 'store_corrupt'
  /** The database thread ended; the next call starts it anew. */
  | 'store_worker_failed'
  | 'store_closed';

const CODES: ReadonlySet<string> = new Set<StoreErrorCode>([
  'store_open_failed',
  'store_newer_schema',
  'store_write_failed',
  'store_read_failed',
  'store_invalid_row',
  'store_conflict',
  'store_bad_cursor',
  'store_query_too_large',
  'store_corrupt',
  'store_worker_failed',
  'store_closed',
]);

export type StoreError = AppError<StoreErrorCode>;

/** A store's failure; `detail` is for the log only. */
export function storeError(
  code: StoreErrorCode,
  message: string,
  detail?: string,
  cause?: unknown,
): StoreError {
  return new AppError(code, message, { ...(detail === undefined ? {} : { detail }), cause });
}

/** Whether something thrown is a store's own failure. */
export function isStoreError(error: unknown): error is StoreError {
  return error instanceof AppError && CODES.has(error.code);
}

/** Whether a text is one of the codes; for codes that crossed a thread. */
export function isStoreErrorCode(code: string): code is StoreErrorCode {
  return CODES.has(code);
}
