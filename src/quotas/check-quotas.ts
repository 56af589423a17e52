/** What is wrong between quotas of a document: parents, lenders and labels. For warnings; the engine refuses by itself. */
import type { GatewayDocument, QuotaEntry } from '../policy/document.ts';
import { HOLDERS, LABELS, parseBucketTemplate } from './bucket-template.ts';

export interface QuotaFault {
  readonly quota: string;
  /** `broken`: requests under it are refused. `weak`: it limits less than it seems to. */
  readonly kind: 'broken' | 'weak';
  readonly message: string;
}

/** All faults, in the order of the quotas. Pure. */
export function checkQuotas(quotas: ReadonlyMap<string, QuotaEntry>): readonly QuotaFault[] {
  const faults: QuotaFault[] = [];
  for (const entry of quotas.values()) {
    const add = (kind: QuotaFault['kind'], message: string): void =>
      void faults.push({ quota: entry.name, kind, message: `quota "${entry.name}" ${message}` });
    const line = ancestors(entry, quotas);
    if (line.end === 'missing')
      add(
        'broken',
        `has an ancestor that is not defined: "${line.missing}"; define it, or leave "parent" out`,
      );
    if (line.end === 'cycle') add('weak', 'is its own ancestor; a parent counts once');
    for (const name of entry.overdraft) {
      const lender = quotas.get(name);
      if (lender === undefined) add('weak', `borrows from "${name}", which is not defined and lends nothing`);
      else if (lender.unit !== entry.unit)
        add('weak', `counts ${entry.unit} and cannot borrow from "${name}", which counts ${lender.unit}`);
    }
    if (isLabelled(entry) && !line.entries.some(namesHolder))
      add(
        'weak',
        'is named after a label that callers choose: add a parent with <user>, <node> or <token>, or a new label is a new budget',
      );
  }
  return faults;
}

/** Quotas that limit somebody: named by a grant, by way of a parent, or as a lender. What the network's own grants name is not known here. */
export function usedQuotas({
  grants,
  quotas,
}: Pick<GatewayDocument, 'grants' | 'quotas'>): ReadonlySet<string> {
  const used = new Set<string>();
  const add = (name: string): void => {
    const entry = quotas.get(name);
    if (entry === undefined || used.has(name)) return;
    used.add(name);
    if (entry.parent !== null) add(entry.parent);
    for (const lender of entry.overdraft) add(lender);
  };
  for (const { capabilities } of grants)
    for (const capability of capabilities) capability.quotas.forEach(add);
  return used;
}

interface Ancestors {
  readonly entries: readonly QuotaEntry[];
  readonly end: 'top' | 'cycle' | 'missing';
  readonly missing: string;
}

/** The quota itself, then its ancestors. */
function ancestors(entry: QuotaEntry, quotas: ReadonlyMap<string, QuotaEntry>): Ancestors {
  const entries = new Set<QuotaEntry>();
  let current: QuotaEntry = entry;
  for (;;) {
    if (entries.has(current)) return { entries: [...entries], end: 'cycle', missing: '' };
    entries.add(current);
    if (current.parent === null) return { entries: [...entries], end: 'top', missing: '' };
    const parent = quotas.get(current.parent);
    if (parent === undefined) return { entries: [...entries], end: 'missing', missing: current.parent };
    current = parent;
  }
}

function isLabelled(entry: QuotaEntry): boolean {
  return parseBucketTemplate(entry.name).names.some((name) => LABELS.has(name));
}

/** Has a bucket for each person, machine or token, whatever they call themselves. */
function namesHolder(entry: QuotaEntry): boolean {
  const { names } = parseBucketTemplate(entry.name);
  return names.some((name) => HOLDERS.has(name)) && !names.some((name) => LABELS.has(name));
}
