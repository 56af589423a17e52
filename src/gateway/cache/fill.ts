/** Takes up an answer as it arrives, within bounds, and says at its end whether it may be kept. */
import type { MeterResult } from '../../llm/index.ts';
import type { Outcome } from '../../store/index.ts';

export interface CacheLimits {
  /** Bytes of all answers and their book-keeping. */
  readonly maxBytes: number;
  /** Bytes of one answer; a longer one is not kept. */
  readonly entryMaxBytes: number;
  /** Bytes of answers that are still arriving, together. */
  readonly fillMaxBytes: number;
}

/** What is known of an answer at its end. */
export interface FilledAnswer {
  readonly outcome: Outcome;
  readonly meter: MeterResult | null;
  /** A budget set or lowered the output limit of what was sent: the answer is not that of the question. */
  readonly isClamped: boolean;
}

/** Takes up an answer as it arrives from the provider; every call but the first is harmless after the end. */
export interface CacheFill {
  /** The head; anything but a plain 200 ends the filling. */
  head(status: number, contentType: string | null, contentEncoding: string | null): void;
  /** Bytes as they came, before any change of ours. They are copied. */
  push(chunk: Uint8Array): void;
  /** Whether the answer was kept. */
  complete(answer: FilledAnswer): boolean;
  abandon(): void;
}

const FILL_FIRST_BYTES = 4096;

/** One answer on its way into the cache; `keep` is called at most once, with memory that is its own. */
export class Fill implements CacheFill {
  readonly #limits: CacheLimits;
  readonly #filling: { bytes: number };
  readonly #keep: (body: Buffer, contentType: string | null) => void;
  /** Null once it has ended. Copied into: a chunk of a few bytes may hold a far larger block of memory. */
  #room: Buffer | null = Buffer.alloc(0);
  #length = 0;
  #contentType: string | null = null;
  #hasHead = false;

  constructor(
    limits: CacheLimits,
    filling: { bytes: number },
    keep: (body: Buffer, contentType: string | null) => void,
  ) {
    this.#limits = limits;
    this.#filling = filling;
    this.#keep = keep;
  }

  head(status: number, contentType: string | null, contentEncoding: string | null): void {
    const isPlain = contentEncoding === null || contentEncoding === 'identity';
    if (status !== 200 || !isPlain || this.#hasHead) return this.abandon();
    this.#hasHead = true;
    this.#contentType = contentType;
  }

  push(chunk: Uint8Array): void {
    if (this.#room === null) return;
    const needed = this.#length + chunk.length;
    const room = this.#hasHead ? this.#grow(this.#room, needed) : null;
    if (room === null) return this.abandon();
    room.set(chunk, this.#length);
    this.#room = room;
    this.#length = needed;
  }

  complete({ outcome, meter, isClamped }: FilledAnswer): boolean {
    const room = this.#room;
    const isGood = outcome === 'ok' && !isClamped && meter !== null && isWholeAnswer(meter);
    this.abandon();
    if (room === null || !this.#hasHead || this.#length === 0 || !isGood) return false;
    // Its own memory and no more of it.
    const body = Buffer.allocUnsafeSlow(this.#length);
    room.copy(body, 0, 0, this.#length);
    this.#keep(body, this.#contentType);
    return true;
  }

  abandon(): void {
    if (this.#room === null) return;
    this.#filling.bytes -= this.#room.length;
    this.#room = null;
  }

  /** Null where the answer, or all that arrive, would be too large. */
  #grow(room: Buffer, needed: number): Buffer | null {
    if (needed <= room.length) return room;
    const { entryMaxBytes, fillMaxBytes } = this.#limits;
    if (needed > entryMaxBytes) return null;
    const size = Math.min(entryMaxBytes, Math.max(FILL_FIRST_BYTES, room.length * 2, needed));
    if (this.#filling.bytes - room.length + size > fillMaxBytes) return null;
    const larger = Buffer.allocUnsafeSlow(size);
    room.copy(larger, 0, 0, this.#length);
    this.#filling.bytes += size - room.length;
    return larger;
  }
}

/** Ids that a stateless answer of the Responses API bears, though nothing is kept under them. */
const NAMED_ONLY: ReadonlySet<string> = new Set(['response', 'item']);

/** The answer reached its end, reports no fault, calls no tool, and made nothing that somebody owns. */
function isWholeAnswer({ complete, error, toolCalls, objects, batch }: MeterResult): boolean {
  if (!complete || error !== null || toolCalls.length > 0 || batch !== undefined) return false;
  return objects === undefined || objects.every(({ kind }) => NAMED_ONLY.has(kind));
}
