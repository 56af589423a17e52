import type { ApprovalDecision, ApprovalStats } from './approval.ts';

/** Counts since the start of the process. */
export class ApprovalCounters {
  asked = 0;
  passed = 0;
  denied = 0;
  expired = 0;
  refused = 0;

  countDecision(decision: ApprovalDecision): void {
    if (decision.state === 'approved') this.passed += 1;
    else this.denied += 1;
  }

  stats(present: Pick<ApprovalStats, 'waiting' | 'notified' | 'notDelivered'>): ApprovalStats {
    const { asked, passed, denied, expired, refused } = this;
    return { ...present, asked, passed, denied, expired, refused };
  }
}
