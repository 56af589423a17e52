import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { type TestContext, describe, test } from 'node:test';
import type { AppError } from '../base/errors.ts';
import { parseCidr } from '../wire/ip.ts';
import { createDialer } from './dialer.ts';
import { createFetchSmall } from './fetch-small.ts';
import {
  type UpstreamControl,
  type UpstreamRequest,
  type Upstreams,
  type UpstreamsOptions,
  createUpstreams,
} from './upstreams.ts';

function upstreamsFor(t: TestContext, options: Partial<UpstreamsOptions> = {}): Upstreams {
  const loopback = parseCidr('127.0.0.0/8');
  assert.ok(loopback);
  const dialer = createDialer({ allow: [loopback], exact: [], ownAddresses: () => [] });
  const upstreams = createUpstreams({ dialer, ...options });
  t.after(() => upstreams.close({ abort: true }));
  return upstreams;
}

async function serve(t: TestContext, server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => {
    if (server instanceof http.Server) server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

interface Outcome {
  status: number;
  headers: string[];
  body: string;
  error: AppError | null;
}

interface RunOptions {
  readonly onStart?: (control: UpstreamControl) => void;
  readonly onData?: (chunk: Buffer, control: UpstreamControl) => void;
}

function run(
  upstreams: Upstreams,
  origin: string,
  request: Partial<UpstreamRequest>,
  options: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { status: 0, headers: [], body: '', error: null };
    let control: UpstreamControl = { pause() {}, resume() {}, abort() {} };
    let ends = 0;
    const finish = (error: AppError | null): void => {
      ends += 1;
      assert.equal(ends, 1, 'exactly one of onEnd and onError');
      outcome.error = error;
      resolve(outcome);
    };
    upstreams.dispatch(
      origin,
      { method: 'GET', path: '/', headers: [], body: null, ...request },
      {
        onStart: (started) => {
          control = started;
          options.onStart?.(started);
        },
        onHeaders: (status, raw) => {
          outcome.status = status;
          outcome.headers = raw.map(String);
        },
        onData: (chunk) => {
          outcome.body += chunk.toString();
          options.onData?.(chunk, control);
        },
        onEnd: () => finish(null),
        onError: finish,
      },
    );
  });
}

