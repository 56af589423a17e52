/** Budgets in memory, for the tests of this folder. */
import type { BudgetView } from '../quotas/index.ts';
import type { BudgetsPort } from './ports.ts';

/** One bucket of $10. */
export function budgetOf(bucket: string, more: Partial<BudgetView> = {}): BudgetView {
  return {
    tailnet: 'home',
    quota: bucket.replace(/:.*/, ':<user>'),
    bucket,
    unit: 'usd',
    capacity: 10e9,
    balance: 10e9,
    reserved: 0,
    rate: null,
    windowEnd: null,
    updatedAt: 0,
    ...more,
  };
}

/** Groups are known as principals are. */
export function memoryBudgets(budgets: Map<string, BudgetView[]>): BudgetsPort {
  const of = (names: readonly string[]): BudgetView[] => names.flatMap((name) => budgets.get(name) ?? []);
  const has = (views: readonly BudgetView[], bucket: string): boolean =>
    views.some((view) => view.bucket === bucket);
  return {
    ofCaller: async ({ principal }) => of([principal]),
    ofGroups: async (_tailnet, groups) => of(groups),
    isOf: ({ principal }, _quota, bucket) => has(of([principal]), bucket),
    isOfGroups: (groups, _quota, bucket) => has(of(groups), bucket),
    warnAt: () => [0.5, 0.8],
    async list(filter) {
      const items = of([...budgets.keys()]).filter(
        ({ bucket }) => filter.buckets === undefined || filter.buckets.includes(bucket),
      );
      return { items, nextCursor: null };
    },
    async refill(_tailnet, name, amount) {
      for (const [owner, views] of budgets)
        budgets.set(
          owner,
          views.map((view) =>
            view.bucket === name
              ? { ...view, balance: Math.min(view.capacity, view.balance + amount) }
              : view,
          ),
        );
      return of([...budgets.keys()]).filter(({ bucket }) => bucket === name);
    },
  };
}
