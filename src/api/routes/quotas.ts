/**
 * Aperture's own way to see and refill budgets (its how-to guide "Check and refill budgets"): amounts
 * are texts as in the document. The shape of the answer is ours where the guide shows none.
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { BudgetView } from '../../quotas/index.ts';
import { type Actor, seesAll } from '../actor.ts';
import { budgetsOf } from '../budget-view.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody, TimeSchema, timeText } from '../schemas.ts';
import { RefillBody, refillBudget } from './budgets.ts';

const READ = { role: 'known', presence: false, scope: 'read' } as const;
const REFILL = { role: 'admin', presence: true, scope: 'admin' } as const;
const PAGE = 500;
/** The answer has no pages; more are seen at /api/v1/budgets. */
const BUCKETS_MAX = 5_000;

const QuotaSchema = z
  .object({
    bucket: z.string(),
    balance: z.string().describe('`$4.20`, or a count.'),
    capacity: z.string(),
    rate: z.string().nullable().describe('`$5.00/day`; null where nothing refills.'),
    updated_at: TimeSchema,
  })
  .openapi('QuotaBucket');

export function addQuotaRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/quotas',
      summary: "Quota buckets, in Aperture's shape",
      description: 'Yours; all that were used for admins and auditors, at most 5,000.',
      responses: { 200: json(z.array(QuotaSchema), 'Buckets.') },
    }),
    async (c) => c.json((await shown(deps, c.get('actor'))).map(quotaView), 200),
  );
  router.add(
    REFILL,
    createRoute({
      method: 'post',
      path: '/api/quotas/refill',
      summary: "Refill a quota bucket, in Aperture's shape",
      request: { body: jsonBody(RefillBody) },
      responses: { 200: json(z.array(QuotaSchema), 'The buckets of this name as they are now.') },
    }),
    async (c) => {
      const views = await refillBudget(deps, c.get('actor'), c.req.valid('json'));
      return c.json(views.map(quotaView), 200);
    },
  );
}

async function shown(deps: ApiDependencies, actor: Actor): Promise<readonly BudgetView[]> {
  const budgets = budgetsOf(deps);
  if (!seesAll(actor)) return actor.caller === null ? [] : budgets.ofCaller(actor.caller);
  const views: BudgetView[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof budgets.list>> = await budgets.list(
      { tailnet: actor.tailnet },
      { limit: PAGE, ...(cursor === null ? {} : { cursor }) },
    );
    views.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && views.length < BUCKETS_MAX);
  return views;
}

function quotaView({
  bucket,
  balance,
  capacity,
  rate,
  unit,
  updatedAt,
}: BudgetView): z.output<typeof QuotaSchema> {
  return {
    bucket,
    balance: amountText(balance, unit),
    capacity: amountText(capacity, unit),
    rate: rate === null ? null : `${amountText(rate.amount, unit)}/${periodText(rate.periodMs)}`,
    updated_at: timeText(updatedAt),
  };
}

/** Two decimals, or as many as it takes: a token of a small model costs less than a cent. */
function amountText(amount: number, unit: BudgetView['unit']): string {
  if (unit !== 'usd') return String(amount);
  const [whole, nano] = [Math.floor(Math.abs(amount) / 1e9), Math.abs(amount) % 1e9];
  const decimals = String(nano)
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  return `${amount < 0 ? '-' : ''}$${whole}.${decimals}`;
}

const PERIODS: readonly (readonly [ms: number, name: string])[] = [
  [60_000, 'min'],
  [3_600_000, 'hour'],
  [86_400_000, 'day'],
  [604_800_000, 'week'],
  [2_592_000_000, 'month'],
];

function periodText(periodMs: number): string {
  return PERIODS.find(([ms]) => ms === periodMs)?.[1] ?? `${periodMs / 1_000}s`;
}
