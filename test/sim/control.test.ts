/**
 * The coordinator without sockets, under devices that come, go, roam and read at their own pace in several
 * tailnets with the same names, people and machines, by a seed and with the real policy compiler. A failure
 * prints the seed; `POSTERN_SIM_SEED` repeats it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNetworkCompiler } from '../../src/composition/control-policy.ts';
import {
  type CoordinatorBed,
  hostOf,
  keyOf,
  openCoordinatorBed,
} from '../../src/tailnet/control/coordinator-bed.fixture.ts';
import { MapViewer } from '../../src/tailnet/control/map-viewer.ts';
import type { NodeRecord } from '../../src/tailnet/control/records.ts';
import type { Tailnet } from '../../src/tailnet/control/tailnet.ts';
import { applyMapResponse } from '../../src/tailnet/protocol/apply-map-response.ts';
import type { Netmap } from '../../src/tailnet/protocol/index.ts';
import { readMapResponse } from '../../src/tailnet/protocol/read-map-response.ts';
import { seededNumbers, seededRandom } from './network.ts';

const STEPS = 600;
const CHECK_EVERY = 40;
const TAILNETS = ['alpha', 'beta', 'gamma'];
const MACHINES = 8;
const TAGS = '"tagOwners": { "tag:web": [], "tag:db": [] }';
const POLICIES = [
  `{ ${TAGS}, "acls": [{ "action": "accept", "src": ["*"], "dst": ["*:*"] }] }`,
  `{ ${TAGS}, "acls": [{ "action": "accept", "src": ["tag:web"], "dst": ["tag:db:5432"] }] }`,
  `{ ${TAGS}, "acls": [{ "action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"] }] }`,
  `{ ${TAGS}, "grants": [{ "src": ["tag:db"], "dst": ["10.0.0.0/8"], "ip": ["*"] }] }`,
  `{ ${TAGS}, "acls": [] }`,
];

/** One device's stream, and what its client has made of it. */
class Reader {
  readonly viewer: MapViewer;
  readonly tailnet: Tailnet;
  wakes = 0;
  #map: Netmap | null = null;

  constructor(tailnet: Tailnet, id: number) {
    this.tailnet = tailnet;
    this.viewer = new MapViewer(id, tailnet.source, () => {
      this.wakes += 1;
    });
  }

  /** Takes what there is, as a client does; gives the message. */
  pull(now: number): string {
    const json = this.viewer.take(now);
    if (json === null) return '';
    const response = readMapResponse(Buffer.from(json));
    assert.ok(response !== null && response.leftOut === 0, json);
    this.#map = applyMapResponse(response, { session: this.#map, shown: null, now }).netmap;
    return json;
  }

