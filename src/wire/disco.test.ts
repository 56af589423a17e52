import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import {
  DISCO_ENDPOINTS_MAX,
  type DiscoMessage,
  encodeDiscoEnvelope,
  encodeDiscoMessage,
  looksLikeDisco,
  parseDiscoEnvelope,
  parseDiscoMessage,
} from './disco.ts';
import { type IpPort, parseIpPort } from './ip-port.ts';

const TX = Buffer.from('0102030405060708090a0b0c', 'hex');
const NODE_KEY = Buffer.from(`0001020000${'00'.repeat(25)}1e1f`, 'hex');

function at(text: string): IpPort {
  const found = parseIpPort(text);
  assert.ok(found !== null);
  return found;
}

/* The forms of the public client's own tests (disco_test.go). */
const GOLDEN: readonly (readonly [string, DiscoMessage])[] = [
  [`0100${TX.toString('hex')}`, { type: 'ping', tx: TX, nodeKey: null, paddingBytes: 0 }],
  [
    `0100${TX.toString('hex')}${NODE_KEY.toString('hex')}000000`,
    { type: 'ping', tx: TX, nodeKey: NODE_KEY, paddingBytes: 3 },
  ],
  [
    `0200${TX.toString('hex')}00000000000000000000ffff0203040504d2`,
    { type: 'pong', tx: TX, source: at('2.3.4.5:1234') },
  ],
  [
    `0200${TX.toString('hex')}fed000000000000000000000000000121a0a`,
    { type: 'pong', tx: TX, source: at('[fed0::12]:6666') },
  ],
  ['0300', { type: 'call_me_maybe', endpoints: [] }],
  [
    '030000000000000000000000ffff010203040237200100000000000000000000000034560315',
    { type: 'call_me_maybe', endpoints: [at('1.2.3.4:567'), at('[2001::3456]:789')] },
  ],
];

test('messages are as the public client has them', () => {
  for (const [hex, message] of GOLDEN) {
    assert.equal(encodeDiscoMessage(message).toString('hex'), hex);
    assert.deepEqual(parseDiscoMessage(Buffer.from(hex, 'hex')), message);
  }
});

test('a longer message is taken, an unknown or short one is not', () => {
  assert.equal(parseDiscoMessage(Buffer.from(`0200${'00'.repeat(40)}`, 'hex'))?.type, 'pong');
  for (const hex of ['', '01', '0100', '0200010203', '0400', 'ff00']) {
    assert.equal(parseDiscoMessage(Buffer.from(hex, 'hex')), null, hex);
  }
});

test('call-me-maybe is bounded, and empty where its length or version is odd', () => {
  const many = Buffer.alloc(2 + 18 * 1000, 1);
  many[0] = 3;
  many[1] = 0;
  const message = parseDiscoMessage(many);
  assert.equal(message?.type === 'call_me_maybe' && message.endpoints.length, DISCO_ENDPOINTS_MAX);
  for (const hex of ['030001', `0301${'01'.repeat(18)}`]) {
    assert.deepEqual(parseDiscoMessage(Buffer.from(hex, 'hex')), { type: 'call_me_maybe', endpoints: [] });
  }
});

test('an envelope comes back in its parts; anything is parsed without an exception', () => {
  const bytes = (length: number): fc.Arbitrary<Buffer> =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(
      bytes(32),
      bytes(24),
      fc.uint8Array({ minLength: 16, maxLength: 80 }),
      (sender, nonce, box) => {
        const datagram = encodeDiscoEnvelope(sender, nonce, box);
        assert.ok(looksLikeDisco(datagram));
        assert.deepEqual(parseDiscoEnvelope(datagram), { sender, nonce, box: Buffer.from(box) });
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
      parseDiscoEnvelope(Buffer.from(array));
      parseDiscoMessage(Buffer.from(array));
    }),
  );
});
