import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, describe, test } from 'node:test';
import type { AppError } from '../base/errors.ts';
import { parseCidr } from '../wire/ip.ts';
import { createDialer } from './dialer.ts';
import { UpstreamFailure } from './errors.ts';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from './test-certificates.ts';
import {
  type UpstreamControl,
  type UpstreamHandler,
  type UpstreamRequest,
  type Upstreams,
  type UpstreamsOptions,
  createUpstreams,
} from './upstreams.ts';

interface Setting extends Partial<UpstreamsOptions> {
  readonly caFiles?: readonly string[];
}

function upstreamsFor(t: TestContext, { caFiles, ...options }: Setting = {}): Upstreams {
  const loopback = parseCidr('127.0.0.0/8');
  assert.ok(loopback);
  const dialer = createDialer({
    allow: [loopback],
    exact: [],
    ownAddresses: () => [],
    ...(caFiles === undefined ? {} : { caFiles }),
  });
  const upstreams = createUpstreams({ dialer, ...options });
  t.after(() => upstreams.close({ abort: true }));
  return upstreams;
}

/** Listens on loopback until the test ends. */
async function listen(t: TestContext, server: net.Server, scheme = 'http'): Promise<string> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return `${scheme}://127.0.0.1:${address.port}`;
}

/** A server that answers each read with what `answer` writes; the number counts reads of the connection. */
async function rawServer(
  t: TestContext,
  answer: (socket: net.Socket, read: number) => void,
): Promise<string> {
  return listen(
    t,
    net.createServer((socket) => {
      let reads = 0;
      socket.on('data', () => answer(socket, (reads += 1)));
    }),
  );
}

interface Outcome {
  readonly status: number;
  readonly body: Buffer;
  readonly error: AppError | null;
}

function run(
  upstreams: Upstreams,
  origin: string,
  request: Partial<UpstreamRequest> = {},
  handler: Partial<UpstreamHandler> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    let status = 0;
    let ends = 0;
    const chunks: Buffer[] = [];
    const finish = (error: AppError | null): void => {
      ends += 1;
      assert.equal(ends, 1, 'exactly one of onEnd and onError');
      resolve({ status, body: Buffer.concat(chunks), error });
    };
    upstreams.dispatch(
      origin,
      { method: 'GET', path: '/', headers: [], body: null, ...request },
      {
        onStart: (control) => handler.onStart?.(control),
        onHeaders: (got, headers) => {
          status = got;
          handler.onHeaders?.(got, headers);
        },
        onData: (chunk) => {
          chunks.push(chunk);
          handler.onData?.(chunk);
        },
        onEnd: () => {
          handler.onEnd?.();
          finish(null);
        },
        onError: finish,
      },
    );
  });
}

