/**
 * Where a request body is cut into items, so that what an agent sends again on every turn is the
 * same item every time (DESIGN section 8). Cuts fall behind each element of the conversation's
 * arrays and around other large members. Any cuts are right: the body is the items in order, byte
 * for byte; good cuts only save space.
 */
import { JsonScanError, scanJsonArray, scanJsonObject, type JsonMember } from '../../../wire/json-scan.ts';

/** Members whose elements stay the same from turn to turn, in all formats. */
const CONVERSATION_ARRAYS: ReadonlySet<string> = new Set([
  'messages',
  'input',
  'contents',
  'system',
  'tools',
]);
/** A smaller body costs less whole than in pieces. */
const SPLIT_BYTES_MIN = 512;
/** Other members (instructions, schemas) of this size are items by themselves. */
const MEMBER_BYTES_MIN = 512;
/** More pieces than this are a sign of an odd body, and cost more than they save. */
const ITEMS_MAX = 20_000;
/** No item is larger: a writer holds a few of them at a time. */
export const ITEM_BYTES_MAX = 1024 * 1024;
/** Pieces of what is no JSON. */
const CHUNK_BYTES = 64 * 1024;

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** The items of a request body, in order. */
export function splitRequest(bytes: Uint8Array): Uint8Array[] {
  if (bytes.byteLength < SPLIT_BYTES_MIN) return slices(bytes, [], ITEM_BYTES_MAX);
  const cuts = jsonCuts(bytes);
  return cuts === null ? slices(bytes, [], CHUNK_BYTES) : slices(bytes, cuts, ITEM_BYTES_MAX);
}

/** The items of an answer: never sent again as these bytes, so only cut to size. */
export function splitResponse(bytes: Uint8Array): Uint8Array[] {
  return slices(bytes, [], ITEM_BYTES_MAX);
}

/** Ascending offsets to cut at; null if the body is not a JSON object, or an odd one. */
function jsonCuts(bytes: Uint8Array): number[] | null {
  try {
    const cuts: number[] = [];
    for (const member of scanJsonObject(bytes)) {
      if (member.valueEnd - member.valueStart < MEMBER_BYTES_MIN && !CONVERSATION_ARRAYS.has(member.key))
        continue;
      addCuts(bytes, member, cuts);
      if (cuts.length > ITEMS_MAX) return null;
    }
    return cuts;
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

function addCuts(bytes: Uint8Array, member: JsonMember, cuts: number[]): void {
  if (CONVERSATION_ARRAYS.has(member.key) && bytes[member.valueStart] === OPEN_BRACKET) {
    const elements = scanJsonArray(bytes, member.valueStart);
    const [first] = elements;
    // Arrays of strings or token numbers (embeddings) are not conversations.
    if (first !== undefined && bytes[first.start] === OPEN_BRACE) {
      cuts.push(first.start);
      // The comma belongs to the element behind it, so that a longer array begins with the same items.
      for (const element of elements) cuts.push(element.end);
      return;
    }
  }
  if (member.valueEnd - member.valueStart >= MEMBER_BYTES_MIN) cuts.push(member.valueStart, member.valueEnd);
}

function slices(bytes: Uint8Array, cuts: readonly number[], bytesMax: number): Uint8Array[] {
  const items: Uint8Array[] = [];
  let start = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    for (; cut - start > bytesMax; start += bytesMax) items.push(bytes.subarray(start, start + bytesMax));
    if (cut > start) items.push(bytes.subarray(start, cut));
    start = cut;
  }
  return items;
}
