/**
 * Deliveries that were given up: listed, kept over a restart, and tried again when somebody says so. What they
 * held is kept only where the caller's prompts may be, and bounded; without it a letter is listed alone.
 */
import type { DeadLetterKeeping } from './ports.ts';
import type { DeadLetter } from './shapes.ts';

/** Letters that are listed, the oldest dropped first. */
export const LETTERS_MAX = 200;
/** 256 KiB: a larger delivery is listed without what it held. */
const PAYLOAD_MAX_BYTES = 256 * 1024;
/** UTF-16 units of all payloads together; the oldest are dropped first. */
const PAYLOADS_MAX_UNITS = 8 * 1024 * 1024;

/** A letter with what is kept of it. Plain data. */
export interface KeptLetter {
  readonly letter: DeadLetter;
  readonly principal: string;
  /** JSON text; null where it is not kept. */
  readonly payload: string | null;
}

export class DeadLetters {
  readonly #keeping: DeadLetterKeeping;
  /** By id, oldest first. */
  readonly #letters = new Map<string, KeptLetter>();
  #units = 0;

  /** `earlier`: what an earlier process kept, oldest first; what is no letter is passed over. */
  constructor(keeping: DeadLetterKeeping, earlier: readonly unknown[]) {
    this.#keeping = keeping;
    for (const kept of earlier.filter(isKeptLetter)) this.#take(kept);
    this.#shrink();
  }

  /** Newest first. */
  list(): readonly DeadLetter[] {
    return [...this.#letters.values()].map(({ letter }) => letter).toReversed();
  }

  find(id: string): KeptLetter | null {
    return this.#letters.get(id) ?? null;
  }

  add(
    facts: Omit<DeadLetter, 'canRetry'>,
    { principal, payload }: { readonly principal: string; readonly payload: Buffer | null },
  ): DeadLetter {
    const isKept = payload !== null && payload.length > 0 && payload.length <= PAYLOAD_MAX_BYTES;
    const letter = { ...facts, canRetry: isKept };
    const kept = { letter, principal, payload: isKept ? payload.toString('utf8') : null };
    this.#take(kept);
    this.#keeping.put([letter.id], kept satisfies KeptLetter);
    this.#shrink();
    return letter;
  }

  drop(id: string): void {
    const kept = this.#letters.get(id);
    if (kept === undefined) return;
    this.#letters.delete(id);
    this.#units -= kept.payload?.length ?? 0;
    this.#keeping.delete([id]);
  }

  #take(kept: KeptLetter): void {
    this.#letters.set(kept.letter.id, kept);
    this.#units += kept.payload?.length ?? 0;
  }

  #shrink(): void {
    for (const id of this.#letters.keys()) {
      if (this.#letters.size <= LETTERS_MAX && this.#units <= PAYLOADS_MAX_UNITS) return;
      this.drop(id);
    }
  }
}

/** The seal says that this very code wrote it; an older version may have written another shape. */
function isKeptLetter(value: unknown): value is KeptLetter {
  if (typeof value !== 'object' || value === null) return false;
  const { letter, principal, payload } = value as Partial<KeptLetter>;
  return (
    typeof letter === 'object' &&
    letter !== null &&
    typeof letter.id === 'string' &&
    typeof letter.hook === 'string' &&
    typeof principal === 'string' &&
    (payload === null || typeof payload === 'string')
  );
}
