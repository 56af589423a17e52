/** What Postern keeps, and the adapter that keeps it in SQLite. */
export type * from './shapes.ts';
export type * from './budget-shapes.ts';
export type * from './approval-shapes.ts';
export type * from './memory-shapes.ts';
export type * from './control-shapes.ts';
export { isStoreError } from './errors.ts';
export type { StoreError, StoreErrorCode } from './errors.ts';
export { openSqliteStore } from './sqlite/open.ts';
export type { SqliteStoreOptions } from './sqlite/open.ts';
