import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeBase32, newId } from './ids.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** The definition, a bit at a time. */
function plainBase32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => ALPHABET.charAt(Number.parseInt(group.padEnd(5, '0'), 2))).join('');
}

test('base 32 is five bits a character, the last ones filled with zeros', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.equal(encodeBase32(bytes), plainBase32(bytes));
    }),
  );
});

test('ids sort by the time of their creation, and the rest is all random bits', () => {
  const at = (now: number, fill: number): string =>
    newId(
      'req',
      { now: () => now, monotonicMs: () => 0 },
      { bytes: (count) => new Uint8Array(count).fill(fill) },
    );
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.integer({ min: 1, max: 2 ** 40 }), (time, later) => {
      const [first, second] = [at(time, 0xff), at(time + later, 0)];
      assert.match(first, /^req_[0-9a-hjkmnp-tv-z]{26}$/);
      assert.ok(first < second);
    }),
  );
  assert.equal(at(1_790_000_000_123, 0xff), `req_01m3250v3v${'z'.repeat(16)}`);
});
