/** People of tailnets, and who may sign in, as the API shows them. */
import type { TailnetUsersPort, TailnetUserView } from '../api/tailnet-users-port.ts';
import {
  changeUser,
  removeUser,
  setSignInRules,
  type Tailnet,
  userIn,
  type UserRecord,
} from '../tailnet/control/index.ts';
import type { Coordination } from './control.ts';

export function createTailnetUsersPort({
  admin,
  coordinator,
  signInProviders,
}: Coordination): TailnetUsersPort {
  const at = (name: string): Tailnet => admin.tailnet(name);
  return {
    list: (name) =>
      at(name)
        .users()
        .map((user) => userView(at(name), user)),
    async add(name, user) {
      const tailnet = at(name);
      return userView(tailnet, await admin.addUser(tailnet, user));
    },
    async change(name, user, change) {
      const tailnet = at(name);
      return userView(tailnet, await changeUser(coordinator, tailnet, userIn(tailnet, user), change));
    },
    async remove(name, user) {
      const tailnet = at(name);
      await removeUser(coordinator, tailnet, userIn(tailnet, user));
    },
    providers: () => signInProviders,
    signIn: (name) => at(name).record.signIn ?? [],
    setSignIn: (name, rules) => setSignInRules(coordinator, at(name), { rules, providers: signInProviders }),
  };
}

function userView(tailnet: Tailnet, user: UserRecord): TailnetUserView {
  const { id, login, displayName, role, isSuspended = false, identity, groups = [], createdAt } = user;
  return {
    id,
    login,
    displayName,
    role,
    isSuspended,
    provider: identity?.provider ?? null,
    groups: groups.map((name) => `group:${name}`),
    devices: tailnet.nodes().filter(({ userId }) => userId === id).length,
    createdAt,
  };
}
