/** Processes of a bench run: pinned to a core, measured from /proc, ended with the bench. Linux only. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Core of what is measured; the mock and the load have the other one. */
export const TARGET_CORE = 0;
export const LOAD_CORE = 1;

/** The words that pin what follows to a core; none where there is nothing to pin with. */
export function pinnedTo(core: number): string[] {
  return canPin() ? ['taskset', '-c', String(core)] : [];
}

export function canPin(): boolean {
  return availableParallelism() >= 2 && findProgram('taskset') !== null;
}

/** The path of a program, or null. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

export interface StartOptions {
  readonly core: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface StartedProcess {
  readonly pid: number;
  /** Resolves with the first line on standard output. Rejects when the process ends first. */
  readonly firstLine: Promise<string>;
  /** What it wrote last, for messages. */
  output(): string;
  stop(): Promise<void>;
}

/** How much output is kept for messages. */
const OUTPUT_MAX_CHARS = 4000;

/** Starts a program that ends on SIGTERM; its standard input closes with the bench. */
export function startProcess(words: readonly string[], options: StartOptions): StartedProcess {
  const [program = '', ...args] = [...pinnedTo(options.core), ...words];
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...options.env };
  const child = spawn(program, args, {
    env,
    cwd: options.cwd ?? process.cwd(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let kept = '';
  const keep = (chunk: Buffer): void => {
    kept = (kept + chunk.toString('utf8')).slice(-OUTPUT_MAX_CHARS);
  };
  child.stderr.on('data', keep);
  const firstLine = new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      keep(chunk);
      if (text.includes('\n')) return;
      text += chunk.toString('utf8');
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`${words.join(' ')} ended with ${code ?? signal}: ${kept}`)),
    );
  });
  firstLine.catch(() => undefined);
  return { pid: child.pid ?? 0, firstLine, output: () => kept, stop: () => stopChild(child) };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.stdin?.end();
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(timer);
}

/** Waits until something listens on a port of 127.0.0.1. Rejects after `timeoutMs`. */
export async function untilListening(
  port: number,
  timeoutMs: number,
  process_: StartedProcess,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await accepts(port)) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms: ${process_.output()}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/**
 * Processor time of a process and all below it, in seconds, from its start: the sum over its threads
 * from /proc/PID/task/TID/schedstat (nanoseconds; /proc/PID/stat counts in hundredths of a second).
 * Threads that have ended are not in it; the targets keep theirs.
 */
export function cpuSeconds(pid: number): number {
  return sumOverTree(pid, (at) => {
    let nanoseconds = 0;
    for (const thread of namesIn(`/proc/${at}/task`)) {
      nanoseconds += Number(readOrNull(`/proc/${at}/task/${thread}/schedstat`)?.split(' ', 1)[0] ?? 0);
    }
    return nanoseconds / 1e9;
  });
}

/** Resident memory of a process and all below it, in bytes. */
export function residentBytes(pid: number): number {
  return sumOverTree(pid, (at) => {
    const status = readOrNull(`/proc/${at}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status ?? '')?.[1] ?? 0) * 1024;
  });
}

function sumOverTree(root: number, measure: (pid: number) => number): number {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  let sum = 0;
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    sum += measure(pid);
    waiting.push(...(children.get(pid) ?? []));
  }
  return sum;
}

/** The fields of /proc/PID/stat from the state on: 0 is the state, 1 the parent. */
function statFields(pid: number): string[] | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  // The second field is the program's name, which may hold spaces and brackets.
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The process ended between the listing and the reading.
    return [];
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended between the listing and the reading.
    return null;
  }
}
