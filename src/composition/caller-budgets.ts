/** Whose budgets are whose, by the policy in force: what the API asks of quotas. */
import type { BudgetsPort } from '../api/ports.ts';
import { type Caller, callerLabel } from '../identity/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { GatewayDocument, QuotaEntry } from '../policy/index.ts';
import { type BudgetView, type HolderValues, type Quotas, templateNamesOf } from '../quotas/index.ts';

/** What is asked of quotas. */
type QuotasPart = Pick<Quotas, 'usesOf' | 'view' | 'list' | 'refill' | 'isHeldBy'>;

/** Buckets of one answer. */
const VIEWS_MAX = 100;
const PAGE = 500;
/** Buckets that are looked through for those of one caller, of each quota that counts labels or models by themselves. */
const LOOKED_THROUGH_MAX = 5_000;
const NO_QUOTAS: ReadonlyMap<string, QuotaEntry> = new Map();

export function createBudgetsPort(quotas: QuotasPart, documents: Pick<Documents, 'current'>): BudgetsPort {
  const document = (): GatewayDocument => documents.current().document;
  const entriesOf = (caller: Caller): readonly QuotaEntry[] =>
    withParents(documents.current().accessOf(caller).quotas, document().quotas);
  const valuesOf = (caller: Caller): HolderValues => ({
    user: callerLabel(caller),
    node: caller.device?.stableId ?? null,
    token: caller.token?.id ?? null,
    groups: documents.current().accessOf(caller).groups,
  });
  const groupEntry = (name: string): QuotaEntry | null => {
    const entry = document().quotas.get(name);
    return entry !== undefined && isOfGroupsAlone(entry) ? entry : null;
  };
  return {
    list: (filter, page) => quotas.list(filter, page),
    refill: (tailnet, bucket, amount) => quotas.refill(tailnet, bucket, amount),
    ofCaller: (caller) =>
      viewsOf(quotas, caller.tailnet, entriesOf(caller), {
        ...valuesOf(caller),
        principal: caller.principal,
      }),
    ofGroups: (tailnet, groups) =>
      viewsOf(quotas, tailnet, [...document().quotas.values()].filter(isOfGroupsAlone), {
        ...NOBODY,
        groups,
        principal: '',
      }),
    isOf: (caller, quota, bucket) =>
      entriesOf(caller).some(
        (entry) => entry.name === quota && quotas.isHeldBy(entry, bucket, valuesOf(caller)),
      ),
    isOfGroups(groups, quota, bucket) {
      const entry = groups.length === 0 ? null : groupEntry(quota);
      return entry !== null && quotas.isHeldBy(entry, bucket, { ...NOBODY, groups });
    },
    warnAt: (quota) => document().quotas.get(quota)?.warnAt ?? [],
  };
}

const NOBODY: HolderValues = { user: '', node: null, token: null, groups: [] };

/** A group's own: not one for each of its members, whom a lead is not shown here. */
function isOfGroupsAlone(entry: QuotaEntry): boolean {
  const names = templateNamesOf(entry);
  return (
    names.includes('group') && !names.some((name) => name === 'user' || name === 'node' || name === 'token')
  );
}

/** Counts something by itself that a request names; nobody can tell beforehand what. */
function isOpenEnded(entry: QuotaEntry): boolean {
  return templateNamesOf(entry).some(
    (name) => name === 'agent' || name === 'session' || name === 'model' || name === 'provider',
  );
}

function withParents(
  names: readonly string[],
  quotas: ReadonlyMap<string, QuotaEntry>,
): readonly QuotaEntry[] {
  const found = new Set<QuotaEntry>();
  for (const name of names) {
    let entry = quotas.get(name);
    while (entry !== undefined && !found.has(entry)) {
      found.add(entry);
      entry = entry.parent === null ? undefined : quotas.get(entry.parent);
    }
  }
  return [...found];
}

type Values = HolderValues & { readonly principal: string };

async function viewsOf(
  quotas: QuotasPart,
  tailnet: string,
  entries: readonly QuotaEntry[],
  values: Values,
): Promise<readonly BudgetView[]> {
  const closed = entries.filter((entry) => !isOpenEnded(entry));
  const uses = quotas.usesOf(
    closed,
    // Parents are among the entries already.
    NO_QUOTAS,
    { ...values, tailnet, agent: null, session: null, provider: '', model: '' },
  );
  const views = [...(await quotas.view(uses.slice(0, VIEWS_MAX)))];
  for (const entry of entries.filter(isOpenEnded))
    views.push(...(await usedOf(quotas, tailnet, entry, values)));
  return views.slice(0, VIEWS_MAX);
}

/** Of a quota that counts what requests name: those of the caller that were used. */
async function usedOf(
  quotas: QuotasPart,
  tailnet: string,
  entry: QuotaEntry,
  values: HolderValues,
): Promise<readonly BudgetView[]> {
  const own: BudgetView[] = [];
  let cursor: string | undefined;
  for (let read = 0; read < LOOKED_THROUGH_MAX && own.length < VIEWS_MAX; read += PAGE) {
    const page: Awaited<ReturnType<Quotas['list']>> = await quotas.list(
      { tailnet, quota: entry.name },
      { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) },
    );
    own.push(...page.items.filter(({ bucket }) => quotas.isHeldBy(entry, bucket, values)));
    if (page.nextCursor === null) break;
    cursor = page.nextCursor;
  }
  return own;
}
