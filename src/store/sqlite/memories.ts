/** Memories in SQLite: small, few, written off every path that somebody waits on. */
import type { MemoryBounds, MemoryName, MemoryRow } from '../memory-shapes.ts';
import { createCodec } from './columns.ts';
import type { Database } from './database.ts';

const CODEC = createCodec<MemoryRow>({
  tailnet: ['tailnet', 'text'],
  kind: ['kind', 'text'],
  name: ['name', 'text'],
  sealed: ['sealed', 'bytes'],
  at: ['at', 'int'],
});

/** See `MemoryStore.putMemories`. */
export function putMemories(database: Database, rows: readonly MemoryRow[]): void {
  database.transaction(() => {
    // Replaced, not updated: a row that is written again is the newest.
    const put = database.prepare(
      `INSERT OR REPLACE INTO memories (${CODEC.columnList}) VALUES (${CODEC.placeholders})`,
    );
    for (const row of rows) put.run(...CODEC.toValues(row));
  });
}

/** See `MemoryStore.deleteMemories`. */
export function deleteMemories(database: Database, tailnet: string, names: readonly MemoryName[]): void {
  database.transaction(() => {
    const remove = database.prepare('DELETE FROM memories WHERE tailnet = ? AND kind = ? AND name = ?');
    for (const { kind, name } of names) remove.run(tailnet, kind, name);
  });
}

/** See `MemoryStore.listMemories`. */
export function listMemories(
  database: Database,
  tailnet: string,
  kind: string,
  bounds: MemoryBounds,
): MemoryRow[] {
  return database
    .prepare(
      `SELECT ${CODEC.columnList} FROM memories WHERE tailnet = ? AND kind = ? AND seq IN (${WITHIN}) ORDER BY seq`,
    )
    .all(tailnet, kind, ...withinValues(tailnet, kind, bounds))
    .map((row) => CODEC.fromRow(row));
}

/** See `MemoryStore.forgetMemories`. */
export function forgetMemories(
  database: Database,
  tailnet: string,
  kind: string,
  bounds: MemoryBounds,
): void {
  database.transaction(() => {
    database
      .prepare(`DELETE FROM memories WHERE tailnet = ? AND kind = ? AND seq NOT IN (${WITHIN})`)
      .run(tailnet, kind, ...withinValues(tailnet, kind, bounds));
  });
}

/** The newest rows of a kind that fit: each counts with all that are newer. */
const WITHIN = `SELECT seq FROM (
    SELECT seq, sum(length(sealed)) OVER (ORDER BY seq DESC) AS bytes
    FROM memories WHERE tailnet = ? AND kind = ? AND at >= ? ORDER BY seq DESC LIMIT ?
  ) WHERE bytes <= ?`;

function withinValues(
  tailnet: string,
  kind: string,
  { before, rowsMax, bytesMax }: MemoryBounds,
): (string | number)[] {
  return [tailnet, kind, Math.floor(before), rowsMax, bytesMax];
}
