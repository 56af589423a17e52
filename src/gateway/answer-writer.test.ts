import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { AnswerWriter } from './answer-writer.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

type Serve = (req: IncomingMessage, res: ServerResponse) => void;

/** What a client that sends these bytes gets back until the server closes. */
async function ask(serve: Serve, request: string): Promise<string> {
  const socket = await connectTo(serve);
  socket.write(request);
  let text = '';
  for await (const piece of socket) text += String(piece);
  return text;
}

async function connectTo(serve: Serve): Promise<ReturnType<typeof connect>> {
  const server = createServer(serve).listen(0, '127.0.0.1');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  closing.push(() => socket.destroy());
  return socket;
}

function answerIn(pieces: readonly string[]): Serve {
  return (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, ['content-type', 'text/plain'], null);
    void (async () => {
      for (const piece of pieces) {
        writer.write(Buffer.from(piece));
        await new Promise(setImmediate);
      }
      res.end();
    })();
  };
}

function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

/** The content of a chunked body; Node may put several pieces into one chunk. */
function unframed(body: string): string {
  let content = '';
  let rest = body;
  for (;;) {
    const [, size = '', after = ''] = /^([0-9a-f]+)\r\n([^]*)$/.exec(rest) ?? assert.fail('no chunk');
    const length = Number.parseInt(size, 16);
    if (length === 0) {
      assert.equal(after, '\r\n');
      return content;
    }
    content += after.slice(0, length);
    assert.equal(after.slice(length, length + 2), '\r\n');
    rest = after.slice(length + 2);
  }
}

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n';
const LARGE = 'x'.repeat(40_000);

test('pieces are framed as chunks in order, small and large ones mixed (RFC 9112 section 7.1)', async () => {
  const pieces = ['one', LARGE, 'two', '\r\n0\r\n\r\n', LARGE, 'three'];
  const answer = await ask(answerIn(pieces), `${GET}connection: close\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(answer.match(/transfer-encoding: chunked\r\n/gi)?.length, 1);
  assert.equal(unframed(bodyOf(answer)), pieces.join(''));
});

test('pieces of one turn of the loop do not overtake the head that Node still holds', async () => {
  const serve: Serve = (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, [], null);
    for (const piece of ['one', 'two', 'three']) writer.write(Buffer.from(piece));
    setImmediate(() => {
      for (const piece of ['four', LARGE, 'five']) writer.write(Buffer.from(piece));
      res.end();
    });
  };
  const answer = await ask(serve, `${GET}connection: close\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.equal(unframed(bodyOf(answer)), `onetwothreefour${LARGE}five`);
});

test('pipelined answers keep their order, also where the later one is ready first', async () => {
  const early: (() => void)[] = [];
  const serve: Serve = (req, res) => {
    if (req.url === '/second') return answerIn(['b1', 'b2', 'b3'])(req, res);
    early.push(() => answerIn(['a1', 'a2'])(req, res));
    setTimeout(() => early.pop()?.(), 30);
  };
  const answer = await ask(
    serve,
    'GET /first HTTP/1.1\r\nhost: a\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  );
  assert.deepEqual(answer.match(/[ab]\d/g), ['a1', 'a2', 'b1', 'b2', 'b3']);
  assert.equal(answer.match(/\r\n0\r\n\r\n/g)?.length, 2);
});

test('HTTP/1.0 and HEAD get no chunks, nor does an answer with a length (RFC 9112 section 6.1)', async () => {
  const old = await ask(answerIn(['one', 'two']), 'GET / HTTP/1.0\r\nhost: a\r\n\r\n');
  assert.equal(bodyOf(old), 'onetwo');
  const head = await ask(answerIn(['one', 'two']), `HEAD${GET.slice(3)}connection: close\r\n\r\n`);
  assert.equal(bodyOf(head), '');
  const withLength: Serve = (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, ['content-length', '6'], 6);
    writer.write(Buffer.from('one'));
    writer.write(Buffer.from('two'));
    res.end();
  };
  const known = await ask(withLength, `${GET}connection: close\r\n\r\n`);
  assert.doesNotMatch(known, /transfer-encoding/i);
  assert.equal(bodyOf(known), 'onetwo');
});

test('a reader that stops is noticed, and when it reads again there is room', async () => {
  const events: string[] = [];
  const serve: Serve = (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, [], null);
    const pump = (): void => {
      if (writer.write(Buffer.alloc(8_000, 'x'))) return void setImmediate(pump);
      events.push('full');
      writer.whenRoom(() => {
        events.push('room');
        res.end();
      });
    };
    pump();
  };
  const socket = await connectTo(serve);
  socket.pause();
  socket.write(`${GET}connection: close\r\n\r\n`);
  while (events.length === 0) await new Promise(setImmediate);
  assert.deepEqual(events, ['full']);
  socket.resume();
  await once(socket, 'end');
  assert.deepEqual(events, ['full', 'room']);
});

/** Every byte there is, so that a wrong encoding shows. */
const BYTES = Buffer.from(Array.from({ length: 2_048 }, (_, i) => i % 256));

/** An answer of a known length; the pieces that went to the socket, as bytes. */
async function piecesOf(serve: Serve): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = [];
  const watched: Serve = (req, res) => {
    const { socket } = req;
    const { write } = socket;
    // @ts-expect-error -- one of its overloads stands for all
    socket.write = (piece: string | Buffer, ...rest: [BufferEncoding]) => {
      pieces.push(typeof piece === 'string' ? Buffer.from(piece, rest[0]) : piece);
      return write.call(socket, piece, ...rest);
    };
    serve(req, res);
  };
  await ask(watched, `${GET}connection: close\r\n\r\n`);
  return pieces;
}

function wholeAnswer(bytes: Buffer): Serve {
  return (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, ['content-length', String(bytes.length)], bytes.length);
    assert.equal(writer.write(bytes), true);
    writer.end();
  };
}

test('a small answer that came whole leaves with its head in one piece, byte for byte (DESIGN section 11)', async () => {
  const pieces = await piecesOf(wholeAnswer(BYTES));
  assert.equal(pieces.length, 1);
  const [sent = Buffer.alloc(0)] = pieces;
  assert.match(sent.toString('latin1'), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n/);
  assert.ok(sent.subarray(-BYTES.length).equals(BYTES));
});

test('a large answer that came whole is not copied into its head', async () => {
  const large = Buffer.alloc(40_000, 'x');
  const pieces = await piecesOf(wholeAnswer(large));
  assert.ok(pieces.length > 1);
  assert.equal(bodyOf(Buffer.concat(pieces).toString('latin1')), large.toString('latin1'));
});

test('an answer is not held for more than was promised, and keeps its order', async () => {
  const serve: Serve = (_req, res) => {
    const writer = new AnswerWriter(res);
    writer.head(200, ['content-length', '3'], 3);
    writer.write(Buffer.from('one'));
    writer.write(Buffer.from('two'));
    writer.end();
  };
  const answer = await ask(serve, `${GET}connection: close\r\n\r\n`);
  assert.equal(bodyOf(answer), 'onetwo');
});

test('HEAD gets the length of an answer and nothing of it (RFC 9110 section 9.3.2)', async () => {
  const head = await ask(wholeAnswer(BYTES), `HEAD${GET.slice(3)}connection: close\r\n\r\n`);
  assert.match(head, /content-length: 2048\r\n/);
  assert.equal(bodyOf(head), '');
});
