/** What becomes of people who are in a tailnet already: another role, suspended, let back, removed. */
import type { Coordinator } from './coordinator.ts';
import { coordinationError } from './errors.ts';
import type { SignInRule, TailnetRole, UserRecord } from './records.ts';
import { checkSignInRules } from './sign-in-rules.ts';
import type { Tailnet } from './tailnet.ts';

export interface UserChange {
  readonly role?: TailnetRole;
  readonly isSuspended?: boolean;
}

/** By login, in any case, or id. Throws `coordination_unknown`. */
export function userIn(tailnet: Tailnet, text: string): UserRecord {
  const found = tailnet
    .users()
    .find(({ id, login }) => login.toLowerCase() === text.toLowerCase() || String(id) === text);
  if (found === undefined)
    throw coordinationError('coordination_unknown', 'there is no such user in this tailnet');
  return found;
}

/**
 * Durable when it resolves. Whoever is suspended loses devices and auth keys at once; let back, the person signs in
 * anew. Throws `coordination_invalid` where a tailnet would be left without an owner.
 */
export async function changeUser(
  coordinator: Coordinator,
  tailnet: Tailnet,
  user: UserRecord,
  change: UserChange,
): Promise<UserRecord> {
  const changed: UserRecord = { ...user, ...change };
  if (changed.role !== 'owner' || changed.isSuspended === true) keepOwner(tailnet, user);
  if (changed.isSuspended === true) cutOff(coordinator, tailnet, user);
  tailnet.putUser(changed);
  await coordinator.ledger.durable();
  return changed;
}

/** With all devices and auth keys; durable when it resolves. Throws as `changeUser`. */
export async function removeUser(
  coordinator: Coordinator,
  tailnet: Tailnet,
  user: UserRecord,
): Promise<void> {
  keepOwner(tailnet, user);
  cutOff(coordinator, tailnet, user);
  tailnet.removeUser(user.id);
  await coordinator.ledger.durable();
}

function keepOwner(tailnet: Tailnet, user: UserRecord): void {
  const isLast = !tailnet
    .users()
    .some(({ id, role, isSuspended }) => id !== user.id && role === 'owner' && isSuspended !== true);
  if (user.role === 'owner' && isLast)
    throw coordinationError(
      'coordination_invalid',
      'this is the only owner of the tailnet: make somebody else an owner first',
    );
}

function cutOff(coordinator: Coordinator, tailnet: Tailnet, { id: userId }: UserRecord): void {
  for (const node of tailnet.nodes()) if (node.userId === userId) coordinator.removeNode(tailnet, node.id);
  for (const key of tailnet.keys()) if (key.userId === userId) coordinator.removeAuthKey(tailnet, key);
}

/** In the place of those before; durable when it resolves. Throws `coordination_invalid` or `coordination_limit`. */
export async function setSignInRules(
  coordinator: Coordinator,
  tailnet: Tailnet,
  { rules, providers }: { readonly rules: readonly SignInRule[]; readonly providers: readonly string[] },
): Promise<readonly SignInRule[]> {
  if (tailnet.record.kind === 'machines' && rules.length > 0)
    throw coordinationError(
      'coordination_invalid',
      'nobody signs in to a tailnet of machines: use auth keys',
    );
  const signIn = checkSignInRules(rules, providers);
  tailnet.change({ ...tailnet.record, signIn });
  await coordinator.ledger.durable();
  return signIn;
}
