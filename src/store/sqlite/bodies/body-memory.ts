/**
 * What the writer remembers of the last request bodies: a conversation is sent again with every
 * turn, and what is the same as last time need not be walked, hashed and looked up again. Nothing
 * here decides anything: without it the same rows are written, only later.
 *
 * Bodies are remembered by owner (principal, program, session …), a few for each, in bounded memory
 * of this process.
 */
import { outlineOf, type FormerBody, type Outline, type OutlineQuestion } from './outline.ts';
import { requestItemEnds } from './split.ts';

/** A link of the chain of hashes over a conversation (`session-chains.ts`). */
export interface ChainLink {
  /** The whole hash, for the next link. */
  readonly hash: Uint8Array;
  /** Its stored bytes as latin1, a key for maps. */
  readonly key: string;
}

/** A request body with what is known of it. What is missing, its user adds. */
export interface ReadBody {
  /** As far as they matter: of a walk that was not for the whole body, up to the conversation's end. */
  readonly bytes: Buffer;
  /** Null for what is no JSON object. */
  readonly outline: Outline | null;
  /** For the first elements of the conversation, as far as known. */
  readonly chain: ChainLink[];
  readonly itemEnds: readonly number[];
  /** The id of each item; 0 where not known. */
  readonly itemIds: number[];
}

export interface BodyMemoryLimits {
  /** Of all bodies. Default 24 MiB: sixty agents with conversations of 400 kB. */
  readonly bytes: number;
  /** A larger body is not remembered. Default 2 MiB. */
  readonly bodyBytes: number;
  /** Owners. Default 2,000. */
  readonly owners: number;
  /** Bodies of one owner. Default 6. */
  readonly perOwner: number;
}

export const BODY_MEMORY_LIMITS: BodyMemoryLimits = {
  bytes: 24 * 1024 * 1024,
  bodyBytes: 2 * 1024 * 1024,
  owners: 2_000,
  perOwner: 6,
};

/** A body that goes on from a former one by this share of it takes its place. */
const REPLACES_SHARE = 0.75;
/** Memory of one stop of an outline with its cuts, elements, links and ids. */
const STOP_BYTES = 200;
/** Of a shorter body that is not the very same, everything is found sooner by walking it. */
const RESUME_BYTES_MIN = 2_048;

interface Remembered {
  readonly body: ReadBody;
  /** Counted against the bound. */
  readonly cost: number;
}

export class BodyMemory {
  readonly #limits: BodyMemoryLimits;
  /** Owners in the order of their last use; bodies of one, the last first. */
  readonly #owners = new Map<string, Remembered[]>();
  #bytes = 0;

