import '../../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cidrContains, parseIp } from '../../wire/ip.ts';
import type { Cidr, IpAddress } from '../../wire/ip.ts';
import { AllowedIps } from './allowed-ips.ts';
import { cidr } from './test-device.ts';

function bytesOf(ip: IpAddress): Buffer {
  const digits = ip.family === 4 ? 8 : 32;
  return Buffer.from(ip.value.toString(16).padStart(digits, '0'), 'hex');
}

function find(table: AllowedIps<string>, ip: IpAddress): string | null {
  return ip.family === 4 ? table.find4(bytesOf(ip), 0) : table.find6(bytesOf(ip), 0);
}

function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  assert.ok(parsed);
  return parsed;
}

test('the longest prefix has the address, in both families', () => {
  const table = new AllowedIps<string>();
  for (const [prefix, owner] of [
    ['0.0.0.0/0', 'all'],
    ['10.0.0.0/8', 'ten'],
    ['10.1.0.0/16', 'ten-one'],
    ['10.1.2.3/32', 'host'],
    ['::/0', 'all6'],
    ['fd7a:115c:a1e0::/48', 'tailnet'],
    ['fd7a:115c:a1e0::5/128', 'host6'],
  ] as const) {
    table.insert(cidr(prefix), owner);
  }
  for (const [address, owner] of [
    ['9.9.9.9', 'all'],
    ['10.2.0.1', 'ten'],
    ['10.1.2.4', 'ten-one'],
    ['10.1.2.3', 'host'],
    ['2001:db8::1', 'all6'],
    ['fd7a:115c:a1e0::4', 'tailnet'],
    ['fd7a:115c:a1e0::5', 'host6'],
  ] as const) {
    assert.equal(find(table, ip(address)), owner, address);
  }
});

test('a prefix has one owner: the last; the one before cannot take it away', () => {
  const table = new AllowedIps<string>();
  table.insert(cidr('10.0.0.1/32'), 'first');
  table.insert(cidr('10.0.0.1/32'), 'second');
  table.remove(cidr('10.0.0.1/32'), 'first');
  assert.equal(find(table, ip('10.0.0.1')), 'second');
  table.remove(cidr('10.0.0.1/32'), 'second');
  assert.equal(find(table, ip('10.0.0.1')), null);
});

test('property: any inserts and removals give what a search through a list gives', () => {
  const prefix4 = fc.tuple(fc.nat(0xff), fc.integer({ min: 20, max: 32 })).map(([low, length]): Cidr => {
    const shift = BigInt(32 - length);
    return { family: 4, base: ((0x0a00_0000n + BigInt(low * 16)) >> shift) << shift, prefixLength: length };
  });
  const prefix6 = fc.tuple(fc.nat(0xffff), fc.integer({ min: 0, max: 128 })).map(([low, length]): Cidr => {
    const shift = BigInt(128 - length);
    const value = (0xfd00n << 112n) | (BigInt(low) << 60n) | BigInt(low);
    return { family: 6, base: (value >> shift) << shift, prefixLength: length };
  });
  const action = fc.record({
    cidr: fc.oneof(prefix4, prefix6),
    owner: fc.constantFrom('a', 'b', 'c'),
    isRemoval: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const table = new AllowedIps<string>();
      const list = new Map<string, { cidr: Cidr; owner: string }>();
      for (const { cidr: prefix, owner, isRemoval } of actions) {
        const key = `${prefix.family} ${prefix.base} ${prefix.prefixLength}`;
        if (!isRemoval) {
          table.insert(prefix, owner);
          list.set(key, { cidr: prefix, owner });
        } else {
          table.remove(prefix, owner);
          if (list.get(key)?.owner === owner) list.delete(key);
        }
      }
      for (const { cidr: prefix } of actions) {
        for (const value of [prefix.base, prefix.base + 1n]) {
          const address: IpAddress = { family: prefix.family, value };
          const expected = [...list.values()]
            .filter((entry) => cidrContains(entry.cidr, address))
            .toSorted((x, y) => y.cidr.prefixLength - x.cidr.prefixLength)[0];
          assert.equal(find(table, address), expected?.owner ?? null);
        }
      }
    }),
    { numRuns: 200 },
  );
});
