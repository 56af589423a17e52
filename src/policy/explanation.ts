/** The answer to "why may, or may not, this caller use this model": data, with a rendering as text. */
import type { DoorName } from '../identity/caller.ts';
import type { Role } from './document.ts';

/** Why the answer is what it is; a closed set. */
export type ExplanationReason =
  | 'allowed'
  | 'no_role'
  | 'model_unknown'
  | 'provider_disabled'
  | 'not_granted'
  | 'denied'
  | 'token_without_use'
  | 'token_models'
  | 'shared_device'
  | 'format_unsupported';

/**
 * Who reads it. `self`, a caller without the role auditor, is not told of rules for others, nor
 * whether a model exists that it may not use: an unknown and an ungranted one read the same.
 */
export type ExplainAudience = 'self' | 'auditor';

/** Who can change the answer. `nobody` where it is allowed already. */
export type Fixer = 'nobody' | 'caller' | 'admin' | 'operator';

export interface CapabilityStep {
  readonly rule: string;
  readonly role: Role | null;
  readonly models: readonly string[] | null;
  /** The pattern that matched the model, or null. */
  readonly matched: string | null;
}

/** One grant that was tried. */
export interface GrantStep {
  readonly grant: string;
  /** The `src` entry that matched, or null. */
  readonly matchedSrc: string | null;
  /** One line a `src` entry: why it matched or not. */
  readonly why: readonly string[];
  readonly capabilities: readonly CapabilityStep[];
}

export interface CandidateStep {
  readonly provider: string;
  readonly model: string;
  readonly via: 'alias' | 'qualified' | 'bare';
  readonly allowed: boolean;
  /** The rule that opened it, or null. */
  readonly rule: string | null;
  /** The deny entry that closed it, or null. */
  readonly deniedBy: string | null;
  /** Null where no format was asked about. */
  readonly speaksFormat: boolean | null;
  readonly capture: string | null;
}

export interface Explanation {
  readonly allowed: boolean;
  readonly reason: ExplanationReason;
  readonly caller: {
    readonly principal: string;
    readonly label: string;
    readonly door: DoorName;
    readonly groups: readonly string[];
    readonly tags: readonly string[];
    readonly roles: readonly Role[];
  };
  readonly model: string;
  readonly format: string | null;
  readonly candidates: readonly CandidateStep[];
  readonly grants: readonly GrantStep[];
  /** Elements of the document that are switched off because they could not be understood. */
  readonly disabled: readonly string[];
  readonly fix: { readonly who: Fixer; readonly what: string };
  /** The same for a terminal: a few lines, no colours. */
  readonly text: string;
}
