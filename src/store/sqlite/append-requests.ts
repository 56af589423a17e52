import type { RequestBatch } from '../shapes.ts';
import { BodyWriter, type BodyKeys } from './bodies/body-store.ts';
import type { Database } from './database.ts';
import { REQUEST_CODEC } from './request-codec.ts';
import { deriveSession, pruneChains } from './session-chains.ts';

/** Writes a batch in one transaction; see `Store.appendRequests`. */
export function appendRequests(database: Database, keys: BodyKeys, batch: RequestBatch): void {
  const bodies = new Map(batch.bodies.map((body) => [body.requestId, body]));
  const insert = `INSERT INTO requests (${REQUEST_CODEC.columnList}) VALUES (${REQUEST_CODEC.placeholders})
    ON CONFLICT (id) DO NOTHING`;
  database.transaction(() => {
    const writer = new BodyWriter(database, keys);
    for (const row of batch.rows) {
      const known = database.prepare('SELECT 1 FROM requests WHERE id = ?').get(row.id);
      if (known !== undefined) continue;
      const conversation = row.capture === 'none' ? undefined : batch.conversations?.get(row.id);
      const sessionId =
        row.sessionId ??
        (conversation === undefined ? null : deriveSession(database, keys.bodyHashKey, row, conversation));
      database.prepare(insert).run(...REQUEST_CODEC.toValues({ ...row, sessionId }));
      const captured = row.capture === 'full' ? bodies.get(row.id) : undefined;
      if (captured !== undefined) writer.add(captured);
    }
    writer.close();
    const newest = batch.rows.at(-1);
    if (newest !== undefined) pruneChains(database, newest.startedAt);
  });
}
