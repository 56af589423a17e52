/** Brings a database to the schema of this version, one numbered step after the other. */
import type { UnixMs } from '../../base/clock.ts';
import { storeError } from '../errors.ts';
import type { Database } from './database.ts';
import { initial } from './migrations/0001-initial.ts';
import { ownedObjectFacts } from './migrations/0002-owned-object-facts.ts';
import { fewerIndexes } from './migrations/0003-fewer-indexes.ts';
import { budgets } from './migrations/0004-budgets.ts';
import { approvals } from './migrations/0005-approvals.ts';
import { decisions } from './migrations/0006-decisions.ts';
import { grantsOnApproval } from './migrations/0007-grants-on-approval.ts';
import { memories } from './migrations/0008-memories.ts';
import { approvalUnits } from './migrations/0009-approval-units.ts';
import { controlRecords } from './migrations/0010-control-records.ts';

/** One step; once released it is never changed. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  initial,
  ownedObjectFacts,
  fewerIndexes,
  budgets,
  approvals,
  decisions,
  grantsOnApproval,
  memories,
  approvalUnits,
  controlRecords,
];

/**
 * Applies the steps that are missing, each in a transaction of its own. Throws `store_newer_schema`
 * if the database knows a step that this version does not.
 */
export function migrate(
  database: Database,
  now: UnixMs,
  migrations: readonly Migration[] = MIGRATIONS,
): void {
  database.exec(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
  );
  const known = migrations.at(-1)?.version ?? 0;
  const current = currentVersion(database);
  if (current > known) {
    throw storeError(
      'store_newer_schema',
      `the database has schema ${current}, this Postern knows up to ${known}: start a newer Postern, or restore a backup`,
    );
  }
  for (const step of migrations) {
    if (step.version <= current) continue;
    database.durableTransaction(() => {
      database.exec(step.sql);
      database
        .prepare('INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)')
        .run(step.version, step.name, now);
    });
  }
}

function currentVersion(database: Database): number {
  const row = database.prepare('SELECT max(version) AS version FROM schema_migrations').get();
  return typeof row?.version === 'number' ? row.version : 0;
}
