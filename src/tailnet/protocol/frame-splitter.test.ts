import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { FrameSplitter } from './frame-splitter.ts';

const SHAPE = {
  headerBytes: 2,
  bodyBytes: (header: Buffer): number | null => ((header[1] ?? 0) > 50 ? null : (header[1] ?? 0)),
};

function frame(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(type, body.length), body]);
}

test('frames are the same however the stream is cut', () => {
  const frames = fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 50 })), { maxLength: 10 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(([type, body]) => frame(type, body)));
      const splitter = new FrameSplitter(SHAPE);
      const got: [number, number[]][] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const length = cuts[turn % cuts.length] ?? 1;
        const isWhole = splitter.push(Buffer.from(stream.subarray(at, at + length)), (header, body) => {
          got.push([header.readUInt8(0), [...body]]);
          return true;
        });
        assert.equal(isWhole, true);
        at += length;
      }
      assert.deepEqual(
        got,
        sent.map(([type, body]) => [type, [...body]]),
      );
      assert.equal(splitter.isBetweenFrames, true);
    }),
  );
});

test('a length that is refused breaks the stream for good, before its body is kept', () => {
  const splitter = new FrameSplitter(SHAPE);
  const got: number[] = [];
  const take = (header: Buffer): boolean => got.push(header.readUInt8(0)) > 0;
  assert.equal(
    splitter.push(Buffer.concat([frame(1, Buffer.from('a')), Buffer.from([2, 51, 0])]), take),
    false,
  );
  assert.equal(splitter.push(frame(3, Buffer.from('a')), take), false);
  assert.deepEqual(got, [1]);
});
