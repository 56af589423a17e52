/** The bounded queue between the hot path and the store. */
import type { CapturedBodies, RequestBatch, RequestRow } from '../store/shapes.ts';

/** One exchange that waits to be written. */
export interface Entry {
  readonly row: RequestRow;
  readonly bodies: CapturedBodies | null;
  readonly conversation: Uint8Array | null;
  /** Body bytes that it holds in memory. */
  readonly bytes: number;
  /** Monotonic milliseconds when it was queued. */
  readonly at: number;
}

/** First in, first out, with its bytes counted. */
export class EntryQueue {
  #entries: Entry[] = [];
  #bytes = 0;

  get length(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get oldestAt(): number | null {
    return this.#entries[0]?.at ?? null;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  /** Takes up to `rowsMax` entries of up to `bytesMax`, at least one if there is one. */
  take(rowsMax: number, bytesMax: number): Entry[] {
    let count = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      if (count >= rowsMax || (count > 0 && bytes + entry.bytes > bytesMax)) break;
      count += 1;
      bytes += entry.bytes;
    }
    this.#bytes -= bytes;
    return this.#entries.splice(0, count);
  }

  /** Puts entries that could not be written back to the front. */
  putBack(entries: readonly Entry[]): void {
    this.#entries = [...entries, ...this.#entries];
    for (const entry of entries) this.#bytes += entry.bytes;
  }
}

export function toBatch(entries: readonly Entry[]): RequestBatch {
  const rows: RequestRow[] = [];
  const bodies: CapturedBodies[] = [];
  const conversations = new Map<string, Uint8Array>();
  for (const entry of entries) {
    rows.push(entry.row);
    if (entry.bodies !== null) bodies.push(entry.bodies);
    if (entry.conversation !== null) conversations.set(entry.row.id, entry.conversation);
  }
  return { rows, bodies, conversations };
}

/** The row of an entry whose bodies are not kept. */
export function withoutBodies(row: RequestRow): RequestRow {
  return row.capture === 'full' ? { ...row, capture: 'metadata' } : row;
}
