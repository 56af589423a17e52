import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { formatIpPort, parseIpPort } from './ip-port.ts';
import {
  encodeStunAnswer,
  encodeStunRequest,
  looksLikeStun,
  parseStunAnswer,
  parseStunRequest,
} from './stun.ts';

const TX = Buffer.from('0102030405060708090a0b0c', 'hex');

/* Answers of public servers, from the public client's tests (stun_test.go). */
const ANSWERS: readonly (readonly [string, string])[] = [
  ['0101000c2112a4422360b11e3ec68ffa93e080070020000800 01c7866957856f', '72.69.33.45:59028'],
  [
    '010100442112a442482eb64715e8b28eaead644400010008 0001e4ab4845212d000400080001271 0d90a44980005000800012711d9747a8a80200008 0001c5b96957856f80220010566f766964612e6f726720302e393600',
    '72.69.33.45:58539',
  ],
  [
    '010100242112a4427e57966829f444609d1deaa60001000800 01e9d34845212d0004000800010d964d48a9d4000500080001 0d974d48a9d5',
    '72.69.33.45:59859',
  ],
];

test('answers of public servers are read (RFC 8489 sections 14.1 and 14.2)', () => {
  for (const [hex, address] of ANSWERS) {
    const answer = parseStunAnswer(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    assert.equal(answer === null ? null : formatIpPort(answer.address), address);
  }
});

test('a request is 40 bytes, is taken as one, and its answer says the address in both families', () => {
  const request = encodeStunRequest(TX);
  assert.equal(request.length, 40);
  assert.deepEqual(parseStunRequest(request), TX);
  for (const text of ['192.0.2.7:3478', '[2001:db8::1]:65535']) {
    const address = parseIpPort(text);
    assert.ok(address !== null);
    assert.deepEqual(parseStunAnswer(encodeStunAnswer(TX, address)), { tx: TX, address });
  }
});

test('a request that was altered, or is of other software, is not ours to answer', () => {
  const request = encodeStunRequest(TX);
  for (let at = 0; at < request.length; at += 1) {
    const altered = Buffer.from(request);
    altered[at] = (altered[at] ?? 0) ^ 1;
    assert.equal(parseStunRequest(altered), null, `byte ${at}`);
  }
  assert.equal(parseStunRequest(Buffer.concat([request, Buffer.alloc(4)])), null);
});

test('anything is parsed without an exception', () => {
  const head = Buffer.from('010100182112a442', 'hex');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (array, hasHead) => {
      const bytes = Buffer.concat([hasHead ? head : Buffer.alloc(0), array]);
      looksLikeStun(bytes);
      parseStunAnswer(bytes);
      parseStunRequest(bytes);
    }),
    { numRuns: 2000 },
  );
});
