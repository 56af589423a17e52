/** The node's way out: the operator's control server anywhere, relays of the network's map guarded (DESIGN section 6). */
import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { readCertificate } from '../crypto/index.ts';
import { TEST_CERT, TEST_KEY } from '../net/test-certificates.ts';
import { createNodeDialer } from './node-dialer.ts';

const REFUSED = { code: 'dial_refused_address' };

async function listenOn(
  t: TestContext,
  server: Server = createServer((socket) => socket.end()),
): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server has an address and a port
  return (server.address() as AddressInfo).port;
}

function dialerTo(loginServer: string) {
  return createNodeDialer({
    settings: {
      allowUpstream: [],
      caFiles: [],
      timeouts: { connectMs: 2000, headersMs: 1, requestMs: 1, firstByteMs: 1, idleMs: 1 },
    },
    loginServer,
    ownAddresses: () => [],
  });
}

test('the control server is dialled at a private address; another port of this machine, or metadata, is not', async (t) => {
  const [control, other] = [await listenOn(t), await listenOn(t)];
  const dialer = dialerTo(`http://127.0.0.1:${control}`);
  const target = { protocol: 'http:', hostname: '127.0.0.1' } as const;
  (await dialer.dial({ ...target, port: control })).destroy();
  await assert.rejects(dialer.dial({ ...target, port: other }), REFUSED);
  await assert.rejects(dialer.dial({ ...target, hostname: 'localhost', port: control }), REFUSED);
  await assert.rejects(dialer.dial({ ...target, hostname: '169.254.169.254', port: 80 }), REFUSED);
});

test('a relay beside the control server may be at its private address; one elsewhere may not', async () => {
  const dialer = dialerTo('https://10.255.255.1');
  const target = { protocol: 'http:', hostname: '10.255.255.1', port: 3340 } as const;
  const given = AbortSignal.abort(new Error('far enough'));
  await assert.rejects(dialer.dial({ ...target, signal: given }), (error: Error) => {
    assert.doesNotMatch(error.message, /private address/);
    return true;
  });
  await assert.rejects(dialer.dial({ ...target, hostname: '10.255.255.2' }), REFUSED);
});

test('a relay with a pinned certificate is believed by the pin, and by nothing else', async (t) => {
  const options = { cert: TEST_CERT, key: TEST_KEY };
  const port = await listenOn(
    t,
    tls.createServer(options, (socket) => socket.on('error', () => undefined).end('relay')),
  );
  const dialer = dialerTo(`https://127.0.0.1:${port}`);
  const target = { protocol: 'https:', hostname: '127.0.0.1', port } as const;
  const pin = readCertificate(TEST_CERT)?.fingerprint.replaceAll(':', '').toLowerCase() ?? '';
  const socket = await dialer.dial({ ...target, certificateSha256: pin });
  assert.equal(String(await socket.toArray()), 'relay');
  await assert.rejects(dialer.dial({ ...target, certificateSha256: 'ab'.repeat(32) }), {
    code: 'tls_failed',
  });
  await assert.rejects(dialer.dial(target), { code: 'tls_failed' }, 'its authority is nobody’s');
});
