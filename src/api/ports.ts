/**
 * What the API asks of the rest of Postern. Everything is structural: `server.ts` passes the real
 * parts, tests pass small ones, and no part knows that it is used here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Approvals, Notifier } from '../approvals/index.ts';
import type { Clock, UnixMs } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Secret } from '../base/secret.ts';
import type { EventBus } from '../events/bus.ts';
import type { CacheStats } from '../gateway/cache/index.ts';
import type { PosternEvents } from '../gateway/events.ts';
import type { CircuitState } from '../gateway/routing/health.ts';
import type { Simulations } from '../gateway/simulate/index.ts';
import type { HookStats } from '../guardrails/hooks/index.ts';
import type { Caller, TokenScope } from '../identity/caller.ts';
import type { ApprovalEntry } from '../policy/index.ts';
import type { ToolQuestion } from '../policy/governance.ts';
import type { BudgetView, Quotas } from '../quotas/index.ts';
import type { CaptureMode, KeyState, Store, TokenRow } from '../store/shapes.ts';
import type { ControlAdministration } from '../tailnet/control/index.ts';
import type { NetworkPort } from './network-port.ts';
import type { TailnetReachPort } from './tailnet-reach-port.ts';
import type { TailnetsPort } from './tailnets-port.ts';
import type { TailnetUsersPort } from './tailnet-users-port.ts';

/** The methods of the store that the API calls. */
export type ApiStore = Pick<
  Store,
  | 'listRequests'
  | 'getRequest'
  | 'getBodies'
  | 'getOutlines'
  | 'getAnswers'
  | 'listSessions'
  | 'summarizeRequests'
  | 'summarizeProviders'
  | 'queryAdoption'
  | 'queryUsage'
  | 'listGrants'
  | 'putGrant'
  | 'deleteGrant'
  | 'listPasskeys'
  | 'putPasskey'
  | 'deletePasskey'
  | 'appendAudit'
  | 'listAudit'
  | 'countAuditActions'
  | 'verifyAudit'
  | 'getSetting'
  | 'putSetting'
  | 'health'
>;

/** What a caller may do, as compiled policy says. */
export interface AccessView {
  /** Of `user`, `lead`, `approver`, `auditor`, `admin`; empty means no service. */
  readonly roles: ReadonlySet<string>;
  /** Groups of door, token and document together. */
  readonly groups: readonly string[];
  /** Groups whose members' metadata this caller may read. */
  readonly leads: readonly string[];
  readonly readMetrics: boolean;
  readonly readPricing: boolean;
  /** Null where the model is not granted. */
  grant(providerId: string, model: string): { readonly capture: CaptureMode } | null;
}

export interface ProviderView {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly baseUrl: { readonly origin: string };
  /** Header that carries the key: `bearer`, `x-api-key`, `x-goog-api-key`. */
  readonly authorization: string;
  readonly formats: ReadonlySet<string>;
  /** Literal ids or globs. */
  readonly models: readonly string[];
  readonly disabled: boolean;
  readonly kind: string;
  readonly builtIn: boolean;
}

export interface PolicyView {
  readonly version: string;
  readonly providers: ReadonlyMap<string, ProviderView>;
  /** What a name stands for, best first. */
  resolve(model: string): readonly { readonly provider: { readonly id: string }; readonly model: string }[];
  /** Memoised by the caller's object. */
  accessOf(caller: Caller): AccessView;
  /** Why a caller may or may not use a model; `text` is for people, the rest is data. */
  explain(
    caller: Caller,
    model: string,
    format?: string,
    /** `self` leaves out what concerns others: their names, rules that are not the caller's, models they may use. */
    audience?: 'self' | 'auditor',
    /** A tool call to tell about, too. */
    call?: ToolQuestion,
  ): { readonly allowed: boolean; readonly text: string };
}

export interface PolicyPort {
  /** The snapshot in force; never null, for without a document an empty one holds. */
  current(): PolicyView;
}

