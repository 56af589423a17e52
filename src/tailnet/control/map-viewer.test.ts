import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { applyMapResponse } from '../protocol/apply-map-response.ts';
import type { Netmap } from '../protocol/index.ts';
import { readMapResponse } from '../protocol/read-map-response.ts';
import { testCompiler } from './control-bed.fixture.ts';
import { type CoordinatorBed, hostOf, keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { MapViewer } from './map-viewer.ts';
import type { NodeRecord } from './records.ts';
import type { Tailnet } from './tailnet.ts';

const DAY_MS = 86_400_000;

interface Watching {
  readonly viewer: MapViewer;
  /** Takes what there is, as a client does. */
  pull(): Readonly<Record<string, unknown>> | null;
  map(): Netmap;
}

function watch(bed: CoordinatorBed, tailnet: Tailnet, node: NodeRecord, attach = true): Watching {
  const viewer = new MapViewer(node.id, tailnet.source, () => undefined);
  if (attach) tailnet.attach(viewer, bed.coordinator.now());
  let session: Netmap | null = null;
  return {
    viewer,
    pull() {
      const json = viewer.take(bed.coordinator.now());
      if (json === null) return null;
      const response = readMapResponse(Buffer.from(json));
      assert.ok(response !== null && response.leftOut === 0, json);
      session = applyMapResponse(response, { session, shown: null, now: bed.coordinator.now() }).netmap;
      return JSON.parse(json) as Record<string, unknown>;
    },
    map() {
      assert.ok(session !== null);
      return session;
    },
  };
}

async function two(): Promise<{ bed: CoordinatorBed; home: Tailnet; a: NodeRecord; b: NodeRecord }> {
  const bed = await openCoordinatorBed();
  const home = await bed.add('home');
  const authKey = await bed.key(home, { isReusable: true });
  const a = bed.join(keyOf('m-a'), { nodeKey: keyOf('n-a'), authKey, host: hostOf('a') });
  const b = bed.join(keyOf('m-b'), { nodeKey: keyOf('n-b'), authKey, host: hostOf('b') });
  return { bed, home, a, b };
}

function reachOf(node: NodeRecord | null, change: Partial<NodeRecord['reach']>): NodeRecord {
  assert.ok(node !== null);
  return { ...node, reach: { ...node.reach, ...change } };
}

/** What a change told, without what every message has. */
function told(message: Readonly<Record<string, unknown>> | null): readonly string[] {
  return Object.keys(message ?? {})
    .filter((name) => name !== 'ControlTime')
    .sort();
}

describe('deltas (section 5.4)', () => {
  test('the first message is whole, and after it nothing is said while nothing changes', async () => {
    const { bed, home, a, b } = await two();
    const seen = watch(bed, home, a);
    const first = seen.pull();
    for (const name of ['Node', 'Peers', 'UserProfiles', 'PacketFilters', 'DNSConfig', 'DERPMap', 'Domain'])
      assert.ok(first !== null && name in first, name);
    assert.deepEqual([...seen.map().peers.keys()], [b.id]);
    assert.equal(seen.pull(), null);
    assert.equal(seen.viewer.isDirty, false);
  });

  test('how a peer is reached comes as a patch; who it is, as the whole device', async () => {
    const { bed, home, a, b } = await two();
    const seen = watch(bed, home, a);
    seen.pull();
    const there = { discoKey: keyOf('disco'), homeDerp: 900, endpoints: ['192.0.2.1:41641'] };
    home.putNode(reachOf(b, there));
    assert.deepEqual(told(seen.pull()), ['PeersChangedPatch']);
    home.putNode(reachOf(home.node(b.id), { endpoints: ['192.0.2.2:41641'] }));
    const message = seen.pull();
    assert.deepEqual(message?.['PeersChangedPatch'], [{ NodeID: b.id, Endpoints: ['192.0.2.2:41641'] }]);
    home.putNode(reachOf(home.node(b.id), { endpoints: [] }));
    assert.deepEqual(told(seen.pull()), ['PeersChanged'], 'a patch takes nothing away');
    await bed.admin.changeDevice(home, home.node(b.id) ?? b, { name: 'desk' });
    assert.deepEqual(told(seen.pull()), ['PeersChanged']);
    assert.equal(seen.map().peers.get(b.id)?.name, 'desk.home.test.internal');
  });

  test('coming and going is a patch, an end is a removal, and many changes are one message', async () => {
    const { bed, home, a, b } = await two();
    const seen = watch(bed, home, a);
    seen.pull();
    home.setOnline(b.id, true, bed.coordinator.now());
    assert.deepEqual(seen.pull()?.['PeersChangedPatch'], [{ NodeID: b.id, Online: true }]);
    home.setOnline(b.id, false, bed.coordinator.now());
    home.setOnline(b.id, true, bed.coordinator.now());
    assert.equal(told(seen.pull()).length, 0);
    await bed.admin.removeDevice(home, b);
    assert.deepEqual(seen.pull()?.['PeersRemoved'], [b.id]);
    assert.equal(seen.pull(), null);
  });

  test('a key that ends by itself is told to the device and to its peers', async () => {
    const { bed, home, a, b } = await two();
    const [seenA, seenB] = [watch(bed, home, a), watch(bed, home, b)];
    seenA.pull();
    seenB.pull();
    bed.pass(181 * DAY_MS);
    assert.equal(seenA.pull()?.['Node'] !== undefined, true);
    assert.equal(seenA.map().peers.size, 0, 'an expired device sees nobody');
    assert.equal(seenB.map().self.isExpired || seenB.pull() !== null, true);
  });

  test('a device that waits for approval sees nobody, reaches nothing, and is seen by nobody', async () => {
    const { bed, home, a } = await two();
    await bed.admin.changeTailnet(home, { deviceApproval: true });
    const c = bed.join(keyOf('m-c'), { nodeKey: keyOf('n-c'), authKey: await bed.key(home) });
    const [seenA, seenC] = [watch(bed, home, a), watch(bed, home, c)];
    seenA.pull();
    const first = seenC.pull();
    assert.equal(seenC.map().peers.size, 0);
    assert.deepEqual(first?.['PacketFilters'], { base: [] });
    assert.ok(!seenA.map().peers.has(c.id));
    await bed.admin.changeDevice(home, home.node(c.id) ?? c, { isAuthorized: true });
    seenA.pull();
    seenC.pull();
    assert.ok(seenA.map().peers.has(c.id));
    assert.equal(seenC.map().peers.size, 2);
  });

  test('a policy under which a peer is seen no more removes it, and closes the filter', async () => {
    let isOpen = true;
    const bed = await openCoordinatorBed({ compiler: testCompiler(() => isOpen) });
    const home = await bed.add('home');
    const authKey = await bed.key(home, { isReusable: true });
    const a = bed.join(keyOf('m-a'), { nodeKey: keyOf('n-a'), authKey });
    const b = bed.join(keyOf('m-b'), { nodeKey: keyOf('n-b'), authKey });
    const seen = watch(bed, home, a);
    seen.pull();
    isOpen = false;
    await bed.admin.changeTailnet(home, { policy: '{}' });
    const message = seen.pull();
    assert.deepEqual(message?.['PeersRemoved'], [b.id]);
    assert.deepEqual(message['PacketFilters'], { base: [] });
  });

  test('a route is carried by one device, and by the next when that one is gone', async () => {
    const { bed, home, a, b } = await two();
    const authKey = await bed.key(home);
    const c = bed.join(keyOf('m-c'), { nodeKey: keyOf('n-c'), authKey });
    const seen = watch(bed, home, c);
    const offer = (node: NodeRecord): NodeRecord => ({
      ...(home.node(node.id) ?? node),
      facts: { ...node.facts, offeredRoutes: ['10.0.0.0/8', '0.0.0.0/0'] },
      approvedRoutes: ['10.0.0.0/8', '0.0.0.0/0'],
    });
    for (const node of [a, b]) {
      home.putNode(offer(node));
      home.setOnline(node.id, true, bed.coordinator.now());
    }
    seen.pull();
    const carries = (node: NodeRecord): readonly string[] =>
      (seen.map().peers.get(node.id)?.allowedIps ?? [])
        .filter(({ prefixLength }) => prefixLength < 32)
        .map(({ prefixLength }) => `/${prefixLength}`);
    assert.deepEqual([carries(a), carries(b)], [['/8', '/0'], ['/0']]);
    home.setOnline(a.id, false, bed.coordinator.now());
    seen.pull();
    assert.deepEqual([carries(a), carries(b)], [['/0'], ['/8', '/0']]);
  });

  test('whatever happens, a client that follows has the map of one that comes anew', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ what: fc.nat(9), who: fc.nat(4), pull: fc.boolean() }), { maxLength: 60 }),
        async (events) => {
          const reaches = new Set<string>();
          const bed = await openCoordinatorBed({
            compiler: testCompiler((x, y) => !reaches.has(`${x.tags.length}`) || x.id < y.id),
          });
          const home = await bed.add('home');
          const authKey = await bed.key(home, { isReusable: true });
          const self = bed.join(keyOf('m'), { nodeKey: keyOf('n'), authKey });
          const seen = watch(bed, home, self);
          for (const { what, who, pull } of events) {
            await happen({ bed, home, authKey, reaches }, what, who);
            if (pull) seen.pull();
          }
          seen.pull();
          const fresh = watch(bed, home, home.node(self.id) ?? self, false);
          fresh.pull();
          assert.deepEqual(peersOf(seen.map()), peersOf(fresh.map()));
          assert.deepEqual(seen.map().self, fresh.map().self);
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** A patch does not take away when an online device was last seen, which then means nothing. */
function peersOf({ peers }: Netmap): readonly object[] {
  return [...peers.values()]
    .map((peer) => ({ ...peer, lastSeen: peer.isOnline === true ? null : peer.lastSeen }))
    .sort((a, b) => a.id - b.id);
}

async function happen(
  {
    bed,
    home,
    authKey,
    reaches,
  }: { bed: CoordinatorBed; home: Tailnet; authKey: string; reaches: Set<string> },
  what: number,
  who: number,
): Promise<void> {
  const others = home.nodes().slice(1);
  const node = others[who % Math.max(1, others.length)];
  if (node === undefined || what === 0) {
    const name = `x${home.nodes().length}-${who}-${bed.coordinator.nextId()}`;
    bed.join(keyOf(`m${name}`), { nodeKey: keyOf(`n${name}`), authKey, host: hostOf(`h${who}`) });
    return;
  }
  if (what === 1) return bed.admin.removeDevice(home, node);
  if (what === 2) return home.setOnline(node.id, !home.isOnline(node.id), bed.coordinator.now());
  if (what === 3) return home.putNode(reachOf(node, { endpoints: [`192.0.2.${who}:1`] }));
  if (what === 4) return home.putNode(reachOf(node, { homeDerp: who, discoKey: keyOf(`d${who}`) }));
  if (what === 5) return bed.admin.changeDevice(home, node, { isAuthorized: who % 2 === 0 });
  if (what === 6)
    return bed.admin.changeDevice(home, node, { tags: ['tag:a', 'tag:b'].slice(0, 1 + (who % 2)) });
  if (what === 7) {
    if (!reaches.delete(String(who))) reaches.add(String(who));
    return bed.admin.changeTailnet(home, { policy: `{ "n": ${bed.coordinator.nextId()} }` });
  }
  if (what === 8)
    return bed.admin.changeDevice(home, node, { keyExpiry: bed.coordinator.now() + who * 1000 });
  return bed.pass(who * 1000);
}
