/** Published vectors and refusals of the primitives below the network's protocols. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { systemRandom } from '../base/random.ts';
import { blake2s, blake2sMac } from './blake2s.ts';
import { ChaChaKey } from './chacha-key.ts';
import type { CounterOrder } from './chacha-key.ts';
import { NaclBox } from './nacl-box.ts';
import { SecretBytes } from './secret-bytes.ts';
import { X25519PrivateKey, X25519PublicKey } from './x25519.ts';
import { openXChaCha, sealXChaCha } from './xchacha.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const counting = (from: number, count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, index) => (from + index) & 0xff));

/** The keys of RFC 7748 section 6.1, which NaCl's own test of `crypto_box` uses too. */
const ALICE = hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
const BOB = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

test('X25519: the keys and the secret of RFC 7748 section 6.1', () => {
  const [alice, bob] = [X25519PrivateKey.fromBytes(ALICE), X25519PrivateKey.fromBytes(BOB)];
  assert.equal(
    alice.publicKey.bytes.toString('hex'),
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  );
  assert.equal(
    bob.publicKey.bytes.toString('hex'),
    'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  );
  const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
  assert.equal(alice.agree(bob.publicKey)?.toString('hex'), shared);
  assert.equal(bob.agree(alice.publicKey)?.toString('hex'), shared);
});

test('X25519: every point of low order is refused (RFC 7748 section 6.1)', () => {
  const key = X25519PrivateKey.generate(systemRandom);
  const points = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ];
  for (const point of points) {
    const low = X25519PublicKey.fromBytes(hex(point));
    assert.equal(key.agree(low), null, point);
    assert.equal(NaclBox.between(key, low), null, point);
  }
});

test('X25519: keys are clamped, copied, and print as [secret]; a wiped key does nothing', () => {
  const source = Buffer.alloc(32, 0xff);
  const key = X25519PrivateKey.fromBytes(source);
  source.fill(0);
  assert.equal(key.reveal().toString('hex'), `f8${'ff'.repeat(30)}7f`);
  assert.equal(`${inspect(key)} ${JSON.stringify(key)} ${String(key)}`, '[secret] "[secret]" [secret]');
  key.wipe();
  assert.throws(() => key.agree(key.publicKey), /wiped/);
  assert.throws(() => key.reveal(), /wiped/);
  assert.throws(() => X25519PrivateKey.fromBytes(Buffer.alloc(31)), /32 bytes, got 31/);
  assert.throws(() => X25519PublicKey.fromBytes(Buffer.alloc(33)), /32 bytes, got 33/);
});

test('BLAKE2s: "abc" of RFC 7693 appendix B, in one part or three', () => {
  const expected = '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982';
  assert.equal(blake2s(Buffer.from('abc')).toString('hex'), expected);
  assert.equal(blake2s(Buffer.from('a'), Buffer.from('b'), Buffer.from('c')).toString('hex'), expected);
});

test('keyed BLAKE2s with 16 bytes of output gives what another implementation (hashlib) gives', () => {
  assert.equal(
    blake2sMac(counting(0, 32), Buffer.from('abc')).toString('hex'),
    '61ba5f165c194692e09d12520cc4c74a',
  );
  assert.equal(
    blake2sMac(counting(0, 16), counting(0, 256)).toString('hex'),
    '805afb4e310e5a99118d41c16c0320da',
  );
});

test('a counter lies in the nonce as its order says, also above 32 bits', () => {
  const key = counting(7, 32);
  const plaintext = Buffer.from('postern');
  const nonces: readonly (readonly [CounterOrder, number, string])[] = [
    ['little-endian', 0, '000000000000000000000000'],
    ['little-endian', 0x0102_0304, '000000000403020100000000'],
    ['little-endian', 0x1f_0203_0405_0607, '000000000706050403021f00'],
    ['big-endian', 0x0102_0304, '000000000000000001020304'],
    ['big-endian', Number.MAX_SAFE_INTEGER, '00000000001fffffffffffff'],
  ];
  for (const [order, counter, nonce] of nonces) {
    const expected = chacha20poly1305(key, hex(nonce)).encrypt(plaintext);
    assert.deepEqual(new ChaChaKey(key, order).seal(counter, plaintext), Buffer.from(expected), nonce);
  }
});

