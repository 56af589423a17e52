/**
 * What Postern keeps: one shape a table, in the words of the domain, and the port that every
 * adapter (SQLite now) fulfils. Rows carry the tailnet; every look-up is by tailnet.
 * Money is integer nano-dollars, times are Unix milliseconds, durations are microseconds.
 */
import type { UnixMs } from '../base/clock.ts';
import type { DoorName, TokenScope } from '../identity/caller.ts';
import type { ApprovalStore } from './approval-shapes.ts';
import type { ControlRecordStore } from './control-shapes.ts';
import type { MemoryStore } from './memory-shapes.ts';
import type { BudgetStore } from './budget-shapes.ts';

/** How a request ended. */
export type Outcome =
  | 'ok'
  | 'refused' /* by Postern, before anything was sent */
  | 'upstream_error' /* the provider answered with an error */
  | 'upstream_failed' /* no answer: connection, time-out */
  | 'truncated' /* the provider's stream ended before its end */
  | 'client_abort'
  | 'gateway_error';

export type CaptureMode = 'full' | 'metadata' | 'none';

/** Whether a cost is known: `priced`; `unpriced` (no price for the model); `free` (test model, own server, refused). */
export type CostState = 'priced' | 'unpriced' | 'free';

/** Token counts of a row; null where the provider did not report. Same meaning as `Usage` of llm. */
export interface UsageColumns {
  readonly inputTokens: number | null;
  readonly cacheReadTokens: number | null;
  readonly cacheWriteTokens: number | null;
  readonly cacheWrite1hTokens: number | null;
  readonly outputTokens: number | null;
  readonly reasoningTokens: number | null;
  readonly inputAudioTokens: number | null;
  readonly outputAudioTokens: number | null;
  readonly inputImageTokens: number | null;
  readonly outputImageTokens: number | null;
  readonly webSearches: number | null;
}

/** One decision about a part of a request. Never holds content. */
export interface RowDecision {
  /** `attempt` is a try at a provider that failed before the one that answered. */
  readonly about: 'tool_call' | 'tool' | 'guardrail' | 'hook' | 'cache' | 'attempt' | 'translation';
  /** The tool, guardrail, hook or provider. */
  readonly name: string;
  /** `allowed`, `rewritten`, `denied`, `pending`, `approved`, `flagged`, `redacted`, `blocked` … */
  readonly action: string;
  /** The rule's place in the document; null where none decided. */
  readonly rule: string | null;
  readonly approvalId: string | null;
}

/** One exchange, without its bodies. */
export interface RequestRow extends UsageColumns {
  readonly id: string;
  readonly tailnet: string;
  readonly startedAt: UnixMs;
  readonly principal: string;
  /** Login or joined tags: what a person would recognise. */
  readonly userLabel: string;
  readonly groups: readonly string[];
  readonly deviceId: string | null;
  readonly deviceName: string | null;
  readonly door: DoorName;
  readonly via: DoorName | null;
  readonly tokenId: string | null;
  /** Label of the calling program (`claude-code`, `codex` …); said by the caller, never authority. */
  readonly agent: string | null;
  /** Session label, or null until the recorder derives one from the conversation. */
  readonly sessionId: string | null;
  /** Wire format of the route. */
  readonly format: string;
  readonly method: string;
  readonly path: string;
  readonly streamed: boolean;
  /** As the caller named it. */
  readonly requestedModel: string | null;
  readonly provider: string | null;
  /** As sent to the provider. */
  readonly model: string | null;
  readonly keyId: string | null;
  /** HTTP status sent to the caller; 0 if none was. */
  readonly status: number;
  readonly outcome: Outcome;
  /** Reason code of a refusal or failure (docs/reference/errors.md). */
  readonly reason: string | null;
  /** The policy rule that decided, for `explain` and admins. */
  readonly rule: string | null;
  readonly costNanoUsd: number | null;
  readonly costState: CostState;
  /** Usage or cost was estimated, not reported. */
  readonly estimated: boolean;
  readonly toolCalls: readonly string[];
  /** What rules, hooks and people decided on its way; empty mostly. */
  readonly decisions: readonly RowDecision[];
  /** What an answer from the response cache would have cost; 0 for every other. */
  readonly savedNanoUsd: number;
  readonly stopReason: string | null;
  readonly responseId: string | null;
  /** Time to know the caller. */
  readonly identityUs: number;
  /** Time to authorize, route and guard. */
  readonly decisionUs: number;
  /** From sending to the provider's first byte; null if nothing was sent. */
  readonly firstByteUs: number | null;
  /** From sending to the provider's last byte. */
  readonly upstreamUs: number | null;
  /** Postern's own time: total less waiting for the caller's body, the provider and a slow reader. */
  readonly ownUs: number;
  readonly totalUs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly capture: CaptureMode;
}

