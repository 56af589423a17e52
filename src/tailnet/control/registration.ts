/**
 * What becomes of a device that asks to register (tailcfg.RegisterRequest): confirmed, told to renew its
 * key, joined by an auth key, or sent to a person. The tailnet is, in order of authority, that of the
 * device's own record, of its auth key, or the one that the approving admin names; never the device's wish.
 */
import type { UnixMs } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { KeyHex } from '../protocol/index.ts';
import { isUsable } from './auth-keys.ts';
import type { Coordinator } from './coordinator.ts';
import type { LoginOutcome, PendingLogin } from './pending-logins.ts';
import type { RegisterQuestion, StatedHost } from './read-requests.ts';
import { type AuthKeyRecord, type DeviceFacts, NO_REACH, type NodeRecord } from './records.ts';
import { NODES_MAX, type Tailnet } from './tailnet.ts';

const DAY_MS = 86_400_000;
const TAG = /^tag:[a-zA-Z][a-zA-Z0-9-]{0,62}$/;
const NO_FACTS: DeviceFacts = {
  os: '',
  hostname: '',
  version: '',
  services: [],
  sshHostKeys: [],
  offeredRoutes: [],
};

export type RegisterAnswer =
  /** Waits for an admin as long as it is not authorized. */
  | { readonly type: 'registered'; readonly tailnet: Tailnet; readonly node: NodeRecord }
  /** A new node key is needed. */
  | { readonly type: 'key_expired' }
  /** Somebody has to approve; the device shows the address. */
  | { readonly type: 'login'; readonly login: PendingLogin }
  /** As `login`, and the device waits for its outcome. */
  | { readonly type: 'wait'; readonly login: PendingLogin }
  /** For the person at the device; one line. */
  | { readonly type: 'refused'; readonly why: string };

export interface Registering {
  readonly machineKey: KeyHex;
  readonly question: RegisterQuestion;
  /** Of a followup address, its login; null if it is none of ours. */
  readonly followupId: string | null;
}

/** Decides and does it; the ledger makes it last before the device is told. */
export function register(coordinator: Coordinator, asked: Registering): RegisterAnswer {
  const { machineKey, question } = asked;
  const known = coordinator.device(machineKey, question.nodeKey);
  if (known !== null) return registerKnown(coordinator, known, question);
  if (coordinator.holder(question.nodeKey) !== null) {
    /* Another machine's: node keys are public, and two devices with one would answer for each other. */
    return { type: 'key_expired' };
  }
  if (question.expiry !== null && question.expiry <= coordinator.now()) {
    return { type: 'key_expired' };
  }
  if (question.authKey !== null) return joinByKey(coordinator, machineKey, question);
  if (asked.followupId !== null) {
    const login = coordinator.logins.get(asked.followupId);
    if (login !== null && login.machineKey === machineKey && login.nodeKey === question.nodeKey)
      return { type: 'wait', login };
  }
  return askPerson(coordinator, machineKey, question);
}

interface Known {
  readonly tailnet: Tailnet;
  readonly node: NodeRecord;
}

function registerKnown(coordinator: Coordinator, known: Known, question: RegisterQuestion): RegisterAnswer {
  const { tailnet, node } = known;
  const now = coordinator.now();
  if (question.expiry !== null && question.expiry <= now) {
    if (node.isEphemeral) coordinator.removeNode(tailnet, node.id);
    else coordinator.expireNode(tailnet, node);
    return { type: 'key_expired' };
  }
  if (node.keyExpiry !== null && node.keyExpiry <= now) return { type: 'key_expired' };
  /* A key that is spent is no reason to refuse a device that is in: containers state it at every start. */
  const meant = question.authKey === null ? null : coordinator.authKey(question.authKey);
  if (meant !== null && isUsable(meant.key, now) && meant.tailnet.id !== tailnet.id) {
    return {
      type: 'refused',
      why: 'this device is in another tailnet; log out first, or use another profile (tailscale login)',
    };
  }
  const stated = withHost(tailnet, node, question.host, question.version);
  if (stated !== node) coordinator.putNode(tailnet, stated);
  return { type: 'registered', tailnet, node: stated };
}

function joinByKey(coordinator: Coordinator, machineKey: KeyHex, question: RegisterQuestion): RegisterAnswer {
  const now = coordinator.now();
  const found = question.authKey === null ? null : coordinator.authKey(question.authKey);
  if (found === null || !isUsable(found.key, now))
    return { type: 'refused', why: 'this auth key is not valid: it is unknown, expired, revoked or used' };
  const { tailnet, key } = found;
  if (key.userId !== null && tailnet.user(key.userId)?.isSuspended === true)
    return { type: 'refused', why: 'the user of this auth key is suspended' };
  const tags = tagsByKey(tailnet, key, question.host?.requestTags ?? []);
  if ('why' in tags) return { type: 'refused', ...tags };
  const answer = join(coordinator, tailnet, {
    machineKey,
    nodeKey: question.nodeKey,
    oldNodeKey: question.oldNodeKey,
    host: question.host,
    capabilityVersion: question.version,
    userId: tags.tags.length > 0 ? null : key.userId,
    tags: tags.tags,
    isEphemeral: key.isEphemeral || question.isEphemeral,
    isAuthorized: key.isPreauthorized || !tailnet.record.deviceApproval,
    authKeyId: key.id,
  });
  if (answer.type === 'registered' && !key.isReusable) tailnet.putKey({ ...key, usedAt: now });
  return answer;
}