test('ChaCha20-Poly1305: altered, cut or moved bytes do not open (RFC 8439 section 2.8)', () => {
  const key = new ChaChaKey(counting(0, 32), 'little-endian');
  const additional = Buffer.from('header');
  const sealed = key.seal(9, Buffer.from('packet'), additional);
  assert.deepEqual(key.open(9, sealed, additional), Buffer.from('packet'));
  for (let at = 0; at < sealed.byteLength; at += 1) {
    assert.equal(key.open(9, flipped(sealed, at), additional), null, `byte ${at}`);
    assert.equal(key.open(9, sealed.subarray(0, at), additional), null, `cut to ${at}`);
  }
  assert.equal(key.open(10, sealed, additional), null, 'another counter');
  assert.equal(key.open(9, sealed), null, 'no additional data');
  const empty = key.seal(10, Buffer.alloc(0));
  assert.equal(empty.byteLength, 16);
  assert.equal(key.open(10, empty)?.byteLength, 0);
  assert.equal(inspect(key), '[secret]');
  key.wipe();
  assert.throws(() => key.seal(11, Buffer.alloc(1)), /wiped/);
});

test('XChaCha20-Poly1305: the vector of draft-irtf-cfrg-xchacha-03 appendix A.3.1', () => {
  const options = {
    key: counting(0x80, 32),
    nonce: counting(0x40, 24),
    additional: hex('50515253c0c1c2c3c4c5c6c7'),
  };
  const plaintext = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const sealed = sealXChaCha(options, plaintext);
  assert.equal(
    sealed.toString('hex'),
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49',
  );
  assert.deepEqual(openXChaCha(options, sealed), plaintext);
  for (let at = 0; at < sealed.byteLength; at += 7) {
    assert.equal(openXChaCha(options, flipped(sealed, at)), null, `byte ${at}`);
  }
  assert.equal(openXChaCha(options, sealed.subarray(0, 15)), null, 'shorter than a tag');
  assert.equal(openXChaCha({ ...options, additional: Buffer.alloc(0) }, sealed), null);
});

test("NaCl box: the message of NaCl's own test, from both sides", () => {
  const [alice, bob] = [X25519PrivateKey.fromBytes(ALICE), X25519PrivateKey.fromBytes(BOB)];
  const nonce = hex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37');
  const plaintext = hex(
    'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
  );
  const sealed = NaclBox.between(alice, bob.publicKey)?.seal(nonce, plaintext);
  assert.equal(
    sealed?.toString('hex'),
    'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
  );
  const opener = NaclBox.between(bob, alice.publicKey);
  assert.deepEqual(opener?.open(nonce, sealed ?? Buffer.alloc(0)), plaintext);
  for (let at = 0; at < (sealed?.byteLength ?? 0); at += 7) {
    assert.equal(opener?.open(nonce, flipped(sealed ?? Buffer.alloc(0), at)), null, `byte ${at}`);
  }
  assert.equal(opener?.open(nonce, Buffer.alloc(15)), null, 'shorter than a tag');
  assert.throws(() => opener?.open(Buffer.alloc(23), Buffer.alloc(40)), /24 bytes, got 23/);
});

test('secret bytes are a copy, print as [secret] and can be wiped', () => {
  const source = Buffer.from('a preshared key');
  const secret = new SecretBytes(source);
  source.fill(0);
  assert.equal(secret.reveal().toString(), 'a preshared key');
  assert.equal(
    `${inspect({ secret })} ${JSON.stringify(secret)} ${String(secret)}`,
    '{ secret: [secret] } "[secret]" [secret]',
  );
  secret.wipe();
  assert.deepEqual(secret.reveal(), Buffer.alloc(15));
});
