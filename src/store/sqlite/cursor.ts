/**
 * Cursors: a place in an order of (time, sequence), written so that nobody relies on what is in
 * it. A forged cursor moves the place and nothing else: every query has its own filter.
 */
import { storeError } from '../errors.ts';

/** The last row of a page; the next page begins behind it. */
export interface Place {
  readonly at: number;
  readonly seq: number;
}

/** Most items on a page. */
const PAGE_ITEMS_MAX = 500;

export function writeCursor(place: Place): string {
  return Buffer.from(`${place.at}.${place.seq}`, 'latin1').toString('base64url');
}

/** Throws `store_bad_cursor` for anything that `writeCursor` did not make. */
export function readCursor(cursor: string): Place {
  if (cursor.length > 64) throw badCursor();
  const match = /^(-?\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  const place = { at: Number(match?.[1]), seq: Number(match?.[2]) };
  if (!Number.isSafeInteger(place.at) || !Number.isSafeInteger(place.seq)) throw badCursor();
  return place;
}

/** A page size between 1 and 500; anything else becomes the nearest of these. */
export function pageLimit(limit: number): number {
  return Number.isFinite(limit) ? Math.min(PAGE_ITEMS_MAX, Math.max(1, Math.trunc(limit))) : PAGE_ITEMS_MAX;
}

function badCursor(): Error {
  return storeError('store_bad_cursor', 'the cursor is not one that this list gave out; start without one');
}
