/** Stands between an agent and Postern and writes down both sides of what passes, changing only `Host`. */
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** One exchange as the agent saw it. */
export interface TappedExchange {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  status: number;
  answer: Buffer;
}

export interface Tap {
  readonly url: string;
  readonly exchanges: readonly TappedExchange[];
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1 and sends everything on to `target`, an origin. */
export async function startTap(target: string): Promise<Tap> {
  const exchanges: TappedExchange[] = [];
  const { host, hostname, port } = new URL(target);
  const server = createServer((incoming, response) => {
    void pass(incoming, response).catch(() => response.destroy());
  });
  server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  });

  async function pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
    const exchange: TappedExchange = {
      method: incoming.method ?? 'GET',
      target: incoming.url ?? '/',
      rawHeaders: incoming.rawHeaders,
      body: Buffer.concat(chunks),
      status: 0,
      answer: Buffer.alloc(0),
    };
    exchanges.push(exchange);
    const headers = withHost(incoming.rawHeaders, host);
    const onward = httpRequest(
      { hostname, port, method: exchange.method, path: exchange.target, headers },
      (answer) => {
        exchange.status = answer.statusCode ?? 0;
        response.writeHead(exchange.status, answer.rawHeaders);
        answer.on('data', (chunk: Buffer) => {
          exchange.answer = Buffer.concat([exchange.answer, chunk]);
          response.write(chunk);
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(exchange.body);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the tap has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    exchanges,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The same header list with another Host and without what belongs to one connection. */
function withHost(rawHeaders: readonly string[], host: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'transfer-encoding' || lower === 'connection') continue;
    kept.push(name, lower === 'host' ? host : (rawHeaders[i + 1] ?? ''));
  }
  return kept;
}
