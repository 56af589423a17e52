/** The coordination server as the API shows it. */
import type {
  TailnetDeviceView,
  TailnetKeyView,
  TailnetsPort,
  TailnetView,
  WaitingDeviceView,
} from '../api/tailnets-port.ts';
import { AppError } from '../base/errors.ts';
import {
  type AuthKeyRecord,
  type CoordinationErrorCode,
  fingerprintOf,
  type NodeRecord,
  type PendingLogin,
  type Tailnet,
  type UserRecord,
} from '../tailnet/control/index.ts';
import type { Coordination } from './control.ts';
import { type NetworkPolicyErrorCode, policyTag } from './control-policy.ts';

export function createTailnetsPort({ admin, loginServer }: Coordination): TailnetsPort {
  const at = (name: string): Tailnet => admin.tailnet(name);
  return {
    loginServer,
    list: () => admin.tailnets().map(tailnetView),
    create: async (tailnet) => tailnetView(await admin.createTailnet(tailnet)),
    get: (name) => tailnetView(at(name)),
    async change(name, { overPolicy, ...change }) {
      const tailnet = at(name);
      if (overPolicy !== undefined) checkPolicyTag(tailnet, overPolicy);
      await admin.changeTailnet(tailnet, change);
      return tailnetView(at(name));
    },
    dns: (name) => at(name).record.dns,
    async setDns(name, dns) {
      await admin.changeTailnet(at(name), { dns });
      return at(name).record.dns;
    },
    delete: (name) => admin.deleteTailnet(at(name)),
    keys: (name) =>
      at(name)
        .keys()
        .map((key) => keyView(at(name), key)),
    async createKey(name, { user, ...asked }) {
      const tailnet = at(name);
      const userId = user === null ? null : userOf(tailnet, user).id;
      const { key, text } = await admin.createAuthKey(tailnet, { ...asked, userId });
      return { key: keyView(tailnet, key), text: text.reveal() };
    },
    revokeKey: (name, id) => admin.revokeAuthKey(at(name), id),
    devices: (name) =>
      at(name)
        .nodes()
        .map((node) => deviceView(at(name), node)),
    async changeDevice(name, device, change) {
      const tailnet = at(name);
      const node = admin.device(tailnet, device);
      await admin.changeDevice(tailnet, node, change);
      return deviceView(tailnet, tailnet.node(node.id) ?? node);
    },
    removeDevice: (name, device) => admin.removeDevice(at(name), admin.device(at(name), device)),
    waiting: () => admin.logins().map(waitingView),
    async approve(code, name, user) {
      const login = admin.login(code);
      const tailnet = at(name);
      await admin.approve(login, tailnet, userOf(tailnet, user).id);
      return waitingView(login);
    },
    refuse(code) {
      const login = admin.login(code);
      admin.refuse(login);
      return Promise.resolve(waitingView(login));
    },
  };
}

/** By login; null for the owner. */
function userOf(tailnet: Tailnet, login: string | null): UserRecord {
  const users = tailnet.users();
  const found = users.find((user) =>
    login === null ? user.role === 'owner' : user.login.toLowerCase() === login.toLowerCase(),
  );
  if (found !== undefined) return found;
  throw new AppError<CoordinationErrorCode>(
    'coordination_unknown',
    login === null ? 'this tailnet has no owner: name a user' : 'there is no such user in this tailnet',
  );
}

/** Nothing awaits between this and the change itself. */
function checkPolicyTag(tailnet: Tailnet, stated: string): void {
  if (stated === '*' || stated === policyTag(tailnet.record.policy)) return;
  throw new AppError<NetworkPolicyErrorCode>(
    'network_policy_overtaken',
    'somebody saved another policy of this tailnet meanwhile: read it, and apply the change to it again',
  );
}

function tailnetView(tailnet: Tailnet): TailnetView {
  const { id, name, kind, keyExpiryDays, deviceApproval, policy, createdAt } = tailnet.record;
  const nodes = tailnet.nodes();
  return {
    id,
    name,
    kind,
    domain: tailnet.domain,
    keyExpiryDays,
    deviceApproval,
    policy,
    policyTag: policyTag(policy),
    users: tailnet.users().length,
    devices: nodes.length,
    online: nodes.filter((node) => tailnet.isOnline(node.id)).length,
    createdAt,
  };
}

function loginOf(tailnet: Tailnet, userId: number | null): string | null {
  return userId === null ? null : (tailnet.user(userId)?.login ?? null);
}

function keyView(tailnet: Tailnet, key: AuthKeyRecord): TailnetKeyView {
  const { hash: _hash, tailnet: _tailnet, userId, ...rest } = key;
  return { ...rest, user: loginOf(tailnet, userId) };
}

function deviceView(tailnet: Tailnet, node: NodeRecord): TailnetDeviceView {
  return {
    id: node.stableId,
    name: node.name,
    domainName: tailnet.fullName(node),
    hostname: node.facts.hostname,
    os: node.facts.os,
    version: node.facts.version,
    user: loginOf(tailnet, node.userId),
    tags: node.tags,
    addresses: [node.ipv4, node.ipv6],
    isOnline: tailnet.isOnline(node.id),
    isAuthorized: node.isAuthorized,
    isEphemeral: node.isEphemeral,
    keyExpiry: node.keyExpiry,
    offeredRoutes: node.facts.offeredRoutes,
    approvedRoutes: node.approvedRoutes,
    lastSeen: node.lastSeen,
    createdAt: node.createdAt,
  };
}

function waitingView({ id, host, machineKey, createdAt }: PendingLogin): WaitingDeviceView {
  return {
    code: id,
    hostname: host?.facts.hostname ?? '',
    os: host?.facts.os ?? '',
    fingerprint: fingerprintOf(machineKey),
    tags: host?.requestTags ?? [],
    since: createdAt,
  };
}
