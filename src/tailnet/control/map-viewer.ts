/**
 * One device's view of its tailnet, and what of it was sent: the first message tells all, every later one
 * what has changed since (tailcfg.MapResponse). Nothing is queued: changes are marks, and a message is
 * made of the state at the time when it can be sent, so that a slow reader costs a set of numbers.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { JsonValue } from '../protocol/wire-fields.ts';
import { nodeJson, reachPatch, profileJson, sameTexts } from './map-wire.ts';
import type { NodeRecord, UserRecord } from './records.ts';

export interface PeerView {
  readonly node: NodeRecord;
  readonly isOnline: boolean;
  readonly isExpired: boolean;
  readonly userId: number;
  readonly fullName: string;
  readonly routes: readonly string[];
  readonly primaryRoutes: readonly string[];
}

export type Profile = Pick<UserRecord, 'id' | 'login' | 'displayName'>;

/** What a viewer asks of its tailnet. */
export interface ViewSource {
  /** The device itself; null once it is gone. */
  self(id: number): (PeerView & { readonly capabilities: ReadonlyMap<string, readonly JsonValue[]> }) | null;
  /** Ids of the peers that it may see now. */
  peersOf(id: number): ReadonlySet<number>;
  /** A peer as `viewer` sees it; null if it is not there for anybody. */
  peer(viewer: number, id: number): PeerView | null;
  /** `tailcfg.Node` of a peer, as JSON. */
  peerJson(view: PeerView): string;
  profile(userId: number): Profile;
  /** JSON. */
  filterOf(id: number): string;
  /** JSON; `NO_SSH` where there is none. */
  sshOf(id: number): string;
  /** JSON. */
  dns(): string;
  /** JSON. */
  relays(): string;
  /** Display name of the tailnet. */
  domain(): string;
  /** Told whenever a viewer begins or ceases to know a peer. */
  onKnows(viewer: MapViewer, id: number, knows: boolean): void;
}

interface Sent {
  self: string;
  filter: string;
  ssh: string;
  dns: string;
  relays: string;
  domain: string;
}

/** A policy without rules: null would leave the device with what it was told before. */
export const NO_SSH = '{"rules":[]}';
const NOTHING_SENT: Sent = { self: '', filter: '', ssh: NO_SSH, dns: '', relays: '', domain: '' };

export class MapViewer {
  readonly id: number;
  readonly #source: ViewSource;
  readonly #wake: () => void;
  readonly #peers = new Map<number, PeerView>();
  readonly #profiles = new Map<number, Profile>();
  #newProfiles: string[] = [];
  readonly #sent: Sent = { ...NOTHING_SENT };
  readonly #dirtyPeers = new Set<number>();
  #allPeers = true;
  /** Whether this device may see anybody at all. */
  #areShown = true;
  #dirty = true;
  #isFirst = true;
  #ping: string | null = null;

  /** `wake` is called when there is something to take where there was nothing. Must not throw. */
  constructor(id: number, source: ViewSource, wake: () => void) {
    this.id = id;
    this.#source = source;
    this.#wake = wake;
  }

  get isDirty(): boolean {
    return this.#dirty;
  }

  /** That peer may have changed, for us to see or not to see. */
  markPeer(id: number): void {
    if (id !== this.id && !this.#allPeers) this.#dirtyPeers.add(id);
    this.#mark();
  }

  /** Anything may have changed. */
  markAll(): void {
    this.#allPeers = true;
    this.#dirtyPeers.clear();
    this.#mark();
  }

  /** Asks the device for a sign of life; `request` is a `tailcfg.PingRequest` as JSON. A later one replaces it. */
  ping(request: string): void {
    this.#ping = request;
    this.#mark();
  }

  #mark(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#wake();
  }

