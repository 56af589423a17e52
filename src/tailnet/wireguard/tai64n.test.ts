import '../../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isLater, nextTai64n } from './tai64n.ts';

test('a timestamp is 2^62 + 10 + Unix seconds, then nanoseconds in steps of 2^24', () => {
  assert.equal(nextTai64n(0, null).toString('hex'), '400000000000000a00000000');
  assert.equal(nextTai64n(1_000_500, null).toString('hex'), '40000000000003f21d000000');
});

test('property: timestamps rise whatever the clock does, and stay well-formed', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e6, max: 1e14, noNaN: true }), { maxLength: 200 }), (times) => {
      let previous: Buffer | null = null;
      for (const time of times) {
        const stamp: Buffer = nextTai64n(time, previous);
        assert.ok(previous === null || isLater(stamp, previous));
        assert.ok(stamp.readUInt32BE(8) < 1_000_000_000);
        previous = stamp;
      }
    }),
  );
});
