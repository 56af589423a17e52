/** The processes of a load test: a Postern that can be killed and started again on the same state, and the upstream behind it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Observation } from './observe.ts';

const SOURCE = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const OBSERVER = fileURLToPath(new URL('./observe.ts', import.meta.url));
const UPSTREAM = fileURLToPath(new URL('./upstream-process.ts', import.meta.url));
/** A start takes under a second; a loaded machine may need more. */
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 45_000;

export interface PosternOptions {
  readonly stateDir: string;
  /** Origin of the upstream. */
  readonly upstream: string;
  readonly capture: 'full' | 'metadata';
  /** Opens the observation socket; not for runs whose speed counts. */
  readonly observed?: boolean;
}

export interface PosternUnderLoad {
  readonly port: number;
  readonly pid: number;
  readonly startedInMs: number;
  log(): string;
  /** Only with `observed`. */
  observe(): Promise<Observation>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; rejects if it had to be killed. */
  stop(): Promise<void>;
}

/** Every model costs as OpenAI's `gpt-4o-mini`: 150 and 600 nano-dollars a token. */
export const MODEL = 'gpt-4o-mini';
export const NANO_USD_PER_INPUT_TOKEN = 150;
export const NANO_USD_PER_OUTPUT_TOKEN = 600;

/** Starts `postern serve`, from source or (POSTERN_LOAD_ENTRY) from a build, on a port of its own. */
export async function startPostern(options: PosternOptions): Promise<PosternUnderLoad> {
  const { stateDir } = options;
  const config = join(stateDir, 'gateway.json');
  await writeFile(config, JSON.stringify(documentFor(options)));
  const observeSocket = join(stateDir, 'observe.sock');
  const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', HOME: stateDir };
  if (options.observed === true) {
    env['OBSERVE_SOCKET'] = observeSocket;
    env['NODE_OPTIONS'] = `--import=${pathToFileURL(OBSERVER).href}`;
  }
  const entry = process.env['POSTERN_LOAD_ENTRY'] ?? SOURCE;
  const flags = ['--json', '--listen', '127.0.0.1:0', '--state-dir', stateDir, '--config', config];
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      entry,
      'serve',
      ...flags,
      '--allow-upstream',
      '127.0.0.0/8',
      '--log-level',
      'warn',
    ],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString('utf8')).slice(-20_000);
  });
  const url = await firstMatch(child, /"url": ?"(http[^"]+)"/, () => log);
  return {
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    startedInMs: performance.now() - began,
    log: () => log,
    observe: () => observe(observeSocket),
    kill: () => end(child, 'SIGKILL').then(() => undefined),
    async stop() {
      if ((await end(child, 'SIGTERM')) === 'SIGKILL')
        throw new Error(`postern did not stop by itself; its log:\n${log}`);
    },
  };
}

function documentFor({ upstream, capture }: PosternOptions): object {
  return {
    providers: {
      load: {
        baseurl: upstream,
        apikey: 'sk-load',
        models: [MODEL],
        compatibility: { openai_chat: true, openai_responses: true },
        cost_basis: 'openai',
      },
    },
    grants: [
      { src: ['(loopback)'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**', capture }] } },
    ],
  };
}

export interface Upstream {
  readonly origin: string;
  stop(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', UPSTREAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = await firstMatch(child, /"port":(\d+)/, () => '');
  return { origin: `http://127.0.0.1:${port}`, stop: () => end(child, 'SIGTERM').then(() => undefined) };
}

function firstMatch(child: ChildProcess, pattern: RegExp, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    let out = '';
    const fail = (why: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`a process ${why}\n${out}\n${log()}`));
    };
    const timer = setTimeout(() => fail('did not listen in time'), START_TIMEOUT_MS);
    const onExit = (code: number | null, signal: string | null): void => {
      clearTimeout(timer);
      fail(`ended with ${code ?? signal} before it listened`);
    };
    child.once('exit', onExit);
    child.stdout?.on('data', (chunk: Buffer) => {
      const found = pattern.exec((out += chunk.toString('utf8')))?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      child.removeListener('exit', onExit);
      resolve(found);
    });
  });
}

/** Ends a process and tells by which signal it ended, null if by itself. */
function end(child: ChildProcess, signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.signalCode);
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.once('exit', (_code, by) => {
      clearTimeout(timer);
      resolve(by);
    });
    child.kill(signal);
  });
}

function observe(path: string): Promise<Observation> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path);
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(JSON.parse(text)));
  });
}

/** Resident memory of a process in bytes. Linux only, like these tests. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