  /** Forgets what was sent. */
  close(): void {
    for (const id of this.#peers.keys()) this.#source.onKnows(this, id, false);
    this.#peers.clear();
  }

  /** The next message, or null if nothing is different. */
  take(now: UnixMs): string | null {
    const members: string[] = [];
    const source = this.#source;
    const self = source.self(this.id);
    if (self !== null) this.#tell(members, 'self', 'Node', nodeJson(self));
    const isShownPeers = self !== null && self.node.isAuthorized && !self.isExpired;
    this.#takePeers(members, isShownPeers);
    this.#tell(
      members,
      'filter',
      'PacketFilters',
      `{"base":${isShownPeers ? source.filterOf(this.id) : '[]'}}`,
    );
    this.#tell(members, 'ssh', 'SSHPolicy', isShownPeers ? source.sshOf(this.id) : NO_SSH);
    this.#tell(members, 'dns', 'DNSConfig', source.dns());
    this.#tell(members, 'relays', 'DERPMap', source.relays());
    this.#tell(members, 'domain', 'Domain', JSON.stringify(source.domain()));
    if (this.#ping !== null) members.push(`"PingRequest":${this.#ping}`);
    this.#ping = null;
    if (self !== null) this.#takeProfiles(members, self.userId);
    this.#dirty = false;
    if (members.length === 0) return null;
    if (this.#isFirst) members.push('"CollectServices":false', '"Debug":{"DisableLogTail":true}');
    this.#isFirst = false;
    members.push(`"ControlTime":"${new Date(now).toISOString()}"`);
    return `{${members.join(',')}}`;
  }

  /** For a device that is no longer: its own record with a key that has ended. */
  farewell(now: UnixMs, last: NodeRecord): string {
    const view = {
      node: { ...last, keyExpiry: now - 1000 },
      isOnline: true,
      isExpired: true,
      userId: last.userId ?? 0,
      fullName: last.name,
      routes: [],
      primaryRoutes: [],
      capabilities: new Map<string, readonly JsonValue[]>(),
    };
    return `{"Node":${nodeJson(view)},"PacketFilters":{"base":[]},"ControlTime":"${new Date(now).toISOString()}"}`;
  }

  #tell(members: string[], field: keyof Sent, name: string, json: string): void {
    if (this.#sent[field] === json) return;
    this.#sent[field] = json;
    members.push(`"${name}":${json}`);
  }

  #takePeers(members: string[], areShown: boolean): void {
    if (areShown !== this.#areShown) this.#allPeers = true;
    this.#areShown = areShown;
    const visible = areShown ? this.#source.peersOf(this.id) : NOBODY;
    const suspects = this.#allPeers ? new Set([...visible, ...this.#peers.keys()]) : this.#dirtyPeers;
    const changed: PeerView[] = [];
    const patches: string[] = [];
    const removed: number[] = [];
    for (const id of [...suspects].sort((a, b) => a - b)) {
      const view = visible.has(id) ? this.#source.peer(this.id, id) : null;
      const known = this.#peers.get(id);
      if (view === null) {
        if (known === undefined) continue;
        this.#peers.delete(id);
        this.#source.onKnows(this, id, false);
        removed.push(id);
        continue;
      }
      this.#peers.set(id, view);
      this.#addProfile(view.userId);
      if (known === undefined) {
        this.#source.onKnows(this, id, true);
        changed.push(view);
      } else if (!isSamePeer(known, view)) {
        const patch = isSameBesidesReach(known, view) ? reachPatch(known, view) : null;
        if (patch === null) changed.push(view);
        else if (Object.keys(patch).length > 0) patches.push(JSON.stringify({ NodeID: id, ...patch }));
      }
    }
    this.#allPeers = false;
    this.#dirtyPeers.clear();
    if (changed.length > 0) {
      const list = changed.map((view) => this.#source.peerJson(view));
      members.push(`"${this.#isFirst ? 'Peers' : 'PeersChanged'}":[${list.join(',')}]`);
    }
    if (removed.length > 0) members.push(`"PeersRemoved":[${removed.join(',')}]`);
    if (patches.length > 0) members.push(`"PeersChangedPatch":[${patches.join(',')}]`);
  }

  #addProfile(userId: number): void {
    const profile = this.#source.profile(userId);
    if (this.#profiles.get(userId) === profile) return;
    this.#profiles.set(userId, profile);
    this.#newProfiles.push(profileJson(profile));
  }

  #takeProfiles(members: string[], ownUserId: number): void {
    this.#addProfile(ownUserId);
    if (this.#newProfiles.length > 0) members.push(`"UserProfiles":[${this.#newProfiles.join(',')}]`);
    this.#newProfiles = [];
  }
}

const NOBODY: ReadonlySet<number> = new Set();

function isSamePeer(a: PeerView, b: PeerView): boolean {
  return a === b || (a.node === b.node && a.isOnline === b.isOnline && isSameBesidesReach(a, b));
}

/** All but the record and whether it is online. */
function isSameBesidesReach(a: PeerView, b: PeerView): boolean {
  return (
    a.isExpired === b.isExpired &&
    a.userId === b.userId &&
    a.fullName === b.fullName &&
    sameTexts(a.routes, b.routes) &&
    sameTexts(a.primaryRoutes, b.primaryRoutes)
  );
}