/** The tags of a device that joins by key: the key's own, or those that its person may give. */
function tagsByKey(
  tailnet: Tailnet,
  key: AuthKeyRecord,
  asked: readonly string[],
): { readonly tags: readonly string[] } | { readonly why: string } {
  if (key.tags.length > 0) {
    const foreign = asked.find((tag) => !key.tags.includes(tag));
    return foreign === undefined ? { tags: key.tags } : { why: notPermitted(foreign) };
  }
  return tagsByUser(tailnet, key.userId, asked);
}

function tagsByUser(
  tailnet: Tailnet,
  userId: number | null,
  asked: readonly string[],
): { readonly tags: readonly string[] } | { readonly why: string } {
  const foreign = asked.find(
    (tag) => !TAG.test(tag) || userId === null || !tailnet.rules.mayTag(userId, tag),
  );
  if (foreign !== undefined) return { why: notPermitted(foreign) };
  if (asked.length === 0 && (userId === null || tailnet.record.kind === 'machines'))
    return { why: 'this tailnet takes tagged devices only: use an auth key with tags' };
  return { tags: asked };
}

function notPermitted(tag: string): string {
  return `requested tags are not permitted: ${TAG.test(tag) ? tag : 'a tag is tag: and letters, digits and hyphens'}`;
}

function askPerson(coordinator: Coordinator, machineKey: KeyHex, question: RegisterQuestion): RegisterAnswer {
  const wished = wishedTailnet(coordinator, question.tailnet);
  const former = question.oldNodeKey === null ? null : coordinator.device(machineKey, question.oldNodeKey);
  const tailnet = former?.tailnet ?? (wished === 'unknown' ? null : wished);
  if (tailnet?.record.kind === 'machines' || wished === 'unknown')
    return { type: 'refused', why: 'nobody can sign in there: use an auth key' };
  const login = coordinator.logins.begin(
    {
      machineKey,
      nodeKey: question.nodeKey,
      oldNodeKey: question.oldNodeKey,
      host: question.host,
      capabilityVersion: question.version,
      isEphemeral: question.isEphemeral,
      tailnet: tailnet?.id ?? null,
    },
    coordinator.now(),
  );
  return { type: 'login', login };
}

/** A wish that binds; any other is the admin's choice. Strangers learn no names: unknown and closed are one. */
function wishedTailnet(coordinator: Coordinator, wish: string | null): Tailnet | 'unknown' | null {
  if (wish === null || !wish.startsWith('required:')) return null;
  const name = wish.slice('required:'.length);
  return coordinator.tailnets().find(({ record }) => record.name === name) ?? 'unknown';
}

export interface Joining {
  readonly machineKey: KeyHex;
  readonly nodeKey: KeyHex;
  readonly oldNodeKey: KeyHex | null;
  readonly host: StatedHost | null;
  readonly capabilityVersion: number;
  readonly userId: number | null;
  readonly tags: readonly string[];
  readonly isEphemeral: boolean;
  readonly isAuthorized: boolean;
  readonly authKeyId: string | null;
}

function join(coordinator: Coordinator, tailnet: Tailnet, joining: Joining): RegisterAnswer {
  const former = formerSelf(coordinator, tailnet, joining);
  if (former === null && tailnet.nodes().length >= NODES_MAX)
    return { type: 'refused', why: `this tailnet has ${NODES_MAX} devices, the most it may` };
  try {
    const node =
      former === null ? create(coordinator, tailnet, joining) : renew(coordinator, tailnet, former, joining);
    coordinator.putNode(tailnet, node);
    return { type: 'registered', tailnet, node: tailnet.node(node.id) ?? node };
  } catch (error) {
    if (error instanceof AppError) return { type: 'refused', why: error.message };
    throw error;
  }
}

/** The record of this very device in this tailnet: by the key it renews, or the same machine of the same owner. */
function formerSelf(coordinator: Coordinator, tailnet: Tailnet, joining: Joining): NodeRecord | null {
  const byKey =
    joining.oldNodeKey === null ? null : coordinator.device(joining.machineKey, joining.oldNodeKey);
  if (byKey?.tailnet.id === tailnet.id) return byKey.node;
  return (
    tailnet
      .nodes()
      .find(
        (node) =>
          node.machineKey === joining.machineKey &&
          node.userId === joining.userId &&
          node.isEphemeral === joining.isEphemeral,
      ) ?? null
  );
}

