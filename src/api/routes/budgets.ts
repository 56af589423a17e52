/** Budgets: what is left, and refilling by hand. Asking for more is an approval (`approvals.ts`). */
import { createRoute, z } from '@hono/zod-openapi';
import type { BudgetView } from '../../quotas/index.ts';
import { type Actor, seesAll } from '../actor.ts';
import { recordChange } from '../audit-trail.ts';
import { amountOf, AmountSchema, BudgetSchema, budgetsOf, budgetView } from '../budget-view.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { CursorParam, json, jsonBody, LimitParam, listOf, NameText } from '../schemas.ts';
import { pageOf } from './requests.ts';

const READ = { role: 'known', presence: false, scope: 'read' } as const;
const REFILL = { role: 'admin', presence: true, scope: 'admin' } as const;

export const RefillBody = z
  .strictObject({
    bucket: NameText.describe('As listed: the name of a quota with its templates filled in.'),
    amount: AmountSchema,
    reason: z.string().max(1_000).optional(),
  })
  .openapi('BudgetRefill');

export function addBudgetRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/budgets',
      summary: 'What is left of budgets',
      description:
        'Yours, full ones included that you have not used yet; of those that count an agent, a session or a model by themselves, the used ones. Auditors and admins are shown all that were used, unless they ask for theirs; leads may ask for a group.',
      request: {
        query: z.object({
          of: z.enum(['mine', 'all']).optional().describe('`all` is for auditors and admins.'),
          group: NameText.optional().describe('Budgets of this group; for its leads, auditors and admins.'),
          quota: NameText.optional(),
          cursor: CursorParam,
          limit: LimitParam,
        }),
      },
      responses: { 200: json(listOf(BudgetSchema), 'Budgets.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const query = c.req.valid('query');
      const page = await shown(deps, actor, query);
      const items = page.items
        .filter(({ quota }) => query.quota === undefined || quota === query.quota)
        .map((view) => budgetView(deps, view));
      return c.json({ items, next_cursor: page.nextCursor }, 200);
    },
  );

  router.add(
    REFILL,
    createRoute({
      method: 'post',
      path: '/api/v1/budgets/refill',
      summary: 'Refill a budget',
      description: 'Adds to every bucket of this name, never above its capacity.',
      request: { body: jsonBody(RefillBody) },
      responses: { 200: json(listOf(BudgetSchema), 'The buckets as they are now.') },
    }),
    async (c) => {
      const views = await refillBudget(deps, c.get('actor'), c.req.valid('json'));
      return c.json({ items: views.map((view) => budgetView(deps, view)), next_cursor: null }, 200);
    },
  );
}

interface ShownQuery {
  readonly of?: 'mine' | 'all' | undefined;
  readonly group?: string | undefined;
  readonly quota?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

async function shown(
  deps: ApiDependencies,
  actor: Actor,
  query: ShownQuery,
): Promise<{ readonly items: readonly BudgetView[]; readonly nextCursor: string | null }> {
  const budgets = budgetsOf(deps);
  const { group } = query;
  if (group !== undefined) {
    if (!seesAll(actor) && !actor.leads.includes(group))
      throw new ApiError('not_yours', `you do not lead ${group}`);
    return { items: await budgets.ofGroups(actor.tailnet, [group]), nextCursor: null };
  }
  const of = query.of ?? (seesAll(actor) ? 'all' : 'mine');
  if (of === 'all') {
    if (!seesAll(actor)) throw new ApiError('not_yours', 'budgets of others need the role auditor or admin');
    const { quota } = query;
    return budgets.list({ tailnet: actor.tailnet, ...(quota === undefined ? {} : { quota }) }, pageOf(query));
  }
  // The operator calls no models and has no budget.
  return { items: actor.caller === null ? [] : await budgets.ofCaller(actor.caller), nextCursor: null };
}

/** Written to the audit log before it is done. Throws `not_found` for a bucket that nobody used: it is full. */
export async function refillBudget(
  deps: ApiDependencies,
  actor: Actor,
  { bucket, amount, reason }: z.output<typeof RefillBody>,
): Promise<readonly BudgetView[]> {
  const budgets = budgetsOf(deps);
  const { items } = await budgets.list({ tailnet: actor.tailnet, buckets: [bucket] }, { limit: 100 });
  const [first] = items;
  if (first === undefined)
    throw new ApiError(
      'not_found',
      `nothing was spent of a bucket "${bucket}": it is full, or does not exist`,
    );
  if (first.unit === 'concurrency')
    throw new ApiError('invalid_request', `"${bucket}" counts open requests, which come back by themselves`);
  const added = amountOf(amount, first.unit);
  return recordChange(
    deps,
    actor,
    {
      action: 'budget.refill',
      target: bucket,
      reason: reason ?? null,
      facts: { amount: added, unit: first.unit },
    },
    () => budgets.refill(actor.tailnet, bucket, added),
  );
}
