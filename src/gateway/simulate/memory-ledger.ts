/**
 * Budgets of a simulation: the real ledger's sums over balances in memory, for one process. Buckets
 * are full at the start. Beyond `BUCKETS_MAX` the bucket that was used longest ago is forgotten, and full again.
 */
import { enter } from '../../store/budget-ledger.ts';
import type {
  BudgetGrant,
  BudgetLeaseCall,
  BudgetLeaseRequest,
  BudgetRow,
  BudgetStore,
} from '../../store/budget-shapes.ts';

const BUCKETS_MAX = 50_000;

export interface MemoryLedger extends BudgetStore {
  /** Calls so far: tells whether something is still under way. */
  readonly calls: number;
  /** Buckets that were forgotten for want of room. */
  readonly forgotten: number;
}

export function createMemoryLedger(): MemoryLedger {
  const buckets = new Map<string, { readonly row: BudgetRow; readonly holding: number }>();
  let calls = 0;
  let forgotten = 0;
  const enterOne = (request: BudgetLeaseRequest, now: number): BudgetGrant => {
    const key = `${request.tailnet}\n${request.quota}\n${request.bucket}`;
    const known = buckets.get(key);
    const entry = enter(known?.row ?? null, request, { mine: known?.holding ?? 0, others: 0 }, now);
    // Set anew, so that the order is that of the last use.
    buckets.delete(key);
    buckets.set(key, { row: entry.row, holding: entry.holding });
    if (buckets.size > BUCKETS_MAX) {
      const [oldest] = buckets.keys();
      if (oldest !== undefined) buckets.delete(oldest);
      forgotten += 1;
    }
    return entry.grant;
  };
  const lease = (call: BudgetLeaseCall): readonly BudgetGrant[] =>
    call.requests.map((request) => enterOne(request, call.now));
  return {
    get calls() {
      return calls;
    },
    get forgotten() {
      return forgotten;
    },
    leaseBudget(call) {
      calls += 1;
      return Promise.resolve(lease(call));
    },
    returnBudget(call) {
      lease(call);
      return Promise.resolve();
    },
    // A simulation asks for decisions only: nobody lists, refills or deletes.
    listBudgets: () => Promise.resolve({ items: [], nextCursor: null }),
    refillBudget: () => Promise.resolve([]),
    deleteBudgets: () => Promise.resolve(0),
  };
}
