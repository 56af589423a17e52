import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { RefusedByControl } from './errors.ts';
import { loopbackDialer } from './fake-control.ts';
import { getSmall, type HttpRequestOptions, upgrade } from './http-upgrade.ts';

const server = http.createServer((request, response) => {
  if (request.url === '/large') response.end('x'.repeat(1000));
  else if (request.url === '/silent') return;
  else if (request.url === '/broken') response.socket?.destroy();
  else response.end(request.headers.host);
});
let port = 0;

before(async () => {
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => undefined);
    if (request.url === '/refuse') socket.end('HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nnever');
    else if (request.url === '/other')
      socket.write('HTTP/1.1 101 Ok\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n');
    else {
      socket.write('HTTP/1.1 101 Ok\r\nUpgrade: A\r\nConnection: upgrade\r\n\r\nhead');
      socket.pipe(socket);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP listener has an address
  port = (server.address() as net.AddressInfo).port;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

function to(path: string, timeoutMs = 5000, signal = new AbortController().signal): HttpRequestOptions {
  return {
    dialer: loopbackDialer,
    target: { protocol: 'http:', hostname: '127.0.0.1', port },
    path,
    timeoutMs,
    signal,
  };
}

const code = (expected: string) => (error: unknown) => Object(error).code === expected;

describe('a small GET', () => {
  test('has its answer, with the port in Host', async () => {
    const { status, body } = await getSmall({ ...to('/'), maxBytes: 100 });
    assert.equal(status, 200);
    assert.equal(body.toString(), `127.0.0.1:${port}`);
  });

  test('is ended by its limits: bytes, time, the caller; a broken connection is told', async () => {
    await assert.rejects(getSmall({ ...to('/large'), maxBytes: 100 }), code('control_protocol'));
    await assert.rejects(getSmall({ ...to('/silent', 50), maxBytes: 100 }), code('control_timed_out'));
    await assert.rejects(
      getSmall({ ...to('/silent', 5000, AbortSignal.timeout(30)), maxBytes: 9 }),
      code('control_closed'),
    );
    await assert.rejects(getSmall({ ...to('/broken'), maxBytes: 100 }), code('control_unreachable'));
  });
});

describe('an upgrade', () => {
  const asked = { method: 'POST', upgrade: 'a' } as const;

  test('gives the stream, which outlives the time that it had to be made in', async () => {
    const life = new AbortController();
    const { stream, head } = await upgrade({ ...to('/', 100, life.signal), ...asked });
    assert.equal(head.toString(), 'head');
    await new Promise((resolve) => setTimeout(resolve, 150));
    stream.write('still here');
    const [back] = await once(stream, 'data');
    assert.equal(String(back), 'still here');
    stream.destroy();
  });

  test('another status and another protocol are refusals', async () => {
    await assert.rejects(upgrade({ ...to('/refuse'), ...asked }), (error) => {
      assert.ok(error instanceof RefusedByControl);
      assert.equal(error.status, 403);
      return error.message.endsWith('never');
    });
    await assert.rejects(upgrade({ ...to('/other'), ...asked }), code('control_protocol'));
  });
});
