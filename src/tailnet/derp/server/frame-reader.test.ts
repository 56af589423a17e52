import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { encodeDerpFrame } from '../../../wire/derp.ts';
import { FrameReader } from './frame-reader.ts';

function readAll(chunks: readonly Buffer[], bodyMaxBytes = 1000): { frames: string[]; isSound: boolean } {
  const reader = new FrameReader(bodyMaxBytes);
  const frames: string[] = [];
  for (const chunk of chunks) {
    const isSound = reader.push(chunk, (bytes, start, end) => {
      frames.push(bytes.toString('hex', start, end));
      return true;
    });
    if (!isSound) return { frames, isSound };
  }
  return { frames, isSound: true };
}

test('frames come out whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 60 })), { maxLength: 12 }),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 20 }),
      (wanted, cuts) => {
        const frames = wanted.map(([type, body]) => encodeDerpFrame(type, body));
        const stream = Buffer.concat(frames);
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const next = at + 1 + (cuts[i % cuts.length] ?? 0);
          chunks.push(Buffer.from(stream.subarray(at, next)));
          at = next;
        }
        assert.deepEqual(readAll(chunks), {
          frames: frames.map((frame) => frame.toString('hex')),
          isSound: true,
        });
      },
    ),
  );
});

test('frames within a chunk are given where they lie; only one that spans chunks is copied', () => {
  const one = encodeDerpFrame(1, Buffer.from('one'));
  const two = encodeDerpFrame(2, Buffer.from('two'));
  const chunk = Buffer.concat([one, two, two.subarray(0, 6)]);
  const reader = new FrameReader(100);
  const given: [boolean, number, number][] = [];
  const note = (bytes: Buffer, start: number, end: number): boolean =>
    given.push([bytes === chunk, start, end]) > 0;
  reader.push(chunk, note);
  reader.push(Buffer.from(two.subarray(6)), note);
  assert.deepEqual(given, [
    [true, 0, 8],
    [true, 8, 16],
    [false, 0, 8],
  ]);
});

test('a body over the limit breaks the stream, in one chunk and byte by byte', () => {
  const frame = encodeDerpFrame(1, Buffer.alloc(11));
  assert.equal(readAll([frame], 10).isSound, false);
  assert.equal(
    readAll(
      [...frame].map((byte) => Buffer.of(byte)),
      10,
    ).isSound,
    false,
  );
  assert.equal(readAll([frame], 11).frames.length, 1);
});

test('a handler that stops is asked no more', () => {
  const reader = new FrameReader(100);
  let count = 0;
  const isSound = reader.push(Buffer.concat([encodeDerpFrame(1), encodeDerpFrame(2)]), () => {
    count += 1;
    return false;
  });
  assert.deepEqual([isSound, count], [false, 1]);
});
