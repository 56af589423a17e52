import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type TestContext, describe, test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { createSelfSignedCertificate, readCertificate } from '../crypto/index.ts';
import { type Listener, type ListenerOptions, createListener } from './listener.ts';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from './test-certificates.ts';
import { socketPathFor } from './unix-socket.ts';

async function start(
  t: TestContext,
  options: Partial<ListenerOptions> = {},
): Promise<{ listener: Listener; port: number }> {
  const listener = createListener({ onRequest: (_req, res) => res.end('ok'), ...options });
  t.after(() => listener.close(0));
  return { listener, port: await listener.listenLoopback(0) };
}

function get(options: http.RequestOptions): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    http
      .get({ agent: false, ...options }, (res) => {
        let body = '';
        res.on('data', (chunk) => (body += String(chunk)));
        res.on('end', () => resolve({ status: res.statusCode ?? 0, body }));
      })
      .on('error', reject);
  });
}

/** Everything that a server says to these bytes until it closes. */
function talk(port: number, bytes: string, keepOpen = false): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => (said += String(chunk)));
    socket.on('close', () => resolve(said));
    socket.on('error', () => {});
    if (keepOpen) socket.write(bytes);
    else socket.end(bytes);
  });
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-listener-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code;
}

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const probe = net.createServer();
  probe.once('error', () => resolve(false));
  probe.listen(0, '::1', () => probe.close(() => resolve(true)));
});

describe('a loopback listener', () => {
  test('opens both families on one port', { skip: !hasIpv6 }, async (t) => {
    const { listener, port } = await start(t);
    assert.deepEqual(listener.addresses, [`127.0.0.1:${port}`, `[::1]:${port}`]);
    assert.equal((await get({ host: '127.0.0.1', port })).body, 'ok');
    assert.equal((await get({ host: '::1', port })).body, 'ok');
  });

  test(
    'does not start while another process holds the port, in either family',
    { skip: !hasIpv6 },
    async (t) => {
      const { port } = await start(t);
      const second = createListener({ onRequest: () => {} });
      t.after(() => second.close(0));
      await assert.rejects(second.listenLoopback(port), failsWith('listen_address_in_use'));
      const taken = net.createServer();
      const onIpv6 = await new Promise<number>((resolve) => {
        taken.listen(0, '::1', () => {
          const address = taken.address();
          resolve(address !== null && typeof address === 'object' ? address.port : 0);
        });
      });
      t.after(() => taken.close());
      await assert.rejects(second.listenLoopback(onIpv6), failsWith('listen_address_in_use'));
    },
  );
});

