/** TLS on connections that a network stack of our own accepted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import { silentLogger } from '../base/log.ts';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from '../net/test-certificates.ts';
import { createAcceptTls } from './node-tls.ts';

const certificate = {
  current: { cert: TEST_CERT, key: TEST_KEY },
  onChange: () => undefined,
  reload: () => Promise.resolve(),
  close: () => undefined,
};

test('a handshake gives an encrypted stream', async () => {
  const accept = createAcceptTls({ certificate, logger: silentLogger });
  const [ours, theirs] = duplexPair();
  const secured = Promise.withResolvers<tls.TLSSocket>();
  accept.accept(ours, secured.resolve);
  const client = tls.connect({ socket: theirs, ca: TEST_AUTHORITY_CERT, servername: 'localhost' });
  await once(client, 'secureConnect');
  const server = await secured.promise;
  assert.equal(server.encrypted, true);
  client.write('hello');
  assert.equal(String((await once(server, 'data'))[0]), 'hello');
  client.destroy();
});

test('what is no TLS is closed, and nobody is called', async () => {
  const accept = createAcceptTls({ certificate, logger: silentLogger });
  const [ours, theirs] = duplexPair();
  accept.accept(ours, () => assert.fail('it was let in'));
  theirs.resume();
  theirs.on('error', () => undefined);
  const closed = once(ours, 'close');
  theirs.write('GET / HTTP/1.1\r\nhost: ai\r\n\r\n');
  await closed;
});
