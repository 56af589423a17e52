import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import {
  DERP_BODY_MAX_BYTES,
  DERP_FRAME,
  DERP_PACKET_MAX_BYTES,
  derpBodyBytes,
  encodeDerpFrame,
  encodeDerpServerKey,
  parseDerpServerFrame,
} from './derp.ts';

const KEY = Buffer.alloc(32, 7);

function parse(frame: Buffer): ReturnType<typeof parseDerpServerFrame> {
  return parseDerpServerFrame(frame.readUInt8(0), frame.subarray(5));
}

test('a frame is a type, a length and its parts', () => {
  assert.equal(
    encodeDerpFrame(0x04, Buffer.from('ab'), Buffer.from('c')).toString('hex'),
    '0400000003616263',
  );
  assert.equal(derpBodyBytes(Buffer.from('0400000003', 'hex')), 3);
  assert.equal(derpBodyBytes(Buffer.from('0400100001', 'hex')), null, `more than ${DERP_BODY_MAX_BYTES}`);
});

test('what a server says is read', () => {
  assert.deepEqual(parse(encodeDerpServerKey(KEY)), { type: 'server_key', key: KEY });
  assert.deepEqual(parse(encodeDerpFrame(DERP_FRAME.receivePacket, KEY, Buffer.from('x'))), {
    type: 'packet',
    source: KEY,
    packet: Buffer.from('x'),
  });
  assert.deepEqual(parse(encodeDerpFrame(DERP_FRAME.peerGone, KEY)), {
    type: 'peer_gone',
    peer: KEY,
    reason: 'disconnected',
  });
  assert.deepEqual(parse(encodeDerpFrame(DERP_FRAME.peerGone, KEY, Uint8Array.of(1))), {
    type: 'peer_gone',
    peer: KEY,
    reason: 'not_here',
  });
  const address = Buffer.from('00000000000000000000ffffc0000201a2a9', 'hex');
  const present = parse(encodeDerpFrame(DERP_FRAME.peerPresent, KEY, address, Uint8Array.of(1)));
  assert.equal(present?.type === 'peer_present' ? present.address?.port : null, 0xa2a9);
  assert.deepEqual(parse(encodeDerpFrame(DERP_FRAME.restarting, Buffer.from('000003e800001388', 'hex'))), {
    type: 'restarting',
    reconnectInMs: 1000,
    tryForMs: 5000,
  });
  assert.deepEqual(parse(encodeDerpFrame(DERP_FRAME.health, Buffer.from('twice'))), {
    type: 'health',
    problem: 'twice',
  });
});

test('a greeting without the magic, a short frame and a packet that is too long are none', () => {
  assert.equal(parseDerpServerFrame(DERP_FRAME.serverKey, Buffer.alloc(40)), null);
  for (const type of Object.values(DERP_FRAME)) {
    if (type === DERP_FRAME.keepAlive || type === DERP_FRAME.health) continue;
    assert.equal(parseDerpServerFrame(type, Buffer.alloc(7)), null, `type ${type}`);
  }
  assert.equal(
    parseDerpServerFrame(DERP_FRAME.receivePacket, Buffer.alloc(33 + DERP_PACKET_MAX_BYTES)),
    null,
  );
});

test('anything is parsed without an exception', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 100 }), (type, body) => {
      parseDerpServerFrame(type, Buffer.from(body));
    }),
    { numRuns: 2000 },
  );
});
