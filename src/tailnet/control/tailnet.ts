/**
 * One tailnet: its people, devices, keys and policy, who is online, and who has to be told of a change. It
 * knows nothing of any other tailnet. Records are never altered in place: another record is another state,
 * and a viewer compares the two.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { JsonValue } from '../protocol/wire-fields.ts';
import { freeLabel, labelOf } from './device-names.ts';
import { coordinationError } from './errors.ts';
import type { Ledger } from './ledger.ts';
import { dnsJson, taggedProfile } from './map-wire.ts';
import { type MapViewer, NO_SSH, type PeerView, type Profile, type ViewSource } from './map-viewer.ts';
import {
  type NetworkPolicyCompiler,
  type NetworkRules,
  policyNode,
  policyUser,
  type RelayMap,
} from './ports.ts';
import type { AuthKeyRecord, NodeRecord, TailnetRecord, UserRecord } from './records.ts';
import { carriedRoutes, electCarriers, isExitRoute } from './routes.ts';
import { SharedTexts } from './shared-texts.ts';

export interface TailnetParts {
  readonly ledger: Ledger;
  readonly compiler: NetworkPolicyCompiler;
  readonly relays: RelayMap;
  /** Suffix of every tailnet's domain: `postern.internal`. */
  readonly domainSuffix: string;
}

/** Most of one tailnet. */
export const NODES_MAX = 10_000;
const USERS_MAX = 10_000;

export class Tailnet {
  readonly #parts: TailnetParts;
  #record: TailnetRecord;
  readonly #users = new Map<number, UserRecord>();
  readonly #nodes = new Map<number, NodeRecord>();
  readonly #keys = new Map<string, AuthKeyRecord>();
  /** Label to device. */
  readonly #names = new Map<string, number>();
  readonly #viewers = new Map<number, MapViewer>();
  /** Device to the viewers that were sent it. */
  readonly #knownBy = new Map<number, Set<MapViewer>>();
  /** Devices that others are told are online: those with a stream, and for a moment those that lost it. */
  readonly #online = new Set<number>();
  #carriers: ReadonlyMap<string, number> = new Map();
  /** Devices without routes look alike to everybody: one view of each for all viewers. */
  readonly #views = new Map<number, PeerView>();
  readonly #texts = new SharedTexts();
  #tagged: Profile;
  #dns: string;
  #rules: NetworkRules;
  #now: UnixMs = 0;
  readonly #source: ViewSource;

  constructor(
    parts: TailnetParts,
    record: TailnetRecord,
    content: {
      readonly users: readonly UserRecord[];
      readonly nodes: readonly NodeRecord[];
      readonly keys: readonly AuthKeyRecord[];
    },
  ) {
    this.#parts = parts;
    this.#record = record;
    for (const user of content.users) this.#users.set(user.id, user);
    for (const node of content.nodes) {
      this.#nodes.set(node.id, node);
      this.#names.set(node.name, node.id);
    }
    for (const key of content.keys) this.#keys.set(key.id, key);
    this.#tagged = taggedProfile(record);
    this.#dns = dnsJson(record, this.domain);
    this.#rules = this.#compile(record.policy, false);
    this.#source = this.#createSource();
  }

  get id(): string {
    return this.#record.id;
  }

  get record(): TailnetRecord {
    return this.#record;
  }

  /** Of its devices' names. */
  get domain(): string {
    return `${this.#record.name}.${this.#parts.domainSuffix}`;
  }

  get rules(): NetworkRules {
    return this.#rules;
  }

  get source(): ViewSource {
    return this.#source;
  }

