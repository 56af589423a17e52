import '../../test/property-seed.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  buildCookieReply,
  buildInitiation,
  buildResponse,
  dataCounter,
  dataReceiver,
  macsOf,
  readCookieReply,
  readInitiation,
  readResponse,
  wireguardType,
  writeDataHeader,
} from './wireguard.ts';

const filled = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const index = fc.nat(0xffff_ffff);

test('property: what is built is read back, and has its type by length and first word (section 5.4)', () => {
  fc.assert(
    fc.property(index, index, filled(108), filled(48), filled(32), (a, b, first, second, cookie) => {
      const initiation = buildInitiation(a, first);
      assert.equal(wireguardType(initiation), 1);
      assert.deepEqual(readInitiation(initiation), { sender: a, noise: first });
      assert.equal(macsOf(initiation).coveredByMac1.byteLength, 116);
      assert.equal(macsOf(initiation).coveredByMac2.byteLength, 132);
      const response = buildResponse(a, b, second);
      assert.equal(wireguardType(response), 2);
      assert.deepEqual(readResponse(response), { sender: a, receiver: b, noise: second });
      assert.equal(macsOf(response).coveredByMac1.byteLength, 60);
      const nonce = first.subarray(0, 24);
      const reply = buildCookieReply({ receiver: a, nonce, sealedCookie: cookie });
      assert.equal(wireguardType(reply), 3);
      assert.deepEqual(readCookieReply(reply), { receiver: a, nonce, sealedCookie: cookie });
    }),
  );
});

test('property: a counter of data is exact up to 2^53 and large above', () => {
  const header = Buffer.alloc(32);
  fc.assert(
    fc.property(index, fc.maxSafeNat(), (receiver, counter) => {
      writeDataHeader(header, receiver, counter);
      assert.equal(wireguardType(header), 4);
      assert.equal(dataReceiver(header), receiver);
      assert.equal(dataCounter(header), counter);
      assert.equal(header.readBigUInt64LE(8), BigInt(counter));
    }),
  );
  header.fill(0xff, 8, 16);
  assert.ok(dataCounter(header) > Number.MAX_SAFE_INTEGER);
});

test('property: a datagram has a type only with that type’s length and zeros after it', () => {
  const lengths: Readonly<Record<number, (length: number) => boolean>> = {
    1: (length) => length === 148,
    2: (length) => length === 92,
    3: (length) => length === 64,
    4: (length) => length >= 32,
  };
  fc.assert(
    fc.property(fc.nat(6), fc.nat(200), fc.nat(255), (type, length, reserved) => {
      const datagram = Buffer.alloc(length);
      if (length > 3) [datagram[0], datagram[2]] = [type, reserved];
      const fits = reserved === 0 && length > 3 && (lengths[type]?.(length) ?? false);
      assert.equal(wireguardType(datagram), fits ? type : null);
    }),
  );
});
