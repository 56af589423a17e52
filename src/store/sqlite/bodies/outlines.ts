/**
 * Many exchanges of one session at once: each request as the ids of its items, and each item once,
 * so that a conversation of three hundred turns is read at the cost of what was new in each.
 */
import { storeError } from '../../errors.ts';
import type { StoredAnswer, StoredOutline, StoredOutlines } from '../../shapes.ts';
import type { Database } from '../database.ts';
import { BodyReader, type BodyKeys } from './body-store.ts';

/** Exchanges in a call: another query waits no longer than for these, about 100 ms. */
const REQUESTS_MAX = 200;
/** Bytes of items, or of answers, in a call. What is beyond is left out, as if it were not kept. */
const BYTES_MAX = 48 * 1024 * 1024;

/** See `Store.getOutlines`. Throws `store_query_too_large`, `store_corrupt`, `crypto_open_failed`. */
export function getOutlines(
  database: Database,
  keys: BodyKeys,
  ask: {
    readonly tailnet: string;
    readonly requestIds: readonly string[];
    readonly known: readonly number[];
  },
): StoredOutlines {
  checkCount(ask.requestIds);
  const reader = new BodyReader(database, keys, ask.tailnet);
  const seen = new Set(ask.known);
  const requests: StoredOutline[] = [];
  const items: { id: number; bytes: Uint8Array }[] = [];
  let bytes = 0;
  for (const requestId of ask.requestIds) {
    const manifest = reader.manifest(requestId);
    if (manifest === null) continue;
    requests.push({ requestId, items: manifest.requestItems });
    for (const id of manifest.requestItems) {
      if (seen.has(id)) continue;
      const item = reader.item(id);
      bytes += item.byteLength;
      if (bytes > BYTES_MAX) return { requests, items };
      seen.add(id);
      // Its pack is another's memory, and would travel along.
      items.push({ id, bytes: Uint8Array.from(item) });
    }
  }
  return { requests, items };
}

/** See `Store.getAnswers`. Throws as `getOutlines`. */
export function getAnswers(
  database: Database,
  keys: BodyKeys,
  tailnet: string,
  requestIds: readonly string[],
): StoredAnswer[] {
  checkCount(requestIds);
  const reader = new BodyReader(database, keys, tailnet);
  const answers: StoredAnswer[] = [];
  let bytes = 0;
  for (const requestId of requestIds) {
    const manifest = reader.manifest(requestId);
    if (manifest === null) continue;
    const response = reader.response(manifest);
    bytes += response.byteLength;
    if (bytes > BYTES_MAX) return answers;
    const { responseContentType, responseTruncated } = manifest;
    answers.push({ requestId, response, responseContentType, responseTruncated });
  }
  return answers;
}

function checkCount(requestIds: readonly string[]): void {
  if (requestIds.length <= REQUESTS_MAX) return;
  throw storeError(
    'store_query_too_large',
    `bodies of at most ${REQUESTS_MAX} requests are read at once, got ${requestIds.length}`,
  );
}