/** Bodies of one exchange, as bytes on the wire; stored only if `capture` is `full`. */
export interface CapturedBodies {
  readonly requestId: string;
  readonly tailnet: string;
  readonly principal: string;
  readonly format: string;
  readonly request: Uint8Array;
  readonly requestContentType: string | null;
  readonly response: Uint8Array;
  readonly responseContentType: string | null;
  /** Bytes beyond the capture limit were left out. */
  readonly responseTruncated: boolean;
}

export interface StoredBodies {
  readonly request: Uint8Array;
  readonly requestContentType: string | null;
  readonly response: Uint8Array;
  readonly responseContentType: string | null;
  readonly responseTruncated: boolean;
}

export interface RequestFilter {
  readonly tailnet: string;
  /** Only these principals; undefined means all (the caller of the store has checked the role). */
  readonly principals?: readonly string[];
  /** Only rows with one of these groups. */
  readonly groups?: readonly string[];
  readonly provider?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly sessionId?: string;
  readonly deviceId?: string;
  readonly tokenId?: string;
  readonly outcome?: Outcome;
  readonly reason?: string;
  /** HTTP status sent to the caller; both ends inclusive. */
  readonly statusFrom?: number;
  readonly statusTo?: number;
  /** Only rows with a decision that fits what is given of it. */
  readonly decision?: Partial<Pick<RowDecision, 'about' | 'action'>>;
  readonly costMinNanoUsd?: number;
  readonly totalMinUs?: number;
  /** Part of an id, label, model, agent, path or reason, whatever its case. */
  readonly text?: string;
  /** Inclusive. */
  readonly from?: UnixMs;
  /** Exclusive. */
  readonly to?: UnixMs;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque; null at the end. */
  readonly nextCursor: string | null;
}

export interface PageRequest {
  readonly cursor?: string;
  /** 1 to 500. */
  readonly limit: number;
}

export interface SessionRow {
  readonly id: string;
  readonly tailnet: string;
  readonly principal: string;
  readonly userLabel: string;
  readonly agent: string | null;
  readonly firstAt: UnixMs;
  readonly lastAt: UnixMs;
  /** When the last exchange ended. */
  readonly endedAt: UnixMs;
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly models: readonly string[];
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly outputTokens: number;
  readonly costNanoUsd: number;
  readonly savedNanoUsd: number;
}

/** Rows counted by one thing. */
export interface CountOf {
  /** Null where rows have none. */
  readonly name: string | null;
  readonly requests: number;
}

/** Sums over rows, with times of the newest of them. */
export interface RequestSummary {
  readonly requests: number;
  readonly outcomes: readonly CountOf[];
  /** The 20 most frequent. */
  readonly reasons: readonly CountOf[];
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly outputTokens: number;
  readonly costNanoUsd: number;
  readonly savedNanoUsd: number;
  readonly latency: LatencySummary;
}

/** Microseconds, over the newest rows that something was sent for; null where there is none. */
export interface LatencySummary {
  readonly p50Us: number | null;
  readonly p95Us: number | null;
  readonly firstByteP50Us: number | null;
  readonly firstByteP95Us: number | null;
  /** Rows that were looked at; at most 10,000. */
  readonly sampled: number;
}

