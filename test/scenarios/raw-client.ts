/** Bytes to a server and back over a bare TCP connection, for what no HTTP client would send. */
import { connect, type Socket } from 'node:net';
import type { Ending } from './harness.ts';

export interface RawConnection {
  readonly socket: Socket;
  /** Everything that came so far. */
  received(): Buffer;
  /** Writes; resolves when the kernel has the bytes, or when the connection is gone. */
  send(bytes: string | Uint8Array): Promise<void>;
  /** What came, once `holds` is true of it (of its last 64 KiB, if it is longer) or the connection has ended. Rejects after `timeoutMs`. */
  until(holds: (received: string) => boolean, timeoutMs?: number): Promise<string>;
  /** What came until the other side closed. Rejects after `timeoutMs`. */
  closed(timeoutMs?: number): Promise<string>;
}

const RECENT_BYTES = 64 * 1024;
/** 10 s: far beyond what any of these answers takes, even on a loaded machine. */
const WAIT_MS = 10_000;

/** Connects to `http://HOST:PORT`; the connection ends with the test. */
export async function connectRaw(t: Ending, url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const waiting = new Set<() => void>();
  let ended = false;
  const wake = (): void => {
    for (const look of waiting) look();
  };
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    wake();
  });
  for (const event of ['end', 'close', 'error']) {
    socket.on(event, () => {
      ended = true;
      wake();
    });
  }
  t.after(() => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const received = (): Buffer => Buffer.concat(chunks);
  /** The last chunks, at least 64 KiB if so much has come: looking at everything each time would take the square of it. */
  const recent = (): string => {
    let from = chunks.length;
    for (let size = 0; from > 0 && size < RECENT_BYTES; from -= 1) size += chunks[from - 1]?.length ?? 0;
    return Buffer.concat(chunks.slice(from)).toString('latin1');
  };

  const until = (holds: (received: string) => boolean, timeoutMs = WAIT_MS): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(
          new Error(
            `waited ${timeoutMs} ms in vain; got ${JSON.stringify(received().toString('latin1').slice(0, 500))}`,
          ),
        );
      }, timeoutMs);
      const look = (): void => {
        if (!ended && !holds(recent())) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(received().toString('latin1'));
      };
      waiting.add(look);
      look();
    });

  return {
    socket,
    received,
    send: (bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed) return resolve();
        socket.write(bytes, () => {
          socket.off('close', resolve);
          resolve();
        });
        socket.once('close', resolve);
      }),
    until,
    closed: (timeoutMs) => until(() => false, timeoutMs),
  };
}

/** The request line and headers of a chat request; `more` goes before the blank line. */
export function requestHead(
  url: string,
  options: { readonly method?: string; readonly target?: string; readonly headers?: readonly string[] } = {},
): string {
  const { method = 'POST', target = '/v1/chat/completions', headers = [] } = options;
  return [`${method} ${target} HTTP/1.1`, `Host: ${new URL(url).host}`, ...headers, '', ''].join('\r\n');
}

/** A whole request with a stated length. */
export function wholeRequest(
  url: string,
  body: string | Buffer,
  options: { readonly target?: string; readonly headers?: readonly string[] } = {},
): Buffer {
  const head = requestHead(url, {
    ...options,
    headers: [
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(options.headers ?? []),
    ],
  });
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

/** Status of the first answer in these bytes; 0 where there is none. */
export function statusOf(received: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? 0);
}
