import type { ApprovalEvents } from '../approvals/events.ts';
import type { BudgetEvents } from '../quotas/index.ts';
import type { RequestRow } from '../store/shapes.ts';

/** A request as soon as it is routed: what the live view shows before the answer is there. */
export interface RequestStarted {
  readonly id: string;
  readonly tailnet: string;
  readonly at: number;
  readonly principal: string;
  readonly userLabel: string;
  readonly groups: readonly string[];
  readonly agent: string | null;
  readonly format: string;
  readonly requestedModel: string | null;
  readonly provider: string | null;
  readonly model: string | null;
}

/** Every event of the process, by name. */
export type PosternEvents = {
  'request.started': RequestStarted;
  'request.finished': RequestRow;
  'config.changed': { readonly tailnet: string; readonly version: string; readonly at: number };
  'config.failed': { readonly tailnet: string; readonly message: string; readonly at: number };
} & BudgetEvents &
  ApprovalEvents;
