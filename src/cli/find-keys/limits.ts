/** How much a search looks at before it says that it did not see everything. */
import type { Clock } from '../../base/clock.ts';

/** Files of all folders together. */
export const FILES_MAX = 200_000;
/** Folders within folders. */
export const DEPTH_MAX = 40;
/** Findings; by then everything is to be changed. */
export const FINDINGS_MAX = 5_000;
/** Objects of one repository. */
export const OBJECTS_MAX = 1_000_000;
/** Of one object: what is larger is data. */
export const OBJECT_MAX_BYTES = 4 * 1024 * 1024;
export const REPOSITORIES_MAX = 200;

/** The time that a search has, and the word of the one who interrupts it. */
export interface Deadline {
  /** Why to stop now, or null. */
  reached(): string | null;
  /** Aborted then. */
  readonly signal: AbortSignal;
}

/** `seconds` from now on. */
export function startDeadline(clock: Clock, seconds: number, signal: AbortSignal): Deadline {
  const end = clock.monotonicMs() + seconds * 1_000;
  // A program that says nothing more ends then, too.
  const over = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1_000)]);
  return {
    signal: over,
    reached() {
      if (signal.aborted) return 'it was interrupted';
      return over.aborted || clock.monotonicMs() > end ? `${seconds} s were over` : null;
    },
  };
}
