/**
 * The compiled policy: what the hot path asks. A snapshot is immutable; a change makes a new one.
 * Everything here answers from memory; after the first time, in a few map look-ups.
 */
import type { Caller } from '../identity/caller.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type {
  Authorization,
  AuthMode,
  BaseUrl,
  CaptureMode,
  CorsGrant,
  GatewayDocument,
  ModelCost,
  ModelLimitsEntry,
  Role,
  StoredInputs,
} from './document.ts';
import type { ExplainAudience, Explanation } from './explanation.ts';
import type { ApprovalEntry, Governance, ToolQuestion } from './governance.ts';

export type ProviderKind =
  | 'openai'
  | 'anthropic'
  | 'gemini'
  | 'vertex'
  | 'bedrock'
  | 'azure'
  | 'openrouter'
  | 'compatible'
  | 'echo';

/** A place that answers for models, ready for use. */
export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** Without a stray `/v1`. Empty strings for the built-in test provider. */
  readonly baseUrl: BaseUrl;
  readonly authorization: Authorization;
  /** `passthrough` keeps the caller's own key for this provider and falls back to ours. */
  readonly authMode: AuthMode;
  /** The document's flags that hold (`openai_chat`, `anthropic_messages` …). */
  readonly compatibility: readonly string[];
  /** Every wire format that follows from the flags (`openai_embeddings`, `anthropic_count_tokens` …). */
  readonly formats: ReadonlySet<string>;
  /** Literal upstream ids or globs. */
  readonly models: readonly string[];
  /** The higher wins. */
  readonly preference: number;
  readonly disabled: boolean;
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
  /** Price list, or null for no price. */
  readonly costBasis: string | null;
  readonly modelCostMap: readonly ModelCost[];
  /** The document's word on what models take and give; see `statedLimits`. */
  readonly modelLimits: readonly ModelLimitsEntry[];
  /** What it may be asked to read with Postern's rights; see `mayReadStoredInput`. */
  readonly storedInputs: StoredInputs;
  readonly kind: ProviderKind;
  /** Postern's own test provider. */
  readonly builtIn: boolean;
  /** It came from the operator's environment, not from the document. */
  readonly found: boolean;
}

/** A provider that can serve a requested model, and the id to ask it for. */
export interface Candidate {
  readonly provider: Provider;
  /** Upstream id. */
  readonly model: string;
  readonly via: 'alias' | 'qualified' | 'bare';
}

/** What lets a caller use a model. */
export interface ModelGrant {
  /** The capability that opened it: `grants[2].app["…"][0]`, `stored[local:1000]`, `network[…][0]`. */
  readonly rule: string;
  /** The most private mode of all that match. */
  readonly capture: CaptureMode;
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
  /** What decides before something happens; null where nothing does. */
  readonly governance: Governance | null;
}

/** A capability that holds for a caller. */
export interface MatchedRule {
  readonly rule: string;
  /** The `src` entry that matched. */
  readonly src: string;
  readonly role: Role | null;
  readonly models: readonly string[] | null;
}

/** What one caller may do. Memoised per caller object. */
export interface Access {
  /** After what door and token take away. Empty: the caller is refused everywhere, models or not. */
  readonly roles: ReadonlySet<Role>;
  /** Models are granted but no role is: a common mistake in documents, shown by `explain`. */
  readonly noRole: boolean;
  /** From the door or token, and the document's own map; sorted. */
  readonly groups: readonly string[];
  /** Groups whose usage this caller may see. */
  readonly leads: readonly string[];
  /** Null means no: not granted, denied, no role, or outside the token. */
  grant(providerId: string, model: string): ModelGrant | null;
  readonly readMetrics: boolean;
  readonly readPricing: boolean;
  readonly cors: readonly CorsGrant[];
  readonly rules: readonly MatchedRule[];
  /** Names of the document's quotas that count some model of this caller. */
  readonly quotas: readonly string[];
  /** Values under other capability names that hold for the caller: opaque, for hooks. */
  readonly otherCapabilities: Readonly<Record<string, readonly JsonValue[]>>;
}

/** Immutable policy of one tailnet. */
export interface PolicySnapshot {
  /** Names the inputs it was compiled from; changes when any of them does. */
  readonly version: string;
  readonly tailnet: string;
  readonly document: GatewayDocument;
  /** By id; disabled ones included. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** Best first; empty for an unknown model. Disabled providers are left out. */
  resolve(model: string): readonly Candidate[];
  accessOf(caller: Caller): Access;
  /** Model ids that can be listed, with patterns expanded by the known models; `provider/model` to candidate. */
  listModels(): readonly Candidate[];
  /** Alias names and what they stand for now. */
  readonly aliases: ReadonlyMap<string, Candidate | null>;
  /** The entry by which a rule asks; the default one for `default` where the document has none; else null. */
  approval(name: string): ApprovalEntry | null;
  /** Whether `approvers` mean this caller; where they name nobody, the roles approver and admin do. */
  mayApprove(approvers: readonly string[], caller: Caller): boolean;
  /** `audience` is `auditor` unless told; `self` is for a caller who asks about itself and may see no more. */
  explain(
    caller: Caller,
    model: string,
    format?: string,
    audience?: ExplainAudience,
    /** A tool call to tell about, too. */
    call?: ToolQuestion,
  ): Explanation;
}