  users(): readonly UserRecord[] {
    return [...this.#users.values()];
  }

  nodes(): readonly NodeRecord[] {
    return [...this.#nodes.values()];
  }

  keys(): readonly AuthKeyRecord[] {
    return [...this.#keys.values()];
  }

  user(id: number): UserRecord | null {
    return this.#users.get(id) ?? null;
  }

  node(id: number): NodeRecord | null {
    return this.#nodes.get(id) ?? null;
  }

  key(id: string): AuthKeyRecord | null {
    return this.#keys.get(id) ?? null;
  }

  isOnline(id: number): boolean {
    return this.#online.has(id);
  }

  viewer(id: number): MapViewer | null {
    return this.#viewers.get(id) ?? null;
  }

  fullName({ name }: Pick<NodeRecord, 'name'>): string {
    return `${name}.${this.domain}`;
  }

  /** A label near to what the device calls itself that no other device here has. */
  nameFor(hostname: string, own: number | null): string {
    return freeLabel(labelOf(hostname), (label) => {
      const holder = this.#names.get(label);
      return holder !== undefined && holder !== own;
    });
  }

  isNameFree(label: string, own: number): boolean {
    const holder = this.#names.get(label);
    return holder === undefined || holder === own;
  }

  /** Of its own settings; policy and DNS reach the devices with the next message. Throws AppError for a policy that is none. */
  change(record: TailnetRecord): void {
    const before = this.#record;
    if (record.policy !== before.policy) this.#rules = this.#compile(record.policy, true);
    this.#record = record;
    this.#views.clear();
    this.#dns = dnsJson(record, this.domain);
    this.#parts.ledger.put('tailnet', this.id, this.id, record);
    if (record.policy !== before.policy) this.#approveByPolicy();
    this.markAll();
  }

  #compile(policy: string | null, isWritten: boolean): NetworkRules {
    const world = {
      users: this.users().map(policyUser),
      nodes: this.nodes().filter(isMember).map(policyNode),
    };
    return this.#parts.compiler.compile(policy, world, isWritten);
  }

  /** Everything that this tailnet's devices know may be different: relays, policy, names. */
  markAll(): void {
    for (const viewer of this.#viewers.values()) viewer.markAll();
  }

  putUser(user: UserRecord): void {
    if (!this.#users.has(user.id) && this.#users.size >= USERS_MAX)
      throw coordinationError('coordination_limit', `a tailnet has at most ${USERS_MAX} users`);
    this.#users.set(user.id, user);
    this.#parts.ledger.put('user', this.id, user.id, user);
    for (const id of this.#rules.setUser(policyUser(user))) this.#viewers.get(id)?.markAll();
  }

  /** Whose devices and keys are gone already: the policy's rules about that id match nothing any more. */
  removeUser(id: number): void {
    this.#users.delete(id);
    this.#parts.ledger.delete('user', this.id, id);
  }

  putKey(key: AuthKeyRecord): void {
    this.#keys.set(key.id, key);
    this.#parts.ledger.put('auth_key', this.id, key.id, key);
  }

  removeKey(id: string): void {
    this.#keys.delete(id);
    this.#parts.ledger.delete('auth_key', this.id, id);
  }

  /** A new device, or another state of one; whoever sees it, before or after, is told. */
  putNode(node: NodeRecord): void {
    const before = this.#nodes.get(node.id);
    if (before === node) return;
    if (before !== undefined && before.name !== node.name) this.#names.delete(before.name);
    this.#nodes.set(node.id, node);
    this.#names.set(node.name, node.id);
    this.#parts.ledger.put('node', this.id, node.id, node);
    if (before === undefined || isOtherToPolicy(before, node)) {
      this.#tell(
        node.id,
        isMember(node) ? this.#rules.setNode(policyNode(node)) : this.#rules.removeNode(node.id),
      );
      this.#elect();
    }
    this.#touch(node.id);
  }

  removeNode(id: number): NodeRecord | null {
    const node = this.#nodes.get(id);
    if (node === undefined) return null;
    this.#nodes.delete(id);
    this.#views.delete(id);
    this.#names.delete(node.name);
    this.#online.delete(id);
    this.#parts.ledger.delete('node', this.id, id);
    this.#tell(id, this.#rules.removeNode(id));
    this.#elect();
    this.#touch(id);
    return node;
  }

  /** Those whose rules are others because of a device. */
  #tell(id: number, touched: ReadonlySet<number>): void {
    for (const viewer of touched) this.#viewers.get(viewer)?.markPeer(id);
    /* Its own: every peer may have come or gone. */
    this.#viewers.get(id)?.markAll();
  }

  /** The device's stream; a later one takes the place of an earlier. */
  attach(viewer: MapViewer, now: UnixMs): MapViewer | null {
    const before = this.#viewers.get(viewer.id) ?? null;
    before?.close();
    this.#viewers.set(viewer.id, viewer);
    this.setOnline(viewer.id, true, now);
    return before;
  }

  /** The stream has ended; the device is online until `setOnline` says otherwise. False if another took its place. */
  detach(viewer: MapViewer): boolean {
    viewer.close();
    if (this.#viewers.get(viewer.id) !== viewer) return false;
    this.#viewers.delete(viewer.id);
    return true;
  }

  setOnline(id: number, isOnline: boolean, now: UnixMs): void {
    const node = this.#nodes.get(id);
    if (node === undefined || this.#online.has(id) === isOnline) return;
    if (isOnline) this.#online.add(id);
    else this.#online.delete(id);
    const seen = { ...node, lastSeen: now };
    this.#nodes.set(id, seen);
    this.#parts.ledger.put('node', this.id, id, seen);
    if (carriedRoutes(seen).length > 0) this.#elect();
    this.#touch(id);
  }

  /** Time has come so far: keys that end by it end for everybody. */
  pass(now: UnixMs): void {
    const before = this.#now;
    this.#now = now;
    for (const { id, keyExpiry } of this.#nodes.values()) {
      if (keyExpiry !== null && keyExpiry > before && keyExpiry <= now) this.#touch(id);
    }
  }

  isExpired({ keyExpiry }: NodeRecord): boolean {
    return keyExpiry !== null && keyExpiry <= this.#now;
  }

  /** What is approved, with what the policy approves by itself of all that the device offers; it is known already. */
  autoApproved(node: NodeRecord): readonly string[] {
    const { offeredRoutes } = node.facts;
    if (offeredRoutes.length === 0) return node.approvedRoutes;
    const more = offeredRoutes.filter(
      (route) => !node.approvedRoutes.includes(route) && this.#rules.approvesRoute(node.id, route),
    );
    return more.length === 0 ? node.approvedRoutes : [...node.approvedRoutes, ...more];
  }

  #approveByPolicy(): void {
    for (const node of this.nodes()) {
      const approvedRoutes = this.autoApproved(node);
      if (approvedRoutes !== node.approvedRoutes) this.putNode({ ...node, approvedRoutes });
    }
    this.#elect();
  }

  #touch(id: number): void {
    this.#viewers.get(id)?.markPeer(id);
    for (const viewer of this.#knownBy.get(id) ?? []) viewer.markPeer(id);
  }

  #elect(): void {
    const before = this.#carriers;
    this.#carriers = electCarriers(this.#nodes.values(), ({ id }) => this.#online.has(id));
    for (const [route, id] of this.#carriers) {
      const former = before.get(route);
      if (former === id) continue;
      this.#touch(id);
      if (former !== undefined) this.#touch(former);
    }
    for (const [route, id] of before) if (!this.#carriers.has(route)) this.#touch(id);
  }

  #createSource(): ViewSource {
    return {
      self: (id) => {
        const view = this.#view(id, (node) => carriedRoutes(node));
        return view === null ? null : { ...view, capabilities: this.#capabilities(view.node) };
      },
      peersOf: (id) => this.#rules.peersOf(id),
      peer: (viewer, id) => {
        const node = this.#nodes.get(id);
        if (node === undefined || !isMember(node)) return null;
        if (carriedRoutes(node).length === 0) return this.#sharedView(node);
        return this.#view(id, () => this.#rules.routesFor(viewer, id));
      },
      peerJson: (view) => this.#texts.peer(view),
      profile: (userId) => this.#users.get(userId) ?? this.#tagged,
      filterOf: (id) => this.#texts.of(this.#rules.filterOf(id)),
      sshOf: (id) => {
        const policy = this.#rules.sshPolicyOf(id);
        return policy === null ? NO_SSH : this.#texts.of(policy);
      },
      dns: () => this.#dns,
      relays: () => this.#texts.of(this.#parts.relays.current()),
      domain: () => this.domain,
      onKnows: (viewer, id, knows) => this.#know(viewer, id, knows),
    };
  }

  #sharedView(node: NodeRecord): PeerView | null {
    const known = this.#views.get(node.id);
    if (
      known?.node === node &&
      known.isOnline === this.#online.has(node.id) &&
      known.isExpired === this.isExpired(node)
    )
      return known;
    const view = this.#view(node.id, () => []);
    if (view !== null) this.#views.set(node.id, view);
    return view;
  }

  #view(id: number, routesOf: (node: NodeRecord) => readonly string[]): PeerView | null {
    const node = this.#nodes.get(id);
    if (node === undefined) return null;
    const isCarrier = (route: string): boolean => this.#carriers.get(route) === id;
    const routes = routesOf(node).filter((route) => isExitRoute(route) || isCarrier(route));
    return {
      node,
      isOnline: this.#online.has(id),
      isExpired: this.isExpired(node),
      userId: node.userId ?? this.#tagged.id,
      fullName: this.fullName(node),
      routes,
      primaryRoutes: routes.filter(isCarrier),
    };
  }

  #capabilities(node: NodeRecord): ReadonlyMap<string, readonly JsonValue[]> {
    const capabilities = new Map<string, readonly JsonValue[]>([
      ['tailnet-display-name', [this.#record.name]],
      ['https://tailscale.com/cap/file-sharing', []],
      ['https://tailscale.com/cap/ssh', []],
    ]);
    const owner = node.userId === null ? null : this.user(node.userId);
    if (owner !== null && owner.role !== 'member') capabilities.set('https://tailscale.com/cap/is-admin', []);
    for (const [name, values] of Object.entries(this.#rules.capabilitiesOf(node.id)))
      capabilities.set(name, values ?? []);
    return capabilities;
  }

  #know(viewer: MapViewer, id: number, knows: boolean): void {
    const viewers = this.#knownBy.get(id);
    if (knows) {
      if (viewers === undefined) this.#knownBy.set(id, new Set([viewer]));
      else viewers.add(viewer);
      return;
    }
    viewers?.delete(viewer);
    if (viewers?.size === 0) this.#knownBy.delete(id);
  }
}

/** A device that waits for approval is nobody's peer. */
function isMember({ isAuthorized }: NodeRecord): boolean {
  return isAuthorized;
}

function isOtherToPolicy(before: NodeRecord, after: NodeRecord): boolean {
  return (
    before.userId !== after.userId ||
    before.tags !== after.tags ||
    before.isAuthorized !== after.isAuthorized ||
    before.approvedRoutes !== after.approvedRoutes ||
    before.facts !== after.facts
  );
}
