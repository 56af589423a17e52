/**
 * A real `postern serve` as a child process, with throw-away state and without anything of the
 * environment it was started in. For tests and benches that need the whole program; tests inside one
 * process use `scenarios/harness.ts`.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
/** As bin/postern.js starts it. */
const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=32',
  '--no-memory-reducer',
  '--external-memory-accounted-in-global-limit',
];
/** A start takes under a second; a loaded machine may need more. */
const START_TIMEOUT_MS = 30_000;
const COMMAND_TIMEOUT_MS = 30_000;

export interface PosternProcessOptions {
  /** The gateway document; null or absent starts with none. */
  readonly document?: object | null;
  /** Added to an environment that holds only PATH and a HOME of its own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Further flags of `postern serve`. */
  readonly flags?: readonly string[];
  /** A state folder of an earlier run, which stays; default one of its own, which `stop` removes. */
  readonly stateDir?: string;
  /** Words before the program, such as `taskset -c 0`. */
  readonly prefix?: readonly string[];
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Killed after this long; default 30 s. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

export interface PosternProcess {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly stateDir: string;
  readonly pid: number;
  /** The JSON that `serve --json` printed. */
  readonly banner: Readonly<Record<string, unknown>>;
  /** What it logged so far. */
  log(): string;
  /** Runs a command of the command line against this server. */
  cli(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    options?: RunOptions,
  ): Promise<CommandResult>;
  /** Resolves when it has ended, in whatever way. */
  exited(): Promise<void>;
  /** Asks it to stop, waits, and removes its state. Rejects if it had to be killed. */
  stop(): Promise<void>;
}

/** Starts Postern and waits until it listens. Rejects with its output if it does not. */
export async function startPostern(options: PosternProcessOptions = {}): Promise<PosternProcess> {
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'postern-test-')));
  const removeState = async (): Promise<void> => {
    if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true });
  };
  const flags = [
    '--json',
    '--listen',
    'localhost:0',
    '--state-dir',
    stateDir,
    '--allow-upstream',
    '127.0.0.0/8',
  ];
  if (options.document !== undefined && options.document !== null) {
    const path = join(stateDir, 'gateway.json');
    await writeFile(path, JSON.stringify(options.document, null, 2));
    flags.push('--config', path);
  }
  const env = { PATH: process.env['PATH'] ?? '', HOME: stateDir, ...options.env };
  const words = [...(options.prefix ?? []), process.execPath];
  const node = [...NODE_FLAGS, CLI];
  const child = spawn(
    words[0] ?? '',
    [...words.slice(1), ...node, 'serve', ...flags, ...(options.flags ?? [])],
    {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const output = { out: '', log: '' };
  child.stderr.on('data', (chunk: Buffer) => {
    output.log += chunk.toString('utf8');
  });
  try {
    const url = await readUrl(child, output);
    return {
      url,
      stateDir,
      pid: child.pid ?? 0,
      banner: JSON.parse(output.out) as Record<string, unknown>,
      log: () => output.log,
      cli: (args, more, runOptions) =>
        run(
          process.execPath,
          [...node, ...args],
          { ...env, POSTERN_STATE_DIR: stateDir, ...more },
          runOptions,
        ),
      exited: () =>
        new Promise((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) resolve();
          else child.once('exit', () => resolve());
        }),
      stop: async () => {
        const clean = await stop(child);
        await removeState();
        if (!clean) throw new Error(`postern did not stop by itself; its log:\n${output.log}`);
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    await removeState();
    throw error;
  }
}

/** The address in the JSON that `serve --json` prints once it listens. */
function readUrl(child: ChildProcess, output: { out: string; readonly log: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`postern ${why}\n${output.out}\n${output.log}`));
    const timer = setTimeout(() => fail('did not listen in time'), START_TIMEOUT_MS);
    child.once('error', (error) => fail(`did not start: ${error.message}`));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${code ?? signal} before it listened`);
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      output.out += chunk.toString('utf8');
      const url = /"url": ?"(http[^"]+)"/.exec(output.out)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

/** True when the process ended on SIGTERM by itself. */
function stop(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve(child.exitCode === 0);
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
    child.once('exit', (_code, signal) => {
      clearTimeout(timer);
      resolve(signal !== 'SIGKILL');
    });
    child.kill('SIGTERM');
  });
}

/** Runs a program to its end, at most 30 s unless told otherwise. */
export function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  options: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env,
      cwd: options.cwd ?? process.cwd(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      output.stdout += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output.stderr += chunk.toString('utf8');
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? COMMAND_TIMEOUT_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 137, ...output });
    });
  });
}
