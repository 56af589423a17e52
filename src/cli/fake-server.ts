/** For tests: a context without a terminal, and a server that answers as told and remembers what it was asked. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { assert } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import type { CliContext } from './context.ts';
import { runCli } from './run-cli.ts';

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CannedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a string as it is. */
  readonly body?: unknown;
}

/** By `METHOD /path` without its query. */
export type Answers = Readonly<Record<string, CannedAnswer | ((request: SeenRequest) => CannedAnswer)>>;

export interface FakeServer {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  close(): Promise<void>;
}

/** On loopback, or on a Unix socket if `socketPath` is given. What it has no answer for is a 404 problem. */
export async function startFakeServer(answers: Answers, socketPath?: string): Promise<FakeServer> {
  const requests: SeenRequest[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
    requests.push(seen);
    const found = answers[`${seen.method} ${seen.path.split('?')[0]}`];
    const answer =
      typeof found === 'function' ? found(seen) : (found ?? problem(404, 'not_found', 'no such thing'));
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
    response.end(
      typeof answer.body === 'string'
        ? answer.body
        : answer.body === undefined
          ? ''
          : JSON.stringify(answer.body),
    );
  });
  await listen(server, socketPath);
  const address = server.address();
  assert(address !== null, 'the server listens');
  return {
    url: typeof address === 'string' ? address : `http://127.0.0.1:${address.port}`,
    requests,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

function listen(server: Server, socketPath: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(socketPath, resolve);
  });
}

/** An RFC 9457 answer. */
export function problem(
  status: number,
  code: string,
  detail: string,
  members: Readonly<Record<string, unknown>> = {},
): CannedAnswer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: { type: 'about:blank', title: 'Error', status, code, detail, request_id: 'req_test', ...members },
  };
}

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process. Nothing of the real environment reaches it. */
export async function runInProcess(
  words: readonly string[],
  overrides: Partial<CliContext> = {},
): Promise<CliRun> {
  let stdout = '';
  let stderr = '';
  const context: CliContext = {
    env: {},
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    stdin: process.stdin,
    platform: 'linux',
    homedir: '/nonexistent',
    clock: { now: () => NOW, monotonicMs: () => 0 },
    random: systemRandom,
    signal: new AbortController().signal,
    ...overrides,
  };
  const exitCode = await runCli(words, context);
  return { exitCode, stdout, stderr };
}

/** 2026-11-23T12:00:00Z, the time of every in-process run. */
export const NOW = Date.UTC(2026, 10, 23, 12);
