/**
 * The `git` program, for reading a repository that a stranger may have made. Nothing of the
 * repository's own configuration may start a program: no hooks, monitors, pagers, filters, external
 * diffs, signature checks, or fetching of missing objects. Nothing of the user's or the system's
 * configuration is read.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Environment } from '../context.ts';

/** Overrides of what a repository may have set; the command line wins over its file. */
const SAFE_SETTINGS = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.pager=cat',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.sshCommand=false',
  'core.gitProxy=false',
  'core.askPass=false',
  'credential.helper=',
  'diff.external=',
  'log.showSignature=false',
  'log.showRoot=true',
  'log.mailmap=false',
  'gpg.program=false',
  'protocol.allow=never',
  'color.ui=false',
] as const;

export interface GitProgram {
  /** Starts git in a repository. Its standard error is discarded: it may quote what it reads. */
  start(repository: string, words: readonly string[], signal: AbortSignal): GitRun;
}

export interface GitRun {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** True if it ended with 0. Resolves, never rejects. */
  readonly succeeded: Promise<boolean>;
  stop(): void;
}

/** `environment` gives PATH only. */
export function createGitProgram(environment: Environment): GitProgram {
  return {
    start(repository, words, signal) {
      const settings = SAFE_SETTINGS.flatMap((setting) => ['-c', setting]);
      const child = spawn(
        'git',
        ['--no-pager', '--no-replace-objects', ...settings, '-C', repository, ...words],
        {
          stdio: ['pipe', 'pipe', 'ignore'],
          signal,
          shell: false,
          env: gitEnvironment(environment, repository),
        },
      );
      return track(child);
    },
  };
}

function gitEnvironment(environment: Environment, repository: string): Record<string, string> {
  return {
    PATH: environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C',
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    // Wins over `protocol.<name>.allow` of the repository: a missing object is never fetched.
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_NO_LAZY_FETCH: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    // The repository is this folder, not one around it. Its owner is still checked by git.
    GIT_CEILING_DIRECTORIES: dirname(repository),
  };
}

function track(child: ChildProcessByStdio<Writable, Readable, null>): GitRun {
  // A pipe that breaks because git ended is told by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdout.on('error', () => undefined);
  const succeeded = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
  return { stdin: child.stdin, stdout: child.stdout, succeeded, stop: () => void child.kill('SIGKILL') };
}