describe('upstream requests', () => {
  test('send flat headers and a body, and give the answer as it comes', async (t) => {
    const origin = await serve(
      t,
      http.createServer((req, res) => {
        req.pipe(
          res.writeHead(201, ['X-Custom', 'a', 'X-Custom', 'b', 'X-Seen', String(req.headers['x-sent'])]),
        );
      }),
    );
    const upstreams = upstreamsFor(t);
    const outcome = await run(upstreams, origin, {
      method: 'POST',
      path: '/v1?x=1',
      headers: ['x-sent', 'yes'],
      body: Buffer.from('ping'),
    });
    assert.equal(outcome.status, 201);
    assert.equal(outcome.body, 'ping');
    assert.deepEqual(outcome.headers.slice(0, 6), ['X-Custom', 'a', 'X-Custom', 'b', 'X-Seen', 'yes']);
    assert.equal(
      (
        await run(upstreams, origin, {
          method: 'POST',
          body: Readable.from([Buffer.from('a'), Buffer.from('b')]),
        })
      ).body,
      'ab',
    );
  });

  test('reuse connections', async (t) => {
    let connections = 0;
    const server = http.createServer((_req, res) => res.end('ok'));
    server.on('connection', () => {
      connections += 1;
    });
    const origin = await serve(t, server);
    const upstreams = upstreamsFor(t);
    for (let i = 0; i < 20; i += 1) await run(upstreams, origin, {});
    /* Asked for within `onEnd`, the next request finds its connection still counted as busy. */
    assert.ok(connections <= 2, `${connections} connections for 20 requests in a row`);
    assert.deepEqual(upstreams.stats(), [{ origin, running: 0, queued: 0 }]);
  });

  test('do not follow redirects', async (t) => {
    const origin = await serve(
      t,
      http.createServer((_req, res) => res.writeHead(302, { location: 'http://10.0.0.1/' }).end()),
    );
    assert.equal((await run(upstreamsFor(t), origin, {})).status, 302);
  });

  test('drop informational answers', async (t) => {
    const origin = await serve(
      t,
      http.createServer((_req, res) => {
        res.writeEarlyHints({ link: '</x>; rel=preload' });
        res.end('final');
      }),
    );
    const outcome = await run(upstreamsFor(t), origin, {});
    assert.deepEqual([outcome.status, outcome.body], [200, 'final']);
  });

  const failures: readonly (readonly [
    string,
    string,
    (socket: net.Socket) => void,
    Partial<UpstreamsOptions>,
  ])[] = [
    ['silence before the head', 'upstream_first_byte_timeout', () => {}, { timeouts: { firstByteMs: 100 } }],
    [
      'silence within the answer',
      'upstream_idle_timeout',
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab'),
      { timeouts: { idleMs: 100 } },
    ],
    ['an end before the head', 'upstream_closed', (socket) => socket.end(), {}],
    [
      'an end within the answer',
      'upstream_closed',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab'),
      {},
    ],
    [
      'an end within a chunk',
      'upstream_closed',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab'),
      {},
    ],
    ['a reset', 'upstream_closed', (socket) => socket.resetAndDestroy(), {}],
    [
      'something that is not HTTP',
      'upstream_protocol',
      (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
      {},
    ],
    [
      'headers over the limit',
      'upstream_protocol',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`),
      {},
    ],
    [
      'both content-length and chunked',
      'upstream_protocol',
      (socket) =>
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
      {},
    ],
  ];
  for (const [what, code, answer, options] of failures) {
    test(`${what} is ${code}`, async (t) => {
      const origin = await serve(
        t,
        net.createServer((socket) => {
          socket.on('error', () => {});
          socket.once('data', () => answer(socket));
        }),
      );
      const outcome = await run(upstreamsFor(t, options), origin, {});
      assert.equal(outcome.error?.code, code, outcome.error?.detail ?? 'no failure');
    });
  }

  test('an address that is not allowed reaches the handler as such', async (t) => {
    const outcome = await run(upstreamsFor(t), 'http://10.0.0.1', {});
    assert.equal(outcome.error?.code, 'dial_refused_address');
  });

  test('a header that cannot be sent is a failure, not a throw', async (t) => {
    const outcome = await run(upstreamsFor(t), 'http://127.0.0.1:1', { headers: ['x', 'a\r\nb: c'] });
    assert.equal(outcome.error?.code, 'upstream_protocol');
  });

  test('are stopped by their signal before, at and after the start', async (t) => {
    const origin = await serve(
      t,
      http.createServer((_req, res) => {
        res.write('begun');
      }),
    );
    const upstreams = upstreamsFor(t, { maxPerOrigin: 1 });
    assert.equal(
      (await run(upstreams, origin, { signal: AbortSignal.abort() })).error?.code,
      'upstream_aborted',
    );
    const first = new AbortController();
    const running = run(upstreams, origin, { signal: first.signal }, { onData: () => queued.abort() });
    const queued = new AbortController();
    const waiting = run(upstreams, origin, { signal: queued.signal });
    assert.equal((await waiting).error?.code, 'upstream_aborted', 'one that waits for a connection');
    first.abort();
    assert.equal((await running).error?.code, 'upstream_aborted', 'one within its answer');
    assert.equal(upstreams.stats()[0]?.running, 0);
  });

  test('hold back a fast server while paused', async (t) => {
    const total = 20 * 1024 * 1024;
    let sent = 0;
    const origin = await serve(
      t,
      http.createServer((_req, res) => {
        const push = (): void => {
          while (sent < total) {
            sent += 65_536;
            if (!res.write(Buffer.alloc(65_536))) return void res.once('drain', push);
          }
          res.end();
        };
        push();
      }),
    );
    let received = 0;
    let pausedAt = 0;
    const outcome = run(
      upstreamsFor(t),
      origin,
      {},
      {
        onData: (chunk, control) => {
          if (received === 0) {
            control.pause();
            const until = setInterval(() => {
              /* The server stands still once the buffers between us are full. */
              if (sent !== pausedAt) {
                pausedAt = sent;
                return;
              }
              clearInterval(until);
              control.resume();
            }, 50);
          }
          received += chunk.length;
        },
      },
    );
    assert.equal((await outcome).error, null);
    assert.equal(received, total);
    assert.ok(pausedAt < total, `the server had sent only ${pausedAt} of ${total} bytes while we paused`);
  });

  test('more than may wait are refused at once', async (t) => {
    const origin = await serve(
      t,
      http.createServer(() => {}),
    );
    const upstreams = upstreamsFor(t, { maxPerOrigin: 1, maxQueuedPerOrigin: 1 });
    const held = [run(upstreams, origin, {}), run(upstreams, origin, {})];
    assert.equal((await run(upstreams, origin, {})).error?.code, 'upstream_busy');
    await upstreams.close({ abort: true });
    for (const outcome of await Promise.all(held)) assert.equal(outcome.error?.code, 'upstream_aborted');
    assert.equal((await run(upstreams, origin, {})).error?.code, 'upstream_aborted');
  });

  test('an idle origin makes room for a new one; a busy one does not', async (t) => {
    const hanging = await serve(
      t,
      http.createServer(() => {}),
    );
    const quick = await serve(
      t,
      http.createServer((_req, res) => res.end()),
    );
    const upstreams = upstreamsFor(t, { maxOrigins: 1 });
    await run(upstreams, quick, {});
    void run(upstreams, hanging, {});
    assert.deepEqual(
      upstreams.stats().map(({ origin }) => origin),
      [hanging],
    );
    assert.equal((await run(upstreams, quick, {})).error?.code, 'upstream_busy');
  });
});

describe('fetchSmall', () => {
  test('gives status, headers and body', async (t) => {
    const origin = await serve(
      t,
      http.createServer((req, res) => {
        res.writeHead(200, { 'X-Method': req.method ?? '' });
        req.pipe(res);
      }),
    );
    const fetchSmall = createFetchSmall(upstreamsFor(t));
    const answer = await fetchSmall(`${origin}/token?x=1`, {
      method: 'POST',
      body: 'grant',
      headers: { 'content-type': 'text/plain' },
    });
    assert.deepEqual(
      [answer.status, answer.headers.get('x-method'), answer.body.toString()],
      [200, 'POST', 'grant'],
    );
  });

  test('is bounded in bytes and in time', async (t) => {
    const large = await serve(
      t,
      http.createServer((_req, res) => res.end(Buffer.alloc(5000))),
    );
    const fetchSmall = createFetchSmall(upstreamsFor(t));
    await assert.rejects(
      fetchSmall(large, { maxBytes: 4999 }),
      (error: AppError) => error.code === 'upstream_too_large',
    );
    assert.equal((await fetchSmall(large, { maxBytes: 5000 })).body.length, 5000);
    const dripping = await serve(
      t,
      http.createServer((_req, res) => {
        const drip = setInterval(() => res.write('.'), 20);
        res.on('close', () => clearInterval(drip));
      }),
    );
    await assert.rejects(
      fetchSmall(dripping, { timeoutMs: 100 }),
      (error: AppError) => error.code === 'upstream_first_byte_timeout',
    );
  });

  test('refuses what is not plain http or https', async (t) => {
    const fetchSmall = createFetchSmall(upstreamsFor(t));
    for (const url of [
      'file:///etc/passwd',
      'ftp://x.example/',
      'nonsense',
      'https://user:pass@x.example/',
    ]) {
      await assert.rejects(fetchSmall(url), (error: AppError) => error.code === 'upstream_protocol');
    }
  });
});
