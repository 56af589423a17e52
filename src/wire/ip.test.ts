import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  type IpKind,
  cidrContains,
  classifyIp,
  embeddedIpv4,
  formatCidr,
  formatIp,
  parseCidr,
  parseIp,
} from './ip.ts';

function ip(text: string): NonNullable<ReturnType<typeof parseIp>> {
  const parsed = parseIp(text);
  assert.ok(parsed, `${text} is an address`);
  return parsed;
}

function cidr(text: string): NonNullable<ReturnType<typeof parseCidr>> {
  const parsed = parseCidr(text);
  assert.ok(parsed, `${text} is a prefix`);
  return parsed;
}

const ipv4 = fc
  .integer({ min: 0, max: 2 ** 32 - 1 })
  .map((value) => ({ family: 4 as const, value: BigInt(value) }));
const ipv6 = fc
  .bigInt({ min: 0n, max: (1n << 128n) - 1n })
  .filter((value) => value >> 32n !== 0xffffn)
  .map((value) => ({ family: 6 as const, value }));

describe('parseIp', () => {
  for (const text of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.4 ',
    '0x7f.0.0.1',
    '2130706433',
    '1.2.3.-4',
    '1..2.3',
    ':',
    ':::',
    '::1::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::g',
    'fe80::1%eth0',
    '[::1]',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4:5:6:7::8',
    '::ffff:01.2.3.4',
    '1:2:3:4:5:6:7:8::',
    '０.0.0.0',
    '1:',
    ':1',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseIp(text), null));
  }

  test('folds IPv4-mapped IPv6 into IPv4 (RFC 4291 section 2.5.5.2)', () => {
    for (const text of ['::ffff:10.1.2.3', '::FFFF:0a01:0203', '0:0:0:0:0:ffff:10.1.2.3']) {
      assert.deepEqual(parseIp(text), parseIp('10.1.2.3'));
    }
  });

  test('agrees with node:net on what is an address, and never throws', () => {
    const nearly = fc.stringMatching(/^[0-9a-f:.]{0,46}$/);
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        const known = isIP(text) !== 0;
        assert.equal(parseIp(text) !== null, known && !text.includes('%'));
      }),
      { numRuns: 2000 },
    );
  });

  test('formatting and parsing are inverse; the text is canonical (RFC 5952)', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (address) => {
        assert.deepEqual(parseIp(formatIp(address)), address);
      }),
      { numRuns: 2000 },
    );
    assert.equal(formatIp(ip('2001:DB8:0:0:1:0:0:1')), '2001:db8::1:0:0:1');
    assert.equal(formatIp(ip('2001:db8:0:1:1:1:1:1')), '2001:db8:0:1:1:1:1:1');
    assert.equal(formatIp(ip('::')), '::');
  });
});

describe('parseCidr', () => {
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.1/8',
    '::1/0',
    'x/8',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/95',
    '10.0.0.0/1e1',
  ]) {
    test(`refuses ${text}`, () => assert.equal(parseCidr(text), null));
  }

  test('reads a bare address as one host and a mapped prefix as IPv4', () => {
    assert.equal(formatCidr(cidr('10.1.2.3')), '10.1.2.3/32');
    assert.equal(formatCidr(cidr('::1')), '::1/128');
    assert.equal(formatCidr(cidr('::ffff:10.0.0.0/104')), '10.0.0.0/8');
  });

  test('contains what node:net says it contains', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6)),
        fc.nat(128),
        ([base, other], length) => {
          const bits = base.family === 4 ? 32 : 128;
          const prefixLength = length % (bits + 1);
          const shift = BigInt(bits - prefixLength);
          const prefix = { family: base.family, base: (base.value >> shift) << shift, prefixLength };
          assert.deepEqual(parseCidr(formatCidr(prefix)), prefix);
          const list = new BlockList();
          const family = base.family === 4 ? 'ipv4' : 'ipv6';
          list.addSubnet(formatIp({ family: base.family, value: prefix.base }), prefixLength, family);
          assert.equal(cidrContains(prefix, other), list.check(formatIp(other), family));
          assert.ok(cidrContains(prefix, base));
        },
      ),
    );
  });

  test('does not mix families', () => {
    assert.equal(cidrContains(cidr('0.0.0.0/0'), ip('::1')), false);
    assert.equal(cidrContains(cidr('::/0'), ip('1.2.3.4')), false);
  });
});

describe('classifyIp', () => {
  const table: readonly (readonly [string, IpKind])[] = [
    ['8.8.8.8', 'global'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'reserved'],
    ['10.255.255.255', 'private'],
    ['11.0.0.0', 'global'],
    ['100.63.255.255', 'global'],
    ['100.64.0.0', 'cgnat'],
    ['100.127.255.255', 'cgnat'],
    ['100.128.0.0', 'global'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['169.254.0.1', 'link-local'],
    ['172.15.255.255', 'global'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'global'],
    ['192.168.0.1', 'private'],
    ['198.18.0.1', 'reserved'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['240.0.0.1', 'reserved'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['fd20:ce::254', 'metadata'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::127.0.0.1', 'ipv4-compatible'],
    ['64:ff9b::7f00:1', 'nat64'],
    ['64:ff9b:1::1', 'nat64-local'],
    ['2002:7f00:1::', '6to4'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'teredo'],
    ['2001:db8::1', 'documentation'],
    ['fc00::1', 'unique-local'],
    ['fdff::1', 'unique-local'],
    ['fe80::1', 'link-local'],
    ['fec0::1', 'private'],
    ['ff02::1', 'multicast'],
    ['2606:4700::1111', 'global'],
    ['4000::1', 'reserved'],
    ['100::1', 'reserved'],
  ];
  for (const [text, kind] of table) {
    test(`${text} is ${kind}`, () => assert.equal(classifyIp(ip(text)), kind));
  }

  test('finds the IPv4 address behind translators and tunnels', () => {
    const behind = (text: string): string | null => {
      const found = embeddedIpv4(ip(text));
      return found === null ? null : formatIp(found);
    };
    assert.equal(behind('64:ff9b::10.0.0.1'), '10.0.0.1');
    assert.equal(behind('2002:a9fe:a9fe::1'), '169.254.169.254');
    assert.equal(behind('2001:0:4136:e378:8000:63bf:3fff:fdd2'), '192.0.2.45');
    assert.equal(behind('::127.0.0.1'), '127.0.0.1');
    assert.equal(behind('64:ff9b:1::10.0.0.1'), null);
    assert.equal(behind('2606:4700::1111'), null);
    assert.equal(behind('10.0.0.1'), null);
  });
});
