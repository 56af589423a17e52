/** People of a tailnet in the API v2. They come by sign-in, or by `postern user add`. */
import { z } from '@hono/zod-openapi';
import type { ControlAdministration, Tailnet, UserRecord } from '../../tailnet/control/index.ts';
import { readJson, timeText } from './body.ts';
import { reachable } from './devices.ts';
import { badRequest, notFound, V2Failure } from './failure.ts';
import type { V2Parts, V2Request, V2Route } from './routes.ts';

const Role = z.object({ role: z.string().max(40) });
const ROLES: Readonly<Record<string, UserRecord['role']>> = {
  owner: 'owner',
  admin: 'admin',
  member: 'member',
};

export const USER_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/users',
    scope: 'users:read',
    handle({ tailnet, query }) {
      const [type, role] = [query.get('type'), query.get('role')];
      const users = tailnet
        .users()
        .filter((user) => (type ?? 'member') === 'member' && (role === null || user.role === role))
        .map((user) => userJson(tailnet, user));
      return { body: { users } };
    },
  },
  {
    method: 'GET',
    path: '/users/{user}',
    scope: 'users:read',
    handle(request, { admin }) {
      const { tailnet, user } = userOf(request, admin);
      return { body: userJson(tailnet, user) };
    },
  },
  changes('suspend', () => ({ isSuspended: true })),
  changes('restore', () => ({ isSuspended: false })),
  changes('role', (body) => {
    const { role } = readJson(body, Role);
    const known = ROLES[role];
    if (known === undefined) throw badRequest('role: this server has owner, admin and member');
    return { role: known };
  }),
  {
    method: 'POST',
    path: '/users/{user}/delete',
    scope: 'users',
    async handle(request, { admin, deps }) {
      const { tailnet, user } = userOf(request, admin);
      const target = `${tailnet.record.name}/${user.login}`;
      await request.change({ action: 'tailnet.user.remove', target }, () =>
        peopleOf(deps).remove(tailnet.id, String(user.id)),
      );
      return {};
    },
  },
];

function changes(
  what: string,
  changeOf: (body: Buffer) => { readonly role?: UserRecord['role']; readonly isSuspended?: boolean },
): V2Route {
  return {
    method: 'POST',
    path: `/users/{user}/${what}`,
    scope: 'users',
    async handle(request, { admin, deps }) {
      const { tailnet, user } = userOf(request, admin);
      const change = changeOf(request.body);
      const target = `${tailnet.record.name}/${user.login}`;
      await request.change({ action: 'tailnet.user.change', target, facts: change }, () =>
        peopleOf(deps).change(tailnet.id, String(user.id), change),
      );
      return {};
    },
  };
}

function peopleOf({ tailnetUsers }: V2Parts['deps']) {
  if (tailnetUsers === undefined) throw new V2Failure(501, 'this server has no users to change');
  return tailnetUsers;
}

function userOf(
  { requester, params }: V2Request,
  admin: ControlAdministration,
): { readonly tailnet: Tailnet; readonly user: UserRecord } {
  const wanted = params['user'] ?? '';
  for (const tailnet of reachable(requester, admin))
    for (const user of tailnet.users()) if (String(user.id) === wanted) return { tailnet, user };
  throw notFound();
}

function userJson(tailnet: Tailnet, { id, login, displayName, role, createdAt, isSuspended }: UserRecord) {
  const devices = tailnet.nodes().filter(({ userId }) => userId === id);
  const isOnline = devices.some((node) => tailnet.isOnline(node.id));
  const lastSeen = Math.max(createdAt, ...devices.map((node) => node.lastSeen));
  return {
    id: String(id),
    displayName,
    loginName: login,
    profilePicUrl: '',
    tailnetId: tailnet.id,
    created: timeText(createdAt),
    type: 'member',
    role,
    status: isSuspended === true ? 'suspended' : 'active',
    deviceCount: devices.length,
    lastSeen: timeText(lastSeen),
    currentlyConnected: isOnline,
  };
}
