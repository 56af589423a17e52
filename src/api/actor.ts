/** Who acts through the API, with everything that authorisation needs to know about them. */
import { type Caller, callerLabel, type DoorName } from '../identity/caller.ts';
import type { AccessView } from './ports.ts';

/** Proof that a person is there, and how it was shown. */
export interface Presence {
  readonly how: 'passkey' | 'link' | 'claim' | 'token' | 'break-glass';
  /** Unix milliseconds; null for tokens, which end by themselves. */
  readonly until: number | null;
}

/** Somebody whose request was let in. The operator has every role, and no caller of a door. */
export interface Actor {
  /** Principal, or `operator` for the break-glass token. */
  readonly principal: string;
  readonly label: string;
  readonly door: DoorName | 'operator';
  readonly tailnet: string;
  readonly caller: Caller | null;
  readonly access: AccessView | null;
  readonly roles: ReadonlySet<string>;
  readonly leads: readonly string[];
  readonly presence: Presence | null;
}

const OPERATOR_ROLES: ReadonlySet<string> = new Set(['operator', 'admin', 'auditor']);

/** The holder of `POSTERN_ADMIN_TOKEN`. */
export function operatorActor(tailnet: string): Actor {
  return {
    principal: 'operator',
    label: 'operator',
    door: 'operator',
    tailnet,
    caller: null,
    access: null,
    roles: OPERATOR_ROLES,
    leads: [],
    presence: { how: 'break-glass', until: null },
  };
}

export function callerActor(caller: Caller, access: AccessView, presence: Presence | null): Actor {
  return {
    principal: caller.principal,
    label: callerLabel(caller),
    door: caller.door,
    tailnet: caller.tailnet,
    caller,
    access,
    roles: access.roles,
    leads: access.leads,
    presence,
  };
}

/** Whether the actor reads everybody's metadata. */
export function seesAll(actor: Actor): boolean {
  return actor.roles.has('auditor') || actor.roles.has('admin');
}
