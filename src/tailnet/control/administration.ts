/**
 * What people with the right to it do with tailnets, users, auth keys and devices: every operation names its
 * tailnet, checks what it is given, and is in the store when it resolves. Who may is the caller's to know.
 */
import { newId } from '../../base/ids.ts';
import type { UnixMs } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { parseCidr, parseIp } from '../../wire/ip.ts';
import type { ApiClients } from './api-clients.ts';
import { isUsable, makeAuthKey } from './auth-keys.ts';
import type { Coordinator } from './coordinator.ts';
import { isLabel } from './device-names.ts';
import { coordinationError } from './errors.ts';
import type { PendingLogin } from './pending-logins.ts';
import {
  type AuthKeyRecord,
  DEFAULT_DNS,
  type DnsSettings,
  type NodeRecord,
  type TailnetKind,
  type TailnetRecord,
  type TailnetRole,
  type UserRecord,
} from './records.ts';
import { approveLogin } from './registration.ts';
import type { Tailnet } from './tailnet.ts';
import type { Webhooks } from './webhooks.ts';

const TAILNETS_MAX = 1000;
const KEYS_MAX = 10_000;
const POLICY_MAX_CHARS = 1_000_000;
/** As Tailscale's own. */
const KEY_LIFE_MAX_MS = 90 * 86_400_000;
const KEY_EXPIRY_DAYS_DEFAULT = 180;
const TAG = /^tag:[a-zA-Z][a-zA-Z0-9-]{0,62}$/;
const LOGIN = /^[^\s@\p{C}]{1,64}@[^\s@\p{C}]{1,190}$/u;

export interface NewTailnet {
  /** Default: a new one. */
  readonly id?: string;
  /** A DNS label. */
  readonly name: string;
  readonly kind: TailnetKind;
  /** HuJSON; null: the default policy. */
  readonly policy?: string | null;
  /** When it is deleted by itself; null, the default: never. */
  readonly expiresAt?: UnixMs | null;
}

export type TailnetChange = Partial<
  Pick<TailnetRecord, 'keyExpiryDays' | 'deviceApproval' | 'dns' | 'policy'>
>;

export interface NewUser {
  /** `name@domain`, as policies name the person. */
  readonly login: string;
  readonly displayName: string;
  readonly role: TailnetRole;
}

export interface NewAuthKey {
  readonly description: string;
  /** Whose devices it makes; null with tags. */
  readonly userId: number | null;
  readonly tags: readonly string[];
  readonly isReusable: boolean;
  readonly isEphemeral: boolean;
  readonly isPreauthorized: boolean;
  readonly lifeMs: number;
  /** Principal. */
  readonly createdBy: string;
}

export type DeviceChange = Partial<{
  readonly name: string;
  readonly tags: readonly string[];
  readonly isAuthorized: boolean;
  readonly approvedRoutes: readonly string[];
  /** Null: never. In the past: now. */
  readonly keyExpiry: UnixMs | null;
}>;

