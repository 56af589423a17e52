/**
 * The kernel's side of `kernel-tcp.test.ts`: programs on ordinary sockets of node:net, one a port. Prints
 * `ready` when all listen.
 */
import { createHash } from 'node:crypto';
import net from 'node:net';
import { pattern } from '../sim/pattern.ts';

/** Reads to the end, then answers with the digest: the answer comes on a half-closed connection. */
function digest(socket: net.Socket): void {
  const hash = createHash('sha256');
  socket.on('data', (data) => hash.update(data));
  socket.on('end', () => socket.end(hash.digest('hex')));
}

/** Sends as many bytes as the four that it reads say. */
function source(socket: net.Socket): void {
  socket.once('data', (data: Buffer) => socket.end(pattern(data.readUInt32BE(0), 5)));
}

/** Does not read for a while: the window closes. */
function lateDigest(socket: net.Socket): void {
  socket.pause();
  setTimeout(() => {
    digest(socket);
    socket.resume();
  }, 1500);
}

/** Dials back to the port and the number of bytes that it reads, and answers with what came from there. */
function dialBack(socket: net.Socket): void {
  socket.once('data', (data: Buffer) => {
    const port = data.readUInt16BE(0);
    const bytes = data.readUInt32BE(2);
    const call = net.connect({ host: socket.remoteAddress ?? '', port, allowHalfOpen: true });
    call.end(pattern(bytes, 6));
    const answer: Buffer[] = [];
    call.on('data', (chunk: Buffer) => answer.push(chunk));
    call.on('end', () => socket.end(Buffer.concat(answer)));
    call.on('error', (error: NodeJS.ErrnoException) => socket.end(error.code ?? ''));
  });
}

const PROGRAMS: readonly ((socket: net.Socket) => void)[] = [
  digest,
  source,
  lateDigest,
  (socket) => socket.pipe(socket),
  (socket) => socket.once('data', () => socket.resetAndDestroy()),
  dialBack,
];

let listening = 0;
for (const [index, program] of PROGRAMS.entries()) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.setNoDelay();
    socket.on('error', () => socket.destroy());
    program(socket);
  });
  server.listen(7001 + index, '::', 511, () => {
    listening += 1;
    if (listening === PROGRAMS.length) process.stdout.write('ready\n');
  });
}
