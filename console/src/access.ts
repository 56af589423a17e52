/** What the viewer may see and do, from their roles. It decides what is shown; the server decides what is done. */
import { createContext, use } from 'react';
import type { Whoami } from './api/queries.ts';

export interface Access {
  readonly me: Whoami;
  /** Any role: may use models and see their own records. */
  readonly isUser: boolean;
  readonly isAdmin: boolean;
  /** Sees everybody's metadata, the document and the audit log: auditors and admins. */
  readonly seesAll: boolean;
  /** Groups whose usage and records the viewer may ask for with `group`. */
  readonly leads: readonly string[];
  /** May be an approver of something; whether of one approval, its `may_decide` says. */
  readonly mayApprove: boolean;
  /** Can show presence: a person, not a program with a token. */
  readonly isPerson: boolean;
}

/** The access of somebody. */
export function accessOf(me: Whoami): Access {
  const has = (role: string): boolean => me.roles.includes(role);
  const isAdmin = has('admin');
  return {
    me,
    isUser: me.roles.length > 0,
    isAdmin,
    seesAll: isAdmin || has('auditor'),
    leads: me.leads,
    mayApprove: isAdmin || has('approver') || has('lead') || me.leads.length > 0,
    isPerson: me.token === null && me.door !== 'token' && me.user !== null,
  };
}

export const AccessContext = createContext<Access | null>(null);

/** The viewer's access; every page is shown inside the frame, which knows it. */
export function useAccess(): Access {
  const access = use(AccessContext);
  if (access === null) throw new Error('useAccess outside of the frame');
  return access;
}

/** Who the viewer is. */
export function useMe(): Whoami {
  return useAccess().me;
}
