/**
 * What a provider key is used for, and so what its revocation would touch: who used it, from which
 * devices and agents, when last and how much, from the request log; what runs with it now; and
 * whether its provider would be left without a key.
 */
import type { RequestFilter, RequestRow } from '../store/shapes.ts';
import type { ApiDependencies, KeyView } from './ports.ts';

/** Rows in one read of the log: the largest page. */
const PAGE_ROWS = 500;
/** Rows that one question reads; beyond them the answer says that it is not complete. */
const ROWS_MAX = 20_000;
/** Callers that are listed, those with most requests first. */
const CALLERS_MAX = 200;
/** Names listed for one caller. */
const NAMES_MAX = 20;

export interface KeyUse {
  requests: number;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number;
}

export interface KeyCaller extends KeyUse {
  readonly principal: string;
  readonly userLabel: string;
  readonly devices: ReadonlySet<string>;
  /** Said by the callers, never authority. */
  readonly agents: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  lastAt: number;
}

export interface KeyImpact {
  readonly total: KeyUse;
  readonly callers: readonly KeyCaller[];
  readonly callersMore: number;
  /** Null where nobody can tell. */
  readonly open: { readonly exchanges: number; readonly principals: readonly string[] } | null;
  /** Providers that the revocation would leave without a key. */
  readonly withoutKey: readonly string[];
  /** Ids of the keys that would be used in its place. */
  readonly instead: readonly string[];
  /** Every request of the time was read. */
  readonly complete: boolean;
}

/** Times in Unix milliseconds; `from` inclusive, `to` exclusive. */
export async function readKeyImpact(
  deps: Pick<ApiDependencies, 'store' | 'vault' | 'tailnet' | 'openExchanges'>,
  key: KeyView,
  time: { readonly from: number; readonly to: number },
): Promise<KeyImpact> {
  const callers = new Map<string, MutableCaller>();
  const total = newUse();
  const complete = await forEachRequest(
    deps,
    { tailnet: deps.tailnet, provider: key.provider, ...time },
    (row) => {
      if (row.keyId !== key.id) return;
      addUse(total, row);
      addCaller(callers, row);
    },
  );
  const sorted = [...callers.values()].sort((a, b) => b.requests - a.requests || b.lastAt - a.lastAt);
  const instead = replacements(deps.vault.list(), key);
  return {
    total,
    callers: sorted.slice(0, CALLERS_MAX),
    callersMore: Math.max(0, sorted.length - CALLERS_MAX),
    open: openWith(deps, key),
    withoutKey: key.state === 'active' && instead.length === 0 ? [key.provider] : [],
    instead,
    complete,
  };
}

interface MutableCaller extends KeyCaller {
  readonly devices: Set<string>;
  readonly agents: Set<string>;
  readonly models: Set<string>;
}

/** False if there were more than are read. */
async function forEachRequest(
  { store }: Pick<ApiDependencies, 'store'>,
  filter: RequestFilter,
  onRow: (row: RequestRow) => void,
): Promise<boolean> {
  let cursor: string | undefined;
  for (let read = 0; read < ROWS_MAX; read += PAGE_ROWS) {
    const page = await store.listRequests(filter, {
      limit: PAGE_ROWS,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const row of page.items) onRow(row);
    if (page.nextCursor === null) return true;
    cursor = page.nextCursor;
  }
  return false;
}

function addCaller(callers: Map<string, MutableCaller>, row: RequestRow): void {
  const caller = callers.get(row.principal) ?? {
    ...newUse(),
    principal: row.principal,
    userLabel: row.userLabel,
    devices: new Set<string>(),
    agents: new Set<string>(),
    models: new Set<string>(),
    lastAt: row.startedAt,
  };
  callers.set(row.principal, caller);
  addUse(caller, row);
  caller.lastAt = Math.max(caller.lastAt, row.startedAt);
  addName(caller.devices, row.deviceName ?? row.deviceId);
  addName(caller.agents, row.agent);
  addName(caller.models, row.model);
}

function addName(names: Set<string>, name: string | null): void {
  if (name !== null && names.size < NAMES_MAX) names.add(name);
}

function newUse(): KeyUse {
  return { requests: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 };
}

function addUse(use: KeyUse, row: RequestRow): void {
  use.requests += 1;
  use.inputTokens += row.inputTokens ?? 0;
  use.outputTokens += row.outputTokens ?? 0;
  use.costNanoUsd += row.costNanoUsd ?? 0;
}

/** Keys that the vault would take for the same provider and origin. */
function replacements(keys: readonly KeyView[], key: KeyView): readonly string[] {
  return keys
    .filter(
      (other) =>
        other.id !== key.id &&
        other.provider === key.provider &&
        other.origin === key.origin &&
        other.state === 'active' &&
        other.source !== 'unreadable',
    )
    .map(({ id }) => id);
}

function openWith(
  { openExchanges }: Pick<ApiDependencies, 'openExchanges'>,
  key: KeyView,
): KeyImpact['open'] {
  if (openExchanges === undefined) return null;
  const open = openExchanges().filter(({ keyId }) => keyId === key.id);
  return {
    exchanges: open.length,
    principals: [...new Set(open.map(({ principal }) => principal))].slice(0, CALLERS_MAX),
  };
}
