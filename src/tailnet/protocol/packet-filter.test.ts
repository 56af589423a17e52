import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { type IpAddress, parseIp } from '../../wire/ip.ts';
import { ipToBytes, writeIpHeader } from '../../wire/ip-packet.ts';
import { IpRangeSet, parseIpRanges } from './ip-ranges.ts';
import type { FilterRule } from './netmap.ts';
import { PacketFilter, RuleSet } from './packet-filter.ts';

const OWN = ip('100.64.0.1');
const OWN6 = ip('fd7a::1');
const PEER = ip('100.64.0.2');
const PEER6 = ip('fd7a::2');

function ip(text: string): IpAddress {
  const found = parseIp(text);
  assert.ok(found !== null);
  return found;
}

function rule(sources: string[], to: string, ports: [number, number], protocols: number[] = []): FilterRule {
  const destinations = [{ addresses: to, firstPort: ports[0], lastPort: ports[1] }];
  return { sources, destinations, protocols, grants: [] };
}

const NOBODY = { hasCapability: () => false, mayBegin: () => true };

function filterOf(...rules: FilterRule[]): PacketFilter {
  const filter = new PacketFilter();
  filter.update(new RuleSet(rules, NOBODY), [ipToBytes(OWN), ipToBytes(OWN6)]);
  return filter;
}

interface PacketOptions {
  readonly from?: IpAddress;
  readonly to?: IpAddress;
  readonly protocol?: number;
  readonly ports?: [number, number];
  /** TCP flags, or the ICMP type. */
  readonly mark?: number;
}

function packet({
  from = PEER,
  to = OWN,
  protocol = 6,
  ports = [5000, 80],
  mark = 2,
}: PacketOptions = {}): Buffer {
  const isIcmp = protocol === 1 || protocol === 58;
  const payload = Buffer.alloc(20);
  if (isIcmp) payload[0] = mark;
  else {
    payload.writeUInt16BE(ports[0], 0);
    payload.writeUInt16BE(ports[1], 2);
    payload[12] = 0x50;
    payload[13] = mark;
  }
  const head = Buffer.alloc(from.family === 4 ? 20 : 40);
  const whole = Buffer.concat([head, payload]);
  writeIpHeader(whole, {
    source: ipToBytes(from),
    destination: ipToBytes(to),
    protocol,
    payloadBytes: payload.length,
    hopLimit: 64,
  });
  return whole;
}

