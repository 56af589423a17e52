/**
 * A gateway document after reading: every default filled in, every element that could not be
 * understood left out (and reported), secrets wrapped. Field meanings: Aperture's configuration
 * document, with Postern's own keys (`guardrails tools approvals groups routing cache retention deny
 * tests`). Wire names stay in the parser; here they are in our own spelling.
 */
import type { Secret } from '../base/secret.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type {
  ApprovalEntry,
  CachePolicy,
  GuardrailEntry,
  NotifyTarget,
  RoutingPolicy,
  ToolAction,
  ToolRule,
} from './governance.ts';
import type { Problem } from './problem.ts';

/** Capability names in a grant's `app`, and in what the network carries, that mean Postern. */
export const CAPABILITY_NAMES = ['tailscale.com/cap/aperture', 'postern.dev/cap/gateway'] as const;

export type Role = 'user' | 'lead' | 'approver' | 'auditor' | 'admin';
export const ROLES: readonly Role[] = ['user', 'lead', 'approver', 'auditor', 'admin'];

/** `redacted` is accepted and acts as `metadata` until redaction is built. */
export type CaptureMode = 'full' | 'metadata' | 'none';

export type Authorization = 'bearer' | 'x-api-key' | 'x-goog-api-key';
export type AuthMode = 'override' | 'passthrough' | 'none';

/** Where a key in a document is. `vault` means: entered before, kept in the vault. */
export type SecretSource =
  | { readonly kind: 'literal'; readonly secret: Secret }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'vault' };

/** First match wins; `match` is a Go `path.Match` glob over the upstream model id. */
export interface ModelCost {
  readonly match: string;
  readonly as: string;
  /** Factor on the list price; default 1. */
  readonly adjustment: number;
}

/** What a provider's models take and give, by the operator's word; null where the entry does not say. Tokens. */
export interface ModelLimitsEntry {
  /** Glob over the upstream model id; the first that fits counts. */
  readonly match: string;
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  readonly input: readonly string[] | null;
  readonly output: readonly string[] | null;
}

/**
 * Addresses in object storage that requests may name: `any`, or objects (`gs://bucket/name`) and
 * prefixes (`gs://bucket/folder/`). Empty: none.
 */
export type StoredInputs = 'any' | readonly string[];

/** An address without its version segment: `https://api.openai.com` + ``, `https://host` + `/api`. */
export interface BaseUrl {
  /** Scheme, host and port. */
  readonly origin: string;
  /** '' or a path that begins with a slash and does not end with one. */
  readonly pathPrefix: string;
  /** `origin` and `pathPrefix` together. */
  readonly href: string;
  /** `api-version=…`, which Azure's addresses bear; without the question mark. */
  readonly query?: string;
}

export interface ProviderEntry {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly baseUrl: BaseUrl | null;
  readonly models: readonly string[];
  readonly apiKey: SecretSource | null;
  readonly authorization: Authorization;
  readonly authMode: AuthMode;
  /** Flags that hold, the `openai_chat` default rule applied. */
  readonly compatibility: readonly string[];
  readonly costBasis: string | null;
  readonly modelCostMap: readonly ModelCost[];
  readonly modelLimits: readonly ModelLimitsEntry[];
  readonly storedInputs: StoredInputs;
  /** The higher wins among providers of one model. Default 0. */
  readonly preference: number;
  readonly disabled: boolean;
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
}

export interface AliasEntry {
  readonly name: string;
  /** `provider/model` strings; the first that names a usable provider is taken. */
  readonly targets: readonly string[];
}

/** One object under a capability name of a grant. */
export interface Capability {
  /** Where it stands: the name of the rule in `explain` and in records. */
  readonly path: string;
  readonly role: Role | null;
  /** Globs over `provider/model`; null is "floating": its other keys hold for every model, but it opens none. */
  readonly models: readonly string[] | null;
  /** Groups that a `lead` leads. */
  readonly leads: readonly string[];
  readonly capture: CaptureMode | null;
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
  /** Bucket names, templates unexpanded. */
  readonly quotas: readonly string[];
  readonly hooks: readonly HookUse[];
  /** Names of guardrails that hold for what this capability opens. */
  readonly guardrails: readonly string[];
  readonly tools: readonly ToolRule[];
  /** Answers may come from, and go to, the response cache. */
  readonly cache: CachePolicy | null;
  /** Globs `id/category/resource` or `label:x`. */
  readonly connectors: readonly string[];
  readonly readMetrics: boolean;
  readonly readPricing: boolean;
  readonly cors: CorsGrant | null;
  /** Null where the document does not say. */
  readonly enableChatUi: boolean | null;
}

export interface HookUse {
  readonly name: string;
  readonly events: readonly string[];
  readonly send: readonly string[];
}

export interface CorsGrant {
  readonly paths: readonly string[];
  /** `Access-Control-Allow-*` names and values. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface GrantEntry {
  readonly path: string;
  readonly src: readonly string[];
  readonly capabilities: readonly Capability[];
  /** Values under other capability names: opaque, for hooks that ask for `grants`. */
  readonly otherCapabilities: ReadonlyMap<string, readonly JsonValue[]>;
}

/** Takes away: whoever matches `src` may not use what matches `models`, whatever grants say. */
export interface DenyEntry {
  readonly path: string;
  readonly src: readonly string[];
  readonly models: readonly string[];
}

