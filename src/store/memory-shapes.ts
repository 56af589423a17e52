/**
 * Small sealed things that must outlive a restart and of which the store knows nothing but their kind, name
 * and time: what later turns of a conversation need of a refused call, deliveries that were given up. Bounded
 * by whoever writes them.
 */
import type { UnixMs } from '../base/clock.ts';

export interface MemoryRow {
  readonly tailnet: string;
  /** Whose it is: `refusal`, `verdict`, `dead_letter` … */
  readonly kind: string;
  /** Unique among its kind; where it stands for something private, a keyed hash. */
  readonly name: string;
  /** Sealed by whoever writes the row. */
  readonly sealed: Uint8Array;
  readonly at: UnixMs;
}

export type MemoryName = Pick<MemoryRow, 'kind' | 'name'>;

/** Which rows of a kind may stay. */
export interface MemoryBounds {
  /** Older ones go. */
  readonly before: UnixMs;
  /** The newest so many stay. */
  readonly rowsMax: number;
  /** The newest whose sealed bytes are at most so many together stay. */
  readonly bytesMax: number;
}

/** The part of a store that keeps them. Methods reject with `AppError<'store_…'>`. */
export interface MemoryStore {
  /** A row of the same kind and name is replaced and becomes the newest. One transaction. */
  putMemories(rows: readonly MemoryRow[]): Promise<void>;
  deleteMemories(tailnet: string, names: readonly MemoryName[]): Promise<void>;
  /** Within the bounds, oldest first. */
  listMemories(tailnet: string, kind: string, bounds: MemoryBounds): Promise<readonly MemoryRow[]>;
  /** Drops what is outside of the bounds. */
  forgetMemories(tailnet: string, kind: string, bounds: MemoryBounds): Promise<void>;
}
