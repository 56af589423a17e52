/**
 * A question that a person decides before it happens, and the answers to it (docs/design/0006-deciding.md).
 */
import type { UnixMs } from '../base/clock.ts';
import type { Caller } from '../identity/caller.ts';
import type { QuotaEntry } from '../policy/document.ts';
import type { ApprovalEntry } from '../policy/governance.ts';
import type { ApprovalRow, ApprovalScope, ApprovalState, ApprovalVote } from '../store/approval-shapes.ts';
import type { JsonValue } from '../wire/hujson.ts';

export type { ApprovalScope, ApprovalState } from '../store/approval-shapes.ts';

/** What the approval is about. */
export type ApprovalSubject =
  | { readonly kind: 'tool'; readonly tool: string }
  | { readonly kind: 'model'; /** `provider/model`. */ readonly model: string }
  | {
      readonly kind: 'budget';
      readonly bucket: string;
      /** Above 0, in the bucket's unit. */ readonly amount: number;
      readonly unit: QuotaEntry['unit'];
    }
  /** A whole request that a guard holds. */
  | { readonly kind: 'request' };

export interface ApprovalRequester {
  readonly principal: string;
  /** `callerLabel`: login, tags or the principal. */
  readonly label: string;
  readonly deviceId: string | null;
  readonly tokenId: string | null;
  /** Labels, said by the caller: they never widen anything. */
  readonly agent: string | null;
  readonly sessionId: string | null;
}

/** What helps the approver; none of it is part of the binding. */
export interface ApprovalContext {
  readonly requestId: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  /** What the user asked last, or why somebody asks for more; cut at 2,000 characters. */
  readonly excerpt: string | null;
  /** What the program that asks says to the approver (a hook); null where there is none. */
  readonly note: string | null;
  /** Why the excerpt is not given; null where it is, or there is none. */
  readonly excerptWithheld: string | null;
}

export interface ApprovalQuestion {
  readonly tailnet: string;
  readonly requester: ApprovalRequester;
  readonly subject: ApprovalSubject;
  /** As they were written; empty for models and budgets. */
  readonly argumentsText: string;
  /** Undefined where the text is no JSON or could be read in two ways: the text itself is then bound. */
  readonly arguments: JsonValue | undefined;
  readonly context: ApprovalContext;
  readonly entry: ApprovalEntry;
  /** Path of the rule that asks; null where a caller asks by themselves. */
  readonly rule: string | null;
  /** `hold`: something waits for the answer. Taken as `pending` where the entry does not hold. */
  readonly mode: 'hold' | 'pending';
}

/** Why a held call may not run. `used`: the approval was for one call, and the same one made elsewhere took it. */
export type RefusalWhy = 'denied' | 'deadline' | 'cancelled' | 'withdrawn' | 'used' | 'unavailable';

/** How waiting ended. */
export type ApprovalDecision =
  | { readonly state: 'approved'; readonly approvalId: string; readonly edited: JsonValue | undefined }
  | {
      readonly state: 'denied';
      readonly approvalId: string;
      readonly why: RefusalWhy;
      /** The approver's words; null where there are none. */
      readonly reason: string | null;
    };

/** The answer to somebody who asks for more. */
export type RequestAnswer =
  /** `standing`: it is approved already, and not used by this. */
  | { readonly state: 'pending' | 'standing'; readonly id: string }
  | { readonly state: 'refused'; readonly why: 'too_many' | 'too_large' };

export type ApprovalAnswer =
  /** It may run, now and with `edited` in place of its arguments if that is given. A single use is taken, on disk. */
  | { readonly state: 'approved'; readonly approvalId: string; readonly edited: JsonValue | undefined }
  | {
      readonly state: 'waiting';
      readonly id: string;
      /** Never rejects: what goes wrong is a denial. */
      readonly decision: Promise<ApprovalDecision>;
      /** Nobody waits any more: the stream is gone. Idempotent. */
      cancel(): void;
    }
  | { readonly state: 'pending'; readonly id: string; readonly expiresAt: UnixMs }
  | { readonly state: 'refused'; readonly why: 'too_many' | 'too_large' };

/** Who decides. The API layer has checked presence; `how` is kept. */
export interface Approver {
  readonly tailnet: string;
  readonly principal: string;
  readonly label: string;
  /** Null for the operator's break-glass token, which may decide everything but what it asked itself. */
  readonly caller: Caller | null;
  /** `passkey`, `link`, `claim`, `token` or `break-glass`. */
  readonly how: string;
}

export type Verdict =
  | {
      readonly verdict: 'approve';
      readonly scope: ApprovalScope;
      /** Of the scope `time`; the entry's longest unless told. */
      readonly durationMs?: number;
      /** Runs in place of the arguments; earlier votes no longer count. */
      readonly edited?: JsonValue;
      /** `edits` of the record that the approver saw; 0 unless told. */
      readonly seenEdits?: number;
      readonly reason: string | null;
    }
  | { readonly verdict: 'deny'; readonly reason: string | null };

/** An approval as it is kept, without what it holds of the call. */
export type ApprovalRecord = Omit<
  ApprovalRow,
  'binding' | 'sealedPreview' | 'sealedContent' | 'sealedEdit' | 'votes'
> & {
  readonly votes: readonly Omit<ApprovalVote, 'people'>[];
  /** One line, redacted, at most 200 characters; empty where nothing is kept. */
  readonly preview: string;
};

/** What the approver decides on. */
export interface ApprovalContent {
  /** As written; cut for a whole request. */
  readonly argumentsText: string;
  readonly argumentsCut: boolean;
  readonly excerpt: string | null;
  /** What the program that asks says to the approver; null where it says nothing. */
  readonly note: string | null;
  /** Why there is no excerpt, in words for the approver; null where there is one, or nothing was asked. */
  readonly excerptWithheld: string | null;
  /** What runs in their place; undefined where nobody edited. */
  readonly edited: JsonValue | undefined;
}

export interface ApprovalListFilter {
  readonly tailnet: string;
  readonly states?: readonly ApprovalState[];
  readonly principal?: string;
  readonly subjectKind?: ApprovalSubject['kind'];
}

/** For metrics. Counts are since the start of this process. */
export interface ApprovalStats {
  /** Calls that wait now. */
  readonly waiting: number;
  readonly asked: number;
  /** Let through: held ones and later ones. */
  readonly passed: number;
  readonly denied: number;
  readonly expired: number;
  readonly refused: number;
  readonly notified: number;
  /** Messages that could not be delivered. */
  readonly notDelivered: number;
}