/** How one provider did. */
export interface ProviderUse {
  readonly provider: string;
  readonly requests: number;
  /** Ended in the provider's error, without an answer, or cut. */
  readonly failed: number;
  readonly costNanoUsd: number;
  readonly lastAt: UnixMs;
  readonly lastFailure: Pick<
    RequestRow,
    'id' | 'startedAt' | 'outcome' | 'reason' | 'status' | 'model'
  > | null;
  readonly latency: LatencySummary;
}

/** Who and what was seen in one unit of time. */
export interface AdoptionRow {
  readonly label: string;
  readonly users: number;
  readonly devices: number;
  readonly agents: number;
  readonly sessions: number;
  readonly requests: number;
}

/** What a request is made of: the ids of its items, in order. */
export interface StoredOutline {
  readonly requestId: string;
  readonly items: readonly number[];
}

/** Requests as the items they share, each once. */
export interface StoredOutlines {
  /** Of those whose bodies are kept, in the order asked for. */
  readonly requests: readonly StoredOutline[];
  /** Every item that `known` does not have, as far as the bound of bytes allows. */
  readonly items: readonly { readonly id: number; readonly bytes: Uint8Array }[];
}

export interface StoredAnswer {
  readonly requestId: string;
  readonly response: Uint8Array;
  readonly responseContentType: string | null;
  readonly responseTruncated: boolean;
}

export interface AuditFilter {
  readonly actor?: string;
  /** Exact, or everything that begins so where it ends in a dot. */
  readonly action?: string;
  readonly target?: string;
  /** Part of actor, label, action, target, reason or facts, whatever its case. */
  readonly text?: string;
  readonly from?: UnixMs;
  readonly to?: UnixMs;
}

/** Of one answer of `queryUsage`. */
export const USAGE_ROWS_MAX = 10_000;

export type UsageGroupBy =
  | 'user'
  | 'group'
  | 'model'
  | 'provider'
  | 'agent'
  | 'session'
  | 'device'
  | 'token'
  | 'format'
  | 'hour'
  | 'day'
  | 'week'
  | 'month';

export interface UsageRow {
  /** One value for each of the asked `groupBy`, in order; null where a row has none. */
  readonly key: readonly (string | null)[];
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly estimated: number;
  readonly unpriced: number;
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly costNanoUsd: number;
  /** Answers that came from the response cache, and what they would have cost. */
  readonly cacheHits: number;
  readonly savedNanoUsd: number;
}

/** A grant that is not in the document: the starter's own, one that the claim made, or one that was asked for and approved. */
export interface StoredGrant {
  readonly principal: string;
  readonly role: 'user' | 'admin';
  /** Globs over `provider/model`. */
  readonly models: readonly string[];
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  /** It holds before it; null for no end. The store does not look at it. */
  readonly expiresAt: UnixMs | null;
  /** The approval that it follows from; null for the others. One principal has one grant of a role for each. */
  readonly approvalId: string | null;
}

export interface TokenRow {
  readonly id: string;
  readonly tailnet: string;
  /** Principal that the token acts for, with the label it had when minted. */
  readonly owner: string;
  readonly ownerLabel: string;
  readonly name: string;
  /** Keyed hash of the token; the token itself is shown once and not kept. */
  readonly hash: string;
  readonly scopes: readonly TokenScope[];
  readonly models: readonly string[] | null;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly expiresAt: UnixMs | null;
  readonly revokedAt: UnixMs | null;
  readonly lastUsedAt: UnixMs | null;
}

/** `staged` waits; `active` is used; `retired` finishes what it began; `revoked` is gone at once. */
export type KeyState = 'staged' | 'active' | 'retired' | 'revoked';

export interface ProviderKeyRow {
  readonly id: string;
  readonly tailnet: string;
  readonly provider: string;
  readonly name: string;
  readonly state: KeyState;
  /** Origin (`https://api.openai.com`) that the key was entered for; it is sent nowhere else. */
  readonly origin: string;
  /** `bearer`, `x-api-key`, `x-goog-api-key`. */
  readonly header: string;
  /** The key, sealed by the vault. */
  readonly sealed: Uint8Array;
  /** The last characters, to tell keys apart. */
  readonly hint: string;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly stateChangedAt: UnixMs;
}

