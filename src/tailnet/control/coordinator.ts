/**
 * All tailnets of the organization: finds devices by their keys, gives out ids and addresses, and lets time
 * pass. Pure but for the ledger: sockets and timers are the driver's. A device is known by its machine key
 * (proven by the connection) and its node key together; what it may touch follows from its record's tailnet.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { deriveKey, KEY_LABELS } from '../../crypto/index.ts';
import type { KeyHex } from '../protocol/index.ts';
import { AddressPool } from './addresses.ts';
import { ApiClients } from './api-clients.ts';
import { hashAuthKey } from './auth-keys.ts';
import { DENY_ALL } from './deny-all.ts';
import { Ledger } from './ledger.ts';
import { PendingLogins } from './pending-logins.ts';
import type { ControlStore, NetworkPolicyCompiler, RelayMap } from './ports.ts';
import { readRecords } from './read-records.ts';
import type { ApiClientRecord, AuthKeyRecord, NodeRecord, TailnetRecord, WebhookRecord } from './records.ts';
import { Tailnet, type TailnetParts } from './tailnet.ts';
import { Webhooks } from './webhooks.ts';

export interface CoordinatorOptions {
  readonly store: ControlStore;
  readonly compiler: NetworkPolicyCompiler;
  readonly relays: RelayMap;
  /** Suffix of all tailnets' domains, such as `postern.internal`; a tailnet's name goes before it. */
  readonly domainSuffix: string;
  /** 32 bytes: auth keys are kept as keyed hashes. */
  readonly authKeyHashKey: Uint8Array;
  /** How long an ephemeral device may be silent. Default 10 minutes. */
  readonly ephemeralSilenceMs?: number;
  /** How long others are told that a device is online after its stream broke. Default 10 s. */
  readonly offlineGraceMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What becomes of a device's key for those who keep streams and relays. */
export interface DeviceEnd {
  readonly tailnet: string;
  readonly nodeId: number;
  readonly nodeKey: KeyHex;
  readonly last: NodeRecord;
}

