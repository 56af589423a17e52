/**
 * A process for `kill.test.ts`: appends batches until it is killed, and tells which were acknowledged.
 * The bodies are large and do not compress, so that most kills hit the middle of a write.
 */
import { systemRandom } from '../../base/random.ts';
import { auditEntry, capturedBodies, openTestStore, requestRow } from './rows.fixture.ts';

const [file = '', round = ''] = process.argv.slice(2);
const store = await openTestStore(file);
for (let batch = 0; ; batch += 1) {
  const ids = Array.from({ length: 20 }, (_, i) => `req_${round}_${batch}_${i}`);
  await store.appendRequests({
    rows: ids.map((id) => requestRow(id, { capture: 'full' })),
    bodies: ids.map((id) => capturedBodies(id, systemRandom.bytes(60_000), Buffer.from(`answer to ${id}`))),
  });
  await store.appendAudit(auditEntry({ target: String(batch) }));
  process.send?.(ids);
}
