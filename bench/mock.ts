/**
 * The bench's upstream: as little work as an HTTP/1.1 server in Node can do, so that what is measured is
 * the gateway. It parses just enough (the head, the length, the model's name) and answers from ready
 * bytes. `bench-stream-N-G` streams N events, one every G ms, each stamped with the monotonic clock.
 * Not a model of a good server: it trusts its peers. Prints its port, and counts on request.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_790_000_000,
    model: 'bench-instant',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'An answer of a few sentences. '.repeat(12).trim(),
          refusal: null,
        },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      prompt_tokens: 320,
      completion_tokens: 84,
      total_tokens: 404,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  }),
);
const INSTANT = Buffer.concat([
  Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${ANSWER.length}\r\n\r\n`,
  ),
  ANSWER,
]);
const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKED_END = Buffer.from('\r\n0\r\n\r\n');

interface Connection {
  head: Buffer;
  /** Bytes of body still to come; -1 while the head is read, -2 in a chunked body. */
  left: number;
  /** The start of the body, where the model's name is. */
  start: string;
  tail: Buffer;
}

function chunk(data: object | string): string {
  const event = `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
  return `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`;
}

function streamChunk(choices: object[], usage: object | null): string {
  const id = {
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'bench',
  };
  return chunk({ ...id, choices, usage });
}

function stream(socket: Socket, chunks: number, gapMs: number): void {
  let sent = 0;
  const stamped = (): string => {
    const delta = { content: `t=${process.hrtime.bigint()}; word word ` };
    return streamChunk([{ index: 0, delta, finish_reason: null }], null);
  };
  socket.write(STREAM_HEAD + stamped());
  const timer = setInterval(() => {
    sent += 1;
    if (sent < chunks && !socket.destroyed) {
      socket.write(stamped());
      return;
    }
    clearInterval(timer);
    const usage = { prompt_tokens: 320, completion_tokens: chunks, total_tokens: 320 + chunks };
    const end = streamChunk([{ index: 0, delta: {}, finish_reason: 'stop' }], null) + streamChunk([], usage);
    socket.write(`${end}${chunk('[DONE]')}0\r\n\r\n`);
  }, gapMs);
}

function answer(socket: Socket, start: string): void {
  const found = /bench-stream-(\d+)-(\d+)/.exec(start);
  if (found === null) socket.write(INSTANT);
  else stream(socket, Number(found[1]), Number(found[2]));
}

/** Takes a piece of a connection; returns nothing, answers what is complete. */
function receive(socket: Socket, state: Connection, piece: Buffer): void {
  let data = piece;
  while (data.length > 0) {
    if (state.left === -1) {
      const joined = state.head.length === 0 ? data : Buffer.concat([state.head, data]);
      const end = joined.indexOf(HEAD_END);
      if (end < 0) {
        state.head = joined;
        return;
      }
      const head = joined.toString('latin1', 0, end).toLowerCase();
      const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
      state.left = head.includes('transfer-encoding: chunked') ? -2 : Number(length ?? 0);
      state.head = Buffer.alloc(0);
      state.start = '';
      state.tail = Buffer.alloc(0);
      data = joined.subarray(end + 4);
      if (state.left === 0) finish(socket, state);
      continue;
    }
    if (state.start.length < 512) state.start += data.toString('latin1', 0, 512);
    if (state.left === -2) {
      state.tail = Buffer.concat([state.tail, data]).subarray(-CHUNKED_END.length);
      if (state.tail.equals(CHUNKED_END)) finish(socket, state);
      return;
    }
    const used = Math.min(state.left, data.length);
    state.left -= used;
    data = data.subarray(used);
    if (state.left === 0) finish(socket, state);
  }
}

function finish(socket: Socket, state: Connection): void {
  state.left = -1;
  answer(socket, state.start);
}

const server = createServer({ noDelay: true }, (socket) => {
  const state: Connection = { head: Buffer.alloc(0), left: -1, start: '', tail: Buffer.alloc(0) };
  socket.on('data', (piece) => receive(socket, state, Buffer.isBuffer(piece) ? piece : Buffer.from(piece)));
  socket.on('error', () => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 8192 }, () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`);
});
// The bench ends it by closing its standard input, also when the bench itself is killed.
process.stdin.resume().on('end', () => process.exit(0));
