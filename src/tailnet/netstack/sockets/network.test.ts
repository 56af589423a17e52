/** Node's own protocols over sockets of two stacks, back to back in one process. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { Pool } from 'undici';
import { systemClock } from '../../../base/clock.ts';
import { systemRandom } from '../../../base/random.ts';
import { createSelfSignedCertificate, hmacSha256 } from '../../../crypto/index.ts';
import { UserspaceNetwork } from './network.ts';
import type { NetstackServer } from './tcp-server.ts';
import type { NetstackSocket } from './tcp-socket.ts';

const KEY = randomBytes(32);
const A = '100.64.0.1';
const B = '100.64.0.2';
const B6 = 'fd7a:115c:a1e0::2';

interface Pair {
  readonly a: UserspaceNetwork;
  readonly b: UserspaceNetwork;
}

/** Packets go over in batches, as they would from a socket; `isOpen` false loses them. */
function createPair(link: { isOpen: boolean } = { isOpen: true }): Pair {
  const carry = (to: () => UserspaceNetwork): ((packet: Buffer) => void) => {
    let queue: Buffer[] = [];
    return (packet) => {
      if (!link.isOpen) return;
      queue.push(Buffer.from(packet));
      if (queue.length > 1) return;
      setImmediate(() => {
        const batch = queue;
        queue = [];
        for (const each of batch) to().receive(each);
      });
    };
  };
  const shared = {
    clock: systemClock,
    random: systemRandom,
    keyedHash: (data: Uint8Array) => hmacSha256(KEY, data),
  };
  const a: UserspaceNetwork = new UserspaceNetwork({
    ...shared,
    addresses: [A, 'fd7a:115c:a1e0::1'],
    output: carry(() => b),
  });
  const b: UserspaceNetwork = new UserspaceNetwork({ ...shared, addresses: [B, B6], output: carry(() => a) });
  return { a, b };
}

/** Runs `use` with a pair that is closed afterwards. */
async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = createPair();
  try {
    await use(pair);
  } finally {
    pair.a.close();
    pair.b.close();
  }
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function sha(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function serveHttp(network: UserspaceNetwork, listener: http.RequestListener): NetstackServer {
  const server = http.createServer(listener);
  return network.listen({ port: 80 }, (socket) => server.emit('connection', socket));
}

describe('Node protocols over a NetstackSocket, unchanged', () => {
  test('node:http: keep-alive, a large body both ways, an upgrade', async () => {
    await withPair(async ({ a, b }) => {
      const server = http.createServer((request, response) => {
        void readAll(request).then((body) => response.end(body));
      });
      server.on('upgrade', (_request, socket: NetstackSocket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
        socket.pipe(socket);
      });
      b.listen({ port: 80 }, (socket) => server.emit('connection', socket));
      const agent = new http.Agent({ keepAlive: true });
      agent.createConnection = () => a.connect(B, 80);
      const post = async (body: Buffer): Promise<Buffer> => {
        const request = http.request({ agent, host: 'b', method: 'POST' });
        request.end(body);
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        return readAll(response);
      };
      const large = randomBytes(5_000_000);
      assert.equal(sha(await post(large)), sha(large));
      assert.equal((await post(Buffer.from('again'))).toString(), 'again');
      agent.destroy();
      const request = http.request({
        host: 'b',
        createConnection: () => a.connect(B, 80),
        headers: { connection: 'Upgrade', upgrade: 'echo' },
      });
      request.end();
      const [, socket] = (await once(request, 'upgrade')) as [unknown, NetstackSocket];
      socket.write('ping');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.equal(answer.toString(), 'ping');
      socket.destroy();
    });
  });

  test('node:http2: 200 streams at once', async () => {
    await withPair(async ({ a, b }) => {
      const server = http2.createServer((request, response) => {
        void readAll(request).then((body) => response.end(body));
      });
      b.listen({ port: 80 }, (socket) => server.emit('connection', socket));
      const client = http2.connect('http://b', { createConnection: () => a.connect(B6, 80) });
      const bodies = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const stream = client.request({ ':method': 'POST', ':path': `/${index}` });
          stream.end(Buffer.alloc(20_000, index));
          return readAll(stream);
        }),
      );
      for (const [index, body] of bodies.entries()) assert.ok(body.equals(Buffer.alloc(20_000, index)));
      client.close();
      await once(client, 'close');
    });
  });

  test('node:tls: both ends, a megabyte each way', async () => {
    await withPair(async ({ a, b }) => {
      const pair = createSelfSignedCertificate({
        commonName: 'b.example',
        names: ['b.example'],
        addresses: [],
        notBefore: Date.now() - 60_000,
        notAfter: Date.now() + 3_600_000,
      });
      const server = tls.createServer(pair, (socket) => socket.pipe(socket));
      /* TLS ends for itself: with false, the transport would end as soon as the client has. */
      const raw: NetstackSocket[] = [];
      b.listen({ port: 443, allowHalfOpen: true }, (socket) => {
        raw.push(socket);
        server.emit('connection', socket);
      });
      const socket = tls.connect({
        socket: await a.dial(B, 443, { allowHalfOpen: true }),
        servername: 'b.example',
        ca: pair.cert,
      });
      await once(socket, 'secureConnect');
      const data = randomBytes(1_000_000);
      socket.end(data);
      assert.equal(sha(await readAll(socket)), sha(data));
      assert.ok(raw[0]);
      if (!raw[0].closed) await once(raw[0], 'close');
    });
  });

  test('undici: a pool of connections that the stack makes', async () => {
    await withPair(async ({ a, b }) => {
      serveHttp(b, (request, response) => response.end(`you asked ${request.url}`));
      const pool = new Pool('http://b', {
        connections: 4,
        connect: (_options, done) => {
          const socket = a.connect(B, 80);
          socket.once('connect', () => done(null, socket as unknown as Socket));
          socket.once('error', (error) => done(error, null));
        },
      });
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const { body } = await pool.request({ method: 'GET', path: `/${index}` });
          return body.text();
        }),
      );
      assert.equal(answers[19], 'you asked /19');
      await pool.close();
    });
  });
});