export interface DocumentVersion {
  readonly version: number;
  readonly tailnet: string;
  /** HuJSON text without secrets (they are in the vault). */
  readonly text: string;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly comment: string;
}

export interface PasskeyRow {
  readonly credentialId: string;
  readonly tailnet: string;
  readonly principal: string;
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly counter: number;
  readonly transports: readonly string[];
  readonly createdAt: UnixMs;
  readonly lastUsedAt: UnixMs | null;
}

/** Something an actor changed or looked at. */
export interface AuditEntry {
  readonly tailnet: string;
  readonly at: UnixMs;
  /** Principal, or `operator` for the process and its command line. */
  readonly actor: string;
  readonly actorLabel: string;
  readonly door: DoorName | 'operator';
  /** How presence was shown: `passkey`, `link`, `token`, `break-glass`, or null where none was needed. */
  readonly presence: string | null;
  /** `token.create`, `key.promote`, `config.save`, `prompt.read` … */
  readonly action: string;
  /** What it was done to. */
  readonly target: string;
  /** Why, where the actor had to say. */
  readonly reason: string | null;
  /** Small JSON object of facts; never a secret. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface AuditRow extends AuditEntry {
  readonly seq: number;
  /** Hex; covers this row and the hash before it. */
  readonly hash: string;
}

/** A provider object that outlives its request and belongs to its maker. */
export interface OwnedObject {
  readonly tailnet: string;
  readonly provider: string;
  /** `response`, `conversation`, `file`, `batch`, `container`, `cache`, `message_batch`, `upload` … */
  readonly kind: string;
  readonly objectId: string;
  readonly principal: string;
  readonly keyId: string | null;
  readonly model: string | null;
  readonly createdAt: UnixMs;
  /** Every model that the object asks for (a batch, the input file of one); null where that is unknown. */
  readonly models: readonly string[] | null;
  /** The object that brought this one forth: the batch of an output file, the container of a file. */
  readonly parentId: string | null;
  /** When the usage of its results was first recorded; null before, and for what has none. */
  readonly settledAt: UnixMs | null;
}

/** Names an object of one tailnet. */
export type OwnedObjectName = Pick<OwnedObject, 'provider' | 'kind' | 'objectId'>;

/** Exchanges to store together. */
export interface RequestBatch {
  readonly rows: readonly RequestRow[];
  readonly bodies: readonly CapturedBodies[];
  /**
   * Request bodies by request id, for rows whose `sessionId` is null: the session is derived from
   * the conversation's prefix, and only keyed hashes of it are kept.
   */
  readonly conversations?: ReadonlyMap<string, Uint8Array>;
}

/** Everything the rest of Postern asks of a store. Methods reject with `AppError<'store_…'>`. */
export interface Store extends BudgetStore, ApprovalStore, MemoryStore, ControlRecordStore {
  /**
   * Writes a batch in one transaction; resolves when it is durable. A row that is there already (by
   * id) is left as it is, so that a batch may be repeated after a failure.
   */
  appendRequests(batch: RequestBatch): Promise<void>;
  listRequests(filter: RequestFilter, page: PageRequest): Promise<Page<RequestRow>>;
  getRequest(tailnet: string, id: string): Promise<RequestRow | null>;
  getBodies(tailnet: string, id: string): Promise<StoredBodies | null>;
  /** The items of at most 200 requests; `known` are ids of items that need not come again. */
  getOutlines(
    tailnet: string,
    requestIds: readonly string[],
    known: readonly number[],
  ): Promise<StoredOutlines>;
  /** The answers of at most 200 requests; those that are not kept are left out. */
  getAnswers(tailnet: string, requestIds: readonly string[]): Promise<readonly StoredAnswer[]>;
  listSessions(filter: RequestFilter, page: PageRequest): Promise<Page<SessionRow>>;
  summarizeRequests(filter: RequestFilter): Promise<RequestSummary>;
  /** By provider, those with most requests first; at most 500. */
  summarizeProviders(filter: RequestFilter): Promise<readonly ProviderUse[]>;
  /** By time; the last row, labelled `total`, counts everybody once. At most 10,000 rows. */
  queryAdoption(
    filter: RequestFilter,
    unit: 'hour' | 'day' | 'week' | 'month',
    timeZone: string,
  ): Promise<readonly AdoptionRow[]>;
  /**
   * Largest cost first where no time is among `groupBy`, else by time. At most `USAGE_ROWS_MAX` rows, and one more
   * to tell that there are others.
   */
  queryUsage(
    filter: RequestFilter,
    groupBy: readonly UsageGroupBy[],
    timeZone: string,
  ): Promise<readonly UsageRow[]>;

