import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isStoreError } from '../../errors.ts';
import { decodeManifest, encodeManifest } from './manifest.ts';

const id = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 52 }));
const contentType = fc.option(fc.string({ unit: 'grapheme', maxLength: 200 }));

test('a manifest is read as it was written', () => {
  fc.assert(
    fc.property(
      fc.record(
        {
          requestId: fc.string(),
          requestItems: fc.array(id),
          requestContentType: contentType,
          responsePieces: fc.array(fc.record({ pack: id, start: id, length: id }, { noNullPrototype: true })),
          responseContentType: contentType,
          responseTruncated: fc.boolean(),
        },
        { noNullPrototype: true },
      ),
      (manifest) =>
        assert.deepEqual(decodeManifest(encodeManifest(manifest)), { ...manifest, responseItems: [] }),
    ),
  );
});

test('items that follow each other take one byte each', () => {
  const requestItems = Array.from({ length: 100 }, (_, i) => 1_000_000 + i);
  const empty = {
    requestId: 'req_1',
    requestContentType: null,
    responsePieces: [],
    responseContentType: null,
    responseTruncated: false,
  };
  assert.ok(encodeManifest({ ...empty, requestItems }).byteLength < 118);
});

test('other bytes are refused with store_corrupt, and never ask for memory', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 2), (bytes, version) => {
      try {
        decodeManifest(Uint8Array.of(version, ...bytes));
      } catch (error) {
        assert.ok(isStoreError(error) && error.code === 'store_corrupt');
      }
    }),
  );
  assert.throws(() => decodeManifest(Uint8Array.of(3, 0, 0, 0, 0, 0)), { code: 'store_corrupt' });
});

test('a manifest of version 1, whose answer is items, is still read', () => {
  const bytes = Uint8Array.of(1, 1, 6, ...Buffer.from('req_1'), 0, 2, 0x61, 2, 10, 2, 1, 20);
  assert.deepEqual(decodeManifest(bytes), {
    requestId: 'req_1',
    requestContentType: null,
    responseContentType: 'a',
    requestItems: [5, 6],
    responseItems: [10],
    responsePieces: [],
    responseTruncated: true,
  });
});
