import { EventStreamCodec } from '@smithy/eventstream-codec';
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { AppError } from '../base/errors.ts';
import {
  createEventStreamDecoder,
  decodeEventStreamMessage,
  encodeEventStreamMessage,
  eventStreamText,
} from './aws-event-stream.ts';
import type { EventStreamMessage, EventStreamValue } from './aws-event-stream.ts';

/** AWS's own implementation, as the judge. */
const smithy = new EventStreamCodec(
  (bytes) => Buffer.from(typeof bytes === 'string' ? bytes : bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

const value: fc.Arbitrary<EventStreamValue> = fc.oneof(
  fc.boolean().map((value) => ({ type: 'boolean' as const, value })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: 'byte' as const, value })),
  fc.integer({ min: -32_768, max: 32_767 }).map((value) => ({ type: 'short' as const, value })),
  fc.integer().map((value) => ({ type: 'integer' as const, value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type: 'long' as const, value })),
  fc.uint8Array({ maxLength: 100 }).map((value) => ({ type: 'binary' as const, value })),
  fc.string({ unit: 'grapheme' }).map((value) => ({ type: 'string' as const, value })),
  fc.bigInt({ min: 0n, max: 8_640_000_000_000_000n }).map((value) => ({ type: 'timestamp' as const, value })),
  fc.uuid().map((value) => ({ type: 'uuid' as const, value })),
);
// AWS's codec keeps headers in a plain object, which loses this one name.
const name = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => text !== '__proto__');
const message: fc.Arbitrary<EventStreamMessage> = fc.record({
  headers: fc.array(fc.tuple(name, value), { maxLength: 6 }).map((pairs) => new Map(pairs)),
  payload: fc.uint8Array({ maxLength: 300 }),
});

test('a frame decodes to what was encoded', () => {
  fc.assert(
    fc.property(message, (given) =>
      assertSame(decodeEventStreamMessage(encodeEventStreamMessage(given)), given),
    ),
  );
});

test("AWS's codec reads our frames and we read its frames, byte for byte", () => {
  fc.assert(
    fc.property(message, (given) => {
      const ours = encodeEventStreamMessage(given);
      const read = smithy.decode(ours);
      assert.deepEqual([...Buffer.from(read.body)], [...given.payload]);
      assert.deepEqual(Object.keys(read.headers).sort(), [...given.headers.keys()].sort());
      const theirs = smithy.encode(read);
      assertSame(decodeEventStreamMessage(theirs), given);
    }),
  );
});

test('any split of the stream gives the same frames', () => {
  const streams = fc.tuple(fc.array(message, { maxLength: 5 }), fc.array(fc.nat(40), { maxLength: 60 }));
  fc.assert(
    fc.property(streams, ([messages, cuts]) => {
      const bytes = Buffer.concat(messages.map(encodeEventStreamMessage));
      const decoder = createEventStreamDecoder();
      const got: EventStreamMessage[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        got.push(...decoder.push(bytes.subarray(at, Math.min(at + cut, bytes.length))));
        at = Math.min(at + cut, bytes.length);
      }
      decoder.finish();
      assert.equal(got.length, messages.length);
      got.forEach((frame, index) => assertSame(frame, messages[index] ?? frame));
    }),
  );
});

test('a known frame: layout of the header comment', () => {
  const frame = encodeEventStreamMessage({
    headers: new Map([[':event-type', { type: 'string', value: 'chunk' }]]),
    payload: Buffer.from('{}'),
  });
  assert.equal(frame.readUInt32BE(0), frame.length);
  assert.equal(frame.readUInt32BE(4), 1 + 11 + 1 + 2 + 5);
  assert.equal(frame.readUInt32BE(8), crc32(frame.subarray(0, 8)));
  assert.equal(frame.subarray(12, 24).toString('latin1'), '\x0b:event-type');
  assert.equal(frame.readUInt32BE(frame.length - 4), crc32(frame.subarray(0, -4)));
  assert.equal(eventStreamText(decodeEventStreamMessage(frame), ':event-type'), 'chunk');
  assert.equal(eventStreamText(decodeEventStreamMessage(frame), 'absent'), null);
});

test('arbitrary bytes never throw anything but the closed codes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 6 }), (chunks) => {
      const decoder = createEventStreamDecoder();
      try {
        for (const chunk of chunks) decoder.push(chunk);
        decoder.finish();
      } catch (error) {
        assert.ok(error instanceof AppError && error.code.startsWith('event_stream_'), String(error));
      }
    }),
  );
});

