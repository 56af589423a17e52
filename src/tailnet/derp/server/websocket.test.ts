import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../../test/property-seed.ts';
import { isWebsocketKey, websocketAccept, websocketHeader, WebsocketReader } from './websocket.ts';

const MASK = [0x37, 0xfa, 0x21, 0x3d];

interface FrameOptions {
  readonly opcode?: number;
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
  readonly reserved?: number;
}

/** As a client sends it. */
function clientFrame(payload: Uint8Array, options: FrameOptions = {}): Buffer {
  const { opcode = 2, isFinal = true, isMasked = true, reserved = 0 } = options;
  const header = websocketHeader(payload.length, opcode);
  header[0] = (isFinal ? 0x80 : 0) | reserved | opcode;
  if (!isMasked) return Buffer.concat([header, payload]);
  header[1] = (header[1] ?? 0) | 0x80;
  const masked = payload.map((byte, i) => byte ^ (MASK[i % 4] ?? 0));
  return Buffer.concat([header, Buffer.from(MASK), masked]);
}

function read(chunks: readonly Buffer[]): { bytes: Buffer; answers: Buffer[]; end: unknown } {
  const bytes: Buffer[] = [];
  const answers: Buffer[] = [];
  const reader = new WebsocketReader({
    onBytes: (part) => bytes.push(Buffer.from(part)),
    onAnswer: (frame) => answers.push(frame),
  });
  let end: unknown = 'open';
  for (const chunk of chunks) {
    end = reader.push(Buffer.from(chunk));
    if (end !== 'open') break;
  }
  return { bytes: Buffer.concat(bytes), answers, end };
}

describe('WebSocket, from the client', () => {
  test('the accept value is that of RFC 6455 section 1.3, and only a key of 16 bytes is one', async () => {
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    assert.equal(await websocketAccept(key), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.ok(isWebsocketKey(key));
    for (const bad of [undefined, '', 'short==', `${key}x`, key.replace('d', '!')])
      assert.ok(!isWebsocketKey(bad));
  });

  test('the stream comes out whole, however it is cut into messages and chunks (section 5)', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 })),
          {
            maxLength: 8,
          },
        ),
        fc.array(fc.nat(50), { minLength: 1, maxLength: 10 }),
        (payloads, cuts) => {
          const stream = Buffer.concat(payloads.map((payload) => clientFrame(payload)));
          const chunks: Buffer[] = [];
          for (let at = 0, i = 0; at < stream.length; i += 1) {
            const next = at + 1 + (cuts[i % cuts.length] ?? 0);
            chunks.push(stream.subarray(at, next));
            at = next;
          }
          const { bytes, end } = read(chunks);
          assert.equal(end, 'open');
          assert.deepEqual(bytes, Buffer.concat(payloads));
        },
      ),
    );
  });

  test('a message of 70,000 bytes has an eight-byte length', () => {
    const payload = Buffer.alloc(70_000, 5);
    assert.deepEqual(read([clientFrame(payload)]).bytes, payload);
  });

  test('a message in pieces with a ping between them (section 5.4)', () => {
    const { bytes, answers } = read([
      clientFrame(Buffer.from('one '), { isFinal: false }),
      clientFrame(Buffer.from('hello'), { opcode: 9 }),
      clientFrame(Buffer.from('two'), { opcode: 0 }),
      clientFrame(Buffer.alloc(0), { opcode: 9 }),
      clientFrame(Buffer.from('ignored'), { opcode: 10 }),
    ]);
    assert.equal(bytes.toString(), 'one two');
    assert.deepEqual(
      answers.map((frame) => frame.toString('latin1')),
      ['\x8a\x05hello', '\x8a\x00'],
    );
  });

  test('of several pings in a chunk the last is answered (section 5.5.3)', () => {
    const pings = ['one', 'two'].map((text) => clientFrame(Buffer.from(text), { opcode: 9 }));
    const { answers } = read([Buffer.concat(pings)]);
    assert.deepEqual(
      answers.map((frame) => frame.toString('latin1')),
      ['\x8a\x03two'],
    );
  });

  test('a farewell ends it; nothing after it is read (section 5.5.1)', () => {
    const { bytes, end } = read([
      clientFrame(Buffer.from('x')),
      Buffer.concat([clientFrame(Buffer.of(3, 232), { opcode: 8 }), clientFrame(Buffer.from('y'))]),
    ]);
    assert.deepEqual([bytes.toString(), end], ['x', 'closed']);
  });

  test('refused: no mask, reserved bits and opcodes, text, wrong fragments, long control frames', () => {
    const x = Buffer.from('x');
    const bad: readonly (readonly [Buffer, number])[] = [
      [clientFrame(x, { isMasked: false }), 1002],
      [clientFrame(x, { reserved: 0x40 }), 1002],
      [clientFrame(x, { opcode: 3 }), 1002],
      [clientFrame(x, { opcode: 11 }), 1002],
      [clientFrame(x, { opcode: 1 }), 1003],
      [clientFrame(x, { opcode: 0 }), 1002],
      [Buffer.concat([clientFrame(x, { isFinal: false }), clientFrame(x)]), 1002],
      [clientFrame(x, { opcode: 9, isFinal: false }), 1002],
      [clientFrame(Buffer.alloc(126), { opcode: 9 }), 1002],
      [Buffer.from('82ff00000001000000000000000000', 'hex'), 1009],
    ];
    for (const [bytes, status] of bad) assert.equal(read([bytes]).end, status, bytes.toString('hex', 0, 8));
  });

  test('whatever bytes come, nothing is thrown, and no more comes out than went in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
        const { bytes } = read(chunks.map((chunk) => Buffer.from(chunk)));
        assert.ok(bytes.length <= chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      }),
    );
  });
});
