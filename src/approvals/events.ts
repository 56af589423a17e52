/** What approvals tell the rest of the process; the shapes of the bus's `approval.*` events. No values of a call, but a short redacted preview. */
import type { UnixMs } from '../base/clock.ts';
import type { ApprovalRow, ApprovalTerms } from '../store/approval-shapes.ts';

/** An approval as it is when something happens to it. */
export interface ApprovalNews {
  readonly id: string;
  readonly tailnet: string;
  readonly at: UnixMs;
  /** `pending`, `approved`, `denied`, `expired` or `withdrawn`. */
  readonly state: string;
  readonly principal: string;
  readonly label: string;
  readonly deviceId: string | null;
  readonly tokenId: string | null;
  readonly agent: string | null;
  readonly sessionId: string | null;
  readonly subjectKind: 'tool' | 'model' | 'budget' | 'request';
  /** Tool, model or bucket; empty for a whole request. */
  readonly subject: string;
  /** Of a budget, in `unit`. */
  readonly amount: number | null;
  readonly unit: ApprovalRow['unit'];
  readonly model: string | null;
  readonly entry: string;
  /** The rules that it was asked under; with the requester they tell whom the event may be shown to. */
  readonly terms: ApprovalTerms;
  readonly preview: string;
  readonly expiresAt: UnixMs;
  /** A stream waits for the answer. */
  readonly held: boolean;
  readonly votes: number;
}

export type ApprovalEvents = {
  'approval.requested': ApprovalNews;
  /** A vote, too: then `state` is still `pending`. */
  'approval.decided': ApprovalNews & { readonly by: string; readonly reason: string | null };
  /** Nobody decided in time, or the requester's stream or right ended. */
  'approval.expired': ApprovalNews;
};
