/** A provider that writes whatever bytes a test gives it, and counts its connections. */
import { createServer, type Socket } from 'node:net';
import type { Ending } from './harness.ts';

export interface RawUpstream {
  readonly url: string;
  /** Open connections. */
  readonly connections: number;
  /** What to do once a request has come; the socket is its connection. */
  answerWith(answer: (socket: Socket) => void): void;
}

/** Listens on a free port of 127.0.0.1; ends with the test. */
export async function startRawUpstream(t: Ending): Promise<RawUpstream> {
  const sockets = new Set<Socket>();
  let answer: (socket: Socket) => void = (socket) => socket.destroy();
  const server = createServer((socket) => {
    sockets.add(socket);
    let received = '';
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? 0);
      if (end < 0 || received.length < end + 4 + length) return;
      received = '';
      answer(socket);
    });
  });
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the raw upstream has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    get connections() {
      return sockets.size;
    },
    answerWith: (next) => {
      answer = next;
    },
  };
}