export interface DocumentProblem {
  readonly severity: 'error' | 'warning' | 'note';
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

/** The document in force, with secrets replaced. */
export interface DocumentText {
  readonly text: string;
  /** Quoted, for `ETag` and `If-Match`. */
  readonly etag: string;
  /** 0 where none was ever saved, or where a file owns it. */
  readonly version: number;
  readonly source: 'store' | 'file' | 'none';
}

export interface DocumentVersionView {
  readonly version: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
  readonly comment: string;
}

/** Who saves, for the lock-out check; no caller for the operator's break-glass token. */
export interface DocumentActor {
  readonly principal: string;
  readonly caller: Caller | null;
}

export interface SaveRequest {
  readonly text: string;
  /** The save is refused unless this is still the latest. */
  readonly expectedVersion: number;
  readonly actor: DocumentActor;
  readonly comment: string;
}

export interface SaveResult {
  readonly version: number;
  readonly etag: string;
  readonly notes: readonly DocumentProblem[];
}

/** The gateway document (src/gateway/documents); refusals are its `DocumentError`s. */
export interface DocumentsPort {
  text(): DocumentText;
  /** What keeps the newest text from being in force, or null. */
  lastError(): { readonly message: string } | null;
  validate(
    text: string,
    actor?: DocumentActor,
  ): Promise<{
    readonly ok: boolean;
    readonly problems: readonly DocumentProblem[];
    readonly testFailures: readonly unknown[];
  }>;
  save(request: SaveRequest): Promise<SaveResult>;
  /** Newest first: at most `limit` (1 to 500) of those before a version. */
  versions(page: {
    readonly limit: number;
    readonly before: number | null;
  }): Promise<readonly DocumentVersionView[]>;
  /** Unified diff of two versions, secrets replaced. */
  diff(from: number, to: number): Promise<string>;
  rollback(request: Omit<SaveRequest, 'text'> & { readonly version: number }): Promise<SaveResult>;
  /** Reads stored grants again after the API changed them. */
  reloadGrants(): Promise<void>;
}

/** A provider key without its secret. */
export interface KeyView {
  readonly id: string;
  readonly provider: string;
  readonly name: string;
  readonly state: KeyState;
  readonly origin: string;
  readonly header: string;
  readonly hint: string;
  /** `store`, `environment`, or `unreadable` (sealed with another master key). */
  readonly source: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly lastUsedAt: number | null;
  readonly uses: number;
  readonly failures: number;
  readonly lastError: string | null;
  readonly cooldownUntil: number | null;
}

/** An exchange that is under way with a provider key. */
export interface OpenExchange {
  readonly keyId: string | null;
  readonly principal: string;
  /** Upstream id. */
  readonly model: string;
}

export interface NewKey {
  readonly id: string;
  readonly provider: string;
  readonly name: string;
  readonly origin: string;
  readonly header: string;
  readonly secret: Secret;
  readonly state: 'staged' | 'active';
  readonly createdBy: string;
}

/** The vault (src/vault); refusals carry its `vault_…` codes. */
export interface VaultPort {
  list(): readonly KeyView[];
  add(key: NewKey): Promise<KeyView>;
  promote(id: string, options?: { readonly alongside?: boolean }): Promise<KeyView>;
  retire(id: string): Promise<KeyView>;
  revoke(id: string): Promise<KeyView>;
}

export interface NewToken {
  readonly id: string;
  readonly owner: string;
  readonly ownerLabel: string;
  readonly name: string;
  readonly scopes: readonly TokenScope[];
  readonly models: readonly string[] | null;
  readonly ttlMs: number;
  readonly createdBy: string;
}

export interface TokensPort {
  mint(token: NewToken): Promise<{ readonly token: Secret; readonly row: TokenRow }>;
  list(): readonly TokenRow[] | Promise<readonly TokenRow[]>;
  /** False if there is no such token. */
  revoke(id: string): Promise<boolean>;
}

/** What of a JWT is denied (src/doors/jwt-denials.ts). Times in Unix milliseconds. */
export type DeniedJwt =
  | { readonly kind: 'jti'; readonly issuer: string; readonly jti: string }
  | { readonly kind: 'token'; readonly tokenId: string }
  | {
      readonly kind: 'subject';
      readonly issuer: string;
      readonly subject: string;
      readonly issuedBefore: number;
    };

export interface JwtDenialView {
  readonly id: string;
  readonly denied: DeniedJwt;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** The deny-list of JWTs; refusals carry its `jwt_denial_…` codes. */
export interface JwtDenialsPort {
  list(): readonly JwtDenialView[];
  add(denied: DeniedJwt, createdBy: string): Promise<JwtDenialView>;
  /** False if there is none. */
  remove(id: string): Promise<boolean>;
}

/** A device of Postern's own network. Times in Unix milliseconds. */
export interface DeviceView {
  readonly id: string;
  readonly name: string;
  /** Base64, as `wg` prints it. */
  readonly publicKey: string;
  readonly principal: string;
  readonly addresses: readonly string[];
  readonly createdAt: number;
  readonly createdBy: string;
  readonly lastHandshakeAt: number | null;
  readonly endpoint: string | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** The devices of Postern's own network; refusals carry their `device_…` codes. */
export interface DevicesPort {
  list(): readonly DeviceView[];
  /** A pair for a device that brings none; nothing of it is kept. */
  newKey(): { readonly publicKey: string; readonly privateKey: Secret };
  /** `configuration` holds the private key if one was made: shown once. */
  add(device: {
    readonly name: string;
    readonly publicKey: string;
    readonly privateKey?: Secret;
    readonly createdBy: string;
  }): Promise<{ readonly device: DeviceView; readonly configuration: string }>;
  /** False if there is none. */
  remove(id: string): Promise<boolean>;
}

/** A model as the caller may use it. Prices are nano-dollars per million tokens. */
export interface ModelView {
  readonly id: string;
  readonly provider: string;
  readonly formats: readonly string[];
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  readonly modalities: { readonly input: readonly string[]; readonly output: readonly string[] } | null;
  /** Postern's own test model. */
  readonly test: boolean;
}

/** One entry of `/aperture/pricing`; further members pass as they are. */
export interface PriceEntry {
  readonly model: string;
  readonly [field: string]: unknown;
}

export interface RecorderStats {
  readonly queuedRows: number;
  readonly queuedBytes: number;
  readonly written: number;
  readonly droppedBodies: number;
  readonly lostRows: number;
  readonly lagMs: number;
  readonly lastError: string | null;
}

/** Approvals (src/approvals); refusals carry its `approval_…` codes. */
export interface ApprovalsPort extends Pick<
  Approvals,
  'request' | 'decide' | 'withdrawOne' | 'get' | 'content' | 'list' | 'mayDecide'
> {
  /** The entry of `approvals` by which callers ask for a model or more budget. */
  entryFor(kind: 'model' | 'budget'): ApprovalEntry;
}

/** Budgets (src/quotas), and whose they are by the policy in force. */
export interface BudgetsPort extends Pick<Quotas, 'list' | 'refill'> {
  /** The buckets that count this caller's requests, unused ones full; at most 100. */
  ofCaller(caller: Caller): Promise<readonly BudgetView[]>;
  /** The buckets of these groups (quotas with `<group>`), unused ones full; at most 100. */
  ofGroups(tailnet: string, groups: readonly string[]): Promise<readonly BudgetView[]>;
  /** Whether a bucket of a quota counts this caller's requests; from memory. */
  isOf(caller: Caller, quota: string, bucket: string): boolean;
  /** Whether a bucket is that of one of these groups; from memory. */
  isOfGroups(groups: readonly string[], quota: string, bucket: string): boolean;
  /** `warn_at` of a quota: shares of the capacity; empty where the document has it no more. */
  warnAt(quota: string): readonly number[];
}

/** Simulations of draft documents (src/gateway/simulate); refusals are its `SimulationError`s. */
export interface SimulationsPort extends Pick<Simulations, 'start' | 'view' | 'cancel'> {
  /** A draft as it would be in force; with an error among its problems only what could be read of it. */
  compile(text: string): Promise<{
    readonly snapshot: Pick<PolicyView, 'explain'>;
    readonly problems: readonly DocumentProblem[];
  }>;
}

/** What a form of `postern doctor` says of one thing. */
export interface DoctorFinding {
  readonly check: string;
  readonly level: 'ok' | 'note' | 'warning' | 'problem';
  readonly message: string;
  readonly fix: string | null;
}

/** One of the operator's settings as it holds. */
export interface SettingView {
  readonly name: string;
  /** JSON; never a secret. */
  readonly value: unknown;
  readonly origin: 'flag' | 'environment' | 'file' | 'default';
  readonly originName: string | null;
  readonly flag: string | null;
  readonly env: string | null;
  readonly doc: string;
  readonly unit: string;
  readonly fallback: string;
  readonly example: string;
  readonly dangerous: boolean;
}

export interface SettingsView {
  readonly items: readonly SettingView[];
  readonly file: string;
  readonly fileFound: boolean;
}

/** What the document says of keeping words. */
export interface RetentionView {
  readonly document: {
    /** Null: without an end. */
    readonly durationMs: number | null;
    readonly purge: readonly string[];
    readonly requireExport: boolean;
  } | null;
  readonly capture: readonly { readonly rule: string; readonly capture: string }[];
}

/** How far a test of a provider came; a stage that is not `ok` is the one that failed. */
export interface ProviderTestResult {
  readonly stage: 'credential' | 'address' | 'dns' | 'connect' | 'tls' | 'http' | 'auth' | 'ok';
  readonly status: number | null;
  /** Safe to show. */
  readonly message: string;
  readonly models: readonly string[];
  readonly durationMs: number;
  readonly keyId: string | null;
}

/** A hook of the document. */
export interface HookFacts {
  readonly name: string;
  readonly origin: string;
  readonly mode: 'enforce' | 'monitor';
  readonly failPolicy: 'fail_open' | 'fail_closed';
  readonly disabled: boolean;
}

/** Hooks (src/guardrails/hooks). */
export interface HooksPort {
  entries(): readonly HookFacts[];
  stats(): HookStats;
  /** Tries a dead letter again from the beginning; null where that is under way. */
  retry(id: string): 'unknown' | 'not_kept' | 'hook_gone' | null;
}

/** A request of the console that is for a model. */
export interface PlaygroundRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Of the model's route: `/v1/messages`. */
  readonly path: string;
  readonly query: string;
  readonly caller: Caller;
  readonly context: RequestContext;
}

export interface ApiDependencies {
  readonly tailnet: string;
  readonly version: string;
  /** `http://localhost:PORT`: where links for people point (passkeys need a name, not an address). */
  readonly consoleUrl: string;
  /** The built console's folder. Absent, or without a build: its addresses say so. */
  readonly consoleDir?: string;
  readonly store: ApiStore;
  readonly policy: PolicyPort;
  readonly documents: DocumentsPort;
  /** The document or the operator's settings name an admin, so that no claim is offered. */
  readonly namesAdmin: () => boolean;
  readonly vault: VaultPort;
  readonly tokens: TokensPort;
  readonly jwtDenials: JwtDenialsPort;
  /** Absent where Postern has no network of its own. */
  readonly devices?: DevicesPort;
  /** Absent where it can join none. */
  readonly network?: NetworkPort;
  /** Absent while nothing beyond this machine is listened on. */
  readonly tailnets?: TailnetsPort;
  /** The coordination server itself, for Tailscale's API v2. */
  readonly control?: ControlAdministration;
  /** Their people, and who may sign in. */
  readonly tailnetUsers?: TailnetUsersPort;
  /** Questions about their policies. */
  readonly tailnetReach?: TailnetReachPort;
  /** Absent where nothing can ask. */
  readonly approvals?: ApprovalsPort;
  /** Absent where nothing is counted. */
  readonly budgets?: BudgetsPort;
  /** Absent where none can be made. */
  readonly simulations?: SimulationsPort;
  /** The price list, in a stable order. */
  readonly pricing: () => readonly PriceEntry[];
  /** What this caller may use. */
  readonly models: (caller: Caller) => readonly ModelView[];
  readonly recorder: { stats(): RecorderStats };
  readonly bus: EventBus<PosternEvents>;
  /** Whether the text is the operator's `POSTERN_ADMIN_TOKEN`, compared in constant time. */
  readonly isBreakGlass: (text: string) => boolean;
  /**
   * The system cannot tell who owns a loopback connection, so this caller (of the socket) may mint
   * a short `use` token for its own programs without presence.
   */
  readonly mayMintRunToken: (caller: Caller) => boolean;
  /** Prints a line on the operator's terminal. Never given control characters. */
  readonly announce: (text: string) => void;
  /** What routing remembers, in this process. */
  readonly routing: RoutingPort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What is routed and has not ended. Absent where nobody can tell. */
  readonly openExchanges?: () => readonly OpenExchange[];
  /** Called when somebody's right to be here ends: what runs for callers that match is ended within a second. */
  readonly onRevoked?: (listener: (matches: (caller: Caller) => boolean) => void) => () => void;
  /** When this process began to serve. */
  readonly startedAt?: UnixMs;
  /** This state is thrown away and was made up by `postern demo`. */
  readonly demo?: boolean;
  /** Absent where no hooks are called. */
  readonly hooks?: HooksPort;
  /** Absent where nobody is sent notices. */
  readonly notices?: Pick<Notifier, 'deadLetters'>;
  readonly settings?: () => SettingsView;
  readonly retention?: () => RetentionView;
  /** What can be said of the state folder and the machine. */
  readonly machineFindings?: () => Promise<readonly DoctorFinding[]>;
  /** Asks a provider for its models; null for the key that would be used. Never rejects for what the provider does. */
  readonly testProvider?: (provider: string, keyId: string | null) => Promise<ProviderTestResult>;
  /** Serves a request for a model by the pipeline; answers it in any case, and never throws. */
  readonly playground?: (request: PlaygroundRequest) => void;
  /** Nano-dollars that so many tokens cost less for being read from the provider's cache, at today's list price; null where it is not known. */
  readonly cacheSaving?: (provider: string, model: string, tokens: number) => number | null;
  /** The calendar window of a quota; null where it has none, or is in the document no more. */
  readonly quotaWindow?: (
    quota: string,
  ) => { readonly unit: 'hour' | 'day' | 'week' | 'month'; readonly timeZone: string | null } | null;
  /** Further lines for /metrics in Prometheus' text format, each ending in a line feed. */
  readonly moreMetrics?: () => string;
}

/** Providers in trouble, and the response cache. */
export interface RoutingPort {
  circuits(): readonly CircuitState[];
  cache(): CacheStats;
}

/** What the listener and its doors found out about a request before the API sees it. */
export interface RequestContext {
  readonly requestId: string;
  /** Null where no door knew the caller: then only /healthz, /readyz and the break-glass token serve. */
  readonly caller: Caller | null;
  /** `loopback`, `socket`, `tailnet`, `serve` or `public`. */
  readonly listener: string;
  /** The connection, as the client sees it, is encrypted. */
  readonly secure: boolean;
}
