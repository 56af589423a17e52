/**
 * The caller of a recorded row, as far as metadata tells. Not in it, and so never assumed: the
 * capabilities that the network carried, a device's addresses, whether a device is shared, tags of
 * a device that a person was signed in on.
 */
import type { Caller } from '../../identity/index.ts';
import type { RequestRow } from '../../store/index.ts';
import type { TokenLookup } from './ports.ts';

/** Callers that are remembered; beyond it the memory starts afresh. */
const CALLERS_MAX = 10_000;
/** What a token may do that nobody can tell about any more. */
const UNKNOWN_TOKEN = { scopes: ['use'], models: null } as const;

export interface RecordedCallers {
  /** The same object for rows of the same caller, since policy remembers by object. Never used for a request. */
  of(row: RequestRow): Caller;
}

export interface RecordedCallersOptions {
  readonly tokenOf: TokenLookup;
  /** Groups that a document defines: whoever is in them is told by the document, not by the row. */
  readonly definedGroups: ReadonlySet<string>;
}

export function createRecordedCallers(options: RecordedCallersOptions): RecordedCallers {
  const known = new Map<string, Caller>();
  return {
    of(row) {
      const key = JSON.stringify([
        row.principal,
        row.userLabel,
        row.groups,
        row.deviceId,
        row.door,
        row.via,
        row.tokenId,
      ]);
      const found = known.get(key);
      if (found !== undefined) return found;
      if (known.size >= CALLERS_MAX) known.clear();
      const caller = rebuild(row, options);
      known.set(key, caller);
      return caller;
    },
  };
}

function rebuild(row: RequestRow, { tokenOf, definedGroups }: RecordedCallersOptions): Caller {
  const tags = tagsOf(row.userLabel);
  // The label of somebody without a login and without tags is the principal itself.
  const isPerson = tags.length === 0 && row.userLabel !== row.principal;
  const isDevice = row.deviceId !== null || tags.length > 0;
  return {
    principal: row.principal,
    tailnet: row.tailnet,
    door: row.door,
    via: row.via,
    device: isDevice
      ? {
          stableId: row.deviceId ?? row.principal,
          name: row.deviceName ?? row.userLabel,
          addresses: [],
          tags,
          shared: false,
        }
      : null,
    user: isPerson ? { id: row.principal, login: row.userLabel, displayName: null } : null,
    groups: row.groups.filter((group) => !definedGroups.has(group)),
    capabilities: new Map(),
    token:
      row.tokenId === null
        ? null
        : { id: row.tokenId, ...(tokenOf(row.tokenId) ?? UNKNOWN_TOKEN), expiresAt: null },
  };
}

/** The label of a tagged device is its tags, joined (`callerLabel`). */
function tagsOf(label: string): readonly string[] {
  const parts = label.split(',');
  return parts.every((part) => /^tag:[A-Za-z0-9-]+$/.test(part)) ? parts : [];
}
