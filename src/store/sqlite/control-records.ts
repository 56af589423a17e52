/** Records of the coordination server in SQLite. */
import type { ControlRecordName, ControlRecordRow } from '../control-shapes.ts';
import { createCodec } from './columns.ts';
import type { Database } from './database.ts';

const CODEC = createCodec<ControlRecordRow>({
  tailnet: ['tailnet', 'text'],
  kind: ['kind', 'text'],
  name: ['name', 'text'],
  body: ['body', 'text'],
});

/** See `ControlRecordStore.listControlRecords`. */
export function listControlRecords(database: Database): ControlRecordRow[] {
  return database
    .prepare(`SELECT ${CODEC.columnList} FROM control_records ORDER BY tailnet, kind, name`)
    .all()
    .map((row) => CODEC.fromRow(row));
}

/** See `ControlRecordStore.writeControlRecords`. */
export function writeControlRecords(
  database: Database,
  puts: readonly ControlRecordRow[],
  deletes: readonly ControlRecordName[],
): void {
  database.durableTransaction(() => {
    const put = database.prepare(
      `INSERT OR REPLACE INTO control_records (${CODEC.columnList}) VALUES (${CODEC.placeholders})`,
    );
    for (const row of puts) put.run(...CODEC.toValues(row));
    const remove = database.prepare(
      'DELETE FROM control_records WHERE tailnet = ? AND kind = ? AND name = ?',
    );
    for (const { tailnet, kind, name } of deletes) remove.run(tailnet, kind, name);
  });
}