const EPHEMERAL_SILENCE_MS = 10 * 60_000;
const OFFLINE_GRACE_MS = 10_000;

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #parts: TailnetParts;
  readonly #tailnets = new Map<string, Tailnet>();
  /** Machine key and node key to the device's tailnet and id. */
  readonly #byKeys = new Map<string, Place>();
  /** A node key belongs to one device of the organization. */
  readonly #byNodeKey = new Map<KeyHex, Place>();
  readonly #byAuthKey = new Map<string, { readonly tailnet: string; readonly id: string }>();
  /** Devices without a stream that may have to go, or to be told offline, and since when. */
  readonly #silentSince = new Map<number, Silence>();
  readonly #endListeners = new Set<(end: DeviceEnd) => void>();
  readonly ledger: Ledger;
  readonly addresses: AddressPool;
  readonly logins: PendingLogins;
  #clients: ApiClients;
  #webhooks: Webhooks;
  #lastId = 0;

  private constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.ledger = new Ledger(options.store, (kind, tailnet, name) =>
      this.#webhooks.look(tailnet, kind, name),
    );
    this.addresses = new AddressPool(options.random);
    this.logins = new PendingLogins(options.random);
    const { compiler, relays, domainSuffix } = options;
    this.#parts = { ledger: this.ledger, compiler, relays, domainSuffix };
    this.#clients = this.#openClients([]);
    this.#webhooks = this.#openWebhooks([]);
  }

  /** Loads everything that the store has. Rejects if it cannot be read. */
  static async open(options: CoordinatorOptions): Promise<Coordinator> {
    const coordinator = new Coordinator(options);
    const records = readRecords(await options.store.listControlRecords());
    const now = options.clock.now();
    coordinator.#lastId = records.counter.lastId;
    coordinator.#clients = coordinator.#openClients(records.apiClients);
    coordinator.#webhooks = coordinator.#openWebhooks(records.webhooks);
    for (const record of records.tailnets) {
      const ofTailnet = <Item extends { readonly tailnet: string }>(items: readonly Item[]): Item[] =>
        items.filter(({ tailnet }) => tailnet === record.id);
      const tailnet = coordinator.#open(record, {
        users: ofTailnet(records.users),
        nodes: ofTailnet(records.nodes),
        keys: ofTailnet(records.authKeys),
      });
      for (const node of tailnet.nodes()) coordinator.#load(node, now);
      for (const key of tailnet.keys()) coordinator.indexAuthKey(key);
      tailnet.pass(now);
    }
    return coordinator;
  }

  #openClients(records: readonly ApiClientRecord[]): ApiClients {
    const { clock, random } = this.#options;
    return new ApiClients(
      { ledger: this.ledger, hashOf: (text) => this.hashOf(text), clock, random },
      records,
    );
  }

  #openWebhooks(records: readonly WebhookRecord[]): Webhooks {
    const { authKeyHashKey, clock, random } = this.#options;
    const key = deriveKey(authKeyHashKey, KEY_LABELS.tailnetWebhooks);
    return new Webhooks(
      { ledger: this.ledger, key, tailnetOf: (id) => this.tailnet(id), clock, random },
      records,
    );
  }

  #open(record: TailnetRecord, content: ConstructorParameters<typeof Tailnet>[2]): Tailnet {
    const tailnet = openTailnet(this.#parts, record, content, this.#options.logger);
    this.#tailnets.set(record.id, tailnet);
    return tailnet;
  }

  /** A device of an earlier run: silent from now on, until it comes back. */
  #load(node: NodeRecord, now: UnixMs): void {
    this.#index(node);
    this.addresses.claim(node.ipv4);
    if (node.isEphemeral) this.#silentSince.set(node.id, { tailnet: node.tailnet, since: now, isTold: true });
  }

  now(): UnixMs {
    return this.#options.clock.now();
  }

  get random(): Random {
    return this.#options.random;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** An id that no tailnet, user or device has or had. */
  nextId(): number {
    this.#lastId += 1;
    this.ledger.put('counter', '', 'ids', { lastId: this.#lastId });
    return this.#lastId;
  }

  /** `n…CNTRL`, unguessable and of one tailnet alone. */
  newStableId(): string {
    return `n${encodeBase32(this.#options.random.bytes(10))}CNTRL`;
  }

  /** Programs that use the API. */
  get clients(): ApiClients {
    return this.#clients;
  }

  /** Whom tailnets tell of their events. */
  get webhooks(): Webhooks {
    return this.#webhooks;
  }

  tailnets(): readonly Tailnet[] {
    return [...this.#tailnets.values()];
  }

  tailnet(id: string): Tailnet | null {
    return this.#tailnets.get(id) ?? null;
  }

  addTailnet(record: TailnetRecord): Tailnet {
    const tailnet = this.#open(record, { users: [], nodes: [], keys: [] });
    this.ledger.put('tailnet', record.id, record.id, record);
    return tailnet;
  }

  /** Ends all its devices and forgets everything of it. */
  removeTailnet(tailnet: Tailnet): void {
    /* Before its devices go: the end of a tailnet is told nobody one device at a time. */
    this.#webhooks.forget(tailnet.id);
    for (const { id } of tailnet.nodes()) this.removeNode(tailnet, id);
    for (const { id, hash } of tailnet.keys()) {
      this.#byAuthKey.delete(hash);
      tailnet.removeKey(id);
    }
    for (const { id } of tailnet.users()) this.ledger.delete('user', tailnet.id, id);
    this.#clients.forget(tailnet.id);
    this.#tailnets.delete(tailnet.id);
    this.ledger.delete('tailnet', tailnet.id, tailnet.id);
  }

  #end(tailnet: Tailnet): void {
    const { id, record } = tailnet;
    this.#options.logger.info('a tailnet has come to its end and is deleted', {
      tailnet: id,
      name: record.name,
    });
    this.removeTailnet(tailnet);
  }

  /** The device of these keys; null if there is none. */
  device(
    machineKey: KeyHex,
    nodeKey: KeyHex,
  ): { readonly tailnet: Tailnet; readonly node: NodeRecord } | null {
    return this.#at(this.#byKeys.get(pairOf(machineKey, nodeKey)));
  }

  /** Whoever has this node key; a relay knows no more of its clients. */
  holder(nodeKey: KeyHex): { readonly tailnet: Tailnet; readonly node: NodeRecord } | null {
    return this.#at(this.#byNodeKey.get(nodeKey));
  }

  #at(place: Place | undefined): { readonly tailnet: Tailnet; readonly node: NodeRecord } | null {
    if (place === undefined) return null;
    const tailnet = this.#tailnets.get(place.tailnet);
    const node = tailnet?.node(place.id) ?? null;
    return tailnet === undefined || node === null ? null : { tailnet, node };
  }

  /** The key of this text; null if there is none. Whether it is good is another question. */
  authKey(text: string): { readonly tailnet: Tailnet; readonly key: AuthKeyRecord } | null {
    const place = this.#byAuthKey.get(hashAuthKey(this.#options.authKeyHashKey, text));
    const tailnet = place === undefined ? undefined : this.#tailnets.get(place.tailnet);
    const key = place === undefined ? null : (tailnet?.key(place.id) ?? null);
    return tailnet === undefined || key === null ? null : { tailnet, key };
  }

  hashOf(authKey: string): string {
    return hashAuthKey(this.#options.authKeyHashKey, authKey);
  }

  indexAuthKey({ hash, tailnet, id }: AuthKeyRecord): void {
    this.#byAuthKey.set(hash, { tailnet, id });
  }

  removeAuthKey(tailnet: Tailnet, key: AuthKeyRecord): void {
    this.#byAuthKey.delete(key.hash);
    tailnet.removeKey(key.id);
  }

  /** A new device, or one whose keys or anything else changed. */
  putNode(tailnet: Tailnet, node: NodeRecord): void {
    const before = tailnet.node(node.id);
    if (before !== null && before.nodeKey !== node.nodeKey) {
      this.#unindex(before);
      this.#tellEnd(before);
    }
    this.#index(node);
    tailnet.putNode(node);
    const approvedRoutes = tailnet.autoApproved(node);
    if (approvedRoutes !== node.approvedRoutes) tailnet.putNode({ ...node, approvedRoutes });
    if (before === null)
      this.#silentSince.set(node.id, { tailnet: tailnet.id, since: this.now(), isTold: true });
  }

  removeNode(tailnet: Tailnet, id: number): void {
    const node = tailnet.removeNode(id);
    if (node === null) return;
    this.#unindex(node);
    this.#silentSince.delete(id);
    this.addresses.giveBack(node.ipv4);
    this.#tellEnd(node);
  }

  /** The device's key is good no longer, from now on. */
  expireNode(tailnet: Tailnet, node: NodeRecord): void {
    tailnet.putNode({ ...node, keyExpiry: this.now() });
    tailnet.pass(this.now());
  }

  #index(node: NodeRecord): void {
    const place = { tailnet: node.tailnet, id: node.id };
    this.#byKeys.set(pairOf(node.machineKey, node.nodeKey), place);
    this.#byNodeKey.set(node.nodeKey, place);
  }

  #unindex(node: NodeRecord): void {
    this.#byKeys.delete(pairOf(node.machineKey, node.nodeKey));
    this.#byNodeKey.delete(node.nodeKey);
  }

  /** Called when a node key is a device's no longer; returns how to stop. Must not throw. */
  onDeviceEnd(listener: (end: DeviceEnd) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  #tellEnd(last: NodeRecord): void {
    const end = { tailnet: last.tailnet, nodeId: last.id, nodeKey: last.nodeKey, last };
    for (const listener of this.#endListeners) listener(end);
  }

  /** A device's stream began. */
  hears(id: number): void {
    this.#silentSince.delete(id);
  }

  /** A device's stream ended. */
  losesSight(tailnet: Tailnet, id: number): void {
    if (tailnet.node(id) !== null)
      this.#silentSince.set(id, { tailnet: tailnet.id, since: this.now(), isTold: false });
  }

  /** Lets time pass: silent devices go offline or away, keys expire, logins are forgotten. About once a second. */
  pass(): void {
    const now = this.now();
    this.logins.pass(now);
    for (const tailnet of this.#tailnets.values()) tailnet.pass(now);
    this.#webhooks.pass(now);
    for (const tailnet of this.tailnets()) if (hasEnded(tailnet.record, now)) this.#end(tailnet);
    const graceMs = this.#options.offlineGraceMs ?? OFFLINE_GRACE_MS;
    const silenceMs = this.#options.ephemeralSilenceMs ?? EPHEMERAL_SILENCE_MS;
    for (const [id, silence] of this.#silentSince) {
      const tailnet = this.#tailnets.get(silence.tailnet);
      const node = tailnet?.node(id) ?? null;
      if (tailnet === undefined || node === null) {
        this.#silentSince.delete(id);
        continue;
      }
      if (!silence.isTold && silence.since + graceMs <= now) {
        silence.isTold = true;
        tailnet.setOnline(id, false, silence.since);
      }
      if (silence.isTold && !node.isEphemeral) this.#silentSince.delete(id);
      if (node.isEphemeral && silence.since + silenceMs <= now) this.removeNode(tailnet, id);
    }
  }
}

function hasEnded({ expiresAt = null }: TailnetRecord, now: UnixMs): boolean {
  return expiresAt !== null && expiresAt <= now;
}

interface Place {
  readonly tailnet: string;
  readonly id: number;
}

interface Silence {
  readonly tailnet: string;
  readonly since: UnixMs;
  /** The others have been told. */
  isTold: boolean;
}

function pairOf(machineKey: KeyHex, nodeKey: KeyHex): string {
  return `${machineKey}${nodeKey}`;
}

/** A stored policy that does not compile any more lets nobody reach anybody, and stops no start. */
function openTailnet(
  parts: TailnetParts,
  record: TailnetRecord,
  content: ConstructorParameters<typeof Tailnet>[2],
  logger: Logger,
): Tailnet {
  try {
    return new Tailnet(parts, record, content);
  } catch (error) {
    logger.error('the network policy of a tailnet does not compile: nobody there reaches anybody', {
      tailnet: record.name,
      error: String(error),
    });
    return new Tailnet({ ...parts, compiler: deniedUntilChanged(parts.compiler) }, record, content);
  }
}

/** Nothing is allowed by the policy that is there; the next one is compiled as ever. */
function deniedUntilChanged(compiler: NetworkPolicyCompiler): NetworkPolicyCompiler {
  let isFirst = true;
  return {
    compile(text, world, isWritten) {
      const current = isFirst ? DENY_ALL : compiler;
      isFirst = false;
      return current.compile(text, world, isWritten);
    },
  };
}
