/**
 * Recorded rows, oldest first. The store lists them newest first, so the range is walked in spans
 * that are small enough to be held and turned round. Memory is bounded by `ROWS_HELD_MAX`.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { RequestRow } from '../../store/index.ts';
import type { RecordedRows } from './ports.ts';

/** Rows held at once; a row has about 1 kB. */
const ROWS_HELD_MAX = 4_000;
const PAGE_ROWS = 500;
const SPAN_START_MS = 6 * 3_600_000;

export interface RowRange {
  readonly tailnet: string;
  /** Inclusive. */
  readonly from: UnixMs;
  /** Exclusive. */
  readonly to: UnixMs;
}

/**
 * Chunks of rows in the order in which they began; within one millisecond, of which there are more
 * rows than are held, in any order. Rejects as the store does.
 */
export async function* rowsInOrder(
  store: RecordedRows,
  range: RowRange,
): AsyncGenerator<readonly RequestRow[], void, undefined> {
  let from = range.from;
  let spanMs = SPAN_START_MS;
  while (from < range.to) {
    const to = Math.min(range.to, from + spanMs);
    const rows = await spanOf(store, { ...range, from, to });
    if (rows === null && to - from > 1) {
      spanMs = Math.max(1, Math.floor((to - from) / 4));
      continue;
    }
    if (rows === null) yield* pagesOf(store, { ...range, from, to });
    else if (rows.length > 0) yield rows.reverse();
    if (rows !== null && rows.length < ROWS_HELD_MAX / 4) spanMs *= 2;
    from = to;
  }
}

/** Newest first; null where there are more than are held. */
async function spanOf(store: RecordedRows, range: RowRange): Promise<RequestRow[] | null> {
  const rows: RequestRow[] = [];
  for await (const page of pagesOf(store, range)) {
    if (rows.length + page.length > ROWS_HELD_MAX) return null;
    rows.push(...page);
  }
  return rows;
}

async function* pagesOf(
  store: RecordedRows,
  range: RowRange,
): AsyncGenerator<readonly RequestRow[], void, undefined> {
  let cursor: string | null = null;
  do {
    const page = await store.listRequests(range, {
      limit: PAGE_ROWS,
      ...(cursor === null ? {} : { cursor }),
    });
    if (page.items.length > 0) yield page.items;
    cursor = page.nextCursor;
  } while (cursor !== null);
}
