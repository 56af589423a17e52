/**
 * Machines for tests: each a network namespace with a cable to one switch, and with `/etc` and `/run`
 * of its own, so that a daemon that runs there as root changes neither the resolver nor anything else
 * of the real machine. None has a way out: the switch leads to the other machines only.
 *
 * Nothing has a name outside, and every process here dies with the one that started it (PDEATHSIG): a
 * test that is killed leaves no namespace and no daemon behind. Linux, root, iproute2 and util-linux.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandResult, run, type RunOptions } from '../postern-process.ts';

export interface Machine {
  readonly name: string;
  /** Its IPv4 address on the switch, of 10.87.0.0/24. */
  readonly address: string;
  /** For what it keeps; gone with the network. */
  readonly folder: string;
  /** Words before a program that runs there, such as `startPostern({ prefix })` takes them. */
  readonly prefix: readonly string[];
  /** Runs a program there to its end, with only PATH, HOME and `env`. */
  exec(words: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /** Starts a program there that stays. It ends with `stop`, or with the network. */
  start(words: readonly string[], env?: Readonly<Record<string, string>>): RunningProgram;
  /** Pulls the cable out, or puts it back. */
  setCable(plugged: boolean): Promise<void>;
}

export interface ExecOptions extends RunOptions {
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningProgram {
  readonly pid: number;
  /** The end of what it printed, both streams. */
  log(): string;
  /** Its standard output, as it comes. */
  readonly output: NodeJS.ReadableStream;
  /** False once it has ended. */
  isRunning(): boolean;
  /** Ends it; SIGKILL if it has not gone 5 s after `signal`. Resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface MachineNetwork {
  /** A further machine, on the switch. At most 200. */
  add(name: string): Promise<Machine>;
  /** Ends every program and namespace. */
  close(): Promise<void>;
}

const STOP_TIMEOUT_MS = 5000;
const LOG_MAX_CHARS = 200_000;
const MACHINES_MAX = 200;
/**
 * A private prefix (RFC 1918), as in a house: an official client that loses a control server at any
 * other address insists on TLS for the next two minutes, at port 443, whatever its URL says.
 */
const SWITCH_PREFIX = '10.87.0';
/** Ends with this process, whatever happens to it. */
const WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL'];
/** Longer than any test; `close` ends them. */
const HOLD_SECONDS = '3600';
/** What programs look up, and nothing that a daemon of the real machine would answer. */
const ETC_FILES = ['passwd', 'group', 'nsswitch.conf', 'ld.so.cache', 'os-release', 'localtime'];

/** `folder` is where machines keep what is theirs; the caller removes it after `close`. */
export async function createMachineNetwork(folder: string): Promise<MachineNetwork> {
  assert.equal(process.platform, 'linux', 'these tests make network namespaces');
  assert.equal(process.getuid?.(), 0, 'these tests make network namespaces: run them as root');
  const running = new Set<RunningProgram>();
  const switchHolder = await hold(folder, 'switch', running);
  await mustRun([...switchHolder.prefix, 'ip', 'link', 'add', 'switch0', 'type', 'bridge']);
  await mustRun([...switchHolder.prefix, 'ip', 'link', 'set', 'switch0', 'up']);
  let count = 0;
  return {
    async add(name) {
      assert.ok(count < MACHINES_MAX, `a network has at most ${MACHINES_MAX} machines`);
      count += 1;
      const address = `${SWITCH_PREFIX}.${count}`;
      const port = `port${count}`;
      const held = await hold(folder, name, running);
      const end = ['peer', 'name', 'eth0', 'netns', String(held.pid)];
      await mustRun([...switchHolder.prefix, 'ip', 'link', 'add', port, 'type', 'veth', ...end]);
      await mustRun([...switchHolder.prefix, 'ip', 'link', 'set', port, 'master', 'switch0', 'up']);
      await mustRun([...held.prefix, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      await mustRun([...held.prefix, 'ip', 'link', 'set', 'eth0', 'up']);
      /* Without a default route, programs take the machine for one that is offline. */
      await mustRun([
        ...held.prefix,
        'ip',
        'route',
        'add',
        'default',
        'via',
        `${SWITCH_PREFIX}.254`,
        'dev',
        'eth0',
      ]);
      return {
        name,
        address,
        folder: held.folder,
        prefix: held.prefix,
        exec: (words, options = {}) => execute([...held.prefix, ...words], held.folder, options),
        start: (words, env) => track(running, [...held.prefix, ...words], held.folder, env),
        setCable: (plugged) =>
          mustRun([...switchHolder.prefix, 'ip', 'link', 'set', port, plugged ? 'up' : 'down']),
      };
    },
    async close() {
      /* Last come, first gone: a daemon says farewell while its network still stands. */
      const [holders, programs] = [[...running].filter(isHolder), [...running].filter(isOrdinary)];
      await Promise.all(programs.map((program) => program.stop()));
      await Promise.all(holders.map((holder) => holder.stop('SIGKILL')));
    },
  };
}

const HOLDERS = new WeakSet<RunningProgram>();
const isHolder = (program: RunningProgram): boolean => HOLDERS.has(program);
const isOrdinary = (program: RunningProgram): boolean => !HOLDERS.has(program);

interface HeldNamespace {
  readonly pid: number;
  readonly folder: string;
  readonly prefix: readonly string[];
}

/** A namespace lives as long as a process in it: one that sleeps. */
async function hold(parent: string, name: string, running: Set<RunningProgram>): Promise<HeldNamespace> {
  const folder = join(parent, name);
  const etc = join(folder, 'etc');
  await mkdir(etc, { recursive: true });
  for (const file of ETC_FILES) {
    const source = join('/etc', file);
    if (existsSync(source)) await copyFile(source, join(etc, file));
  }
  await writeFile(join(etc, 'hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  await writeFile(join(etc, 'resolv.conf'), '');
  const set = [
    'mount --bind "$1" /etc',
    'mount -t tmpfs -o mode=755,size=16m none /run',
    'ip link set lo up',
    'echo ready',
    `exec sleep ${HOLD_SECONDS}`,
  ].join(' && ');
  const words = ['unshare', '-n', '-m', '--propagation', 'private', 'sh', '-c', set, 'sh', etc];
  const holder = track(running, [...WITH_PARENT, ...words], folder);
  HOLDERS.add(holder);
  await firstOutput(holder, name);
  const pid = holder.pid;
  return { pid, folder, prefix: ['nsenter', '-t', String(pid), '-n', '-m', ...WITH_PARENT] };
}

function firstOutput(holder: RunningProgram, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    holder.output.once('data', () => resolve());
    holder.output.once('end', () => reject(new Error(`no machine "${name}" could be made: ${holder.log()}`)));
  });
}

function track(
  running: Set<RunningProgram>,
  words: readonly string[],
  home: string,
  env: Readonly<Record<string, string>> = {},
): RunningProgram {
  const [program = '', ...rest] = words;
  const child = spawn(program, rest, { env: environment(home, env), stdio: ['pipe', 'pipe', 'pipe'] });
  let log = '';
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString('utf8')).slice(-LOG_MAX_CHARS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(`${program}: ${error.message}\n`)));
  const isRunning = (): boolean =>
    child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  const started: RunningProgram = {
    pid: child.pid ?? 0,
    log: () => log,
    output: child.stdout,
    isRunning,
    async stop(signal = 'SIGTERM') {
      if (isRunning()) await end(child, signal);
      running.delete(started);
    },
  };
  running.add(started);
  return started;
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}

function execute(words: readonly string[], home: string, options: ExecOptions): Promise<CommandResult> {
  const [program = '', ...rest] = words;
  return run(program, rest, environment(home, options.env ?? {}), options);
}

async function mustRun(words: readonly string[]): Promise<void> {
  const [program = '', ...rest] = words;
  const result = await run(program, rest, environment('/', {}));
  assert.equal(result.code, 0, `${words.join(' ')}: ${result.stderr}`);
}

function environment(home: string, more: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, ...more };
}
