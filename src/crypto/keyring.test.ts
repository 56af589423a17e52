import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hmacSha256 } from './hash.ts';
import { createKeyring, deriveKey } from './keyring.ts';
import { KEY_LABELS } from './labels.ts';

const MASTER = new Uint8Array(32).fill(9);

test('a derived key is HKDF-SHA-256 with an empty salt (RFC 5869, section 2)', () => {
  const extracted = hmacSha256(new Uint8Array(32), MASTER);
  const expanded = hmacSha256(extracted, Buffer.concat([Buffer.from('postern/x/1'), Buffer.of(1)]));
  assert.deepEqual(Buffer.from(deriveKey(MASTER, 'postern/x/1')), Buffer.from(expanded));
});

test('every label gives another key, and the same one each time', () => {
  const keyring = createKeyring(MASTER);
  const keys = Object.values(KEY_LABELS).map((label) => Buffer.from(keyring.key(label)).toString('hex'));
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(keyring.key(KEY_LABELS.vault), keyring.key(KEY_LABELS.vault));
});

test('a keyring keeps its own copy of the master key', () => {
  const master = Uint8Array.from(MASTER);
  const keyring = createKeyring(master);
  master.fill(0);
  assert.deepEqual(keyring.key('a'), deriveKey(MASTER, 'a'));
});

test('a short master key and an empty label are refused', () => {
  assert.throws(() => deriveKey(new Uint8Array(31), 'a'), /at least 32 bytes, got 31/);
  assert.throws(() => deriveKey(MASTER, ''), /label/);
});
