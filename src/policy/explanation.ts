/** The answer to "why may, or may not, this caller use this model": data, with a rendering as text. */
import type { DoorName } from '../identity/caller.ts';
import type { Role } from './document.ts';
import type { ToolAction } from './governance.ts';

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
  /** The provider's format that a request is put in, where it does not speak the caller's; null where it does, or nothing translates. */
  readonly translatedTo: string | null;
  readonly capture: string | null;
  /** What decides before something happens, by name; empty where nothing does. */
  readonly governedBy: {
    readonly buckets: readonly string[];
    readonly guardrails: readonly string[];
    readonly hooks: readonly string[];
    /** Tool rules, in the order in which they are tried. */
    readonly tools: readonly string[];
    readonly cache: string | null;
  };
}

/** What would become of a tool call where the model is taken from one provider. */
export interface CallStep {
  readonly provider: string;
  readonly model: string;
  readonly action: ToolAction;
  /** The rule that decides; null where none holds, which allows. */
  readonly rule: string | null;
  /** What the model is told in place of a denied call; null for the standard words. */
  readonly message: string | null;
  /** `ask`: the entry of `approvals` by which a person decides. Else null. */
  readonly approval: string | null;
  /** `rewrite`: the arguments as they would be, as JSON. Else null. */
  readonly argumentsText: string | null;
}

/** The answer to "what would become of this call". */
export interface ExplainedCall {
  readonly tool: string;
  readonly agent: string | null;
  /** False: they are not known or no JSON, so that rules which refuse or ask hold in doubt, and others do not. */
  readonly argumentsRead: boolean;
  /** One for each provider that the caller may take the model from. */
  readonly steps: readonly CallStep[];
  readonly fix: { readonly who: Fixer; readonly what: string };
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
  /** Null where no call was asked about. */
  readonly call: ExplainedCall | null;
  /** Elements of the document that are switched off because they could not be understood. */
  readonly disabled: readonly string[];
  readonly fix: { readonly who: Fixer; readonly what: string };
  /** The same for a terminal: a few lines, no colours. */
  readonly text: string;
}
