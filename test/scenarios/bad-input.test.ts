/** Bytes that no client should send, over bare sockets: a clear answer, nothing sent on, the next request served. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startScene, type Scene } from './fake-providers.ts';
import { suiteEnd, type Postern } from './harness.ts';
import { untilIdle } from './load.ts';
import { connectRaw, requestHead, statusOf, wholeRequest } from './raw-client.ts';

const GOOD_BODY = '{"model":"gpt-5","messages":[]}';
const JSON_TYPE = 'Content-Type: application/json';
const CHUNKED = 'Transfer-Encoding: chunked';
const FUZZ_ROUNDS = 300;

interface Case {
  readonly name: string;
  readonly bytes: (url: string) => string | Buffer;
  readonly status: number;
  /** Code in the answer's body; null where the answer has none. */
  readonly code?: string;
}

function head(method: string, target: string, ...headers: readonly string[]): Case['bytes'] {
  return (url) => requestHead(url, { method, target, headers });
}

/** A chunked POST whose body is given as it goes on the wire. */
function chunked(body: string, ...headers: readonly string[]): Case['bytes'] {
  return (url) => requestHead(url, { headers: [JSON_TYPE, CHUNKED, ...headers] }) + body;
}

function lengths(...headers: readonly string[]): Case['bytes'] {
  return (url) => `${requestHead(url, { headers: [JSON_TYPE, ...headers] })}${GOOD_BODY}`;
}

const NOT_HTTP = { status: 400, code: 'request_invalid' } as const;
const UNKNOWN_PATH = { status: 404, code: 'path_unknown' } as const;
const INVALID_BODY = { status: 400, code: 'body_invalid' } as const;