  constructor(limits: BodyMemoryLimits = BODY_MEMORY_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Reads a body with the help of the last ones of this owner, and remembers it. The owner's name
   * must tell all that the answer depends on: whose it is, its format, and `isWhole`.
   */
  read(owner: string, bytes: Buffer, question: OutlineQuestion): ReadBody {
    const known = this.#owners.get(owner) ?? [];
    const same = known.find(({ body }) => isSame(body.bytes, bytes, question.isWhole));
    if (same !== undefined) return same.body;
    const former = bytes.length < RESUME_BYTES_MIN ? null : bestFormer(known, bytes);
    const found = outlineOf(bytes, question, former?.former ?? null);
    const ends = question.isWhole ? requestItemEnds(bytes.length, found?.outline.cuts ?? null) : [];
    const body: ReadBody = {
      bytes: bytes.subarray(0, found?.end),
      outline: found?.outline ?? null,
      chain: [],
      itemEnds: ends,
      itemIds: ends.map(() => 0),
    };
    if (former === null || found === null) {
      this.#remember(owner, known, body, null);
      return body;
    }
    const upTo = former.former.outline.stops[former.former.upTo] ?? 0;
    const elements = former.former.outline.elementCounts[former.former.upTo] ?? 0;
    body.chain.push(...former.remembered.body.chain.slice(0, elements));
    inheritIds(body, former.remembered.body, { upTo, sameFrom: found.sameFrom });
    const shared = upTo + (bytes.length - found.sameFrom);
    const isNext = shared >= REPLACES_SHARE * former.remembered.body.bytes.length;
    this.#remember(owner, known, body, isNext ? former.remembered : null);
    return body;
  }

  /** After a transaction that was rolled back: what was learnt in it is not so. */
  forget(): void {
    this.#owners.clear();
    this.#bytes = 0;
  }

  #remember(owner: string, known: readonly Remembered[], body: ReadBody, replaces: Remembered | null): void {
    if (body.bytes.length > this.#limits.bodyBytes || body.outline === null) return;
    const cost = body.bytes.length + STOP_BYTES * (1 + body.outline.stops.length);
    const others = known.filter((one) => one !== replaces).slice(0, this.#limits.perOwner - 1);
    // The bytes of a batch are used anew for the next one.
    const copy: ReadBody = { ...body, bytes: Buffer.from(body.bytes) };
    this.#owners.delete(owner);
    this.#owners.set(owner, [{ body: copy, cost }, ...others]);
    this.#bytes += cost + costOf(others) - costOf(known);
    this.#shrink();
  }

  #shrink(): void {
    for (const [owner, known] of this.#owners) {
      if (this.#bytes <= this.#limits.bytes && this.#owners.size <= this.#limits.owners) return;
      this.#owners.delete(owner);
      this.#bytes -= costOf(known);
    }
  }
}

function isSame(known: Buffer, bytes: Buffer, isWhole: boolean): boolean {
  if (isWhole ? known.length !== bytes.length : known.length > bytes.length) return false;
  return known.compare(bytes, 0, known.length) === 0;
}

function costOf(remembered: readonly Remembered[]): number {
  return remembered.reduce((sum, { cost }) => sum + cost, 0);
}

/** The remembered body with the longest beginning in common, up to one of its stops. */
function bestFormer(
  known: readonly Remembered[],
  bytes: Buffer,
): { readonly remembered: Remembered; readonly former: FormerBody } | null {
  let best: { readonly remembered: Remembered; readonly former: FormerBody } | null = null;
  let bestOffset = 0;
  for (const remembered of known) {
    const { outline } = remembered.body;
    if (outline === null) continue;
    const upTo = lastCommonStop(bytes, remembered.body.bytes, outline.stops);
    const offset = outline.stops[upTo] ?? 0;
    if (offset <= bestOffset) continue;
    bestOffset = offset;
    best = { remembered, former: { bytes: remembered.body.bytes, outline, upTo } };
  }
  return best;
}

/** The last stop up to which both bodies are the same and both end there; -1 if there is none. */
function lastCommonStop(a: Buffer, b: Buffer, stops: readonly number[]): number {
  let low = -1;
  let high = stops.length - 1;
  let same = 0;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const stop = stops[middle] ?? 0;
    const end = endsByItself(b, stop) ? stop : stop + 1;
    const isSame = end <= a.length && end <= b.length && a.compare(b, same, end, same, end) === 0;
    if (isSame) {
      low = middle;
      same = end;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/** Whether the value before `stop` ends there whatever follows, as a number or a word does not. */
function endsByItself(bytes: Buffer, stop: number): boolean {
  const last = bytes[stop - 1];
  return last === QUOTE || last === CLOSE_BRACE || last === CLOSE_BRACKET;
}

const QUOTE = 0x22;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/** Items that lie in what both bodies have in common have the same ids. */
function inheritIds(
  body: ReadBody,
  former: ReadBody,
  { upTo, sameFrom }: { readonly upTo: number; readonly sameFrom: number },
): void {
  const { itemEnds, itemIds } = body;
  for (let i = 0; i < itemEnds.length; i += 1) {
    const end = itemEnds[i] ?? 0;
    if (end > upTo || end !== former.itemEnds[i]) break;
    itemIds[i] = former.itemIds[i] ?? 0;
  }
  const shift = body.bytes.length - former.bytes.length;
  let at = former.itemEnds.length - 1;
  for (let i = itemEnds.length - 1; i > 0; i -= 1, at -= 1) {
    const start = itemEnds[i - 1] ?? 0;
    const isSame = itemEnds[i] === (former.itemEnds[at] ?? -1) + shift;
    if (start < sameFrom || !isSame || start !== (former.itemEnds[at - 1] ?? -1) + shift) break;
    itemIds[i] = former.itemIds[at] ?? 0;
  }
}
