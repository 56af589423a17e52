/**
 * What was decided for one target and still holds for the next. Rules and prices are by model: a
 * target with other rules must not be reached under the decisions of the first, or a fallback would
 * be a way around them.
 */
import type { Governance, ModelGrant } from '../../policy/index.ts';

export interface CarryOver {
  /** False: give the reservation back and reserve for the new target, before anything is sent. */
  readonly keepsReservation: boolean;
  /** False: guardrails, hooks and tool rules are asked again, for the new target. */
  readonly keepsGuards: boolean;
}

/** From the grant that was decided by to that of the next target. Another attempt at the same target keeps everything. */
export function carryOver(
  from: Pick<ModelGrant, 'governance'>,
  to: Pick<ModelGrant, 'governance'>,
): CarryOver {
  const before = from.governance;
  const after = to.governance;
  if (before === after) return { keepsReservation: isUnpriced(before), keepsGuards: true };
  return {
    keepsReservation: isUnpriced(before) && isUnpriced(after),
    keepsGuards:
      isSame(before?.guardrails, after?.guardrails) &&
      isSame(before?.hooks, after?.hooks) &&
      isSame(before?.tools?.rules, after?.tools?.rules),
  };
}

/** Nothing was reserved. What was, was counted with the first model's price and limits. */
function isUnpriced(governance: Governance | null): boolean {
  return governance === null || governance.buckets.length === 0;
}

/** The same entries of the document in the same order; the first match of some lists wins. */
function isSame(before: readonly unknown[] = [], after: readonly unknown[] = []): boolean {
  return before.length === after.length && before.every((entry, index) => entry === after[index]);
}
