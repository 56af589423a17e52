import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { connect, Socket, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createMeter } from '../llm/index.ts';
import { Refused } from './reasons.ts';
import { Relay, type AnswerSource } from './relay.ts';

const LINE = JSON.stringify({
  response: { status_code: 200, body: { model: 'm', usage: { prompt_tokens: 3, completion_tokens: 2 } } },
});

/** A relay of batch results to a caller who reads nothing, and what was asked of the provider's side. */
function startResults(): { readonly relay: Relay; readonly res: ServerResponse; readonly asked: string[] } {
  const res = new ServerResponse(new IncomingMessage(new Socket()));
  const asked: string[] = [];
  const source: AnswerSource = {
    pause: () => void asked.push('pause'),
    resume: () => void asked.push('resume'),
    abort: () => void asked.push('abort'),
  };
  const relay = new Relay({
    res,
    requestId: 'req_1',
    format: {
      createMeter: (contentType) =>
        createMeter('openai_files', { streamed: false, contentType, isBatchResults: true }),
      renderStreamError: () => Buffer.alloc(0),
      refuse: () => {},
    },
    transform: null,
    rules: null,
    streamed: false,
    readsOn: true,
    readerIdleMs: 20,
    captureMaxBytes: 0,
    clock: { monotonicMs: () => 0 },
  });
  relay.begin(source);
  relay.head(200, ['content-type', 'application/octet-stream']);
  return { relay, res, asked };
}

test('results are metered to their end, also if the caller leaves or does not read (DESIGN section 7)', async () => {
  for (const leaves of [true, false]) {
    const { relay, res, asked } = startResults();
    const padding = Buffer.alloc(1 << 20, ' ');
    relay.data(Buffer.concat([Buffer.from(`${LINE}\n`), padding]));
    assert.deepEqual(asked, ['pause']);
    if (leaves) res.destroy();
    await new Promise((resolve) => {
      res.once('close', resolve);
    });
    assert.deepEqual(asked, ['pause', 'resume']);
    relay.data(Buffer.from(`\n${LINE}`));
    relay.end();
    const answer = await relay.done;
    assert.equal(answer.outcome, 'client_abort');
    assert.deepEqual(answer.meter?.batch, {
      models: [{ model: 'm', answers: 2, usage: { inputTokens: 6, outputTokens: 4 } }],
      unread: 0,
    });
  }
});

test('results that the provider broke off after the caller left count for nothing', async () => {
  const { relay, res } = startResults();
  relay.data(Buffer.from(`${LINE}\n`));
  res.destroy();
  await new Promise((resolve) => {
    res.once('close', resolve);
  });
  relay.fail(new Refused('upstream_truncated', 'gone'), 'truncated');
  const answer = await relay.done;
  assert.deepEqual([answer.outcome, answer.meter], ['truncated', null]);
});

/** What a caller gets, to the end of the connection, whose answer `relayed` brings. */
async function answerTo(streamed: boolean, relayed: (relay: Relay) => void): Promise<string> {
  const server = createServer((_req, res) => {
    const relay = new Relay({
      res,
      requestId: 'req_1',
      format: {
        createMeter: (contentType) =>
          createMeter('openai_chat', { streamed, contentType, isBatchResults: false }),
        renderStreamError: () => Buffer.from('data: {"error":{}}\n\n'),
        refuse: () => {},
      },
      transform: null,
      rules: null,
      streamed,
      readerIdleMs: 1000,
      captureMaxBytes: 0,
      clock: { monotonicMs: () => 0 },
    });
    relay.begin({ pause() {}, resume() {}, abort() {} });
    relayed(relay);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const piece of socket) text += String(piece);
  server.close();
  return text;
}

test('a stream that came with a length and broke off ends with its error inside, not behind it (RFC 9112 section 6.2)', async () => {
  const event = 'data: {"choices":[]}\n\n';
  const text = await answerTo(true, (relay) => {
    relay.head(200, ['content-type', 'text/event-stream', 'content-length', String(event.length)]);
    relay.data(Buffer.from(event));
    relay.end();
  });
  assert.doesNotMatch(text, /content-length/i);
  assert.match(text, /transfer-encoding: chunked[^]*data: \{"choices"[^]*data: \{"error"[^]*\r\n0\r\n\r\n$/i);
});

test('an answer that is no stream keeps its length and its bytes', async () => {
  const body = '{"id":"1","model":"m","choices":[],"usage":null}';
  const text = await answerTo(false, (relay) => {
    relay.head(200, ['content-type', 'application/json', 'content-length', String(body.length)]);
    relay.data(Buffer.from(body));
    relay.end();
  });
  assert.match(text, new RegExp(`content-length: ${body.length}\r\n`, 'i'));
  assert.ok(text.endsWith(`\r\n\r\n${body}`));
});