test('header bytes of any kind under right checksums never throw anything but the closed codes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (headers) => {
      try {
        createEventStreamDecoder().push(frameOf(headers, Buffer.from('x')));
      } catch (error) {
        assert.ok(error instanceof AppError && error.code.startsWith('event_stream_'), String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('one flipped bit anywhere is noticed', () => {
  const frame = encodeEventStreamMessage({
    headers: new Map([['a', { type: 'integer', value: 7 }]]),
    payload: Buffer.from('hello'),
  });
  for (let bit = 0; bit < frame.length * 8; bit += 1) {
    const broken = Buffer.from(frame);
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => createEventStreamDecoder().push(broken), { code: 'event_stream_checksum' });
  }
});

test('a frame beyond the limit is refused on its prelude, before its bytes arrive', () => {
  const decoder = createEventStreamDecoder({ payloadMaxBytes: 1_000 });
  assert.throws(() => decoder.push(preludeOf(1_017, 0)), { code: 'event_stream_too_large' });
  assert.throws(() => createEventStreamDecoder().push(preludeOf(0xffff_ffff, 0)), {
    code: 'event_stream_too_large',
  });
  assert.throws(() => createEventStreamDecoder().push(preludeOf(200_000, 150_000)), {
    code: 'event_stream_too_large',
  });
});

test('a frame shorter than its headers is refused', () => {
  assert.throws(() => createEventStreamDecoder().push(preludeOf(20, 5)), { code: 'event_stream_malformed' });
});

test('an end within a frame is an error, and so is anything after an error', () => {
  const frame = encodeEventStreamMessage({ headers: new Map(), payload: Buffer.from('abc') });
  const cut = createEventStreamDecoder();
  cut.push(frame.subarray(0, 13));
  assert.throws(() => cut.finish(), { code: 'event_stream_truncated' });
  const failed = createEventStreamDecoder();
  assert.throws(() => failed.push(Buffer.alloc(16, 1)), { code: 'event_stream_checksum' });
  assert.throws(() => failed.push(frame), { code: 'event_stream_checksum' });
  assert.throws(() => failed.finish(), { code: 'event_stream_checksum' });
});

test('good frames before a bad one are given, however the stream was cut', () => {
  const good = encodeEventStreamMessage({ headers: new Map(), payload: Buffer.from('abc') });
  const bytes = Buffer.concat([good, good, Buffer.alloc(16, 1)]);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const decoder = createEventStreamDecoder();
    let frames = 0;
    assert.throws(
      () => {
        for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)])
          frames += decoder.push(chunk).length;
        decoder.finish();
      },
      { code: 'event_stream_checksum' },
    );
    assert.equal(frames, 2, `cut at ${cut}`);
  }
});

test('a header without a name, of an unknown type, beyond its end, or not UTF-8 is refused', () => {
  for (const headers of [
    [0, 0],
    [1, 97, 10],
    [1, 97, 7, 0, 9, 98],
    [1, 97, 4, 0],
    [1, 0xff, 0],
    [9, 97],
  ]) {
    assert.throws(() => createEventStreamDecoder().push(frameOf(Buffer.from(headers), Buffer.alloc(0))), {
      code: 'event_stream_malformed',
    });
  }
});

test('the encoder refuses what does not fit', () => {
  const encode =
    (header: EventStreamValue, headerName = 'a') =>
    (): Buffer =>
      encodeEventStreamMessage({ headers: new Map([[headerName, header]]), payload: Buffer.alloc(0) });
  assert.throws(encode({ type: 'byte', value: 128 }), { code: 'event_stream_malformed' });
  assert.throws(encode({ type: 'integer', value: 1.5 }), { code: 'event_stream_malformed' });
  assert.throws(encode({ type: 'long', value: 2n ** 63n }), { code: 'event_stream_malformed' });
  assert.throws(encode({ type: 'uuid', value: 'x' }), { code: 'event_stream_malformed' });
  assert.throws(encode({ type: 'boolean', value: true }, ''), { code: 'event_stream_malformed' });
  assert.throws(encode({ type: 'string', value: 'x'.repeat(65_536) }), { code: 'event_stream_too_large' });
});

test('a frame in one-byte chunks costs no more than its length', () => {
  const frame = encodeEventStreamMessage({ headers: new Map(), payload: Buffer.alloc(400_000, 7) });
  const decoder = createEventStreamDecoder();
  const started = performance.now();
  let frames = 0;
  for (let at = 0; at < frame.length; at += 1) frames += decoder.push(frame.subarray(at, at + 1)).length;
  assert.equal(frames, 1);
  // Joining at every chunk would copy 80 GB here.
  assert.ok(performance.now() - started < 5_000);
});

function assertSame(got: EventStreamMessage, expected: EventStreamMessage): void {
  assert.deepEqual(plain(got), plain(expected));
}

function plain(frame: EventStreamMessage): unknown {
  const headers = [...frame.headers].map(([header, { type, value: content }]) => [
    header,
    type,
    content instanceof Uint8Array ? Buffer.from(content).toString('hex') : content,
  ]);
  return {
    headers: headers.toSorted((a, b) => (a < b ? -1 : 1)),
    payload: Buffer.from(frame.payload).toString('hex'),
  };
}

function preludeOf(total: number, headers: number): Buffer {
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(total, 0);
  prelude.writeUInt32BE(headers, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  return prelude;
}

function frameOf(headers: Uint8Array, payload: Uint8Array): Buffer {
  const head = Buffer.concat([
    preludeOf(16 + headers.length + payload.length, headers.length),
    headers,
    payload,
  ]);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(head));
  return Buffer.concat([head, tail]);
}
