import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import {
  coversWhole,
  difference,
  formatRange,
  overlapsAny,
  parseIpRange,
  prefixesOf,
  unionOf,
  type IpRange,
} from './ip-ranges.ts';

/** In a small space, so that ranges meet. */
const range = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.nat(60), fc.nat(12))
  .map(([family, first, length]): IpRange => ({
    family,
    first: BigInt(first),
    last: BigInt(first + length),
  }));
const ranges = fc.array(range, { maxLength: 8 });

function addressesOf(list: readonly IpRange[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { family, first, last } of list)
    for (let at = first; at <= last; at += 1n) found.add(`${family} ${at}`);
  return found;
}

test('union and difference are those of the sets of addresses', () => {
  fc.assert(
    fc.property(ranges, ranges, (a, b) => {
      const union = unionOf([...a, ...b]);
      assert.deepEqual(addressesOf(union), addressesOf(unionOf([...b, ...a])));
      assert.deepEqual([...addressesOf(union)].sort(), [...addressesOf([...a, ...b])].sort());
      const counted = union.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
      assert.equal(counted, BigInt(addressesOf(union).size), 'no address stands in two ranges');
      const left = addressesOf(difference(unionOf(a), unionOf(b)));
      const taken = addressesOf(b);
      assert.deepEqual([...left].sort(), [...addressesOf(a)].filter((one) => !taken.has(one)).sort());
    }),
  );
});

test('overlap and cover are found in any sorted set', () => {
  fc.assert(
    fc.property(ranges, range, (list, one) => {
      const set = addressesOf(list);
      const asked = [...addressesOf([one])];
      assert.equal(
        overlapsAny(unionOf(list), one),
        asked.some((address) => set.has(address)),
      );
      assert.equal(
        coversWhole(unionOf(list), one),
        asked.every((address) => set.has(address)),
      );
    }),
  );
});

test('a range is the fewest prefixes that make it up, and its text is read back', () => {
  fc.assert(
    fc.property(range, (one) => {
      const parts = prefixesOf(one).map((text) => parseIpRange(text));
      assert.deepEqual(unionOf(parts.flatMap((part) => part ?? [])), [one]);
      assert.deepEqual(parseIpRange(formatRange(one)), one);
    }),
  );
  assert.deepEqual(prefixesOf({ family: 4, first: 0n, last: (1n << 32n) - 1n }), ['0.0.0.0/0']);
  assert.equal(formatRange({ family: 6, first: 0n, last: (1n << 128n) - 1n }), '::/0');
});

test('what is no range is refused', () => {
  for (const text of ['', '10.0.0.9-10.0.0.1', '10.0.0.1-::1', '10.0.0.1/8', 'x', '1-2-3', '10.0.0.0/33']) {
    assert.equal(parseIpRange(text), null, text);
  }
});
