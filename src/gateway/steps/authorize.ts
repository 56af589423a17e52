/** Step 2: a known caller needs a role, and a token needs the scope. */
import type { Caller } from '../../identity/index.ts';
import type { Access, PolicySnapshot } from '../../policy/index.ts';
import { Refused } from '../reasons.ts';

/** What the caller may do under this policy; throws `role_missing` or `scope_missing`. */
export function authorizeUse(policy: PolicySnapshot, caller: Caller): Access {
  if (caller.token !== null && !caller.token.scopes.includes('use')) {
    throw new Refused('scope_missing', 'the presented token has no scope "use"');
  }
  const access = policy.accessOf(caller);
  if (access.roles.size === 0) throw new Refused('role_missing', 'access denied: no role granted');
  return access;
}
