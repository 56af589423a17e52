/**
 * What was decided about calls whose answers a provider keeps: a stored response that is read again
 * shows the same call, and must meet the same verdict, whatever was spent on it before. The same call is
 * one with the same id, name and arguments: an id alone is whatever a provider writes.
 */
import type { ToolCall, ToolVerdict } from '../../llm/answer/index.ts';

/** Calls remembered for one caller, the oldest forgotten first. */
const CALLS_MAX = 1_000;
const CALLERS_MAX = 10_000;
/** UTF-16 units remembered for one caller, and for all: some 4 MB and 64 MB. */
const CALLER_UNITS_MAX = 2 << 20;
const ALL_UNITS_MAX = 32 << 20;

export interface CallVerdicts {
  /** Nothing is remembered of a call without an id, or of one that is larger than all that is kept. */
  remember(owner: string, call: ToolCall, verdict: ToolVerdict): void;
  /** Undefined for a call that nobody decided here, or that is forgotten. */
  of(owner: string, call: ToolCall): ToolVerdict | undefined;
}

interface Remembered {
  readonly name: string;
  readonly argumentsText: string;
  readonly verdict: ToolVerdict;
  readonly units: number;
}

interface Owned {
  /** By id, oldest first. */
  readonly calls: Map<string, Remembered>;
  units: number;
}

export function createCallVerdicts(): CallVerdicts {
  const owners = new Map<string, Owned>();
  let units = 0;
  const forget = (owned: Owned, id: string): void => {
    const known = owned.calls.get(id);
    if (known === undefined) return;
    owned.calls.delete(id);
    owned.units -= known.units;
    units -= known.units;
  };
  const ownedBy = (owner: string): Owned => {
    const owned = owners.get(owner) ?? { calls: new Map<string, Remembered>(), units: 0 };
    owners.delete(owner);
    owners.set(owner, owned);
    return owned;
  };
  const shrink = (): void => {
    for (const [owner, owned] of owners) {
      if (owners.size <= CALLERS_MAX && units <= ALL_UNITS_MAX) return;
      units -= owned.units;
      owners.delete(owner);
    }
  };
  return {
    remember(owner, { id, name, argumentsText }, verdict) {
      if (id === null) return;
      const size = id.length + name.length + argumentsText.length + unitsOf(verdict);
      if (size > CALLER_UNITS_MAX) return;
      const owned = ownedBy(owner);
      forget(owned, id);
      owned.calls.set(id, { name, argumentsText, verdict, units: size });
      owned.units += size;
      units += size;
      for (const oldest of owned.calls.keys()) {
        if (owned.calls.size <= CALLS_MAX && owned.units <= CALLER_UNITS_MAX) break;
        forget(owned, oldest);
      }
      shrink();
    },
    of(owner, { id, name, argumentsText }) {
      const known = id === null ? undefined : owners.get(owner)?.calls.get(id);
      return known?.name === name && known.argumentsText === argumentsText ? known.verdict : undefined;
    },
  };
}

function unitsOf(verdict: ToolVerdict): number {
  switch (verdict.action) {
    case 'deny':
      return verdict.text.length;
    case 'rewrite':
      return verdict.argumentsText.length;
    case 'allow':
    default:
      return 0;
  }
}
