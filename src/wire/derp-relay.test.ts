import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { DERP_FRAME, encodeDerpFrame, parseDerpServerFrame } from './derp.ts';
import {
  encodeDerpHealth,
  encodeDerpPeerGone,
  encodeDerpRestarting,
  parseDerpClientInfo,
  parseDerpNotePreferred,
  parseDerpPing,
  turnDerpSendIntoReceive,
} from './derp-relay.ts';

const KEY = Buffer.alloc(32, 7);

function asClient(frame: Buffer): ReturnType<typeof parseDerpServerFrame> {
  return parseDerpServerFrame(frame.readUInt8(0), frame.subarray(5));
}

test('what a relay writes is what clients read', () => {
  assert.deepEqual(asClient(encodeDerpPeerGone(KEY, 'not_here')), {
    type: 'peer_gone',
    peer: KEY,
    reason: 'not_here',
  });
  assert.deepEqual(asClient(encodeDerpPeerGone(KEY, 'disconnected')), {
    type: 'peer_gone',
    peer: KEY,
    reason: 'disconnected',
  });
  assert.deepEqual(asClient(encodeDerpHealth('twice')), { type: 'health', problem: 'twice' });
  assert.deepEqual(asClient(encodeDerpHealth('')), { type: 'health', problem: '' });
  assert.equal(encodeDerpHealth('x'.repeat(2000)).length, 505);
  assert.deepEqual(asClient(encodeDerpRestarting(1000, 5000)), {
    type: 'restarting',
    reconnectInMs: 1000,
    tryForMs: 5000,
  });
});

test('a send frame becomes the receive frame where it lies, and nothing around it changes', () => {
  const sent = encodeDerpFrame(DERP_FRAME.sendPacket, Buffer.alloc(32, 1), Buffer.from('packet'));
  const bytes = Buffer.concat([Buffer.from('before'), sent, Buffer.from('after')]);
  turnDerpSendIntoReceive(bytes, 6, KEY);
  assert.deepEqual(asClient(bytes.subarray(6, 6 + sent.length)), {
    type: 'packet',
    source: KEY,
    packet: Buffer.from('packet'),
  });
  assert.equal(bytes.subarray(0, 6).toString(), 'before');
  assert.equal(bytes.subarray(-5).toString(), 'after');
});

test('bodies of a wrong length are refused', () => {
  assert.equal(parseDerpClientInfo(Buffer.alloc(55)), null);
  assert.equal(parseDerpClientInfo(Buffer.alloc(56))?.box.length, 0);
  assert.equal(parseDerpNotePreferred(Buffer.alloc(0)), null);
  assert.equal(parseDerpNotePreferred(Buffer.alloc(2)), null);
  assert.equal(parseDerpNotePreferred(Buffer.of(0)), false);
  assert.equal(parseDerpNotePreferred(Buffer.of(1)), true);
  assert.equal(parseDerpPing(Buffer.alloc(7)), null);
  assert.equal(parseDerpPing(Buffer.alloc(1001)), null);
  assert.equal(parseDerpPing(Buffer.alloc(1000))?.length, 8);
});

test('anything is read without an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const body = Buffer.from(bytes);
      parseDerpClientInfo(body);
      parseDerpNotePreferred(body);
      parseDerpPing(body);
    }),
    { numRuns: 500 },
  );
});