export interface QuotaEntry {
  readonly name: string;
  readonly unit: 'usd' | 'tokens' | 'requests' | 'concurrency';
  /** Nano-dollars for `usd`, else a count. */
  readonly capacity: number;
  /** In the same unit, refilled per `ratePeriodMs`; null where nothing refills. */
  readonly rate: { readonly amount: number; readonly periodMs: number } | null;
  readonly reserve: 'bounded' | 'worst' | 'none';
  readonly window: string | null;
  readonly timezone: string | null;
  /** Fractions of the capacity, 0 to 1. */
  readonly warnAt: readonly number[];
  readonly parent: string | null;
  readonly overdraft: readonly string[];
  /** What is reserved for input whose cost cannot be known (stored context, files by address), in the same unit; null: such a request is refused. */
  readonly unknownInput: number | null;
  /** Who is told when a threshold of `warnAt` is crossed, when it is used up, and when it is overrun. */
  readonly notify: readonly NotifyTarget[];
}

export interface HookEntry {
  readonly id: string;
  readonly url: string;
  readonly apiKey: SecretSource | null;
  readonly authorization: Authorization;
  /** 0 means no limit of its own; the caller of hooks has one of ten minutes. */
  readonly timeoutMs: number;
  readonly failPolicy: 'fail_open' | 'fail_closed';
  /** For the event `tool_call`, which Aperture does not have: `fail_closed` unless the document says otherwise. */
  readonly toolCallFailPolicy: 'fail_open' | 'fail_closed';
  readonly preference: number;
  readonly disabled: boolean;
  /** `monitor`: called and recorded, and nothing follows from what it says. */
  readonly mode: 'enforce' | 'monitor';
  /** `delta`: only what the hook has not yet seen of a conversation. */
  readonly payload: 'full' | 'delta';
  /** What the hook is told afterwards: with placeholders in place of redacted values, or with those. */
  readonly values: 'redacted' | 'original';
  /** Where the secret that signs comes from; `derived` is made from the master key, one for each hook. */
  readonly signWith: SecretSource | 'derived';
  /** Calls under way at the same time, those of one event that waits for an answer. */
  readonly maxConcurrent: number;
  /** Largest answer; null for 1 MiB plus twice what was sent. */
  readonly maxResponseBytes: number | null;
  /** Failures in a row that open the circuit. */
  readonly breakAfter: number;
}

export interface ConnectorEntry {
  readonly id: string;
  readonly protocol: 'mcp' | 'http';
  readonly url: string;
  readonly labels: readonly string[];
  /** As written, secrets included only as sources; read by the connector code. */
  readonly raw: JsonValue;
}

/** What a test may say about its caller. */
export interface PolicyTestSource {
  readonly login: string | null;
  readonly principal: string | null;
  readonly groups: readonly string[];
  readonly tags: readonly string[];
  readonly loopback: boolean;
}

/** `{ "model": "gpt-5", "name": "Bash", "arguments": { "command": "ls" }, "expect": "ask" }` */
export interface PolicyToolTest {
  readonly model: string;
  readonly name: string;
  readonly arguments: JsonValue;
  readonly agent: string | null;
  readonly expect: ToolAction;
}

/** `{ "src": "alice@example.com", "groups": [], "tags": [], "accept": ["openai/gpt-5"], "deny": [], "role": "user" }` */
export interface PolicyTest {
  readonly path: string;
  readonly src: PolicyTestSource;
  /** `provider/model` (or an alias, or a bare model) that must be usable. */
  readonly accept: readonly string[];
  readonly deny: readonly string[];
  /** Tool calls, and what must become of them. */
  readonly tools: readonly PolicyToolTest[];
  /** The role that the caller must have; `none` for no role at all; null to leave it untested. */
  readonly role: Role | 'none' | null;
}

export interface Retention {
  /** Null: bodies are kept without an end. 0: bodies are never written. */
  readonly durationMs: number | null;
  readonly purge: readonly string[];
  readonly requireExport: boolean;
}

/** One gateway document, read. Immutable. */
export interface GatewayDocument {
  readonly providers: ReadonlyMap<string, ProviderEntry>;
  readonly aliases: ReadonlyMap<string, AliasEntry>;
  readonly autoCostBasis: boolean;
  readonly grants: readonly GrantEntry[];
  readonly deny: readonly DenyEntry[];
  readonly groups: ReadonlyMap<string, readonly string[]>;
  readonly quotas: ReadonlyMap<string, QuotaEntry>;
  readonly hooks: ReadonlyMap<string, HookEntry>;
  readonly tools: readonly ToolRule[];
  readonly guardrails: ReadonlyMap<string, GuardrailEntry>;
  readonly approvals: ReadonlyMap<string, ApprovalEntry>;
  readonly routing: RoutingPolicy;
  readonly connectors: ReadonlyMap<string, ConnectorEntry>;
  readonly retention: Retention | null;
  readonly tests: readonly PolicyTest[];
  /** Paths of elements that were switched off because they could not be understood. */
  readonly disabled: readonly string[];
  /** Everything else at the top level, kept as written (unknown keys, `exporters`, `flags`, …). */
  readonly kept: ReadonlyMap<string, JsonValue>;
}

export interface ParsedDocument {
  readonly document: GatewayDocument;
  readonly problems: readonly Problem[];
}
