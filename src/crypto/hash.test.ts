import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { constantTimeEqual, hashChainNext, hmacSha256, keyedHash, sha256, sha256Hex } from './hash.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

test('SHA-256 gives the digest of FIPS 180-4’s example', () => {
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(sha256Hex('abc'), expected);
  assert.equal(hex(sha256(bytes('abc'))), expected);
});

test('HMAC-SHA-256 gives the values of RFC 4231, cases 1 and 2', () => {
  assert.equal(
    hex(hmacSha256(new Uint8Array(20).fill(0x0b), 'Hi There')),
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  );
  assert.equal(
    hex(hmacSha256(bytes('Jefe'), 'what do ya want for nothing?')),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('a keyed hash tells parts apart: moving a byte from one to the next changes it', () => {
  const key = new Uint8Array(32);
  assert.notDeepEqual(keyedHash(key, bytes('ab'), bytes('c')), keyedHash(key, bytes('a'), bytes('bc')));
  assert.notDeepEqual(keyedHash(key, bytes('ab')), keyedHash(key, bytes('ab'), bytes('')));
  assert.deepEqual(keyedHash(key, bytes('ab'), bytes('c')), keyedHash(key, bytes('ab'), bytes('c')));
});

test('a chain link depends on the key, the link before and the row', () => {
  const key = new Uint8Array(32);
  const first = hashChainNext(key, new Uint8Array(32), bytes('row'));
  assert.notDeepEqual(hashChainNext(key, first, bytes('row')), first);
  assert.notDeepEqual(hashChainNext(new Uint8Array(32).fill(1), new Uint8Array(32), bytes('row')), first);
  assert.notDeepEqual(hashChainNext(key, new Uint8Array(32), bytes('rov')), first);
});

test('constant-time equality is equality, also for different lengths', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      assert.equal(constantTimeEqual(a, b), Buffer.compare(a, b) === 0);
      assert.equal(constantTimeEqual(a, Uint8Array.from(a)), true);
    }),
  );
});
