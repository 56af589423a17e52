/**
 * Who is calling. A `Caller` exists only when a door vouched for it; there is no anonymous or
 * default one. Nothing in it comes from what the caller wrote, except labels, which live elsewhere.
 */
import type { UnixMs } from '../base/clock.ts';

/** How a caller became known. */
export type DoorName = 'local' | 'token' | 'tailscaled' | 'serve' | 'node';

/** A machine on the network, as the network names it. */
export interface Device {
  /** Stable id within its source; survives renames and new addresses. */
  readonly stableId: string;
  readonly name: string;
  readonly addresses: readonly string[];
  /** `tag:x` names; a device with tags acts for itself, not for a person. */
  readonly tags: readonly string[];
  /** It carries the traffic of others (subnet router, proxy, bridge) and stands for no person. */
  readonly shared: boolean;
}

/** A person, as the identity source names them. */
export interface User {
  /** Stable id within the source. */
  readonly id: string;
  /** Login name; an e-mail address on most networks, the OS user's name on the `local` door. */
  readonly login: string;
  readonly displayName: string | null;
}

/** What a presented token allows; it narrows its owner and never widens. */
export interface TokenRights {
  readonly id: string;
  readonly scopes: readonly TokenScope[];
  /** Globs over `provider/model`; null means all that the owner may use. */
  readonly models: readonly string[] | null;
  /** Null for tokens whose issuer set no end. */
  readonly expiresAt: UnixMs | null;
}

/**
 * `use` calls models and tools; `read` reads the API as the owner; `admin` writes as an admin;
 * `metrics` reads /metrics.
 */
export type TokenScope = 'use' | 'read' | 'admin' | 'metrics';

export interface Caller {
  /**
   * `source:stable-id`, for example `local:1000`, `tailscale:userid:123`, `tailscale:nodeid:nAbC`
   * (a tagged device), `jwt:<issuer>:<sub>`. The key of records, grants and ownership.
   */
  readonly principal: string;
  readonly tailnet: string;
  readonly door: DoorName;
  /** The ambient door that a presented token replaced. */
  readonly via: DoorName | null;
  readonly device: Device | null;
  /** Absent for tagged and shared devices. */
  readonly user: User | null;
  /** `group:x` names from the door or token; the document's own groups are added by policy. */
  readonly groups: readonly string[];
  /** App capabilities that the network carried: capability name to its JSON values. */
  readonly capabilities: ReadonlyMap<string, readonly unknown[]>;
  readonly token: TokenRights | null;
}

/** The name a person would recognise: login, else sorted tags, else the principal. */
export function callerLabel(caller: Caller): string {
  if (caller.user !== null) return caller.user.login;
  if (caller.device !== null && caller.device.tags.length > 0)
    return [...caller.device.tags].sort().join(',');
  return caller.principal;
}