function create(coordinator: Coordinator, tailnet: Tailnet, joining: Joining): NodeRecord {
  const now = coordinator.now();
  const facts = joining.host?.facts ?? NO_FACTS;
  return {
    id: coordinator.nextId(),
    stableId: coordinator.newStableId(),
    tailnet: tailnet.id,
    machineKey: joining.machineKey,
    nodeKey: joining.nodeKey,
    userId: joining.userId,
    tags: joining.tags,
    name: tailnet.nameFor(facts.hostname, null),
    isRenamed: false,
    ...coordinator.addresses.take(),
    isEphemeral: joining.isEphemeral,
    isAuthorized: joining.isAuthorized,
    keyExpiry: keyExpiry(tailnet, joining, now),
    facts,
    reach: NO_REACH,
    approvedRoutes: [],
    capabilityVersion: joining.capabilityVersion,
    createdAt: now,
    lastSeen: now,
    authKeyId: joining.authKeyId,
  };
}

function renew(coordinator: Coordinator, tailnet: Tailnet, former: NodeRecord, joining: Joining): NodeRecord {
  const isOtherOwner = former.userId !== joining.userId;
  return {
    ...withHost(tailnet, former, joining.host, joining.capabilityVersion),
    nodeKey: joining.nodeKey,
    userId: joining.userId,
    tags: joining.tags,
    isEphemeral: joining.isEphemeral,
    /* An approval was for the device of its owner. */
    isAuthorized: joining.isAuthorized || (former.isAuthorized && !isOtherOwner),
    approvedRoutes: isOtherOwner ? [] : former.approvedRoutes,
    keyExpiry: keyExpiry(tailnet, joining, coordinator.now()),
    lastSeen: coordinator.now(),
    authKeyId: joining.authKeyId,
  };
}

function keyExpiry(tailnet: Tailnet, { userId }: Joining, now: UnixMs): UnixMs | null {
  const { keyExpiryDays } = tailnet.record;
  return userId === null || keyExpiryDays === 0 ? null : now + keyExpiryDays * DAY_MS;
}

/** The device with what it states of itself; the same record if nothing is different. */
export function withHost(
  tailnet: Tailnet,
  node: NodeRecord,
  host: StatedHost | null,
  capabilityVersion: number,
): NodeRecord {
  const isSame = host === null || JSON.stringify(host.facts) === JSON.stringify(node.facts);
  if (isSame && capabilityVersion === node.capabilityVersion) return node;
  const facts = isSame ? node.facts : host.facts;
  const isNewName = !node.isRenamed && facts.hostname !== node.facts.hostname && facts.hostname !== '';
  return {
    ...node,
    facts,
    capabilityVersion,
    name: isNewName ? tailnet.nameFor(facts.hostname, node.id) : node.name,
  };
}

export interface Approval {
  readonly tailnet: Tailnet;
  /** Whose device it will be. */
  readonly userId: number;
  /** An admin's word is a device approval too; a person's own is not. */
  readonly by: 'admin' | 'person';
}

/** A waiting device is let in. The outcome is not told yet: first it must last. */
export function approveLogin(
  coordinator: Coordinator,
  login: PendingLogin,
  approval: Approval,
): LoginOutcome {
  const { tailnet, userId, by } = approval;
  if (login.tailnet !== null && login.tailnet !== tailnet.id)
    return { type: 'refused', why: 'this device asked for another tailnet' };
  if (tailnet.record.kind === 'machines')
    return { type: 'refused', why: 'nobody can sign in there: use an auth key' };
  const user = tailnet.user(userId);
  if (user === null) return { type: 'refused', why: 'there is no such user' };
  if (user.isSuspended === true) return { type: 'refused', why: 'this user is suspended' };
  const former = login.oldNodeKey === null ? null : coordinator.device(login.machineKey, login.oldNodeKey);
  if (by === 'person' && former?.tailnet.id === tailnet.id && former.node.userId !== userId)
    return { type: 'refused', why: 'this device belongs to somebody else here: log it out first' };
  if (coordinator.holder(login.nodeKey) !== null) return { type: 'forgotten' };
  const tags = tagsByUser(tailnet, userId, login.host?.requestTags ?? []);
  if ('why' in tags) return { type: 'refused', ...tags };
  const answer = join(coordinator, tailnet, {
    machineKey: login.machineKey,
    nodeKey: login.nodeKey,
    oldNodeKey: login.oldNodeKey,
    host: login.host,
    capabilityVersion: login.capabilityVersion,
    userId: tags.tags.length > 0 ? null : userId,
    tags: tags.tags,
    isEphemeral: login.isEphemeral,
    isAuthorized: by === 'admin' || !tailnet.record.deviceApproval,
    authKeyId: null,
  });
  return answer.type === 'refused' ? answer : { type: 'approved' };
}
