/** Budgets as the API shows them, whose may be seen, and amounts as people write them. */
import { z } from '@hono/zod-openapi';
import { parseAmount } from '../policy/index.ts';
import type { BudgetEvents, BudgetView } from '../quotas/index.ts';
import { Windows } from '../quotas/windows.ts';
import { type Actor, seesAll } from './actor.ts';
import { ApiError } from './errors.ts';
import type { ApiDependencies, BudgetsPort } from './ports.ts';
import { NullableTime, nullableTimeText, TimeSchema, timeText } from './schemas.ts';

const UNITS = ['usd', 'tokens', 'requests', 'concurrency'] as const;

export const BudgetSchema = z
  .object({
    bucket: z.string(),
    quota: z.string().describe('The quota of the document whose bucket it is.'),
    unit: z.enum(UNITS).describe('Amounts are in it; `usd` in nano-dollars.'),
    capacity: z.int(),
    remaining: z
      .int()
      .describe('Not spent; what requests under way have reserved is still in it. Below zero is a debt.'),
    reserved: z.int().describe('By requests under way.'),
    rate: z.object({ amount: z.int(), period_sec: z.number() }).nullable().describe('How it refills.'),
    window_end: NullableTime.describe('When the calendar window ends; null without one, or where unknown.'),
    warned: z.array(z.number()).describe('Thresholds of `warn_at` that are crossed: 0.8 for 80 % spent.'),
    forecast: z
      .object({
        spent: z.int(),
        projected: z.int().describe('Spent at the end of the window, if the rest is like what was.'),
        exhausted_at: NullableTime.describe('When nothing would be left; null if something would.'),
      })
      .nullable()
      .describe('Null without a calendar window.'),
    updated_at: TimeSchema,
  })
  .openapi('Budget');

/** An amount in the bucket's unit, or as in the document: `$5.00`. */
export const AmountSchema = z
  .union([z.int().min(1).max(9_000_000_000_000_000), z.string().min(1).max(40)])
  .describe('A whole number in the unit of the bucket (nano-dollars for `usd`), or text: `$5.00`, `1000`.');

export function budgetsOf({ budgets }: Pick<ApiDependencies, 'budgets'>): BudgetsPort {
  if (budgets === undefined) throw new ApiError('not_found', 'this server keeps no budgets');
  return budgets;
}

export function budgetView(
  { budgets, quotaWindow, clock }: Pick<ApiDependencies, 'budgets' | 'quotaWindow' | 'clock'>,
  view: BudgetView,
): z.output<typeof BudgetSchema> {
  const window = quotaWindow?.(view.quota) ?? null;
  const spent = view.capacity > 0 ? 1 - view.balance / view.capacity : 1;
  return {
    bucket: view.bucket,
    quota: view.quota,
    unit: view.unit,
    capacity: view.capacity,
    remaining: view.balance,
    reserved: view.reserved,
    rate: view.rate === null ? null : { amount: view.rate.amount, period_sec: view.rate.periodMs / 1_000 },
    window_end: nullableTimeText(view.windowEnd),
    warned: (budgets?.warnAt(view.quota) ?? []).filter((level) => spent >= level),
    forecast: window === null ? null : forecastOf(view, window, clock.now()),
    updated_at: timeText(view.updatedAt),
  };
}

const WINDOWS = new Windows();
/** At the begin of a window a line through one request would point at the sky. */
const PASSED_MIN_SHARE = 0.02;

/** A straight line through what was spent since the window began. */
function forecastOf(
  view: BudgetView,
  { unit, timeZone }: NonNullable<ReturnType<NonNullable<ApiDependencies['quotaWindow']>>>,
  now: number,
): z.output<typeof BudgetSchema>['forecast'] {
  const { start, end } = WINDOWS.at(unit, timeZone, now);
  // A bucket that was not touched in this window is full again.
  const spent = view.updatedAt < start ? 0 : Math.max(0, view.capacity - view.balance);
  const passed = Math.max(now - start, (end - start) * PASSED_MIN_SHARE);
  const projected = Math.round((spent / passed) * (end - start));
  const isEnough = projected <= view.capacity || spent === 0;
  const at = Math.max(now, start + (view.capacity / spent) * passed);
  return { spent, projected, exhausted_at: isEnough ? null : timeText(Math.min(at, end)) };
}

/** Whether the actor may know of this bucket: auditors and admins of all, callers of theirs, leads of their groups'. */
export function maySeeBudget(
  budgets: BudgetsPort,
  actor: Actor,
  { tailnet, quota, bucket }: Pick<BudgetView, 'tailnet' | 'quota' | 'bucket'>,
): boolean {
  if (tailnet !== actor.tailnet) return false;
  if (seesAll(actor)) return true;
  if (actor.caller === null) return false;
  return budgets.isOf(actor.caller, quota, bucket) || budgets.isOfGroups(actor.leads, quota, bucket);
}

/** Nano-dollars or a count, above 0. Throws `invalid_request` for text that is no amount of this unit. */
export function amountOf(amount: z.output<typeof AmountSchema>, unit: BudgetView['unit']): number {
  if (typeof amount === 'number') return amount;
  const parsed = parseAmount(amount, unit);
  if (!parsed.ok) throw new ApiError('invalid_request', `amount: "${amount}" ${parsed.fault}`);
  if (parsed.value < 1) throw new ApiError('invalid_request', 'amount: must be above 0');
  return parsed.value;
}

/** An event's data. */
export function crossingView(event: BudgetEvents[keyof BudgetEvents]): Record<string, unknown> {
  return {
    at: timeText(event.at),
    bucket: event.bucket,
    quota: event.quota,
    unit: event.unit,
    capacity: event.capacity,
    remaining: event.remaining,
    ...('threshold' in event ? { threshold: event.threshold } : {}),
    ...('again' in event ? { again: event.again } : {}),
    ...('overrunBy' in event ? { overrun_by: event.overrunBy } : {}),
  };
}