describe('the packet filter', () => {
  test('without rules nothing begins', () => {
    assert.equal(new PacketFilter().check(packet(), 0), 'not_ours');
    assert.equal(filterOf().check(packet(), 0), 'denied');
    assert.equal(filterOf(rule([], '*', [0, 65535])).check(packet(), 0), 'denied');
  });

  test('TCP: what opens a connection is judged by source, destination and port; the rest passes', () => {
    const filter = filterOf(rule(['100.64.0.2'], '100.64.0.1', [80, 90]));
    assert.equal(filter.check(packet(), 0), 'accept');
    assert.equal(filter.check(packet({ ports: [1, 91] }), 0), 'denied');
    assert.equal(filter.check(packet({ from: ip('100.64.0.3') }), 0), 'denied');
    assert.equal(filter.check(packet({ from: ip('100.64.0.3'), mark: 0x10 }), 0), 'accept');
    assert.equal(filter.check(packet({ to: ip('100.64.0.9') }), 0), 'not_ours');
  });

  test('both families; a rule of one says nothing of the other', () => {
    const filter = filterOf(rule(['fd7a::/64'], 'fd7a::1', [80, 80]));
    assert.equal(filter.check(packet({ from: PEER6, to: OWN6 }), 0), 'accept');
    assert.equal(filter.check(packet(), 0), 'denied');
  });

  test('protocols: none means TCP, UDP and ICMP; others match only what they name', () => {
    const udp = filterOf(rule(['*'], '*', [53, 53], [17]));
    assert.equal(udp.check(packet({ protocol: 17, ports: [1, 53] }), 0), 'accept');
    assert.equal(udp.check(packet({ ports: [1, 53] }), 0), 'denied');
    assert.equal(filterOf(rule(['*'], '*', [0, 65535], [-1, 999])).check(packet(), 0), 'denied');
    assert.equal(filterOf(rule(['*'], '*', [0, 65535])).check(packet({ protocol: 132 }), 0), 'protocol');
  });

  test('UDP: answers to what was sent pass for five minutes, from that address and port alone', () => {
    const filter = filterOf();
    filter.noteSent(packet({ from: OWN, to: PEER, protocol: 17, ports: [4000, 53] }), 0);
    const answer = packet({ protocol: 17, ports: [53, 4000] });
    assert.equal(filter.check(answer, 299_999), 'accept');
    assert.equal(filter.check(answer, 300_000), 'denied');
    assert.equal(filter.check(packet({ protocol: 17, ports: [54, 4000] }), 1), 'denied');
    assert.equal(
      filter.check(packet({ protocol: 17, ports: [53, 4000], from: ip('100.64.0.3') }), 1),
      'denied',
    );
  });

  test('ICMP: answers and errors pass, an echo request needs any port of us', () => {
    const open = filterOf(rule(['100.64.0.2'], '100.64.0.1', [22, 22]));
    assert.equal(open.check(packet({ protocol: 1, mark: 8 }), 0), 'accept');
    assert.equal(filterOf().check(packet({ protocol: 1, mark: 8 }), 0), 'denied');
    for (const mark of [0, 3, 11]) assert.equal(filterOf().check(packet({ protocol: 1, mark }), 0), 'accept');
    const v6 = { from: PEER6, to: OWN6, protocol: 58 };
    assert.equal(filterOf().check(packet({ ...v6, mark: 129 }), 0), 'accept');
    assert.equal(filterOf().check(packet({ ...v6, mark: 128 }), 0), 'denied');
    assert.equal(filterOf().check(packet({ ...v6, mark: 135 }), 0), 'protocol');
  });

  test('a device that may begin nothing, and a source by capability', () => {
    const all = [rule(['*'], '*', [0, 65535])];
    const question = { source: PEER, destination: OWN, protocol: 6, port: 80 };
    assert.equal(new RuleSet(all, { ...NOBODY, mayBegin: () => false }).allows(question), false);
    const byCapability = [rule(['cap:x'], '*', [80, 80])];
    assert.equal(new RuleSet(byCapability, NOBODY).allows(question), false);
    const has = { ...NOBODY, hasCapability: (_source: IpAddress, name: string) => name === 'x' };
    assert.equal(new RuleSet(byCapability, has).allows(question), true);
  });

  test('what cannot be read allows nothing', () => {
    for (const sources of [
      ['100.64.0.2/8'],
      ['a-b'],
      ['100.64.0.9-100.64.0.1'],
      [''],
      ['fd7a::1-100.64.0.9'],
    ]) {
      assert.equal(filterOf(rule(sources, '*', [0, 65535])).check(packet(), 0), 'denied', sources.join());
    }
    assert.equal(filterOf(rule(['*'], 'cap:x', [0, 65535])).check(packet(), 0), 'denied');
  });

  test('any bytes get a verdict', () => {
    const filter = filterOf(rule(['*'], '*', [0, 65535]));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(39), (array, cut) => {
        filter.check(Buffer.from(array), 0);
        filter.noteSent(Buffer.from(array), 0);
        filter.check(packet().subarray(0, cut), 0);
      }),
      { numRuns: 2000 },
    );
  });
});

test('a set of ranges has an address exactly if one of its ranges has', () => {
  const range = fc.tuple(fc.bigInt(0n, 300n), fc.bigInt(0n, 20n)).map(([first, length]) => ({
    family: 4 as const,
    first,
    last: first + length,
  }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.bigInt(0n, 330n), (ranges, value) => {
      const expected = ranges.some(({ first, last }) => value >= first && value <= last);
      assert.equal(new IpRangeSet(ranges).has({ family: 4, value }), expected);
    }),
    { numRuns: 1000 },
  );
  assert.deepEqual(parseIpRanges('10.0.0.1-10.0.0.3'), [
    { family: 4, first: 0x0a000001n, last: 0x0a000003n },
  ]);
});