  listGrants(): Promise<readonly StoredGrant[]>;
  putGrant(grant: StoredGrant): Promise<void>;
  deleteGrant(principal: string, role: StoredGrant['role'], approvalId: string | null): Promise<boolean>;

  listTokens(tailnet: string): Promise<readonly TokenRow[]>;
  putToken(token: TokenRow): Promise<void>;
  revokeToken(tailnet: string, id: string, at: UnixMs): Promise<boolean>;
  touchTokens(used: readonly { id: string; at: UnixMs }[]): Promise<void>;

  listProviderKeys(tailnet: string): Promise<readonly ProviderKeyRow[]>;
  putProviderKey(key: ProviderKeyRow): Promise<void>;

  latestDocument(tailnet: string): Promise<DocumentVersion | null>;
  getDocument(tailnet: string, version: number): Promise<DocumentVersion | null>;
  /** Newest first: those before a version, or all for null. */
  listDocuments(
    tailnet: string,
    page: { readonly limit: number; readonly before: number | null },
  ): Promise<readonly Omit<DocumentVersion, 'text'>[]>;
  /** Fails with `store_conflict` unless `expectedVersion` (0 for none) is the latest. Returns the new version. */
  putDocument(document: Omit<DocumentVersion, 'version'>, expectedVersion: number): Promise<number>;

  listPasskeys(tailnet: string): Promise<readonly PasskeyRow[]>;
  putPasskey(passkey: PasskeyRow): Promise<void>;
  deletePasskey(tailnet: string, credentialId: string): Promise<boolean>;

  appendAudit(entry: AuditEntry): Promise<AuditRow>;
  listAudit(tailnet: string, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRow>>;
  /** Every action that was recorded, with how often; by name. */
  countAuditActions(
    tailnet: string,
  ): Promise<readonly { readonly action: string; readonly entries: number }[]>;
  /** Recomputes the chain; the first row that does not fit, or null. */
  verifyAudit(tailnet: string): Promise<{ readonly rows: number; readonly brokenAt: number | null }>;

  /**
   * The first maker stays; of an object that is known only `models`, `parentId` and `settledAt` change, and only by
   * its maker. Returns those that were refused: another made an object of this kind and id before, at any provider.
   */
  putOwnedObjects(objects: readonly OwnedObject[]): Promise<readonly OwnedObject[]>;
  deleteOwnedObjects(tailnet: string, objects: readonly OwnedObjectName[]): Promise<void>;
  /** All, or those of some kinds. */
  listOwnedObjects(tailnet: string, kinds?: readonly string[]): Promise<readonly OwnedObject[]>;
  /** The first of this kind and id, whatever its provider. */
  findOwnedObject(tailnet: string, kind: string, objectId: string): Promise<OwnedObject | null>;

  /** Small values by name (schema flags, claim state). */
  getSetting(name: string): Promise<string | null>;
  putSetting(name: string, value: string): Promise<void>;

  /** Bytes on disk and row counts, for `doctor` and /readyz. Rejects if the store cannot be written. */
  health(): Promise<{ readonly bytes: number; readonly requests: number; readonly bodyItems: number }>;
  close(): Promise<void>;
}
