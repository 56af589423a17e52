/** Providers that answer with nonsense, too much, too slowly or not at all: the caller gets an error that it can read. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, suiteEnd, type Postern, type Reply } from './harness.ts';
import { untilIdle } from './load.ts';
import { startRawUpstream, type RawUpstream } from './raw-upstream.ts';
import { modelThat } from '../upstream/index.ts';

const MESSAGES = [{ role: 'user', content: 'hello' }];
const TIMEOUTS = { firstByteMs: 1000, idleMs: 1000 };
const OK_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
const CHUNK =
  'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n';

function once(bytes: string | Buffer): (socket: Socket) => void {
  return (socket) => void socket.write(bytes);
}

function thenEnd(bytes: string | Buffer): (socket: Socket) => void {
  return (socket) => void socket.end(bytes);
}

describe('providers that misbehave on the wire', { timeout: 120_000 }, () => {
  const suite = suiteEnd();
  let upstream: RawUpstream;
  let postern: Postern;
  before(async () => {
    upstream = await startRawUpstream(suite);
    postern = await startPostern(suite, {
      document: documentFor(upstream.url),
      env: PROVIDER_ENV,
      flags: { allowUpstream: '127.0.0.0/8' },
      settings: { timeouts: TIMEOUTS },
    });
  });
  after(() => suite.end());

  const ask = (stream: boolean): Promise<Reply> =>
    postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages: MESSAGES, stream } });

  const NO_ANSWER: Readonly<Record<string, (socket: Socket) => void>> = {
    'bytes that are no HTTP': thenEnd('\u0000\u0001\u0002 no http at all\r\n\r\n'),
    'a page of another protocol': thenEnd('SSH-2.0-OpenSSH_9.9\r\n'),
    'nothing and the end': (socket) => void socket.end(),
    'a reset': (socket) => void socket.resetAndDestroy(),
    'half a head': thenEnd('HTTP/1.1 200 OK\r\nContent-Ty'),
    'a head of 1 MiB': once(
      `HTTP/1.1 200 OK\r\n${'x-pad: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(20_000)}\r\n`,
    ),
    'a header of 1 MiB': once(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(1_000_000)}\r\n\r\n`),
    'two lengths': once('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}'),
    'length and chunks': once(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
    'NUL in a header': once('HTTP/1.1 200 OK\r\nX: a\u0000b\r\nContent-Length: 2\r\n\r\n{}'),
    'a bare CR in a header': once('HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\n{}'),
    'status 000': once('HTTP/1.1 000 Zero\r\nContent-Length: 2\r\n\r\n{}'),
    'a status of four digits': once('HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}'),
    'an upgrade that nobody asked for': once(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n',
    ),
    'informational answers and then the end': thenEnd(
      'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(50),
    ),
  };

  for (const [name, answer] of Object.entries(NO_ANSWER)) {
    test(`${name}: 502 with a reason, streamed or not`, async () => {
      upstream.answerWith(answer);
      for (const stream of [true, false]) {
        const reply = await ask(stream);
        assert.equal(reply.status, 502, reply.text.slice(0, 300));
        assert.match(String(reply.headers['x-postern-reason']), /^upstream_(?:unreachable|truncated)$/);
        assert.match(reply.text, /"message":/);
        assert.equal(reply.headers['set-cookie'], undefined);
      }
      await untilIdle(postern);
    });
  }

  test('no status line within timeouts.firstByteMs is a 504, and the connection is given up', async () => {
    upstream.answerWith(() => {});
    const reply = await ask(true);
    assert.deepEqual([reply.status, reply.headers['x-postern-reason']], [504, 'upstream_timeout']);
    await untilIdle(postern);
  });

  test('informational answers do not put off timeouts.firstByteMs, and a flood of them ends sooner', async (t) => {
    for (const [perTurn, status] of [
      [1, 504],
      [100, 502],
    ] as const) {
      upstream.answerWith((socket) => {
        const more = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(perTurn)), 20);
        socket.once('close', () => clearInterval(more));
        t.after(() => clearInterval(more));
      });
      const reply = await ask(false);
      assert.equal(reply.status, status, reply.text);
      await untilIdle(postern);
    }
  });

  test('silence within a stream for timeouts.idleMs is an error event, not a clean end', async () => {
    upstream.answerWith(
      once(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${CHUNK.length.toString(16)}\r\n${CHUNK}\r\n`),
    );
    const reply = await ask(true);
    assert.equal(reply.status, 200);
    assert.match(reply.text, /"code":"upstream_timeout"/);
    assert.doesNotMatch(reply.text, /\[DONE\]/);
    await untilIdle(postern);
  });

  test('a broken chunk within a stream is an error event; within a plain answer the connection ends', async () => {
    const body = `${CHUNK.length.toString(16)}\r\n${CHUNK}\r\nzz\r\n`;
    upstream.answerWith(once(`${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${body}`));
    assert.match((await ask(true)).text, /"code":"upstream_truncated"/);
    await assert.rejects(ask(false), /aborted|socket hang up|ECONNRESET/);
    await untilIdle(postern);
  });

  test('a plain answer that is shorter than its length is cut, not passed as whole', async () => {
    upstream.answerWith(
      thenEnd('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id":'),
    );
    await assert.rejects(ask(false), /aborted|socket hang up|ECONNRESET/);
    await untilIdle(postern);
  });

  test('bytes after an answer are not the next answer', async () => {
    const whole = (id: string): string => {
      const body = `{"id":"${id}","choices":[]}`;
      return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    };
    upstream.answerWith(once(whole('first') + whole('smuggled')));
    assert.match((await ask(false)).text, /first/);
    upstream.answerWith(once(whole('second')));
    const next = await ask(false);
    assert.doesNotMatch(next.text, /smuggled/);
    assert.match(next.text, /second/);
  });

  test("obs-text and odd header names reach nobody's parser broken", async () => {
    const head =
      'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Latin: \u00e9\r\nX-Empty:\r\nContent-Length: 2\r\n\r\n{}';
    upstream.answerWith(once(Buffer.from(head, 'latin1')));
    const reply = await ask(false);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['x-empty'], '');
  });

  test('after all that the next good answer passes, and no fault was logged', async () => {
    const body = '{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}';
    upstream.answerWith(
      once(
        `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    );
    assert.equal((await ask(false)).text, body);
    assert.deepEqual(
      postern.logLines.filter((line) => / error /.test(line)),
      [],
    );
  });
});

test('a compressed answer that nobody asked for passes as it is and is not taken for a truncated stream', async (t) => {
  const { upstream, postern } = await startScene(t);
  for (const stream of [true, false]) {
    upstream.reset();
    const reply = await postern.call('/v1/chat/completions', {
      body: {
        model: modelThat('gpt-5', 'gzip'),
        messages: MESSAGES,
        stream,
        stream_options: stream ? { include_usage: true } : undefined,
      },
    });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['content-encoding'], 'gzip');
    assert.deepEqual(reply.bytes, Buffer.concat(upstream.requests[0]?.sent ?? []));
  }
});

test('garbage in a 200 is passed in a plain answer, and an error in a stream', async (t) => {
  const { postern } = await startScene(t);
  const body = { model: modelThat('gpt-5', 'garbage'), messages: MESSAGES };
  const plain = await postern.call('/v1/chat/completions', { body });
  assert.match(plain.text, /<html>/);
  const stream = await postern.call('/v1/chat/completions', { body: { ...body, stream: true } });
  assert.match(stream.text, /upstream_truncated/);
});
