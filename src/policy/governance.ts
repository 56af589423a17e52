/**
 * The rules that decide before something happens (docs/design/0006-deciding.md): tools, guardrails,
 * approvals, routing and cache, as the document says them, and what of them holds for one caller
 * and one model. Immutable; what is absent costs nothing.
 */
import type { JsonValue } from '../wire/hujson.ts';
import type { HookUse, QuotaEntry } from './document.ts';
import type { JsonPathSteps } from './json-path.ts';
import type { Pattern } from './pattern.ts';

/** From the mildest to the strictest; of several that match, the strictest wins. */
export type ToolAction = 'allow' | 'rewrite' | 'ask' | 'deny';

/**
 * One condition on a call's arguments; with `[*]` in its path one value that satisfies it is enough.
 * Where the path leads nowhere, `exists: false` holds, and `not_matches` holds for `ask` and `deny`.
 */
export interface ArgumentTest {
  readonly path: JsonPathSteps;
  readonly test:
    | { readonly kind: 'matches' | 'not_matches'; readonly pattern: Pattern }
    | { readonly kind: 'equals'; readonly value: JsonValue }
    | { readonly kind: 'in'; readonly values: readonly JsonValue[] }
    | { readonly kind: 'exists'; readonly exists: boolean };
}

/** One entry of `tools`, at the top level or in a capability. */
export interface ToolRule {
  /** `tools[2]`, or the capability's path and `.tools[0]`: the rule's name in `explain` and records. */
  readonly path: string;
  /** As in a grant; null means every caller. A capability's rules hold for the capability's callers. */
  readonly src: readonly string[] | null;
  /** Globs over `provider/model`; null means every model. */
  readonly models: readonly string[] | null;
  /** Labels: a rule with one may only make the answer stricter. Null where it does not ask. */
  readonly agents: readonly string[] | null;
  /** Globs over tool names; `*` any run of characters. `allow` minds the case of letters, what is stricter does not. */
  readonly tools: readonly string[];
  /** All must hold; empty holds always. */
  readonly when: readonly ArgumentTest[];
  readonly action: ToolAction;
  /** Told to the model in place of a denied call; null for the standard words. */
  readonly message: string | null;
  /** `rewrite`: values set in the arguments, in order. */
  readonly set: readonly { readonly path: JsonPathSteps; readonly value: JsonValue }[];
  /** `ask`: an entry of `approvals`; `default` unless told. */
  readonly approval: string;
}

/** Which way the text goes. */
export type Direction = 'request' | 'answer' | 'tool_arguments' | 'tool_results';

/** One entry of `guardrails`. */
export interface GuardrailEntry {
  readonly name: string;
  readonly path: string;
  /** Holds for these callers by itself; empty where only capabilities name it. */
  readonly src: readonly string[];
  readonly models: readonly string[] | null;
  readonly on: readonly Direction[];
  /** Names of built-in detectors: `secrets`, `email`, `phone`, `card`, `iban`, `national_id`, `injection`. */
  readonly detect: readonly string[];
  readonly patterns: readonly { readonly name: string; readonly pattern: Pattern }[];
  /** `redact` is reversible: a placeholder goes out, the original comes back in the answer. */
  readonly action: 'allow' | 'flag' | 'block' | 'redact';
  readonly message: string | null;
  readonly limits: {
    readonly maxBodyBytes: number | null;
    readonly maxDepth: number | null;
    readonly maxTools: number | null;
    readonly maxMessages: number | null;
    readonly maxOutputTokens: number | null;
  };
}

/** One entry of `approvals`: who decides, and how. */
export interface ApprovalEntry {
  readonly name: string;
  /** `src` entries: logins, groups, tags; those with the role `approver` or `admin` if empty. */
  readonly approvers: readonly string[];
  readonly quorum: number;
  readonly selfApprove: boolean;
  /** After it the answer is no. Default 5 minutes while a stream is held, 24 hours for a pending one. */
  readonly holdMs: number;
  readonly pendingMs: number;
  /** False: streams are not held either; the call is answered as pending. */
  readonly hold: boolean;
  /** What an approver may choose beyond `once`. */
  readonly scopes: readonly ('once' | 'session' | 'time')[];
  readonly maxDurationMs: number;
  readonly allowEdit: boolean;
  readonly notify: readonly NotifyTarget[];
}

/** Where a message about an approval or a budget goes. Addresses of `mail` leave by the operator's mail server. */
export type NotifyTarget =
  | { readonly kind: 'webhook'; readonly url: string; readonly secretName: string | null }
  | { readonly kind: 'slack'; readonly url: string }
  | { readonly kind: 'mail'; readonly to: readonly string[] };

/** One entry of `routing.models`, or an alias with a strategy. */
export interface RouteEntry {
  /** The requested name that it holds for. */
  readonly name: string;
  readonly strategy: 'ordered' | 'weighted';
  readonly targets: readonly {
    /** `provider/model`. */
    readonly model: string;
    /** Above 0; default 1. */
    readonly weight: number;
    readonly region: string | null;
  }[];
  /** Only targets of these regions; empty for any. */
  readonly regions: readonly string[];
  /** The same session goes to the same target while it is healthy. Default true. */
  readonly sticky: boolean;
}

export interface RoutingPolicy {
  readonly routes: ReadonlyMap<string, RouteEntry>;
  /** Further attempts before the first byte, 0 to 5. Default 2. */
  readonly retries: number;
  /** Failures in a row that open a provider's (or key's) circuit. Default 5. */
  readonly breakAfter: number;
  /** First pause of an open circuit; doubles up to 5 minutes. Default 10 s. */
  readonly breakMs: number;
  /** Translate where no target speaks the caller's format. Default true. */
  readonly translate: boolean;
}

/** A capability's `cache`. */
export interface CachePolicy {
  readonly scope: 'user' | 'tailnet';
  readonly ttlMs: number;
}

/** What holds for one caller and one model. Every list may be empty. */
export interface Governance {
  readonly buckets: readonly QuotaEntry[];
  readonly hooks: readonly HookUse[];
  readonly guardrails: readonly GuardrailEntry[];
  readonly cache: CachePolicy | null;
  /** Null where no tool rule can match this caller and model: the stream passes unread. */
  readonly tools: ToolPolicy | null;
  /** Whether anything here needs to see or change the body: a surface that cannot is refused. */
  readonly needsInspection: boolean;
}

export interface ToolQuestion {
  readonly name: string;
  /** As the model wrote them. */
  readonly argumentsText: string;
  /**
   * Undefined where the text is no JSON, or could be read in two ways. A test of `$` then sees the
   * text; one of a deeper path holds for `ask` and `deny` and never for `allow` and `rewrite`.
   */
  readonly arguments: JsonValue | undefined;
  /** A label; null if unknown. */
  readonly agent: string | null;
}

export interface ToolDecision {
  readonly action: ToolAction;
  /** Null where no rule matched, which allows. */
  readonly rule: ToolRule | null;
  /** For `rewrite`: the arguments as they should be. */
  readonly arguments?: JsonValue;
}

/** The tool rules of one caller and model. Total: nothing in a call makes it throw. */
export interface ToolPolicy {
  /** Every rule that could hold, for `explain`. */
  readonly rules: readonly ToolRule[];
  /** Whether a rule could hold for a tool of this name. False lets its bytes pass at once. */
  governs(name: string): boolean;
  decide(question: ToolQuestion): ToolDecision;
}
