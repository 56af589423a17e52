import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { contentCodingOf, decodeBody, type ContentCoding } from './decode-body.ts';
import { createBodyBudget } from './read-body.ts';
import { Refused } from './reasons.ts';

const ENCODERS: readonly (readonly [coding: ContentCoding, encode: (body: Buffer) => Buffer])[] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
];
const MAX_BYTES = 1_000_000;

function isRefused(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Refused && error.code === code;
}

test('each coding gives the plain body back, which the budget holds (RFC 9110 section 8.4)', async () => {
  for (const [coding, encode] of ENCODERS)
    for (const text of ['', '{"model":"m"}', 'x'.repeat(300_000)]) {
      const budget = createBodyBudget(MAX_BYTES);
      const decoded = await decodeBody(encode(Buffer.from(text)), coding, { maxBytes: MAX_BYTES, budget });
      assert.equal(decoded.toString(), text, coding);
      assert.equal(budget.heldBytes, text.length);
    }
});

test('a few bytes that would become many are refused at the limit, and hold nothing', async () => {
  for (const [coding, encode] of ENCODERS) {
    const bomb = encode(Buffer.alloc(64 * 1024 * 1024));
    const budget = createBodyBudget(10 * MAX_BYTES);
    const decoding = decodeBody(bomb, coding, { maxBytes: MAX_BYTES, budget });
    await assert.rejects(decoding, isRefused('body_too_large'), coding);
    assert.equal(budget.heldBytes, 0);
    const small = createBodyBudget(1_000);
    await assert.rejects(
      decodeBody(bomb, coding, { maxBytes: 10 * MAX_BYTES, budget: small }),
      isRefused('overloaded'),
    );
    assert.equal(small.heldBytes, 0);
  }
});

test('a zstd window beyond that of the coding is refused (RFC 9659 section 3)', async () => {
  // Magic, descriptor without a content size, window of 128 MiB, one last raw block of one byte.
  const frame = Buffer.from('28b52ffd008809000061', 'hex');
  const budget = createBodyBudget(MAX_BYTES);
  await assert.rejects(decodeBody(frame, 'zstd', { maxBytes: MAX_BYTES, budget }), isRefused('body_invalid'));
});

test('bytes that are not of the coding, cut short included, are refused', async () => {
  for (const [coding, encode] of ENCODERS) {
    const budget = createBodyBudget(MAX_BYTES);
    const whole = encode(Buffer.from('hello '.repeat(1000)));
    for (const bytes of [Buffer.from('{"model":"m"}'), whole.subarray(0, whole.length - 3)]) {
      await assert.rejects(
        decodeBody(bytes, coding, { maxBytes: MAX_BYTES, budget }),
        isRefused('body_invalid'),
        coding,
      );
      assert.equal(budget.heldBytes, 0);
    }
  }
});

test('whatever the bytes, decoding ends with a body or a refusal, and the budget fits', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ENCODERS.map(([coding]) => coding)),
      fc.uint8Array({ maxLength: 200 }),
      async (coding, bytes) => {
        const budget = createBodyBudget(MAX_BYTES);
        const held = await decodeBody(Buffer.from(bytes), coding, { maxBytes: MAX_BYTES, budget }).then(
          ({ length }) => length,
          (error: unknown) => {
            assert.ok(error instanceof Refused);
            return 0;
          },
        );
        assert.equal(budget.heldBytes, held);
      },
    ),
  );
});

test('an unknown coding and a list of codings are refused', () => {
  const of = (value: string | undefined): string | null =>
    contentCodingOf({ headers: value === undefined ? {} : { 'content-encoding': value } });
  assert.deepEqual([of(undefined), of('identity'), of('GZIP'), of('zstd')], [null, null, 'gzip', 'zstd']);
  for (const value of ['compress', 'gzip, zstd', 'gzip,gzip', 'aes128gcm', 'constructor'])
    assert.throws(() => of(value), isRefused('encoding_unsupported'), value);
});
