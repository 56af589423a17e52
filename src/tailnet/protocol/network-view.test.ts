import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIp, type IpAddress, parseIp } from '../../wire/ip.ts';
import { applyMapResponse } from './apply-map-response.ts';
import { createNetworkView, type NetworkView } from './network-view.ts';
import { readMapResponse } from './read-map-response.ts';

function ip(text: string): IpAddress {
  const found = parseIp(text);
  assert.ok(found !== null);
  return found;
}

function node(id: number, more: object = {}): object {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `node${id}.bed.test.`,
    User: id,
    Key: `nodekey:${String(id).padStart(64, '0')}`,
    Addresses: [`100.64.0.${id}/32`, `fd7a::${id}/128`],
    ...more,
  };
}

function view(response: object): NetworkView {
  const read = readMapResponse(Buffer.from(JSON.stringify(response)));
  assert.ok(read !== null);
  return createNetworkView(applyMapResponse(read, { session: null, shown: null, now: 0 }).netmap);
}

const PROFILES = [2, 3, 4].map((id) => ({ ID: id, LoginName: `user${id}@example.com` }));

test('whois: the device of an address and its owner; a device with tags is nobody', () => {
  const network = view({
    Node: node(1),
    Peers: [node(2), node(3, { Tags: ['tag:ci'] })],
    UserProfiles: PROFILES,
  });
  assert.equal(network.whois(ip('100.64.0.2'))?.user?.loginName, 'user2@example.com');
  assert.equal(network.whois(ip('fd7a::2'))?.node.id, 2);
  assert.equal(network.whois(ip('100.64.0.3'))?.user, null);
  assert.deepEqual(network.whois(ip('100.64.0.3'))?.node.tags, ['tag:ci']);
  assert.equal(network.whois(ip('100.64.0.99')), null);
});

test('whois: an address behind a router, of an expired key, or claimed twice is nobody’s', () => {
  const network = view({
    Node: node(1),
    Peers: [
      node(2, { AllowedIPs: ['100.64.0.2/32', '192.168.0.0/16'] }),
      node(3, { Expired: true }),
      node(4, { Addresses: ['100.64.0.9/32'] }),
      node(5, { Addresses: ['100.64.0.9/32'] }),
    ],
    UserProfiles: PROFILES,
  });
  for (const address of ['192.168.0.1', '100.64.0.3', '100.64.0.9']) {
    assert.equal(network.whois(ip(address)), null, address);
  }
});

test('whois: capabilities add up over rules, by source and by the address that is talked to', () => {
  const grant = (SrcIPs: string[], Dsts: string[], CapMap: object): object => ({
    SrcIPs,
    CapGrant: [{ Dsts, CapMap }],
  });
  const network = view({
    Node: node(1),
    Peers: [node(2), node(3)],
    PacketFilters: {
      a: [grant(['100.64.0.2'], ['100.64.0.1/32'], { 'x.example/ai': [{ a: 1 }] })],
      b: [
        grant(['100.64.0.0/24'], ['100.64.0.1/32'], { 'x.example/ai': [{ b: 2 }], 'x.example/flag': null }),
        grant(['100.64.0.2'], ['100.64.0.77/32'], { 'x.example/other': [] }),
      ],
    },
  });
  const two = network.whois(ip('100.64.0.2'), ip('100.64.0.1'));
  assert.deepEqual(two?.capabilities.get('x.example/ai'), [{ a: 1 }, { b: 2 }]);
  assert.deepEqual(two?.capabilities.get('x.example/flag'), []);
  assert.equal(two?.capabilities.has('x.example/other'), false);
  assert.deepEqual(network.whois(ip('100.64.0.3'))?.capabilities.get('x.example/ai'), [{ b: 2 }]);
  assert.equal(network.whois(ip('100.64.0.2'), ip('fd7a::1'))?.capabilities.size, 0);
});

test('names: full and short, addresses themselves, extra records; IPv4 first', () => {
  const network = view({
    Node: node(1),
    Peers: [node(2), node(3, { Name: 'shared.other.test.' })],
    DNSConfig: {
      ExtraRecords: [
        { Name: 'ai.bed.test', Value: '100.64.0.1' },
        { Name: 'x', Type: 'TXT', Value: '1.2.3.4' },
      ],
    },
  });
  const names = (name: string): string[] => network.resolve(name).map(formatIp);
  assert.deepEqual(names('node2'), ['100.64.0.2', 'fd7a::2']);
  assert.deepEqual(names('NODE2.bed.test.'), ['100.64.0.2', 'fd7a::2']);
  assert.deepEqual(names('shared'), []);
  assert.deepEqual(names('shared.other.test'), ['100.64.0.3', 'fd7a::3']);
  assert.deepEqual(names('ai.bed.test'), ['100.64.0.1']);
  assert.deepEqual(names('x'), []);
  assert.deepEqual(names('10.1.1.1'), ['10.1.1.1']);
  assert.equal(network.nameOf(ip('fd7a::2')), 'node2.bed.test');
});