const MALFORMED: readonly Case[] = [
  { name: 'control bytes', bytes: () => '\u0000\u0001garbage\r\n\r\n', ...NOT_HTTP },
  { name: 'no target', bytes: () => 'GET\r\n\r\n', ...NOT_HTTP },
  { name: 'HTTP/9.9', bytes: () => 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n', ...NOT_HTTP },
  { name: 'the preface of HTTP/2', bytes: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...NOT_HTTP },
  { name: 'an unknown method', bytes: head('FOO', '/v1/models'), ...NOT_HTTP },
  {
    name: 'bare line feeds',
    bytes: (url) => `GET /v1/models HTTP/1.1\nHost: ${new URL(url).host}\n\n`,
    ...NOT_HTTP,
  },
  { name: 'a folded header', bytes: head('GET', '/v1/models', 'X: a\r\n b'), ...NOT_HTTP },
  { name: 'a space before the colon', bytes: head('GET', '/v1/models', 'X : a'), ...NOT_HTTP },
  { name: 'NUL in a header', bytes: head('GET', '/v1/models', 'X: a\u0000b'), ...NOT_HTTP },
  { name: 'CR in a header', bytes: head('GET', '/v1/models', 'X: a\rb'), ...NOT_HTTP },
  { name: 'NUL in the path', bytes: head('GET', '/v1/mo\u0000dels'), ...NOT_HTTP },
  { name: 'CR in the path', bytes: head('GET', '/v1/mo\rdels'), ...NOT_HTTP },
  { name: 'no Host', bytes: () => 'GET /v1/models HTTP/1.1\r\n\r\n', ...NOT_HTTP },
  { name: 'no Host in HTTP/1.0', bytes: () => 'GET /v1/models HTTP/1.0\r\n\r\n', ...NOT_HTTP },
  { name: 'two Hosts', bytes: head('GET', '/v1/models', 'Host: localhost'), ...NOT_HTTP },
  {
    name: '300 headers',
    bytes: head('GET', '/v1/models', ...Array.from({ length: 300 }, (_, i) => `x-${i}: 1`)),
    status: 431,
    code: 'request_invalid',
  },
  {
    name: 'a header of 40 KB',
    bytes: head('GET', '/v1/models', `x: ${'a'.repeat(40_000)}`),
    status: 431,
    code: 'request_invalid',
  },
  {
    name: 'a path of 40 KB',
    bytes: head('GET', `/v1/models/${'a'.repeat(40_000)}`),
    status: 431,
    code: 'request_invalid',
  },
  {
    name: 'an unknown expectation',
    bytes: head('POST', '/v1/chat/completions', 'Expect: magic', 'Content-Length: 0'),
    status: 417,
  },
];

/** Framing that two parsers could read differently (RFC 9112 section 11.2). */
const SMUGGLING: readonly Case[] = [
  { name: 'two lengths', bytes: lengths('Content-Length: 31', 'Content-Length: 5'), ...NOT_HTTP },
  { name: 'the same length twice', bytes: lengths('Content-Length: 31', 'Content-Length: 31'), ...NOT_HTTP },
  { name: 'a list of lengths', bytes: lengths('Content-Length: 31, 31'), ...NOT_HTTP },
  { name: 'a negative length', bytes: lengths('Content-Length: -1'), ...NOT_HTTP },
  { name: 'a signed length', bytes: lengths('Content-Length: +31'), ...NOT_HTTP },
  { name: 'a length in hex', bytes: lengths('Content-Length: 0x1f'), ...NOT_HTTP },
  { name: 'a length beyond 64 bits', bytes: lengths('Content-Length: 99999999999999999999999'), ...NOT_HTTP },
  { name: 'length and chunks', bytes: lengths('Content-Length: 31', CHUNKED), ...NOT_HTTP },
  { name: 'chunks and length', bytes: lengths(CHUNKED, 'Content-Length: 31'), ...NOT_HTTP },
  {
    name: 'chunked that is not the last coding',
    bytes: lengths('Transfer-Encoding: chunked, identity'),
    ...NOT_HTTP,
  },
  {
    name: 'an unknown coding',
    bytes: lengths('Transfer-Encoding: xchunked'),
    status: 501,
    code: 'request_invalid',
  },
  {
    name: 'a coding before chunked',
    bytes: lengths('Transfer-Encoding: gzip, chunked'),
    status: 501,
    code: 'request_invalid',
  },
  { name: 'chunked twice', bytes: lengths(CHUNKED, CHUNKED), ...NOT_HTTP },
  {
    name: 'a coding with a space before its colon',
    bytes: lengths('Transfer-Encoding : chunked'),
    ...NOT_HTTP,
  },
  { name: 'a chunk size that is no number', bytes: chunked('zz\r\n{}\r\n0\r\n\r\n'), ...NOT_HTTP },
  { name: 'a negative chunk size', bytes: chunked('-2\r\n{}\r\n0\r\n\r\n'), ...NOT_HTTP },
  { name: 'a chunk size in 0x', bytes: chunked('0x2\r\n{}\r\n0\r\n\r\n'), ...NOT_HTTP },
  { name: 'a chunk size beyond 64 bits', bytes: chunked('fffffffffffffffff\r\n{}'), ...NOT_HTTP },
  { name: 'a chunk that is longer than it says', bytes: chunked('1\r\n{}\r\n0\r\n\r\n'), ...NOT_HTTP },
  {
    name: 'chunk extensions of 20 KB',
    bytes: chunked(`2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    status: 413,
    code: 'request_invalid',
  },
];

const TARGETS: readonly Case[] = [
  {
    name: 'an absolute target of another host',
    bytes: head('GET', 'http://evil.example/v1/models'),
    ...NOT_HTTP,
  },
  {
    name: 'an absolute target of this host',
    bytes: (url) => requestHead(url, { method: 'GET', target: `${url}/v1/models` }),
    ...NOT_HTTP,
  },
  { name: 'an asterisk', bytes: head('OPTIONS', '*'), ...NOT_HTTP },
  { name: 'two slashes', bytes: head('GET', '//v1/models'), ...NOT_HTTP },
  {
    name: 'an escaped slash',
    bytes: (url) => wholeRequest(url, GOOD_BODY, { target: '/v1/chat%2fcompletions' }),
    ...UNKNOWN_PATH,
  },
  {
    name: 'an escaped letter',
    bytes: (url) => wholeRequest(url, GOOD_BODY, { target: '/v1/%63hat/completions' }),
    ...UNKNOWN_PATH,
  },
  { name: 'a dot segment', bytes: head('GET', '/v1/./models'), ...NOT_HTTP },
  { name: 'two dots', bytes: head('GET', '/v1/../healthz'), ...NOT_HTTP },
  { name: 'escaped dots', bytes: head('GET', '/v1/%2e%2E/healthz'), ...NOT_HTTP },
  {
    name: 'dots out of the API',
    bytes: head('GET', '/api/v1/../../v1/models'),
    ...NOT_HTTP,
  },
  { name: 'a fragment', bytes: head('GET', '/v1/models#x'), ...UNKNOWN_PATH },
  { name: 'a model with an escaped NUL', bytes: head('GET', '/v1/models/%00'), ...INVALID_BODY },
  { name: 'a model with a broken escape', bytes: head('GET', '/v1/models/%zz'), ...INVALID_BODY },
  { name: 'a backslash', bytes: head('GET', '/api/v1/who\\ami'), status: 400, code: 'invalid_request' },
  { name: 'OPTIONS', bytes: head('OPTIONS', '/v1/models'), status: 405, code: 'method_wrong' },
  { name: 'TRACE', bytes: head('TRACE', '/v1/models'), status: 405, code: 'method_wrong' },
  {
    name: 'an upgrade to HTTP/2',
    bytes: head('GET', '/v1/models', 'Connection: upgrade', 'Upgrade: h2c'),
    status: 426,
    code: 'websocket_unsupported',
  },
];

const BODIES: readonly Case[] = [
  {
    name: 'invalid UTF-8',
    bytes: (url) => wholeRequest(url, Buffer.from('7b22ff223a317d', 'hex')),
    ...INVALID_BODY,
  },
  {
    name: '100,000 levels',
    bytes: (url) =>
      wholeRequest(url, `{"model":"gpt-5","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    ...INVALID_BODY,
  },
  { name: 'a million brackets', bytes: (url) => wholeRequest(url, '['.repeat(1_000_000)), ...INVALID_BODY },
  {
    name: 'a model name of 10 MB',
    bytes: (url) => wholeRequest(url, `{"model":"${'a'.repeat(10_000_000)}"}`),
    ...INVALID_BODY,
  },
  {
    name: 'a stated length over the limit',
    bytes: head('POST', '/v1/chat/completions', JSON_TYPE, 'Content-Length: 67108865'),
    status: 413,
    code: 'body_too_large',
  },
  {
    name: 'an API body that is no JSON',
    bytes: (url) => wholeRequest(url, '['.repeat(60_000), { target: '/api/v1/tokens' }),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'an API body with __proto__',
    bytes: (url) => wholeRequest(url, '{"__proto__":1,"name":"x"}', { target: '/api/v1/tokens' }),
    status: 400,
    code: 'invalid_request',
  },
];

describe('bad input', () => {
  const suite = suiteEnd();
  let scene: Scene;
  before(async () => {
    scene = await startScene(suite);
  });
  after(() => suite.end());

  for (const [group, cases] of Object.entries({ MALFORMED, SMUGGLING, TARGETS, BODIES })) {
    test(`${group.toLowerCase()}: each is refused with a code, nothing goes upstream, the next request is served`, async (t) => {
      scene.upstream.reset();
      for (const { name, bytes, status, code } of cases) {
        const connection = await connectRaw(t, scene.postern.url);
        void connection.send(bytes(scene.postern.url));
        const text = await connection.until((received) => isWhole(received));
        assert.equal(statusOf(text), status, `${name}: ${text.slice(0, 300)}`);
        if (code !== undefined)
          assert.ok(text.includes(`"code":"${code}"`), `${name}: ${text.slice(0, 500)}`);
        connection.socket.destroy();
      }
      assert.equal(scene.upstream.requests.length, 0);
      await servesNext(scene);
    });
  }

  test('CONNECT opens no tunnel', async (t) => {
    for (const target of ['example.com:443', '/v1/models']) {
      const connection = await connectRaw(t, scene.postern.url);
      await connection.send(requestHead(scene.postern.url, { method: 'CONNECT', target }));
      assert.doesNotMatch(await connection.closed(), /^HTTP\/1\.1 2/);
    }
  });

  test('pipelined requests are answered in their order', async (t) => {
    const { url } = scene.postern;
    const connection = await connectRaw(t, url);
    const slow = JSON.stringify({ model: 'gpt-5--slow', messages: [] });
    await connection.send(
      Buffer.concat([
        wholeRequest(url, slow),
        Buffer.from(requestHead(url, { method: 'GET', target: '/v1/nothing' })),
        wholeRequest(url, GOOD_BODY),
      ]),
    );
    const text = await connection.until((received) => received.split('"chatcmpl-').length === 3);
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]);
    assert.deepEqual(statuses, ['200', '404', '200']);
  });

  test('what follows a refused body on its connection is never read as a request', async (t) => {
    const { url } = scene.postern;
    scene.upstream.reset();
    const connection = await connectRaw(t, url);
    const inner = wholeRequest(url, GOOD_BODY).toString();
    await connection.send(
      requestHead(url, {
        target: '/v1/nothing',
        headers: ['Connection: close', `Content-Length: ${inner.length}`],
      }) + inner,
    );
    const second = await connectRaw(t, url);
    await second.send(requestHead(url, { headers: ['Content-Length: 67108865'] }) + inner);
    for (const { closed } of [connection, second]) {
      assert.equal((await closed()).split('HTTP/1.1 ').length, 2);
    }
    assert.equal(scene.upstream.requests.length, 0);
  });

  test('trailers are not headers: no credential, no label, nothing upstream', async (t) => {
    const { url } = scene.postern;
    scene.upstream.reset();
    const connection = await connectRaw(t, url);
    const trailers = 'Authorization: Bearer pst_x\r\nX-Postern-Authorization: pst_x\r\nX-Evil: 1';
    await connection.send(
      chunked(
        `${GOOD_BODY.length.toString(16)}\r\n${GOOD_BODY}\r\n0\r\n${trailers}\r\n\r\n`,
        'Trailer: X-Evil',
      )(url),
    );
    assert.equal(statusOf(await connection.until((text) => isWhole(text))), 200);
    assert.deepEqual(scene.upstream.violations, []);
    assert.doesNotMatch(scene.upstream.requests[0]?.rawHeaders.join() ?? '', /evil/i);
  });

  test('100-continue is answered, HTTP/1.0 is served, HEAD has no body', async (t) => {
    const { url } = scene.postern;
    const expecting = await connectRaw(t, url);
    const headers = [JSON_TYPE, 'Expect: 100-continue', `Content-Length: ${GOOD_BODY.length}`];
    await expecting.send(requestHead(url, { headers }));
    await expecting.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    await expecting.send(GOOD_BODY);
    assert.match(await expecting.until((text) => text.includes('chatcmpl-')), /HTTP\/1\.1 200 OK/);

    const old = await connectRaw(t, url);
    await old.send(requestHead(url, { method: 'GET', target: '/v1/models' }).replace('HTTP/1.1', 'HTTP/1.0'));
    assert.equal(statusOf(await old.closed()), 200);

    const empty = await connectRaw(t, url);
    await empty.send(
      requestHead(url, { method: 'HEAD', target: '/v1/models', headers: ['Connection: close'] }),
    );
    assert.match(await empty.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  });

  test('own-property names of objects are plain members, and 5,000 parameters are a query', async () => {
    scene.upstream.reset();
    const body = '{"__proto__":{"model":"x"},"constructor":{},"model":"gpt-5","messages":[],"toString":1}';
    const reply = await scene.postern.call('/v1/chat/completions', { body });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(String(scene.upstream.requests[0]?.body), body);
    const query = Array.from({ length: 5000 }, (_, i) => `a${i}`).join('&');
    assert.equal((await scene.postern.call(`/v1/models?${query}`)).status, 200);
  });

  test('a body at the limit passes whole, one byte more is 413 by length and by chunks (issue 2, surfaces)', async () => {
    const pad = (size: number): Buffer => {
      const [start, end] = ['{"model":"gpt-5","messages":[],"pad":"', '"}'];
      return Buffer.concat([
        Buffer.from(start),
        Buffer.alloc(size - start.length - end.length, 97),
        Buffer.from(end),
      ]);
    };
    scene.upstream.reset();
    const limit = 64 * 1024 * 1024;
    const atLimit = pad(limit);
    assert.equal((await scene.postern.call('/v1/chat/completions', { body: atLimit })).status, 200);
    assert.ok(scene.upstream.requests[0]?.body.equals(atLimit));
    const over = await scene.postern.call('/v1/chat/completions', { body: pad(limit + 1) });
    assert.equal(over.headers['x-postern-reason'], 'body_too_large');
    assert.equal(scene.upstream.requests.length, 1);
    scene.upstream.reset();
    await untilIdle(scene.postern);
  });

  test('a body in single-byte chunks arrives whole', async (t) => {
    const { url } = scene.postern;
    scene.upstream.reset();
    const body = JSON.stringify({ model: 'gpt-5', messages: [], pad: 'a'.repeat(200_000) });
    const connection = await connectRaw(t, url);
    const chunks = body
      .split('')
      .map((letter) => `1\r\n${letter}\r\n`)
      .join('');
    await connection.send(chunked(`${chunks}0\r\n\r\n`)(url));
    assert.equal(statusOf(await connection.until((text) => isWhole(text))), 200);
    assert.equal(String(scene.upstream.requests[0]?.body), body);
    await untilIdle(scene.postern);
  });

  test(`${FUZZ_ROUNDS} mutated requests crash nothing, leak nothing, and get no answer but HTTP`, async (t) => {
    const seed = Number(process.env['POSTERN_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
    t.diagnostic(`POSTERN_FUZZ_SEED=${seed}`);
    const random = mulberry32(seed);
    const { url } = scene.postern;
    const seeds: Buffer[] = [...MALFORMED, ...SMUGGLING, ...TARGETS].map(({ bytes }) =>
      Buffer.from(bytes(url)),
    );
    seeds.push(wholeRequest(url, GOOD_BODY), wholeRequest(url, GOOD_BODY, { target: '/v1/messages' }));
    for (let round = 0; round < FUZZ_ROUNDS; round += 1) {
      const bytes = mutate(seeds[Math.floor(random() * seeds.length)] ?? Buffer.alloc(0), random);
      const connection = await connectRaw(t, url);
      await connection.send(bytes);
      connection.socket.end();
      const text = await connection.closed();
      assert.ok(
        text === '' || text.startsWith('HTTP/1.1 '),
        `seed ${seed} round ${round}: ${text.slice(0, 100)}`,
      );
      assert.doesNotMatch(text, /^HTTP\/1\.1 500/m, `seed ${seed} round ${round}`);
      connection.socket.destroy();
    }
    await servesNext(scene);
    assert.deepEqual(faultsIn(scene.postern), []);
  });
});

async function servesNext({ postern }: Scene): Promise<void> {
  const next = await postern.call('/v1/chat/completions', { body: GOOD_BODY });
  assert.equal(next.status, 200, next.text);
  await untilIdle(postern);
}

function faultsIn(postern: Postern): string[] {
  return postern.logLines.filter((line) => / error /.test(line));
}

/** An answer with its stated body, or an answer that has none. */
function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /^content-length: (\d+)/im.exec(received.slice(0, end))?.[1];
  return length === undefined ? received.endsWith('0\r\n\r\n') : received.length >= end + 4 + Number(length);
}

/** Flips, cuts, repeats and inserts a few times. */
function mutate(original: Buffer, random: () => number): Buffer {
  let bytes: Buffer = original.subarray(0, 4096);
  for (let count = Math.ceil(random() * 4); count > 0; count -= 1) {
    const at = Math.floor(random() * (bytes.length + 1));
    const before = bytes.subarray(0, at);
    const rest = bytes.subarray(at);
    switch (Math.floor(random() * 4)) {
      case 0:
        bytes = Buffer.concat([before, Buffer.from([Math.floor(random() * 256)]), rest.subarray(1)]);
        break;
      case 1:
        bytes = Buffer.concat([before, rest.subarray(Math.floor(random() * 20))]);
        break;
      case 2:
        bytes = Buffer.concat([before, rest.subarray(0, 20), rest]);
        break;
      default:
        bytes = Buffer.concat([before, Buffer.from('\r\n'), rest]);
    }
  }
  return bytes;
}

/** A small generator with a seed, so that a failure can be repeated. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
