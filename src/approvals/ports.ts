/** What approvals need from outside; `server.ts` joins them. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Caller } from '../identity/caller.ts';
import type { ApprovalEntry, NotifyTarget } from '../policy/governance.ts';
import type { ApprovalRow, ApprovalStore } from '../store/approval-shapes.ts';
import type { ApprovalEvents } from './events.ts';
import type { Notice } from './notify/notice.ts';

/** Timers that do not keep the process alive. */
export interface Timers {
  /** Runs once; the function returned cancels it. */
  after(delayMs: number, run: () => void): () => void;
  /** Runs again and again; the function returned ends it. */
  every(periodMs: number, run: () => void): () => void;
}

export interface ApprovalLimits {
  /** Calls of one principal that wait at once. Default 16. */
  readonly heldPerPrincipalMax: number;
  /** Calls that wait at once in this process. Default 512. */
  readonly heldMax: number;
  /** Questions of one principal that wait for a person. Default 100. */
  readonly pendingPerPrincipalMax: number;
  /** Of all. Default 10,000. */
  readonly pendingMax: number;
  /** UTF-8 bytes of one call's arguments. Default 256 KiB; more cannot be judged by a person. */
  readonly argumentsMaxBytes: number;
}

export type ApprovalPublisher = <Name extends keyof ApprovalEvents>(
  name: Name,
  event: ApprovalEvents[Name],
) => void;

/** Delivers messages; never throws and never waits for the other side. */
export interface NoticeSender {
  send(targets: readonly NotifyTarget[], notice: Notice): void;
  stats(): { readonly delivered: number; readonly failed: number };
}

export interface ApprovalOptions {
  readonly store: ApprovalStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
  /** 32 bytes each, derived from the master key under labels of their own. */
  readonly keys: { readonly seal: Uint8Array; readonly hash: Uint8Array };
  /** Null: nobody is told, and approvers look by themselves. */
  readonly notifier: NoticeSender | null;
  readonly publish: ApprovalPublisher;
  /**
   * What an approval gives comes into force here, before anybody is told of it. The approval is stored and stands
   * whatever happens here, so it must not reject. Undefined: it gives nothing but itself.
   */
  readonly beforeTold?: (
    approved: Pick<ApprovalRow, 'id' | 'tailnet' | 'subjectKind'>,
  ) => Promise<void> | undefined;
  /** Whether the entry's `approvers` (or the roles approver and admin, if it names none) mean this caller, under the policy in force. */
  readonly mayApprove: (approvers: readonly string[], caller: Caller) => boolean;
  /** The entry of this name in the policy in force; null if there is none. The stricter of then and now holds. */
  readonly entryOf: (name: string) => ApprovalEntry | null;
  /** Principals that own or minted a token, so that nobody decides through one. */
  readonly peopleBehind: (tokenId: string) => readonly string[];
  /** Where an approver looks at it; opening it decides nothing. */
  readonly linkFor: (id: string) => string;
  /** Takes secrets out of a short text, besides the built-in rules. */
  readonly redact?: (text: string) => string;
  readonly limits?: Partial<ApprovalLimits>;
  /** How long arguments are kept after the end. Default 30 days. */
  readonly contentKeptMs?: number;
  /** How long the record itself is kept after the end. Default 400 days. */
  readonly rowsKeptMs?: number;
}