describe('limits of a listener', () => {
  test('headers over the byte limit are 431', async (t) => {
    const { port } = await start(t);
    const said = await talk(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`, true);
    assert.match(said, /^HTTP\/1\.1 431 /);
  });

  test('more headers than the limit are 431, not silently cut', async (t) => {
    const { port } = await start(t);
    const many = Array.from({ length: 300 }, (_, i) => `x-${i}: 1\r\n`).join('');
    assert.match(await talk(port, `GET / HTTP/1.1\r\nHost: x\r\n${many}\r\n`), /^HTTP\/1\.1 431 /);
    const allowed = Array.from({ length: 250 }, (_, i) => `x-${i}: 1\r\n`).join('');
    assert.match(
      await talk(port, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${allowed}\r\n`),
      /^HTTP\/1\.1 200 /,
    );
  });

  test('headers that drip (slow-loris) are 408', async (t) => {
    const { port } = await start(t, { limits: { headersMs: 150 } });
    assert.match(await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n', true), /^HTTP\/1\.1 408 /);
  });

  test('a body that drips is 408', async (t) => {
    const { port } = await start(t, {
      limits: { headersMs: 150, requestMs: 200 },
      onRequest: (req, res) => req.on('end', () => res.end()).resume(),
    });
    const said = await talk(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc', true);
    assert.ok(said === '' || said.startsWith('HTTP/1.1 408 '), said);
  });

  const malformed: readonly (readonly [string, string])[] = [
    ['no HTTP', 'hello\r\n\r\n'],
    [
      'content-length and chunked',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'two content-lengths',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    ],
    ['a bare LF in the header', 'GET / HTTP/1.1\nHost: x\n\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n'],
    ['a NUL in a value', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n'],
    [
      'an unknown transfer coding',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    ],
  ];
  for (const [what, bytes] of malformed) {
    test(`${what} is 400 and reaches no handler`, async (t) => {
      let handled = 0;
      const { port } = await start(t, {
        onRequest: (_req, res) => {
          handled += 1;
          res.end();
        },
      });
      assert.match(await talk(port, bytes, true), /^HTTP\/1\.1 400 /);
      assert.equal(handled, 0);
    });
  }

  test('bytes after a request are never an answer within its answer', async (t) => {
    const { port } = await start(t, {
      onRequest: (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/plain' });
        res.write('part');
      },
    });
    const said = await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\nBROKEN\0\r\n\r\n', true);
    assert.equal(said.match(/HTTP\/1\.1/g)?.length ?? 0, said === '' ? 0 : 1);
    assert.doesNotMatch(said, /400 Bad Request/);
  });
});

describe('an upgrade', () => {
  const upgrade =
    'GET /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n';

  test('arrives as a request where nothing takes it, so that it is refused like any other', async (t) => {
    const { port } = await start(t, {
      onRequest: (req, res) =>
        res.writeHead(req.headers.upgrade === 'websocket' ? 426 : 500, { connection: 'close' }).end(),
    });
    assert.match(await talk(port, upgrade, true), /^HTTP\/1\.1 426 /);
  });

  test('is taken over where somebody wants it', async (t) => {
    const { port } = await start(t, {
      wantsUpgrade: (req) => req.url === '/v1/responses',
      onUpgrade: (_req, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      onRequest: (_req, res) => res.writeHead(200, { connection: 'close' }).end(),
    });
    assert.match(await talk(port, upgrade, true), /^HTTP\/1\.1 101 /);
    assert.match(await talk(port, upgrade.replace('/v1/responses', '/other'), true), /^HTTP\/1\.1 200 /);
  });
});

describe('closing a listener', () => {
  test('lets a request under way finish, closes idle connections, accepts no more', async (t) => {
    const begun = Promise.withResolvers<() => void>();
    const { listener, port } = await start(t, {
      onRequest: (req, res) => {
        if (req.url === '/idle') return res.end('ok');
        res.write('a');
        return begun.resolve(() => res.end('b'));
      },
    });
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await get({ host: '127.0.0.1', port, agent, path: '/idle' });
    const running = get({ host: '127.0.0.1', port, path: '/slow' });
    const release = await begun.promise;
    const closed = listener.close(5000);
    await assert.rejects(get({ host: '127.0.0.1', port }));
    release();
    assert.equal((await running).body, 'ab');
    await closed;
  });

  test('cuts what has not finished by then', async (t) => {
    const begun = Promise.withResolvers<void>();
    const { listener, port } = await start(t, {
      onRequest: (_req, res) => {
        res.write('a');
        begun.resolve();
      },
    });
    const said = talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', true);
    await begun.promise;
    await listener.close(50);
    assert.match(await said, /^HTTP\/1\.1 200 /);
    await listener.close(50);
  });
});

describe('a Unix socket', () => {
  test('lies in a folder of mode 0700 and is 0600', async (t) => {
    const folder = join(folderFor(t), 'state');
    const path = join(folder, 'postern.sock');
    const { listener } = await start(t);
    await listener.listenUnix(path);
    assert.equal((await get({ socketPath: path })).body, 'ok');
    assert.equal(lstatSync(folder).mode & 0o777, 0o700);
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
  });

  test('closes an open folder before it listens', async (t) => {
    const folder = join(folderFor(t), 'state');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const { listener } = await start(t);
    await listener.listenUnix(join(folder, 'postern.sock'));
    assert.equal(lstatSync(folder).mode & 0o777, 0o700);
  });

  test('replaces one that nobody listens on, never one that somebody does, nor a file', async (t) => {
    const folder = folderFor(t);
    const path = join(folder, 'postern.sock');
    const { listener: first } = await start(t);
    await first.listenUnix(path);
    const { listener: second } = await start(t);
    await assert.rejects(second.listenUnix(path), failsWith('listen_socket_in_use'));
    const stale = join(folder, 'stale.sock');
    const left = net.createServer().listen(stale);
    await new Promise((resolve) => left.once('listening', resolve));
    await leaveSocketBehind(left, stale);
    await second.listenUnix(stale);
    assert.equal((await get({ socketPath: stale })).body, 'ok');
    const file = join(folder, 'file.sock');
    writeFileSync(file, 'precious');
    await assert.rejects(second.listenUnix(file), failsWith('listen_socket_in_use'));
  });

  test('refuses a folder that is a link', async (t) => {
    const folder = folderFor(t);
    mkdirSync(join(folder, 'real'));
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    const { listener } = await start(t);
    await assert.rejects(
      listener.listenUnix(join(folder, 'link', 'postern.sock')),
      failsWith('listen_socket_folder_unsafe'),
    );
  });

  test('moves to the runtime folder where the path is too long for a socket', () => {
    const long = `/home/${'x'.repeat(120)}`;
    assert.equal(socketPathFor('/home/a', {}), '/home/a/postern.sock');
    const short = socketPathFor(long, { XDG_RUNTIME_DIR: '/run/user/1000' });
    assert.match(short, /^\/run\/user\/1000\/postern-[0-9a-f]{16}\/postern\.sock$/);
    assert.notEqual(
      short,
      socketPathFor(`${long}y`, { XDG_RUNTIME_DIR: '/run/user/1000' }),
      'two state folders, two sockets',
    );
    assert.throws(() => socketPathFor(long, {}), failsWith('listen_socket_path_too_long'));
    assert.throws(
      () => socketPathFor(long, { XDG_RUNTIME_DIR: 'relative' }),
      failsWith('listen_socket_path_too_long'),
    );
    const between = `/${'x'.repeat(92)}`;
    assert.equal(socketPathFor(between, {}, 'linux'), `${between}/postern.sock`);
    assert.throws(() => socketPathFor(between, {}, 'darwin'), failsWith('listen_socket_path_too_long'));
  });
});

/** Renaming keeps the file while closing the server, which unlinks its own path only. */
async function leaveSocketBehind(server: net.Server, path: string): Promise<void> {
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => server.close(resolve));
  renameSync(`${path}.kept`, path);
}

/** The fingerprint of the certificate that a new connection is shown. */
function certificateAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const firstTls = { cert: TEST_CERT, key: TEST_KEY };
const nextTls = createSelfSignedCertificate({
  commonName: 'next',
  names: ['localhost'],
  addresses: [],
  notBefore: 0,
  notAfter: Date.UTC(2100, 0),
});
const fingerprintOf = ({ cert }: { readonly cert: string }): string | undefined =>
  readCertificate(cert)?.fingerprint;

test('TLS: answers under the given certificate, and shows another after setTls', async (t) => {
  const { listener, port } = await start(t, { tls: firstTls });
  const status = await new Promise((resolve, reject) => {
    https
      .get(
        { host: '127.0.0.1', servername: 'localhost', port, ca: TEST_AUTHORITY_CERT, agent: false },
        (res) => {
          res.resume();
          res.on('end', () => resolve(res.statusCode));
        },
      )
      .on('error', reject);
  });
  assert.equal(status, 200);
  assert.equal(await certificateAt(port), fingerprintOf(firstTls));
  listener.setTls(nextTls);
  assert.equal(await certificateAt(port), fingerprintOf(nextTls));
});

describe('connections that something else accepted', () => {
  /** A server of node:net stands for it. */
  async function startFed(
    t: TestContext,
    options: Partial<ListenerOptions> = {},
  ): Promise<{ listener: Listener; port: number }> {
    const listener = createListener({ onRequest: (_req, res) => res.end('ok'), ...options });
    const server = net.createServer(listener.feed());
    t.after(async () => {
      await listener.close(0);
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return { listener, port: address.port };
  }

  test('are served under the same limits', async (t) => {
    const { port } = await startFed(t, { limits: { headersMax: 3 } });
    assert.deepEqual(await get({ host: '127.0.0.1', port }), { status: 200, body: 'ok' });
    const headers = { a: '1', b: '2', c: '3', d: '4' };
    assert.equal((await get({ host: '127.0.0.1', port, headers })).status, 431);
  });

  test('are shown the certificate of now, also after setTls', async (t) => {
    const { listener, port } = await startFed(t, { tls: firstTls });
    assert.equal(await certificateAt(port), fingerprintOf(firstTls));
    listener.setTls(nextTls);
    assert.equal(await certificateAt(port), fingerprintOf(nextTls));
  });

  test('have a time for their headers (slow-loris)', async (t) => {
    const { port } = await startFed(t, { limits: { headersMs: 60 } });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
    let answer = '';
    socket.on('data', (data) => (answer += String(data)));
    await new Promise((resolve) => socket.on('close', resolve));
    assert.match(answer, /^HTTP\/1\.1 408 /);
  });

  test('are bounded in number', async (t) => {
    const { port } = await startFed(t, { limits: { connectionsMax: 1 } });
    const first = net.connect(port, '127.0.0.1');
    t.after(() => first.destroy());
    await new Promise((resolve) => first.on('connect', resolve));
    await assert.rejects(get({ host: '127.0.0.1', port }), { code: 'ECONNRESET' });
  });

  test('end with the listener: requests may finish, what takes longer is cut', async (t) => {
    const { listener, port } = await startFed(t, { onRequest: (_req, res) => res.write('begun') });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
    await listener.close(80);
    await closed;
  });
});
