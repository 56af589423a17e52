/** Configurations as wg-quick(8) reads them, and keys as `wg` prints them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemRandom } from '../../base/random.ts';
import { formatClientConfiguration, formatPublicKey, generateClientKey, parsePublicKey } from './wg-quick.ts';

test('only the gateway goes through the tunnel, and the device has single addresses', () => {
  const { privateKey } = generateClientKey(systemRandom);
  const { publicKey: serverKey } = generateClientKey(systemRandom);
  const text = formatClientConfiguration({
    privateKey,
    addresses: ['10.1.0.2', 'fd00::2'],
    serverKey,
    serverAddresses: ['10.1.0.1', 'fd00::1'],
    endpoint: 'ai.example.net:51820',
  });
  assert.equal(
    text,
    `[Interface]
PrivateKey = ${privateKey}
Address = 10.1.0.2/32, fd00::2/128
MTU = 1280

[Peer]
PublicKey = ${formatPublicKey(serverKey)}
AllowedIPs = 10.1.0.1/32, fd00::1/128
Endpoint = ai.example.net:51820
PersistentKeepalive = 25
`,
  );
});

test('a key is 32 bytes in canonical base64; nothing else is one, and no text throws', () => {
  const { publicKey } = generateClientKey(systemRandom);
  const text = formatPublicKey(publicKey);
  assert.deepEqual(parsePublicKey(` ${text}\n`)?.bytes, publicKey.bytes);
  for (const bad of ['', text.slice(1), `${text}A`, `${'A'.repeat(42)}B=`, 'ab'.repeat(32)])
    assert.equal(parsePublicKey(bad), null, bad);
  fc.assert(
    fc.property(fc.string(), (any) => {
      assert.ok(
        parsePublicKey(any) === null || formatPublicKey(parsePublicKey(any) ?? publicKey) === any.trim(),
      );
    }),
  );
});
