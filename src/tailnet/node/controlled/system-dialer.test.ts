import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { createSelfSignedCertificate, readCertificate } from '../../../crypto/index.ts';
import { createSystemDialer } from './system-dialer.ts';

const UNREACHABLE = { code: 'control_unreachable' };
const dialer = createSystemDialer();
const day = 86_400_000;
const certificate = createSelfSignedCertificate({
  commonName: 'relay.test',
  names: ['relay.test'],
  addresses: [],
  notBefore: Date.now() - day,
  notAfter: Date.now() + day,
});
const pin = readCertificate(certificate.cert)?.fingerprint.replaceAll(':', '').toLowerCase() ?? '';
const secure = tls.createServer(certificate, (socket) => socket.end('secure'));
const plain = net.createServer((socket) => socket.end('plain'));

function portOf(server: net.Server): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

before(async () => {
  for (const server of [secure, plain]) {
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
});
after(() => {
  secure.close();
  plain.close();
});

describe('the system dialer', () => {
  test('dials plain TCP at an address instead of the name', async () => {
    const socket = await dialer.dial({
      protocol: 'http:',
      hostname: 'nowhere.invalid',
      address: '127.0.0.1',
      port: portOf(plain),
    });
    assert.equal(await text(socket), 'plain');
  });

  test('a pinned certificate is enough, whoever signed it, and another pin is refused', async () => {
    const target = { protocol: 'https:', hostname: '127.0.0.1', port: portOf(secure) } as const;
    assert.equal(await text(await dialer.dial({ ...target, certificateSha256: pin })), 'secure');
    await assert.rejects(dialer.dial({ ...target, certificateSha256: '0'.repeat(64) }), UNREACHABLE);
  });

  test('without a pin the certificate must be trusted, and for the name', async () => {
    const target = { protocol: 'https:', hostname: '127.0.0.1', port: portOf(secure) } as const;
    await assert.rejects(dialer.dial(target), UNREACHABLE);
    await assert.rejects(dialer.dial({ ...target, certificateName: 'relay.test' }), UNREACHABLE);
  });

  test('a port where nobody listens, and a signal, are told', async () => {
    const closed = net.createServer();
    closed.listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const port = portOf(closed);
    closed.close();
    await assert.rejects(dialer.dial({ protocol: 'http:', hostname: '127.0.0.1', port }), UNREACHABLE);
    const target = { protocol: 'http:', hostname: '127.0.0.1', port: portOf(plain) } as const;
    await assert.rejects(dialer.dial({ ...target, signal: AbortSignal.abort() }), UNREACHABLE);
  });
});
