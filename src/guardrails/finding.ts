/** What guardrails report: for the record and for messages, never a value. */
import type { Direction } from '../policy/governance.ts';
import type { Confidence } from './detection.ts';

/** Where something was found. */
export interface FindingPlace {
  readonly direction: Direction;
  /** Whose text of a request it was; null in answers. */
  readonly role: string | null;
}

/** Equal finds of one guardrail, counted. */
export interface Finding extends FindingPlace {
  /** The entry's name. */
  readonly guardrail: string;
  readonly kind: string;
  readonly action: 'allow' | 'flag' | 'block' | 'redact';
  /** The strongest among them. */
  readonly confidence: Confidence;
  readonly count: number;
}

/** Why a request or an answer is stopped. */
export interface Blocked {
  readonly guardrail: string;
  /** The kind that was found, or the limit that was exceeded. */
  readonly kind: string;
  /** Safe to show: the policy's own words, or ours; never what was found. */
  readonly message: string;
}
