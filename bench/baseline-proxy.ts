/**
 * The least that a reverse proxy of Node.js's usual parts does: node:http in front, undici's dispatch
 * behind, bodies and chunks passed on. No identity, policy, metering or record. The first rung
 * of the ladder, and what `guard.ts` measures Postern against. First argument: the upstream's origin.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Pool } from 'undici';

const pool = new Pool(process.argv[2] ?? '', { connections: 1024, pipelining: 1 });

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const headers = [
    'content-type',
    'application/json',
    'accept-encoding',
    'identity',
    'authorization',
    'Bearer sk-bench',
  ];
  const options = { path: request.url ?? '/', method: 'POST' as const, headers, body };
  pool.dispatch(options, {
    onRequestStart: () => undefined,
    onResponseStart: (_controller, status, answerHeaders) => {
      response.writeHead(status, { 'content-type': String(answerHeaders['content-type']) });
    },
    onResponseData: (controller, chunk) => {
      if (response.write(chunk)) return;
      controller.pause();
      response.once('drain', () => controller.resume());
    },
    onResponseEnd: () => {
      response.end();
    },
    onResponseError: () => {
      response.destroy();
    },
  });
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () =>
    forward(request, response, chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)),
  );
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 8192 }, () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