export class ControlAdministration {
  readonly #coordinator: Coordinator;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  tailnets(): readonly Tailnet[] {
    return this.#coordinator.tailnets();
  }

  /** By id or name. Throws `coordination_unknown`. */
  tailnet(idOrName: string): Tailnet {
    const found =
      this.#coordinator.tailnet(idOrName) ??
      this.tailnets().find(({ record }) => record.name === idOrName) ??
      null;
    if (found === null) throw coordinationError('coordination_unknown', 'there is no such tailnet');
    return found;
  }

  async createTailnet({ id, name, kind, policy = null, expiresAt = null }: NewTailnet): Promise<Tailnet> {
    if (!isLabel(name))
      throw coordinationError(
        'coordination_invalid',
        'a tailnet name has 1 to 63 lower-case letters, digits and inner hyphens, such as "staging"',
      );
    if (this.tailnets().some(({ record }) => record.name === name))
      throw coordinationError('coordination_exists', `there is a tailnet "${name}" already`);
    if (this.tailnets().length >= TAILNETS_MAX)
      throw coordinationError('coordination_limit', `an organization has at most ${TAILNETS_MAX} tailnets`);
    checkPolicy(policy);
    const coordinator = this.#coordinator;
    const tailnet = coordinator.addTailnet({
      id: id ?? newId('tn', coordinator.clock, coordinator.random),
      name,
      kind,
      taggedUserId: coordinator.nextId(),
      keyExpiryDays: KEY_EXPIRY_DAYS_DEFAULT,
      deviceApproval: false,
      dns: DEFAULT_DNS,
      policy: null,
      createdAt: coordinator.now(),
      ...(expiresAt === null ? {} : { expiresAt }),
    });
    try {
      if (policy !== null) tailnet.change({ ...tailnet.record, policy });
    } catch (error) {
      coordinator.removeTailnet(tailnet);
      throw error;
    }
    await coordinator.ledger.durable();
    return tailnet;
  }

  async changeTailnet(tailnet: Tailnet, change: TailnetChange): Promise<void> {
    if (change.dns !== undefined) checkDns(change.dns);
    if (change.policy !== undefined) checkPolicy(change.policy);
    const { keyExpiryDays } = change;
    if (
      keyExpiryDays !== undefined &&
      (!Number.isSafeInteger(keyExpiryDays) || keyExpiryDays < 0 || keyExpiryDays > 3650)
    )
      throw coordinationError('coordination_invalid', 'days until a key expires are 0 (never) to 3650');
    tailnet.change({ ...tailnet.record, ...change });
    await this.#coordinator.ledger.durable();
  }

  /** Its devices are cut at once. */
  async deleteTailnet(tailnet: Tailnet): Promise<void> {
    this.#coordinator.removeTailnet(tailnet);
    await this.#coordinator.ledger.durable();
  }

  async addUser(tailnet: Tailnet, { login, displayName, role }: NewUser): Promise<UserRecord> {
    if (tailnet.record.kind === 'machines')
      throw coordinationError('coordination_invalid', 'a tailnet of machines has no users');
    if (!LOGIN.test(login))
      throw coordinationError('coordination_invalid', 'a login is like alice@example.com');
    if (tailnet.users().some((user) => user.login.toLowerCase() === login.toLowerCase()))
      throw coordinationError('coordination_exists', `there is a user "${login}" already`);
    const coordinator = this.#coordinator;
    const user: UserRecord = {
      id: coordinator.nextId(),
      tailnet: tailnet.id,
      login,
      displayName: displayName.slice(0, 200),
      role,
      createdAt: coordinator.now(),
    };
    tailnet.putUser(user);
    await coordinator.ledger.durable();
    return user;
  }

  /** The key's text is told here and kept nowhere. */
  async createAuthKey(
    tailnet: Tailnet,
    { lifeMs, ...asked }: NewAuthKey,
  ): Promise<{ readonly key: AuthKeyRecord; readonly text: Secret }> {
    const coordinator = this.#coordinator;
    /* Ended ones are kept for those who ask what they were, but not for ever. */
    if (tailnet.keys().length >= KEYS_MAX)
      for (const key of tailnet.keys())
        if (!isUsable(key, coordinator.now())) coordinator.removeAuthKey(tailnet, key);
    checkKey(tailnet, asked, lifeMs);
    const text = makeAuthKey(coordinator.random);
    const now = coordinator.now();
    const key: AuthKeyRecord = {
      ...asked,
      id: newId('ak', coordinator.clock, coordinator.random),
      tailnet: tailnet.id,
      hash: coordinator.hashOf(text.reveal()),
      expiresAt: now + lifeMs,
      usedAt: null,
      revokedAt: null,
      createdAt: now,
    };
    tailnet.putKey(key);
    coordinator.indexAuthKey(key);
    await coordinator.ledger.durable();
    return { key, text };
  }

  /** Devices that joined by it stay. */
  async revokeAuthKey(tailnet: Tailnet, id: string): Promise<void> {
    const key = tailnet.key(id);
    if (key === null) throw coordinationError('coordination_unknown', 'there is no such auth key');
    tailnet.putKey({ ...key, revokedAt: key.revokedAt ?? this.#coordinator.now() });
    await this.#coordinator.ledger.durable();
  }

  /** By id, stable id or name. Throws `coordination_unknown`. */
  device(tailnet: Tailnet, text: string): NodeRecord {
    const found = tailnet
      .nodes()
      .find(({ id, stableId, name }) => name === text || stableId === text || String(id) === text);
    if (found === undefined) throw coordinationError('coordination_unknown', 'there is no such device');
    return found;
  }

  async changeDevice(tailnet: Tailnet, node: NodeRecord, change: DeviceChange): Promise<void> {
    checkDevice(tailnet, node, change);
    const { name, tags, ...rest } = change;
    const changed: NodeRecord = {
      ...node,
      ...rest,
      ...(name === undefined ? {} : { name, isRenamed: true }),
      /* A tagged device is nobody's, and its key does not expire. */
      ...(tags === undefined ? {} : { tags, userId: null, keyExpiry: null }),
    };
    this.#coordinator.putNode(tailnet, changed);
    tailnet.pass(this.#coordinator.now());
    await this.#coordinator.ledger.durable();
  }

  /** It is cut at once, and has to join anew. */
  async removeDevice(tailnet: Tailnet, node: NodeRecord): Promise<void> {
    this.#coordinator.removeNode(tailnet, node.id);
    await this.#coordinator.ledger.durable();
  }

  /** OAuth clients of the API. */
  get clients(): ApiClients {
    return this.#coordinator.clients;
  }

  /** Whom tailnets tell of their events. */
  get webhooks(): Webhooks {
    return this.#coordinator.webhooks;
  }

  logins(): readonly PendingLogin[] {
    return this.#coordinator.logins.list();
  }

  /** Throws `coordination_unknown`. */
  login(id: string): PendingLogin {
    const login = this.#coordinator.logins.get(id);
    if (login === null)
      throw coordinationError(
        'coordination_unknown',
        'no device waits under this code: it may have waited too long',
      );
    return login;
  }

  /** The device is `userId`'s, or tagged as it asked and that person may. */
  async approve(login: PendingLogin, tailnet: Tailnet, userId: number): Promise<void> {
    const outcome = approveLogin(this.#coordinator, login, { tailnet, userId, by: 'admin' });
    if (outcome.type === 'refused') throw coordinationError('coordination_invalid', outcome.why);
    await this.#coordinator.ledger.durable();
    login.settle(outcome);
  }

  refuse(login: PendingLogin): void {
    login.settle({ type: 'refused', why: 'an admin did not let this device in' });
  }
}

function checkPolicy(policy: string | null): void {
  if (policy !== null && policy.length > POLICY_MAX_CHARS)
    throw coordinationError('coordination_limit', `a policy has at most ${POLICY_MAX_CHARS} characters`);
}

function checkDns({ resolvers, split, searchDomains, extraRecords }: DnsSettings): void {
  const addresses = [...resolvers, ...Object.values(split).flat()];
  const wrong = addresses.find((address) => parseIp(address) === null);
  if (wrong !== undefined)
    throw coordinationError(
      'coordination_invalid',
      `a resolver is an IP address, got "${wrong.slice(0, 100)}"`,
    );
  const names = [...Object.keys(split), ...searchDomains, ...extraRecords.map(({ name }) => name)];
  const badName = names.find((name) => !name.split('.').every(isLabel) || name.length > 253);
  if (badName !== undefined)
    throw coordinationError('coordination_invalid', `"${badName.slice(0, 100)}" is no domain name`);
  if (extraRecords.some(({ value }) => parseIp(value) === null))
    throw coordinationError('coordination_invalid', 'the value of a DNS record is an IP address');
  if (addresses.length + names.length > 1000)
    throw coordinationError('coordination_limit', 'DNS settings have at most 1000 entries');
}

function checkKey(tailnet: Tailnet, asked: Omit<NewAuthKey, 'lifeMs'>, lifeMs: number): void {
  checkTags(asked.tags);
  if ((asked.userId === null) === (asked.tags.length === 0))
    throw coordinationError('coordination_invalid', 'an auth key is for a user or has tags, one of the two');
  if (asked.userId !== null && tailnet.user(asked.userId) === null)
    throw coordinationError('coordination_unknown', 'there is no such user in this tailnet');
  if (!(lifeMs > 0 && lifeMs <= KEY_LIFE_MAX_MS))
    throw coordinationError('coordination_invalid', 'an auth key is valid for at most 90 days');
  if (tailnet.keys().length >= KEYS_MAX)
    throw coordinationError('coordination_limit', `a tailnet has at most ${KEYS_MAX} auth keys`);
}

function checkTags(tags: readonly string[]): void {
  const wrong = tags.find((tag) => !TAG.test(tag));
  if (wrong !== undefined)
    throw coordinationError(
      'coordination_invalid',
      `a tag is tag: and letters, digits and hyphens, got "${wrong.slice(0, 100)}"`,
    );
  if (tags.length > 64) throw coordinationError('coordination_limit', 'a device has at most 64 tags');
}

function checkDevice(tailnet: Tailnet, node: NodeRecord, { name, tags, approvedRoutes }: DeviceChange): void {
  if (name !== undefined && !isLabel(name))
    throw coordinationError(
      'coordination_invalid',
      'a device name has 1 to 63 lower-case letters, digits and inner hyphens',
    );
  if (name !== undefined && !tailnet.isNameFree(name, node.id))
    throw coordinationError('coordination_exists', `a device named "${name}" is here already`);
  if (tags !== undefined) checkTags(tags);
  if (tags?.length === 0)
    throw coordinationError(
      'coordination_invalid',
      'a device without tags belongs to a person: sign it in again',
    );
  const wrong = approvedRoutes?.find((route) => parseCidr(route) === null);
  if (wrong !== undefined)
    throw coordinationError(
      'coordination_invalid',
      `a route is a prefix such as 10.0.0.0/8, got "${wrong.slice(0, 100)}"`,
    );
}
