import type { ObjectKind } from './surface.ts';
import type { Usage } from './usage.ts';

/** What a meter saw of one answer. */
export interface MeterResult {
  /** Null when the provider reported none. */
  readonly usage: Usage | null;
  /** The answer reached its format's own end (`[DONE]`, `message_stop`, `response.completed`, whole JSON). */
  readonly complete: boolean;
  /** The provider reported an error inside the answer. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Characters of visible output seen, for an estimate where usage never came. */
  readonly outputChars: number;
  /** The model that the provider says it used. */
  readonly model: string | null;
  /** The provider's id of the answer (`resp_…`, `msg_…`). */
  readonly responseId: string | null;
  readonly stopReason: string | null;
  /** Names of the tools that the answer calls. */
  readonly toolCalls: readonly string[];
  /** Objects of the provider that the answer names as made or kept; absent where there are none. */
  readonly objects?: readonly NamedObject[];
  /** Results of a batch, summed by model; absent for every other answer. */
  readonly batch?: BatchResults;
}

/** A provider object that an answer names. */
export interface NamedObject {
  readonly kind: ObjectKind;
  readonly id: string;
  /** The object that it came from: the batch of an output file. Null for most. */
  readonly parentId: string | null;
}

/** What the lines of a batch's results used. */
export interface BatchResults {
  readonly models: readonly BatchModelUsage[];
  /** Lines that could not be read, or had an answer without usage: the sums are then too low. */
  readonly unread: number;
}

export interface BatchModelUsage {
  /** As the provider names it; '' where a line named none. */
  readonly model: string;
  readonly answers: number;
  readonly usage: Usage;
}

/**
 * Reads an answer as it passes, without changing it. Must never throw on bad input. Chunks may be
 * kept until `finish`: their bytes must not change.
 */
export interface Meter {
  push(chunk: Uint8Array): void;
  finish(): MeterResult;
  /** Characters of visible output so far; absent where only the end tells. */
  readonly outputChars?: number;
}
