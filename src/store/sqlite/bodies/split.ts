/** The items of a body, by where they end: between the cuts of its outline, none of them too large. */

/** A smaller body costs less whole than in pieces. */
const SPLIT_BYTES_MIN = 512;
/** No item is larger: a writer holds a few of them at a time. */
export const ITEM_BYTES_MAX = 1024 * 1024;
/** Pieces of what is no JSON. */
const CHUNK_BYTES = 64 * 1024;

/** Ends of the items of a request body, ascending; `cuts` is null for what has no outline. */
export function requestItemEnds(length: number, cuts: readonly number[] | null): number[] {
  if (length < SPLIT_BYTES_MIN) return itemEnds(length, [], ITEM_BYTES_MAX);
  return cuts === null ? itemEnds(length, [], CHUNK_BYTES) : itemEnds(length, cuts, ITEM_BYTES_MAX);
}

/** Ends of the pieces of an answer: never sent again as these bytes, so only cut to size. */
export function responsePieceEnds(length: number): number[] {
  return itemEnds(length, [], ITEM_BYTES_MAX);
}

function itemEnds(length: number, cuts: readonly number[], bytesMax: number): number[] {
  const ends: number[] = [];
  let start = 0;
  const cutAt = (cut: number): void => {
    while (cut - start > bytesMax) {
      start += bytesMax;
      ends.push(start);
    }
    if (cut > start) ends.push(cut);
    start = cut;
  };
  for (const cut of cuts) cutAt(cut);
  cutAt(length);
  return ends;
}
