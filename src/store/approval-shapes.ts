/**
 * What the store keeps of approvals: who asked for what, who decided, and what of it is still unused.
 * The words that a call holds are sealed by whoever writes the row; the store never reads them.
 * A row changes only where its `revision` is the one that was read, and what may happen once is
 * taken in the same transaction that finds it, so that neither a crash nor a second process can run
 * anything twice.
 */
import type { UnixMs } from '../base/clock.ts';
import type { Page, PageRequest } from './shapes.ts';

/**
 * `pending` waits for a person; `approved` may be used as its scope says; `used` was approved for one
 * call, which has been made; `expired` was not decided in time; `withdrawn` by the requester, or because
 * their rights ended.
 */
export type ApprovalState = 'pending' | 'approved' | 'used' | 'denied' | 'expired' | 'withdrawn';

export type ApprovalScope = 'once' | 'session' | 'time';

/** One person's word on an approval. */
export interface ApprovalVote {
  readonly principal: string;
  readonly label: string;
  /** Everything that names the person behind it, so that one person counts once. */
  readonly people: readonly string[];
  /** How presence was shown. */
  readonly how: string;
  readonly at: UnixMs;
  readonly verdict: 'approve' | 'deny';
  readonly scope: ApprovalScope;
  /** Of `time`; null otherwise. */
  readonly durationMs: number | null;
  readonly reason: string | null;
  /** Whether this vote changed the arguments. */
  readonly edited: boolean;
}

/** The rules that the question was asked under, as the document had them then. */
export interface ApprovalTerms {
  readonly approvers: readonly string[];
  readonly quorum: number;
  readonly selfApprove: boolean;
  readonly holdMs: number;
  readonly pendingMs: number;
  readonly scopes: readonly ApprovalScope[];
  readonly maxDurationMs: number;
  readonly allowEdit: boolean;
}

export interface ApprovalRow {
  readonly id: string;
  readonly tailnet: string;
  readonly state: ApprovalState;
  /** Grows with every change of the row. */
  readonly revision: number;
  /** Hex; keyed hash of who asks, for what, with which arguments. At most one pending row has it. */
  readonly binding: string;
  readonly principal: string;
  readonly label: string;
  readonly deviceId: string | null;
  readonly tokenId: string | null;
  /** A label, said by the caller. */
  readonly agent: string | null;
  /** A label, said by the caller. */
  readonly sessionId: string | null;
  readonly subjectKind: 'tool' | 'model' | 'budget' | 'request';
  /** Tool, `provider/model` or bucket; empty for a whole request. */
  readonly subject: string;
  /** Of a budget, in the bucket's unit; null otherwise. */
  readonly amount: number | null;
  /** Of a budget: `usd` counts nano-dollars. Null otherwise, and in rows of before units were kept. */
  readonly unit: 'usd' | 'tokens' | 'requests' | 'concurrency' | null;
  /** Name of the entry of `approvals`. */
  readonly entry: string;
  readonly terms: ApprovalTerms;
  /** Path of the rule that asked; null where a caller asked by themselves. */
  readonly rule: string | null;
  readonly requestId: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** Asked by a stream that waited; where the process died since, nobody waits any more. */
  readonly held: boolean;
  /** Short and redacted, sealed. Null once forgotten. */
  readonly sealedPreview: Uint8Array | null;
  /** Arguments and context, sealed. Null once forgotten. */
  readonly sealedContent: Uint8Array | null;
  /** The arguments that an approver put in their place, sealed; null where nobody did. */
  readonly sealedEdit: Uint8Array | null;
  /** How often the arguments were changed. */
  readonly edits: number;
  readonly votes: readonly ApprovalVote[];
  readonly createdAt: UnixMs;
  /** A pending row can be decided before it. */
  readonly expiresAt: UnixMs;
  /** When the state became another one than `pending`. */
  readonly decidedAt: UnixMs | null;
  /** Why it was denied, expired or withdrawn. */
  readonly reason: string | null;
  /** What was approved may be used one time. */
  readonly once: boolean;
  /** What was approved may be used in `sessionId` only. */
  readonly sessionBound: boolean;
  /** What was approved may be used before it; null unless approved. */
  readonly validUntil: UnixMs | null;
  readonly usedAt: UnixMs | null;
}

export interface ApprovalAsk {
  /** Whether an approval that stands is used; else it is only told. */
  readonly uses: boolean;
  /** Rows that may be there at once. */
  readonly pendingPerPrincipalMax: number;
  readonly pendingMax: number;
}

export type AskedApproval =
  /** An approval stood; a single-use one is `used` now. */
  | { readonly kind: 'used'; readonly row: ApprovalRow }
  /** An approval stands and was left as it is. */
  | { readonly kind: 'stands'; readonly row: ApprovalRow }
  /** The same question waits already. */
  | { readonly kind: 'joined'; readonly row: ApprovalRow }
  /** `lapsed`: the same question, which had waited too long and is `expired` now. */
  | { readonly kind: 'opened'; readonly row: ApprovalRow; readonly lapsed: ApprovalRow | null }
  | { readonly kind: 'too_many' };

/** Which approval is used: by what it is bound to, or by its id. */
export type ApprovalUse = ApprovalUseTerms &
  (
    | { readonly binding: string; readonly id?: undefined }
    | { readonly id: string; readonly binding?: undefined }
  );

interface ApprovalUseTerms {
  readonly tailnet: string;
  /** Label of the session that wants to use it. */
  readonly sessionId: string | null;
  readonly now: UnixMs;
}

export interface ApprovalFilter {
  readonly tailnet: string;
  readonly states?: readonly ApprovalState[];
  readonly principal?: string;
  readonly subjectKind?: ApprovalRow['subjectKind'];
}

/** The part of a store that keeps approvals. Methods reject with `AppError<'store_…'>`; each is one transaction. */
export interface ApprovalStore {
  /**
   * In this order: uses (or tells) an approval that stands for the row's binding, joins the same pending question,
   * or opens the row if there is room. On disk when it resolves.
   */
  askApproval(row: ApprovalRow, ask: ApprovalAsk): Promise<AskedApproval>;
  /** Uses an approval that stands, on disk when it resolves; null if there is none, or not any more. */
  useApproval(use: ApprovalUse): Promise<ApprovalRow | null>;
  /** Replaces the row of the same id if its revision is still `expected`; on disk when it resolves. False if not. */
  replaceApproval(row: ApprovalRow, expected: number): Promise<boolean>;
  getApproval(tailnet: string, id: string): Promise<ApprovalRow | null>;
  /** Those of the ids (at most 1,000) that are no longer pending, or not there. */
  settledApprovals(
    tailnet: string,
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly row: ApprovalRow | null }[]>;
  /** Newest first. */
  listApprovals(filter: ApprovalFilter, page: PageRequest): Promise<Page<ApprovalRow>>;
  /** Makes pending rows whose time is over `expired`; at most 500 in a call, which it returns. */
  expireApprovals(tailnet: string, now: UnixMs): Promise<readonly ApprovalRow[]>;
  /** Drops sealed texts of what ended before `contentBefore`, and rows that ended before `rowsBefore`. */
  forgetApprovals(
    tailnet: string,
    before: { readonly contentBefore: UnixMs; readonly rowsBefore: UnixMs },
  ): Promise<void>;
}