  /** A patch does not take away when an online device was last seen, which then means nothing. */
  state(): object {
    assert.ok(this.#map !== null);
    const peers = [...this.#map.peers.values()]
      .map((peer) => ({ ...peer, lastSeen: peer.isOnline === true ? null : peer.lastSeen }))
      .sort((a, b) => a.id - b.id);
    return { peers, self: this.#map.self, filters: this.#map.filters, dns: this.#map.dns };
  }
}

class Simulation {
  readonly #bed: CoordinatorBed;
  readonly #next: () => number;
  readonly #readers = new Map<number, Reader>();
  readonly #ids = new Set<number>();
  /** Every stable id that there ever was, to its tailnet. */
  readonly #owners = new Map<string, string>();
  #serial = 0;
  /** What was compared or read, so that a simulation in which nothing happens fails. */
  readonly counts = { messages: 0, compared: 0, joined: 0, removed: 0, deleted: 0 };

  constructor(bed: CoordinatorBed, next: () => number) {
    this.#bed = bed;
    this.#next = next;
  }

  async start(): Promise<void> {
    /* As the driver does: whose key is good no longer has no stream. */
    this.#bed.coordinator.onDeviceEnd(({ nodeId, tailnet }) => {
      const reader = this.#readers.get(nodeId);
      if (reader === undefined) return;
      assert.equal(reader.tailnet.id, tailnet);
      this.#readers.delete(nodeId);
      if (reader.tailnet.detach(reader.viewer)) this.#bed.coordinator.losesSight(reader.tailnet, nodeId);
    });
    for (const name of TAILNETS) await this.#addTailnet(name);
  }

  async step(): Promise<void> {
    const tailnet = this.#pick(this.#bed.admin.tailnets());
    const others = [...this.#readers.values()].filter((reader) => reader.tailnet !== tailnet);
    const before = others.map(({ wakes }) => wakes);
    await this.#happen(tailnet);
    assert.deepEqual(
      others.map(({ wakes }) => wakes),
      before,
      'a change woke a device of another tailnet',
    );
    /* Some read at once, some seldom. */
    for (const [id, reader] of this.#readers) if (this.#next() < (id % 4) / 6) this.#read(reader);
    if (this.#next() < 0.1) this.#bed.pass(Math.floor(this.#next() * 15_000));
  }

  /** Whoever follows has the map of one that comes anew. */
  check(): void {
    for (const [id, reader] of this.#readers) {
      this.#read(reader);
      const fresh = new Reader(reader.tailnet, id);
      this.#read(fresh);
      assert.deepEqual(reader.state(), fresh.state(), `device ${id}`);
      fresh.viewer.close();
      this.counts.compared += 1;
    }
  }

  async #addTailnet(name: string): Promise<Tailnet> {
    const tailnet = await this.#bed.add(name);
    this.#isNew(tailnet.record.taggedUserId);
    for (const { id } of tailnet.users()) this.#isNew(id);
    return tailnet;
  }

  #isNew(id: number): void {
    assert.ok(!this.#ids.has(id), `the id ${id} was given out twice`);
    this.#ids.add(id);
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#next() * items.length)];
    assert.ok(item !== undefined);
    return item;
  }

  #read(reader: Reader): void {
    const message = reader.pull(this.#bed.coordinator.now());
    if (message === '') return;
    this.counts.messages += 1;
    const own = reader.tailnet;
    for (const [stableId] of message.matchAll(/n[0-9a-z]{16}CNTRL/gi))
      assert.equal(this.#owners.get(stableId), own.id, `the device ${stableId} crossed`);
    for (const [, name] of message.matchAll(/\.([a-z]+)\.test\.internal/g))
      assert.equal(name, own.record.name, 'a name crossed');
    const foreign = this.#bed.admin
      .tailnets()
      .filter((tailnet) => tailnet !== own)
      .flatMap((tailnet) => tailnet.nodes());
    for (const { ipv4, ipv6, nodeKey, id } of foreign)
      for (const mark of [`"${ipv4}"`, `"${ipv4}/`, `"${ipv6}"`, `"${ipv6}/`, nodeKey, `ID":${id},`])
        assert.ok(!message.includes(mark), `${mark} crossed`);
  }

  async #join(tailnet: Tailnet): Promise<void> {
    this.#serial += 1;
    const machine = Math.floor(this.#next() * MACHINES);
    const tags = this.#next() < 0.5 ? [] : [this.#pick(['tag:web', 'tag:db'])];
    const authKey = await this.#bed.key(tailnet, { tags, isEphemeral: this.#next() < 0.3 });
    const nodeKey = keyOf(`n${this.#serial}`);
    const host = hostOf(`host${machine}`);
    const machineKey = keyOf(`m${machine}`);
    const same = tailnet.nodes().filter((node) => node.machineKey === machineKey);
    const node = this.#bed.join(machineKey, { nodeKey, authKey, host });
    /* A machine that is here already is the same device with another key. */
    if (!same.some(({ id }) => id === node.id)) this.#isNew(node.id);
    this.#owners.set(node.stableId, tailnet.id);
    this.counts.joined += 1;
  }

  async #happen(tailnet: Tailnet): Promise<void> {
    const { admin, coordinator } = this.#bed;
    const nodes = tailnet.nodes();
    if (nodes.length < 2 || (nodes.length < 12 && this.#next() < 0.2)) return this.#join(tailnet);
    const node = this.#pick(nodes);
    const draw = this.#next();
    if (draw < 0.25) return this.#comeOrGo(tailnet, node);
    if (draw < 0.5) return tailnet.putNode(this.#roamed(node));
    if (draw < 0.6) return admin.changeTailnet(tailnet, { policy: this.#pick([null, ...POLICIES]) });
    if (draw < 0.68) return this.#remove(tailnet, node);
    if (draw < 0.69) return this.#replace(tailnet);
    if (draw < 0.74) return admin.changeDevice(tailnet, node, { isAuthorized: this.#next() < 0.7 });
    if (draw < 0.79) return admin.changeDevice(tailnet, node, { tags: [this.#pick(['tag:web', 'tag:db'])] });
    if (draw < 0.84) return coordinator.putNode(tailnet, this.#offering(node));
    if (draw < 0.89) return admin.changeDevice(tailnet, node, { approvedRoutes: ['10.1.0.0/16'] });
    if (draw < 0.94) {
      const name = tailnet.nameFor(`desk${Math.floor(this.#next() * 4)}`, node.id);
      return admin.changeDevice(tailnet, node, { name });
    }
    return admin.changeDevice(tailnet, node, { keyExpiry: coordinator.now() + this.#next() * 30_000 });
  }

  #comeOrGo(tailnet: Tailnet, { id }: NodeRecord): void {
    const { coordinator } = this.#bed;
    const open = this.#readers.get(id);
    /* A stream may as well come while the former is still there. */
    if (open === undefined || this.#next() < 0.3) {
      const reader = new Reader(tailnet, id);
      tailnet.attach(reader.viewer, coordinator.now());
      coordinator.hears(id);
      this.#readers.set(id, reader);
      this.#read(reader);
      if (open !== undefined) assert.ok(!tailnet.detach(open.viewer));
      return;
    }
    this.#readers.delete(id);
    if (tailnet.detach(open.viewer)) coordinator.losesSight(tailnet, id);
  }

  #roamed(node: NodeRecord): NodeRecord {
    const endpoints = this.#next() < 0.3 ? [] : [`192.0.2.${Math.floor(this.#next() * 250)}:41641`];
    const homeDerp = 900 + Math.floor(this.#next() * 3);
    return { ...node, reach: { ...node.reach, endpoints, homeDerp } };
  }

  #offering(node: NodeRecord): NodeRecord {
    const offeredRoutes = this.#next() < 0.5 ? [] : ['10.1.0.0/16', '0.0.0.0/0', '::/0'];
    return { ...node, facts: { ...node.facts, offeredRoutes } };
  }

  async #remove(tailnet: Tailnet, node: NodeRecord): Promise<void> {
    await this.#bed.admin.removeDevice(tailnet, node);
    this.counts.removed += 1;
  }

  /** A tailnet ends with all it has, and another of its name begins. */
  async #replace(tailnet: Tailnet): Promise<void> {
    await this.#bed.admin.deleteTailnet(tailnet);
    await this.#addTailnet(tailnet.record.name);
    this.counts.deleted += 1;
  }
}

for (const seed of process.env['POSTERN_SIM_SEED']?.split(',').map(Number) ?? [1, 2, 3]) {
  test(`every follower has a newcomer's map, nothing crosses tailnets, no id comes twice (section 5.4, seed ${seed})`, async () => {
    const bed = await openCoordinatorBed({ compiler: createNetworkCompiler(), random: seededRandom(seed) });
    const simulation = new Simulation(bed, seededNumbers(seed));
    await simulation.start();
    for (let step = 1; step <= STEPS; step += 1) {
      await simulation.step();
      if (step % CHECK_EVERY === 0) simulation.check();
    }
    for (const [what, count] of Object.entries(simulation.counts))
      assert.ok(count > 0, `nothing was ${what}`);
  });
}
