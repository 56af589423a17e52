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
          responseItems: fc.array(id),
          responseContentType: contentType,
          responseTruncated: fc.boolean(),
        },
        { noNullPrototype: true },
      ),
      (manifest) => assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest),
    ),
  );
});

test('items that follow each other take one byte each', () => {
  const requestItems = Array.from({ length: 100 }, (_, i) => 1_000_000 + i);
  const empty = {
    requestId: 'req_1',
    requestContentType: null,
    responseItems: [],
    responseContentType: null,
    responseTruncated: false,
  };
  assert.ok(encodeManifest({ ...empty, requestItems }).byteLength < 118);
});

test('other bytes are refused with store_corrupt, and never ask for memory', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodeManifest(Uint8Array.of(1, ...bytes));
      } catch (error) {
        assert.ok(isStoreError(error) && error.code === 'store_corrupt');
      }
    }),
  );
  assert.throws(() => decodeManifest(Uint8Array.of(2, 0, 0, 0, 0, 0)), { code: 'store_corrupt' });
});