/** Lets what has been written on loopback arrive. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

describe('which connection carries a request', () => {
  test('one that ended while unused is a stale one, a new one is not: only the first may be asked again', async (t) => {
    const origin = await rawServer(t, (socket, read) =>
      read === 1 ? socket.write(OK) : socket.resetAndDestroy(),
    );
    const upstreams = upstreamsFor(t);
    assert.equal((await run(upstreams, origin)).error, null);
    await new Promise((resolve) => setImmediate(resolve));
    const stale = await run(upstreams, origin);
    assert.ok(stale.error instanceof UpstreamFailure);
    assert.deepEqual([stale.error.code, stale.error.isStaleConnection], ['upstream_closed', true]);
    const never = await rawServer(t, (socket) => socket.destroy());
    const fresh = await run(upstreams, never);
    assert.ok(fresh.error instanceof UpstreamFailure);
    assert.equal(fresh.error.isStaleConnection, false);
  });

  test('one whose answer had begun is no stale one', async (t) => {
    const origin = await rawServer(t, (socket, read) =>
      read === 1 ? socket.write(OK) : socket.end('HTTP/1.1 102 Processing\r\n\r\n'),
    );
    const upstreams = upstreamsFor(t);
    await run(upstreams, origin);
    await new Promise((resolve) => setImmediate(resolve));
    const { error } = await run(upstreams, origin);
    assert.ok(error instanceof UpstreamFailure);
    assert.equal(error.isStaleConnection, false);
  });

  const dropped: readonly (readonly [string, string])[] = [
    ['bytes beyond its answer', `${OK}HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad`],
    ['connection: close', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['a keep-alive of a second', 'HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok'],
  ];
  for (const [what, answer] of dropped) {
    test(`not one with ${what}`, async (t) => {
      let connections = 0;
      const server = net.createServer((socket) => {
        connections += 1;
        socket.on('data', () => socket.write(answer));
      });
      const origin = await listen(t, server);
      const upstreams = upstreamsFor(t);
      for (let i = 1; i <= 3; i += 1) {
        assert.equal((await run(upstreams, origin)).body.toString(), 'ok');
        assert.equal(connections, i);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  }

  test('not one that spoke or ended between two requests', async (t) => {
    for (const meddle of [
      (socket: net.Socket) => void socket.write(OK.replace('ok', 'no')),
      (socket: net.Socket) => void socket.end(),
    ]) {
      const sockets: net.Socket[] = [];
      const closed: net.Socket[] = [];
      const server = net.createServer((socket) => {
        sockets.push(socket);
        socket.on('data', () => socket.write(OK));
        socket.on('close', () => closed.push(socket));
      });
      const origin = await listen(t, server);
      const upstreams = upstreamsFor(t);
      await run(upstreams, origin);
      const [first] = sockets;
      assert.ok(first);
      meddle(first);
      await until(() => closed.length === 1);
      assert.equal((await run(upstreams, origin)).body.toString(), 'ok');
      assert.equal(sockets.length, 2);
    }
  });

  test('unused ones are closed after keepAliveMs', async (t) => {
    let open = 0;
    const server = net.createServer((socket) => {
      open += 1;
      socket.on('data', () => socket.write(OK));
      socket.on('close', () => {
        open -= 1;
      });
    });
    const origin = await listen(t, server);
    await run(upstreamsFor(t, { keepAliveMs: 50, timeouts: { idleMs: 200 } }), origin);
    await until(() => open === 0);
  });

  test('those that wait are served in their order, by what is free first', async (t) => {
    const origin = await rawServer(t, (socket) => socket.write(OK));
    const upstreams = upstreamsFor(t, { maxPerOrigin: 1 });
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3, 4].map((number) => run(upstreams, origin, {}, { onStart: () => void order.push(number) })),
    );
    assert.deepEqual(order, [1, 2, 3, 4]);
  });

  test('a dial that fails ends one request each, and nothing waits for ever', async (t) => {
    const server = net.createServer();
    const origin = await listen(t, server);
    server.close();
    await once(server, 'close');
    const upstreams = upstreamsFor(t, { maxPerOrigin: 2 });
    const outcomes = await Promise.all([1, 2, 3, 4, 5].map(() => run(upstreams, origin)));
    assert.deepEqual(new Set(outcomes.map(({ error }) => error?.code)), new Set(['dial_failed']));
    assert.deepEqual(upstreams.stats(), [{ origin, running: 0, queued: 0 }]);
  });

  test('closing waits for what runs', async (t) => {
    let answer = (): void => {};
    const origin = await rawServer(t, (socket) => {
      answer = () => void socket.write(OK);
    });
    const upstreams = upstreamsFor(t);
    let isClosed = false;
    const outcome = run(upstreams, origin, {}, { onStart: () => void setTimeout(() => answer(), 30) });
    const closing = upstreams.close().then(() => {
      isClosed = true;
    });
    assert.equal((await outcome).body.toString(), 'ok');
    assert.equal(isClosed, false);
    await closing;
  });
});

describe('the body of a request', () => {
  const echo = (): http.Server =>
    http.createServer((req, res) => {
      res.writeHead(200, {
        'x-length': req.headers['content-length'] ?? req.headers['transfer-encoding'] ?? '',
      });
      req.pipe(res);
    });

  test('arrives byte for byte, small or large, whole or streamed', async (t) => {
    const origin = await listen(t, echo());
    const upstreams = upstreamsFor(t);
    for (const size of [1, 1000, 32_000, 40_000, 3_000_000]) {
      const bytes = Buffer.alloc(size, 'abcdefg');
      const pieces = (): Readable =>
        Readable.from(
          Array.from({ length: Math.ceil(size / 999) }, (_, i) => bytes.subarray(i * 999, i * 999 + 999)),
        );
      for (const request of [
        { body: bytes },
        { body: pieces() },
        { body: pieces(), headers: ['content-length', String(size)] },
      ]) {
        const { body, error } = await run(upstreams, origin, { method: 'POST', ...request });
        assert.equal(error, null);
        assert.ok(body.equals(bytes), `${size} bytes`);
      }
    }
  });

  const broken: readonly (readonly [string, string, () => Readable, string[]])[] = [
    ['that fails', 'upstream_aborted', () => Readable.from(failing()), []],
    ['that was destroyed before', 'upstream_protocol', () => Readable.from([]).destroy(), []],
    [
      'shorter than its length',
      'upstream_protocol',
      () => Readable.from([Buffer.from('a')]),
      ['content-length', '2'],
    ],
    [
      'longer than its length',
      'upstream_protocol',
      () => Readable.from([Buffer.from('abc')]),
      ['content-length', '2'],
    ],
  ];
  for (const [what, code, body, headers] of broken) {
    test(`a stream ${what} is ${code}, and the connection is given up`, async (t) => {
      const origin = await listen(t, echo());
      const stream = body();
      const { error } = await run(upstreamsFor(t), origin, { method: 'POST', body: stream, headers });
      assert.equal(error?.code, code);
      assert.equal(stream.destroyed, true);
    });
  }

  test('an answer that comes before it was sent whole is passed on, and the rest is not sent', async (t) => {
    let connections = 0;
    const server = net.createServer((socket) => {
      connections += 1;
      socket.once('data', () => socket.write('HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno'));
    });
    const origin = await listen(t, server);
    const upstreams = upstreamsFor(t);
    const body = new Readable({ read() {} });
    body.push('begun');
    const { status, error } = await run(upstreams, origin, { method: 'POST', body });
    assert.deepEqual([status, error, body.destroyed], [413, null, true]);
    await run(upstreams, origin);
    assert.equal(connections, 2);
  });

  test('that nobody reads ends with upstream_first_byte_timeout; a slow one of our own does not', async (t) => {
    const deaf = await listen(
      t,
      net.createServer((socket) => socket.pause()),
    );
    const upstreams = upstreamsFor(t, { timeouts: { firstByteMs: 100 } });
    const flood = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    assert.equal(
      (await run(upstreams, deaf, { method: 'POST', body: flood })).error?.code,
      'upstream_first_byte_timeout',
    );
    const slow = new Readable({ read() {} });
    slow.push('begun');
    setTimeout(() => slow.push(null), 400);
    const origin = await listen(t, echo());
    const { body } = await run(upstreams, origin, { method: 'POST', body: slow });
    assert.equal(body.toString(), 'begun');
  });
});

describe('a handler', () => {
  test('that pauses hears the next thing only after it resumes, though all came at once', async (t) => {
    const origin = await rawServer(t, (socket) => socket.write(OK));
    const upstreams = upstreamsFor(t);
    const heard: string[] = [];
    let control: UpstreamControl | null = null;
    const hold = (what: string): void => {
      heard.push(what);
      control?.pause();
      setTimeout(() => {
        heard.push('resume');
        control?.resume();
      }, 10);
    };
    const { body } = await run(
      upstreams,
      origin,
      {},
      {
        onStart: (started) => {
          control = started;
        },
        onHeaders: () => hold('head'),
        onData: () => hold('data'),
      },
    );
    assert.equal(body.toString(), 'ok');
    assert.deepEqual(heard, ['head', 'resume', 'data', 'resume']);
  });

  test('that pauses before the end of a whole answer hears that the process stops', async (t) => {
    const origin = await rawServer(t, (socket) => socket.write(OK));
    const upstreams = upstreamsFor(t);
    let control: UpstreamControl | null = null;
    const outcome = run(
      upstreams,
      origin,
      {},
      {
        onStart: (started) => {
          control = started;
        },
        onHeaders: () => {
          control?.pause();
          setTimeout(() => void upstreams.close({ abort: true }), 10);
        },
      },
    );
    assert.equal((await outcome).error?.code, 'upstream_aborted');
    await upstreams.close();
  });

  test('is not called late while it pauses', async (t) => {
    const origin = await rawServer(t, (socket) => socket.write(OK.replace('ok', 'o')));
    const upstreams = upstreamsFor(t, { timeouts: { idleMs: 60 } });
    let control: UpstreamControl | null = null;
    let resumedMs = Number.POSITIVE_INFINITY;
    const { error } = await run(
      upstreams,
      origin,
      {},
      {
        onStart: (started) => {
          control = started;
        },
        onData: () => {
          control?.pause();
          setTimeout(() => {
            resumedMs = performance.now();
            control?.resume();
          }, 300);
        },
      },
    );
    assert.equal(error?.code, 'upstream_idle_timeout');
    assert.ok(performance.now() - resumedMs >= 55, 'the silence counts from where it resumed');
  });

  test('that throws is told of it by onError', async (t) => {
    const origin = await rawServer(t, (socket) => socket.write(OK));
    const upstreams = upstreamsFor(t);
    for (const name of ['onStart', 'onHeaders', 'onData', 'onEnd'] as const) {
      const fault = new Error(`of ${name}`);
      const { error } = await run(
        upstreams,
        origin,
        {},
        {
          [name]: () => {
            throw fault;
          },
        },
      );
      assert.deepEqual([error?.code, error?.cause], ['upstream_protocol', fault]);
    }
    assert.deepEqual(upstreams.stats(), [{ origin, running: 0, queued: 0 }]);
  });

  test('gets what several chunks of one read held as one piece of its own', async (t) => {
    const origin = await rawServer(t, (socket) =>
      socket.write(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n1\r\nf\r\n0\r\n\r\n',
      ),
    );
    const chunks: Buffer[] = [];
    const upstreams = upstreamsFor(t);
    await run(upstreams, origin, {}, { onData: (chunk) => void chunks.push(chunk) });
    await run(upstreams, origin);
    assert.deepEqual(chunks.map(String), ['abcdef']);
  });
});

describe('time', () => {
  test('a limit is kept to a tenth of it, and never too early', async (t) => {
    const origin = await rawServer(t, () => {});
    const upstreams = upstreamsFor(t, { timeouts: { firstByteMs: 300 } });
    const startMs = performance.now();
    assert.equal((await run(upstreams, origin)).error?.code, 'upstream_first_byte_timeout');
    const passedMs = performance.now() - startMs;
    assert.ok(passedMs >= 299, `${passedMs} ms`);
  });
});

test(
  '10,000 requests of every kind at once, over TLS and without: each gets its own answer',
  { timeout: 60_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upstreams-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const caFile = join(folder, 'ca.pem');
    writeFileSync(caFile, TEST_AUTHORITY_CERT);
    const listener: http.RequestListener = (req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const body = Buffer.concat(chunks);
        const mode = req.url?.slice(1) ?? '';
        if (mode === 'length') res.writeHead(200, { 'content-length': body.length }).end(body);
        else if (mode === 'close') res.writeHead(200, { connection: 'close' }).end(body);
        else {
          const half = Math.floor(body.length / 2);
          if (half > 0) res.write(body.subarray(0, half));
          setImmediate(() => res.end(body.subarray(half)));
        }
      });
    };
    const plain = await listen(t, http.createServer(listener));
    const secure = await listen(t, https.createServer({ cert: TEST_CERT, key: TEST_KEY }, listener), 'https');
    const upstreams = upstreamsFor(t, { caFiles: [caFile], maxPerOrigin: 20 });
    let left = 10_000;
    const worker = async (seed: number): Promise<void> => {
      for (let i = seed; left > 0; i += 1) {
        left -= 1;
        const bytes = Buffer.alloc((i * 7919) % (i % 50 === 0 ? 200_000 : 3000), `${seed}-${i};`);
        const origin = i % 4 === 0 ? secure : plain;
        const path = i % 100 === 0 ? '/close' : i % 2 === 0 ? '/chunked' : '/length';
        const body = i % 10 === 0 ? Readable.from(bytes.length === 0 ? [] : [bytes]) : bytes;
        const got = await run(upstreams, origin, { method: 'POST', path, body });
        assert.equal(got.error, null, String(got.error?.detail ?? got.error?.message));
        assert.ok(got.body.equals(bytes), `${origin}${path}: ${bytes.length} bytes`);
      }
    };
    await Promise.all(Array.from({ length: 40 }, (_, seed) => worker(seed * 10_007)));
  },
);

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('begun');
  await Promise.resolve();
  throw new Error('the disk is gone');
}
