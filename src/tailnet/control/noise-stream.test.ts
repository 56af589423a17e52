/** The encrypted connection of a device, below HTTP/2. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { NoiseStream } from './noise-stream.ts';

/** A connection whose other side reads nothing more: what is written, and the end, never leave. */
class Stuck extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  override _final(): void {}
}

test('a device that ends its half while it is being written to loses its connection, not the process its life', async () => {
  const raw = new Stuck();
  const keys = { send: Buffer.alloc(32, 1), receive: Buffer.alloc(32, 2), handshakeHash: Buffer.alloc(32) };
  const stream = new NoiseStream({ raw, head: Buffer.alloc(0), keys });
  const session = http2.performServerHandshake(stream);
  session.on('error', () => undefined);
  raw.push(null);
  /* As a map stream does when a peer changes. */
  for (let turn = 0; turn < 5 && !session.destroyed; turn += 1) {
    session.ping(() => undefined);
    await new Promise(setImmediate);
  }
  if (!stream.closed) await once(stream, 'close');
  assert.ok(raw.destroyed);
});
