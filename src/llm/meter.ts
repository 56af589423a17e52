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
}

/** Reads an answer as it passes, without changing or keeping it. Must never throw on bad input. */
export interface Meter {
  push(chunk: Uint8Array): void;
  finish(): MeterResult;
}
