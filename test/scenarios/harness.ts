/** A real Postern in this process, with a state folder of its own, for scenarios. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/log.ts';
import { loadOperatorSettings, settingsFiles } from '../../src/config/index.ts';
import { startServer, type RunningServer } from '../../src/server.ts';

export interface PosternOptions {
  /** Gateway document; without one the store holds it. */
  readonly document?: unknown;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Text of the operator's settings file. */
  readonly settings?: unknown;
  /** A state folder of an earlier run. */
  readonly stateDir?: string;
  /** Instead of the system's. */
  readonly clock?: Clock;
  /** Instead of this machine's, for its public listener. */
  readonly networkAddresses?: () => readonly string[];
}

export interface Postern extends RunningServer {
  readonly stateDir: string;
  /** Principal of the OS user that runs the tests. */
  readonly me: string;
  readonly logLines: readonly string[];
  readonly announced: readonly string[];
  /** Where the document lives, if one was given. */
  readonly documentFile: string;
  call(path: string, options?: CallOptions): Promise<Reply>;
  /** Rows of /api/v1/requests, newest first, once `count` of them are written. */
  requests(count: number): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Over the Unix socket instead of loopback TCP. */
  readonly viaSocket?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** Where to say what ends with a test; a test context is one. */
export interface Ending {
  after(end: () => unknown): void;
}

/** What ends with a whole suite; a suite's own `after` hook runs `end`, last things first. */
export interface SuiteEnd extends Ending {
  end(): Promise<void>;
}

export function suiteEnd(): SuiteEnd {
  const ends: (() => unknown)[] = [];
  return {
    after: (end) => void ends.push(end),
    async end() {
      for (const end of ends.toReversed()) await end();
    },
  };
}

/** Starts a Postern that stops with the test, or with the suite. */
export async function startPostern(t: Ending, options: PosternOptions = {}): Promise<Postern> {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), 'postern-test-'));
  const documentFile = join(stateDir, 'gateway.hujson');
  const settingsFile = join(stateDir, 'settings.hujson');
  if (options.document !== undefined) writeFileSync(documentFile, asText(options.document));
  if (options.settings !== undefined) writeFileSync(settingsFile, asText(options.settings));
  const env = { ...options.env };
  const settings = loadOperatorSettings({
    flags: {
      listen: 'localhost:0',
      stateDir,
      ...(options.document === undefined ? {} : { config: documentFile }),
      ...options.flags,
    },
    env,
    platform: process.platform,
    homedir: stateDir,
    readFile: settingsFiles.readFile,
  });
  const logLines: string[] = [];
  const announced: string[] = [];
  const logger = createLogger({
    format: 'text',
    level: 'info',
    write: (line) => logLines.push(line),
    now: Date.now,
  });
  const { networkAddresses, clock } = options;
  const server = await startServer({
    settings,
    env,
    logger,
    announce: (text) => announced.push(text),
    ...(networkAddresses === undefined ? {} : { networkAddresses }),
    ...(clock === undefined ? {} : { clock }),
  });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await server.close(0);
  };
  t.after(async () => {
    await stop();
    if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
  });
  const call = (path: string, callOptions: CallOptions = {}): Promise<Reply> =>
    sendRequest(server, path, callOptions);
  return {
    ...server,
    get addresses() {
      return server.addresses;
    },
    stateDir,
    me: `local:${userInfo().uid}`,
    logLines,
    announced,
    documentFile,
    call,
    requests: (count) => waitForRequests(call, count),
    stop,
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function sendRequest(server: RunningServer, path: string, options: CallOptions): Promise<Reply> {
  const body = options.body === undefined ? undefined : toBytes(options.body);
  const target =
    options.viaSocket === true && server.socketPath !== null
      ? { socketPath: server.socketPath, host: 'localhost' }
      : addressOf(server.url);
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        ...target,
        path,
        method: options.method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': body.length }),
          ...options.headers,
        },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString('utf8');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes,
            text,
            json: () => JSON.parse(text) as Record<string, unknown>,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

function toBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** Rows appear when the recorder has written them: asked again until they are there, for at most 5 s. */
async function waitForRequests(call: Postern['call'], count: number): Promise<Record<string, unknown>[]> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const reply = await call('/api/v1/requests?limit=500');
    const items = reply.json()['items'];
    if (Array.isArray(items) && items.length >= count) return items as Record<string, unknown>[];
    if (Date.now() > deadline)
      throw new Error(`expected ${count} recorded requests, got ${reply.text.slice(0, 500)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