describe('NetstackSocket as net.Socket', () => {
  test('names both ends, counts bytes, and closes in order', async () => {
    await withPair(async ({ a, b }) => {
      const server = b.listen({ port: 0 }, (socket) => socket.pipe(socket));
      const port = server.address()?.port ?? 0;
      const socket = await a.dial(B, port);
      assert.equal(socket.remoteAddress, B);
      assert.equal(socket.remotePort, port);
      assert.equal(socket.remoteFamily, 'IPv4');
      assert.equal(socket.localAddress, A);
      assert.equal(socket.readyState, 'open');
      socket.end('hello');
      assert.equal((await readAll(socket)).toString(), 'hello');
      assert.deepEqual([socket.bytesRead, socket.bytesWritten], [5, 5]);
      if (!socket.closed) await once(socket, 'close');
      await new Promise<void>((resolve) => server.close(() => resolve()));
      assert.equal(server.address(), null);
    });
  });

  test('half-close: with allowHalfOpen the answer comes after the end of the question', async () => {
    await withPair(async ({ a, b }) => {
      b.listen({ port: 80, allowHalfOpen: true }, (socket) => {
        let question = '';
        socket.on('data', (data: Buffer) => {
          question += data.toString();
        });
        socket.on('end', () => socket.end(`you said ${question}`));
      });
      const socket = await a.dial(B, 80, { allowHalfOpen: true });
      socket.end('hi');
      assert.equal((await readAll(socket)).toString(), 'you said hi');
    });
  });

  test('back-pressure: what is not read stops the writer, within window and send buffer', async () => {
    await withPair(async ({ a, b }) => {
      const accepted = Promise.withResolvers<NetstackSocket>();
      b.listen({ port: 80 }, (socket) => accepted.resolve(socket));
      const socket = await a.dial(B, 80);
      let written = 0;
      const chunk = Buffer.alloc(65_536, 7);
      const total = 100;
      const pump = (): void => {
        while (written < total) {
          written += 1;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on('drain', pump);
      pump();
      const reader = await accepted.promise;
      await new Promise((resolve) => setTimeout(resolve, 200));
      const held = written;
      assert.ok(held * 65_536 < 4_000_000, `${held} chunks were taken without a reader`);
      let read = 0;
      for await (const data of reader as AsyncIterable<Buffer>) {
        read += data.length;
        if (read === total * 65_536) break;
      }
      assert.equal(read, total * 65_536);
    });
  });

  test('errors have the codes of node:net', async () => {
    await withPair(async ({ a, b }) => {
      await assert.rejects(a.dial(B, 9), { code: 'ECONNREFUSED', syscall: 'connect', address: B, port: 9 });
      await assert.rejects(a.dial('not an address', 9), { code: 'ENOTFOUND' });
      await assert.rejects(a.dial('100.64.9.9', 9, { timeoutMs: 20 }), { code: 'ETIMEDOUT' });
      const controller = new AbortController();
      const dialled = a.dial('100.64.9.9', 9, { signal: controller.signal });
      controller.abort(new Error('no longer wanted'));
      await assert.rejects(dialled, /no longer wanted/);
      b.listen({ port: 80 }, (socket) => socket.resetAndDestroy());
      const socket = await a.dial(B, 80);
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      assert.throws(() => b.listen({ port: 80 }), { code: 'EADDRINUSE' });
    });
  });

  test('a reset before anyone owns the connection is no error event (userspace-net section 6)', async () => {
    await withPair(async ({ a, b }) => {
      b.listen({ port: 80 });
      const socket = await a.dial(B, 80);
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
    });
  });

  test('setTimeout emits timeout and leaves the socket open', async () => {
    await withPair(async ({ a, b }) => {
      b.listen({ port: 80 }, (socket) => socket.resume());
      const socket = await a.dial(B, 80);
      socket.setTimeout(10);
      await once(socket, 'timeout');
      assert.equal(socket.destroyed, false);
      socket.destroy();
    });
  });

  test('a stack reaches itself', async () => {
    await withPair(async ({ b }) => {
      b.listen({ port: 80 }, (socket) => socket.end('own'));
      assert.equal((await readAll(await b.dial(B, 80))).toString(), 'own');
    });
  });

  test('UDP both ways, and a datagram that does not fit is refused', async () => {
    await withPair(async ({ a, b }) => {
      const server = b.bindUdp({ port: 53 });
      server.on('message', (data: Buffer, from: { address: string; port: number }) =>
        server.send(Buffer.concat([data, Buffer.from('!')]), from.port, from.address),
      );
      const client = a.bindUdp();
      client.send(Buffer.from('ask'), 53, B6);
      const [answer, from] = (await once(client, 'message')) as [Buffer, { address: string }];
      assert.equal(answer.toString(), 'ask!');
      assert.equal(from.address, B6);
      assert.throws(() => client.send(Buffer.alloc(1300), 53, B), { code: 'EMSGSIZE' });
    });
  });
});
