/**
 * What was decided about calls whose answers a provider keeps: a stored response that is read again
 * shows the same call, and must meet the same verdict, whatever was spent on it before, also after a
 * restart. The same call is one with the same id, name and arguments: an id alone is whatever a provider writes.
 */
import { sha256 } from '../../crypto/index.ts';
import type { ToolCall, ToolVerdict } from '../../llm/answer/index.ts';
import { KEEPS_NOTHING, type Keeping } from './keeping.ts';

/** Calls remembered for one caller, the oldest forgotten first. */
const CALLS_MAX = 1_000;
const CALLERS_MAX = 10_000;
/** UTF-16 units remembered for one caller, and for all: some 4 MB and 64 MB. */
const CALLER_UNITS_MAX = 2 << 20;
const ALL_UNITS_MAX = 32 << 20;
/** Of one call besides its verdict's text: its digest and what a Map takes. */
const CALL_UNITS = 100;
/** A larger verdict is not kept over a restart: its call is then judged by the rules alone. */
const KEPT_MAX_UNITS = 64 << 10;

export interface CallVerdicts {
  /**
   * Nothing is remembered of a call without an id, or of a verdict that is larger than all that is kept.
   * `isKept`: also over a restart, since the rules alone would not come to it again.
   */
  remember(owner: string, call: ToolCall, verdict: ToolVerdict, isKept: boolean): void;
  /** Undefined for a call that nobody decided here, or that is forgotten. */
  of(owner: string, call: ToolCall): ToolVerdict | undefined;
}

interface Remembered {
  readonly verdict: ToolVerdict;
  readonly units: number;
}

interface Owned {
  /** By digest of the call, oldest first. */
  readonly calls: Map<string, Remembered>;
  units: number;
}

/** What is kept of one verdict. */
interface KeptVerdict {
  readonly owner: string;
  readonly call: string;
  readonly verdict: ToolVerdict;
}

/** `earlier`: what an earlier process kept, oldest first. */
export function createCallVerdicts(
  keeping: Keeping = KEEPS_NOTHING,
  earlier: readonly unknown[] = [],
): CallVerdicts {
  const owners = new Map<string, Owned>();
  let units = 0;
  const forget = (owned: Owned, call: string): void => {
    const known = owned.calls.get(call);
    if (known === undefined) return;
    owned.calls.delete(call);
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
  const add = (owner: string, call: string, verdict: ToolVerdict): void => {
    const size = CALL_UNITS + unitsOf(verdict);
    if (size > CALLER_UNITS_MAX) return;
    const owned = ownedBy(owner);
    forget(owned, call);
    owned.calls.set(call, { verdict, units: size });
    owned.units += size;
    units += size;
    for (const oldest of owned.calls.keys()) {
      if (owned.calls.size <= CALLS_MAX && owned.units <= CALLER_UNITS_MAX) break;
      forget(owned, oldest);
    }
    shrink();
  };
  for (const { owner, call, verdict } of earlier.filter(isKeptVerdict)) add(owner, call, verdict);
  return {
    remember(owner, call, verdict, isKept) {
      const digest = digestOf(call);
      if (digest === null) return;
      add(owner, digest, verdict);
      if (isKept && unitsOf(verdict) <= KEPT_MAX_UNITS)
        keeping.put([owner, digest], { owner, call: digest, verdict } satisfies KeptVerdict);
    },
    of(owner, call) {
      const digest = digestOf(call);
      return digest === null ? undefined : owners.get(owner)?.calls.get(digest)?.verdict;
    },
  };
}

/** Null for a call without an id. */
function digestOf({ id, name, argumentsText }: ToolCall): string | null {
  if (id === null) return null;
  return Buffer.from(sha256(Buffer.from(JSON.stringify([id, name, argumentsText])))).toString('base64url');
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

/** The seal says that this very code wrote it; an older version may have written another shape. */
function isKeptVerdict(value: unknown): value is KeptVerdict {
  if (typeof value !== 'object' || value === null) return false;
  const { owner, call, verdict } = value as Partial<KeptVerdict>;
  return typeof owner === 'string' && typeof call === 'string' && isVerdict(verdict);
}

function isVerdict(verdict: ToolVerdict | undefined): boolean {
  switch (verdict?.action) {
    case 'allow':
      return true;
    case 'deny':
      return typeof verdict.text === 'string';
    case 'rewrite':
      return typeof verdict.argumentsText === 'string';
    case undefined:
    default:
      return false;
  }
}
