import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { open, seal, SEAL_OVERHEAD_BYTES } from './aead.ts';

const KEY = new Uint8Array(32).fill(3);
const refused = { code: 'crypto_open_failed' };

test('what was sealed opens with the same key and context', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'grapheme' }), (plaintext, context) => {
      const sealed = seal(KEY, plaintext, context);
      assert.equal(sealed.byteLength, plaintext.byteLength + SEAL_OVERHEAD_BYTES);
      assert.deepEqual(Uint8Array.from(open(KEY, sealed, context)), plaintext);
    }),
  );
});

test('sealing twice never gives the same bytes', () => {
  assert.notDeepEqual(seal(KEY, Buffer.from('x'), 'c'), seal(KEY, Buffer.from('x'), 'c'));
});

test('a change of any byte, of the key or of the context is refused', () => {
  const sealed = seal(KEY, Buffer.from('secret'), 'here');
  for (let i = 0; i < sealed.byteLength; i += 1) {
    const altered = Uint8Array.from(sealed);
    altered[i] = (altered[i] ?? 0) ^ 1;
    assert.throws(() => open(KEY, altered, 'here'), refused, `byte ${i}`);
  }
  assert.throws(() => open(new Uint8Array(32), sealed, 'here'), refused);
  assert.throws(() => open(KEY, sealed, 'there'), refused);
});

test('no bytes make opening fail in another way', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (garbage) => {
      assert.throws(() => open(KEY, garbage, ''), refused);
    }),
  );
});

test('the failure does not tell what was wrong, and holds no bytes', () => {
  const sealed = seal(KEY, Buffer.from('very secret'), 'here');
  assert.throws(
    () => open(KEY, sealed, 'there'),
    (error: Error) => !error.message.includes('secret') && !error.message.includes('there'),
  );
});

test('a key of the wrong length is a fault of the program', () => {
  assert.throws(() => seal(new Uint8Array(16), new Uint8Array(1), ''), /32 bytes, got 16/);
  assert.throws(() => open(new Uint8Array(16), new Uint8Array(40), ''), refused);
});
