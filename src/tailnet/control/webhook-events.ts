/**
 * What webhooks tell of a tailnet: its state of before beside its state of now. Names and shapes are those of
 * Tailscale's webhooks; events that nothing here can cause are not among them.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { NodeRecord, RecordKind, UserRecord } from './records.ts';
import type { Tailnet } from './tailnet.ts';

export const WEBHOOK_EVENTS = [
  'nodeCreated',
  'nodeNeedsApproval',
  'nodeApproved',
  'nodeKeyExpiringInOneDay',
  'nodeKeyExpired',
  'nodeDeleted',
  'policyUpdate',
  'userCreated',
  'userSuspended',
  'userRestored',
  'userDeleted',
  'userRoleUpdated',
] as const;

export type WebhookEventName = (typeof WEBHOOK_EVENTS)[number] | 'test';

/** Every one of them, and of those to come. */
export const WEBHOOK_CATEGORY = 'categoryTailnetManagement';

/** As it is sent. */
export interface WebhookEvent {
  /** RFC 3339. */
  readonly timestamp: string;
  readonly version: 1;
  readonly type: WebhookEventName;
  /** Domain of the tailnet. */
  readonly tailnet: string;
  /** For people. */
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | null;
}

const DAY_MS = 86_400_000;

export function testEvent(tailnet: Tailnet, now: UnixMs): WebhookEvent {
  return eventOf(tailnet, now, { type: 'test', message: 'This is a test event', data: null });
}

/** A tailnet as its webhooks know it. */
export class TailnetWatch {
  readonly #tailnet: Tailnet;
  readonly #nodes = new Map<number, NodeRecord>();
  readonly #users = new Map<number, UserRecord>();
  #policy: string | null;
  #now: UnixMs;

  /** What is there already is no news. */
  constructor(tailnet: Tailnet, now: UnixMs) {
    this.#tailnet = tailnet;
    for (const node of tailnet.nodes()) this.#nodes.set(node.id, node);
    for (const user of tailnet.users()) this.#users.set(user.id, user);
    this.#policy = tailnet.record.policy;
    this.#now = now;
  }

  /** A record of this name was written or removed; the tailnet has it so by now. */
  look(kind: RecordKind, name: string, now: UnixMs): readonly WebhookEvent[] {
    if (kind === 'node') return this.#lookAtNode(Number(name), now);
    if (kind === 'user') return this.#lookAtUser(Number(name), now);
    return kind === 'tailnet' ? this.#lookAtPolicy(now) : [];
  }

  /** Keys that have ended since the last time, or are a day from their end. */
  pass(now: UnixMs): readonly WebhookEvent[] {
    const before = this.#now;
    this.#now = now;
    const events: WebhookEvent[] = [];
    for (const node of this.#nodes.values()) {
      const { keyExpiry } = node;
      if (keyExpiry === null) continue;
      const expiration = { expiration: new Date(keyExpiry).toISOString() };
      if (keyExpiry > before && keyExpiry <= now)
        events.push(this.#ofNode('nodeKeyExpired', node, now, expiration));
      else if (keyExpiry > before + DAY_MS && keyExpiry <= now + DAY_MS)
        events.push(this.#ofNode('nodeKeyExpiringInOneDay', node, now, expiration));
    }
    return events;
  }

  #lookAtNode(id: number, now: UnixMs): readonly WebhookEvent[] {
    const [before, after] = [this.#nodes.get(id), this.#tailnet.node(id)];
    if (after === null) {
      this.#nodes.delete(id);
      return before === undefined ? [] : [this.#ofNode('nodeDeleted', before, now)];
    }
    this.#nodes.set(id, after);
    const created = before === undefined ? [this.#ofNode('nodeCreated', after, now)] : [];
    if (before?.isAuthorized === after.isAuthorized) return created;
    if (!after.isAuthorized) return [...created, this.#ofNode('nodeNeedsApproval', after, now)];
    return before === undefined ? created : [this.#ofNode('nodeApproved', after, now)];
  }

  #lookAtUser(id: number, now: UnixMs): readonly WebhookEvent[] {
    const [before, after] = [this.#users.get(id), this.#tailnet.user(id)];
    if (after === null) {
      this.#users.delete(id);
      return before === undefined ? [] : [this.#ofUser('userDeleted', before, now)];
    }
    this.#users.set(id, after);
    if (before === undefined) return [this.#ofUser('userCreated', after, now)];
    const events: WebhookEvent[] = [];
    if (before.role !== after.role) {
      const roles = { oldRoles: [before.role], newRoles: [after.role] };
      events.push(this.#ofUser('userRoleUpdated', after, now, roles));
    }
    const [was, is] = [before.isSuspended === true, after.isSuspended === true];
    if (was !== is) events.push(this.#ofUser(is ? 'userSuspended' : 'userRestored', after, now));
    return events;
  }

  #lookAtPolicy(now: UnixMs): readonly WebhookEvent[] {
    const [oldPolicy, newPolicy] = [this.#policy, this.#tailnet.record.policy];
    if (oldPolicy === newPolicy) return [];
    this.#policy = newPolicy;
    const message = 'The policy file was updated';
    const data = { oldPolicy: oldPolicy ?? '', newPolicy: newPolicy ?? '' };
    return [eventOf(this.#tailnet, now, { type: 'policyUpdate', message, data })];
  }

  #ofNode(type: WebhookEventName, node: NodeRecord, now: UnixMs, more: object = {}): WebhookEvent {
    const deviceName = this.#tailnet.fullName(node);
    const owner = node.userId === null ? undefined : this.#users.get(node.userId);
    const data = {
      nodeID: node.stableId,
      deviceName,
      managedBy: owner?.login ?? node.tags.join(','),
      ...more,
    };
    return eventOf(this.#tailnet, now, { type, message: `Node ${deviceName}: ${SAID[type]}`, data });
  }

  #ofUser(type: WebhookEventName, { login }: UserRecord, now: UnixMs, more: object = {}): WebhookEvent {
    const data = { user: login, ...more };
    return eventOf(this.#tailnet, now, { type, message: `User ${login}: ${SAID[type]}`, data });
  }
}

const SAID: Readonly<Record<WebhookEventName, string>> = {
  nodeCreated: 'created',
  nodeNeedsApproval: 'needs approval',
  nodeApproved: 'approved',
  nodeKeyExpiringInOneDay: 'its key expires in one day',
  nodeKeyExpired: 'its key has expired',
  nodeDeleted: 'deleted',
  policyUpdate: 'updated',
  userCreated: 'created',
  userSuspended: 'suspended',
  userRestored: 'restored',
  userDeleted: 'deleted',
  userRoleUpdated: 'has another role',
  test: 'test',
};

function eventOf(
  { domain }: Tailnet,
  now: UnixMs,
  said: Pick<WebhookEvent, 'type' | 'message' | 'data'>,
): WebhookEvent {
  return { timestamp: new Date(now).toISOString(), version: 1, tailnet: domain, ...said };
}
