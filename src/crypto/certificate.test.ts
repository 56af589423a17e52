import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createSelfSignedCertificate, readCertificate } from './certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 10, 23);

function make(options: Partial<Parameters<typeof createSelfSignedCertificate>[0]> = {}) {
  return createSelfSignedCertificate({
    commonName: 'Postern',
    names: ['localhost', 'ai.example.net'],
    addresses: [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(0xfd, ...new Uint8Array(14), 1)],
    notBefore: NOW,
    notAfter: NOW + 825 * DAY_MS,
    ...options,
  });
}

test('a self-signed certificate says what RFC 5280 asks of a server’s, as another reader sees it', () => {
  const { cert, key } = make();
  const parsed = new X509Certificate(cert);
  assert.equal(parsed.subject, 'CN=Postern');
  assert.equal(parsed.issuer, 'CN=Postern');
  assert.equal(
    parsed.subjectAltName,
    'DNS:localhost, DNS:ai.example.net, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:0:1',
  );
  assert.deepEqual(parsed.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(parsed.ca, false);
  assert.ok(parsed.verify(parsed.publicKey));
  assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
  const facts = readCertificate(cert);
  assert.ok(facts);
  assert.deepEqual([facts.notBefore, facts.notAfter], [NOW, NOW + 825 * DAY_MS]);
  assert.match(facts.fingerprint, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.deepEqual([facts.covers('ai.example.net'), facts.covers('evil.test')], [true, false]);
});

test('times from 2050 on are GeneralizedTime (RFC 5280 section 4.1.2.5)', () => {
  const notAfter = Date.UTC(2060, 0, 2, 3, 4, 5);
  assert.equal(readCertificate(make({ notAfter }).cert)?.notAfter, notAfter);
});

test('a client that trusts the certificate alone accepts its names and addresses, and no others', async (t) => {
  const pair = make({ notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS });
  const server = https.createServer(pair, (_, res) => res.end('ok'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ask = (options: https.RequestOptions): Promise<number> =>
    new Promise((resolve, reject) => {
      https
        .get({ host: '127.0.0.1', port, ca: [pair.cert], agent: false, ...options }, (res) => {
          res.resume();
          resolve(res.statusCode ?? 0);
        })
        .on('error', reject);
    });
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ servername: 'ai.example.net' }), 200);
  await assert.rejects(ask({ servername: 'evil.test' }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  await assert.rejects(ask({ ca: [make().cert] }));
});

test('what is no certificate is null', () => {
  for (const text of ['', 'nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
    assert.equal(readCertificate(text), null);
  }
});
