/**
 * Alerts about budgets: to the log, and to the `notify` targets of the quota. One for each crossing:
 * what goes on, is not told again.
 */
import type { Notice, NoticeSender } from '../approvals/index.ts';
import type { Logger } from '../base/log.ts';
import type { EventBus } from '../events/index.ts';
import type { PosternEvents } from '../gateway/index.ts';
import { amountText, type NotifyTarget } from '../policy/index.ts';
import type { BudgetCrossing } from '../quotas/index.ts';

export interface BudgetAlertsOptions {
  readonly events: EventBus<PosternEvents>;
  readonly notifier: NoticeSender;
  /** `notify` of a quota in the document in force. */
  readonly targetsOf: (quota: string) => readonly NotifyTarget[];
  readonly logger: Logger;
}

/** An overrun of the same bucket is not told again so soon: each request may bring one. */
const OVERRUN_EVERY_MS = 600_000;
/** Buckets whose last overrun is remembered; beyond them the oldest is forgotten, and told again. */
const REMEMBERED_MAX = 10_000;

/** Tells until the function returned is called. */
export function startBudgetAlerts({ events, notifier, targetsOf, logger }: BudgetAlertsOptions): () => void {
  const overrunAt = new Map<string, number>();
  const tell = (name: string, event: BudgetCrossing, title: string, more: Record<string, unknown>): void => {
    const { quota, bucket, unit, remaining, capacity } = event;
    logger.warn(title, { event: name, quota, bucket, remaining, capacity, unit, ...more });
    const targets = targetsOf(quota);
    if (targets.length > 0) notifier.send(targets, noticeOf(name, event, title, more));
  };
  const stops = [
    events.on('budget.warned', (event) =>
      tell('budget.warned', event, `budget ${event.bucket} is ${percent(event.threshold)} spent`, {
        threshold: event.threshold,
      }),
    ),
    events.on('budget.exhausted', (event) => {
      if (!event.again) tell('budget.exhausted', event, `budget ${event.bucket} is used up`, {});
    }),
    events.on('budget.overrun', (event) => {
      const key = `${event.tailnet}\n${event.quota}\n${event.bucket}`;
      const last = overrunAt.get(key);
      if (last !== undefined && event.at >= last && event.at - last < OVERRUN_EVERY_MS) return;
      overrunAt.delete(key);
      overrunAt.set(key, event.at);
      const [oldest] = overrunAt.keys();
      if (overrunAt.size > REMEMBERED_MAX && oldest !== undefined) overrunAt.delete(oldest);
      tell('budget.overrun', event, `budget ${event.bucket} was overrun`, { overrun_by: event.overrunBy });
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function noticeOf(
  name: string,
  event: BudgetCrossing,
  title: string,
  more: Readonly<Record<string, unknown>>,
): Notice {
  const { tailnet, quota, bucket, unit, remaining, capacity, at } = event;
  return {
    event: name,
    title,
    lines: [
      `Left: ${amountText(remaining, unit)} of ${amountText(capacity, unit)}`,
      `Quota: ${quota}`,
      `At: ${new Date(at).toISOString()}`,
    ],
    link: null,
    data: { tailnet, quota, bucket, unit, remaining, capacity, ...more },
  };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
