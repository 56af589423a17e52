import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { AppError } from '../../base/errors.ts';
import { applyMapResponse, expireKeys, type NetmapUpdate } from './apply-map-response.ts';
import type { Netmap } from './netmap.ts';
import { readMapResponse } from './read-map-response.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

function key(kind: string, digit: number): string {
  return `${kind}:${String(digit).padStart(64, '0')}`;
}

function node(id: number, more: object = {}): object {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `Node${id}.bed.test.`,
    User: 1,
    Key: key('nodekey', id),
    DiscoKey: key('discokey', id),
    Addresses: [`100.64.0.${id}/32`],
    AllowedIPs: [`100.64.0.${id}/32`],
    HomeDERP: 1,
    ...more,
  };
}

function apply(
  response: object,
  session: Netmap | null = null,
  shown: Netmap | null = session,
): NetmapUpdate {
  const read = readMapResponse(Buffer.from(JSON.stringify(response)));
  assert.ok(read !== null);
  return applyMapResponse(read, { session, shown, now: NOW });
}

function start(...peers: object[]): Netmap {
  return apply({ Node: node(1), Peers: peers }).netmap;
}

describe('map responses (tailcfg.MapResponse)', () => {
  test('the first must have this node, well-formed', () => {
    for (const response of [
      {},
      { Node: null },
      { Node: { ID: 1 } },
      { Node: node(1, { Key: 'nodekey:x' }) },
    ]) {
      assert.throws(
        () => apply(response),
        (error) => error instanceof AppError && error.code === 'control_protocol',
      );
    }
  });

  test('a network with tailnet lock is refused; one where it is turned off is not', () => {
    assert.throws(
      () => apply({ Node: node(1), TKAInfo: { Head: 'x' } }),
      (error) => error instanceof AppError && error.code === 'control_tailnet_lock',
    );
    assert.doesNotThrow(() => apply({ Node: node(1), TKAInfo: { Disabled: true } }));
  });

  test('Peers replaces the list and precludes the deltas beside it; an empty one changes nothing', () => {
    const before = start(node(2), node(3));
    const { netmap, changes } = apply({ Peers: [node(3)], PeersChanged: [node(4)] }, before);
    assert.deepEqual([...netmap.peers.keys()], [3]);
    assert.deepEqual(changes.peersRemoved, [2]);
    assert.equal(apply({ Peers: [] }, before).netmap.peers, before.peers);
  });

  test('PeersChanged adds and replaces, PeersRemoved removes', () => {
    const { netmap, changes } = apply(
      { PeersChanged: [node(2, { Name: 'new.bed.test.' }), node(4)], PeersRemoved: [3, 99] },
      start(node(2), node(3)),
    );
    assert.deepEqual([...netmap.peers.keys()], [2, 4]);
    assert.equal(netmap.peers.get(2)?.name, 'new.bed.test');
    assert.deepEqual(changes.peersChanged, [2, 4]);
    assert.deepEqual(changes.peersRemoved, [3]);
  });

  test('a patch changes its fields alone, of known peers only', () => {
    const { netmap } = apply(
      {
        PeersChangedPatch: [
          {
            NodeID: 2,
            DERPRegion: 9,
            Endpoints: ['192.0.2.1:41641'],
            DiscoKey: key('discokey', 8),
            Online: true,
          },
          { NodeID: 77, DERPRegion: 9 },
        ],
        OnlineChange: { 3: false },
        PeerSeenChange: { 3: true },
      },
      start(node(2), node(3)),
    );
    const peer = netmap.peers.get(2);
    assert.equal(peer?.homeDerp, 9);
    assert.equal(peer?.name, 'node2.bed.test');
    assert.equal(peer?.endpoints[0]?.port, 41641);
    assert.equal(peer?.isOnline, true);
    assert.equal(netmap.peers.get(3)?.isOnline, false);
    assert.equal(netmap.peers.get(3)?.lastSeen, NOW);
    assert.equal(netmap.peers.size, 2);
  });

  test('a new stream starts from nothing: peers it does not have are told as removed', () => {
    const shown = start(node(2), node(3));
    const { netmap, changes } = apply({ Node: node(1), Peers: [node(3)] }, null, shown);
    assert.deepEqual([...netmap.peers.keys()], [3]);
    assert.deepEqual(changes.peersRemoved, [2]);
    assert.deepEqual(apply({ Node: node(1) }, null, shown).changes.peersRemoved, [2, 3]);
  });

  test('PacketFilter is the part `base`; null deletes a part, "*" with null all, an empty list blocks', () => {
    const rule = { SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65535 } }] };
    const names = (netmap: Netmap): string[] => [...netmap.filters.keys()].sort();
    const one = apply({ PacketFilter: [rule], PacketFilters: { extra: [rule] } }, start()).netmap;
    assert.deepEqual(names(one), ['base', 'extra']);
    assert.deepEqual(names(apply({ PacketFilters: { base: null } }, one).netmap), ['extra']);
    assert.deepEqual(names(apply({ PacketFilters: { '*': null, b: [rule] } }, one).netmap), ['b']);
    assert.deepEqual(apply({ PacketFilter: [] }, one).netmap.filters.get('base'), []);
    assert.equal(apply({ Domain: 'x' }, one).netmap.filters, one.filters);
  });

  test('users add up; domain, names and relays stay until they are said anew', () => {
    const one = apply(
      {
        Node: node(1),
        UserProfiles: [{ ID: 1, LoginName: 'a@example.com' }],
        Domain: 'bed.test',
        DNSConfig: { Proxied: true },
        DERPMap: { Regions: { 1: { RegionID: 1, Nodes: [{ HostName: 'relay' }] }, 2: null } },
      },
      null,
    ).netmap;
    const two = apply({ UserProfiles: [{ ID: 2, LoginName: 'b@example.com' }] }, one).netmap;
    assert.deepEqual([...two.users.keys()], [1, 2]);
    assert.equal(two.domain, 'bed.test');
    assert.equal(two.dns, one.dns);
    assert.equal(two.derpMap, one.derpMap);
    assert.deepEqual([...two.derpMap.regions.keys()], [1]);
    const scored = apply({ DERPMap: { HomeParams: { RegionScore: { 1: 0.5 } } } }, two).netmap;
    assert.equal(scored.derpMap.regions, two.derpMap.regions);
    assert.equal(scored.derpMap.scores.get(1), 0.5);
  });

  test('a missing AllowedIPs stands for the addresses; an old home relay is read; unsigned devices route nothing', () => {
    const { peers } = start(
      node(2, { AllowedIPs: null, HomeDERP: 0, DERP: '127.3.3.40:12' }),
      node(3, { AllowedIPs: ['0.0.0.0/0'], UnsignedPeerAPIOnly: true }),
    );
    assert.equal(peers.get(2)?.allowedIps, peers.get(2)?.addresses);
    assert.equal(peers.get(2)?.homeDerp, 12);
    assert.deepEqual(peers.get(3)?.allowedIps, peers.get(3)?.addresses);
  });

  test('keys expire by the server’s clock, without its word', () => {
    const soon = { KeyExpiry: '2026-01-01T00:10:00Z' };
    const { netmap } = apply({
      Node: node(1, soon),
      Peers: [node(2, soon)],
      ControlTime: '2026-01-01T00:05:00Z',
    });
    const early = expireKeys(netmap, NOW + 4 * 60_000);
    assert.equal(early.netmap, netmap);
    assert.equal(early.nextAt, NOW + 5 * 60_000);
    const late = expireKeys(netmap, NOW + 5 * 60_000);
    assert.equal(late.netmap.self.isExpired, true);
    assert.equal(late.netmap.peers.get(2)?.isExpired, true);
    assert.deepEqual(late.changes.peersChanged, [2]);
    assert.equal(late.nextAt, null);
  });

  test('malformed devices and rules are left out and counted', () => {
    const read = readMapResponse(
      Buffer.from(
        JSON.stringify({
          Peers: [node(2), { ID: 3 }, null, node(4, { Addresses: ['10.0.0.0/8'] })],
          PacketFilter: [{ SrcIPs: ['*'], SrcBits: [8] }, 'x'],
        }),
      ),
    );
    assert.equal(read?.peers?.length, 1);
    assert.equal(read?.filter?.length, 0);
    assert.equal(read?.leftOut, 5);
  });

  test('any JSON is applied or refused, never another exception', () => {
    const names = [
      'Node',
      'Peers',
      'PeersChanged',
      'PeersRemoved',
      'PeersChangedPatch',
      'PeerSeenChange',
      'OnlineChange',
      'UserProfiles',
      'DERPMap',
      'DNSConfig',
      'PacketFilter',
      'PacketFilters',
      'Health',
      'ControlTime',
      'PingRequest',
    ];
    const before = start(node(2), node(3));
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constant(node(5)),
      fc.constant([node(2), null, 7, { NodeID: 2, Key: 3 }]),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), fc.boolean(), (response, isFirst) => {
        try {
          apply(response, isFirst ? null : before);
        } catch (error) {
          assert.ok(error instanceof AppError, String(error));
        }
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void readMapResponse(Buffer.from(bytes))));
  });
});
