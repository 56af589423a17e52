/** Everything a command may touch of the world, so that tests can pass their own. */
import { homedir, platform } from 'node:os';
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.ts';
import { type Random, systemRandom } from '../base/random.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A stream that a command writes text to. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A stream that a command reads; a terminal can turn its echo off. */
export type TextSource = Readable & {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
};

export interface CliContext {
  readonly env: Environment;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** Read only by commands that say so. */
  readonly stdin: TextSource;
  readonly platform: NodeJS.Platform;
  readonly homedir: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends long-running commands (`logs --follow`); aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** The context of the real process. `signal` is aborted by the caller's signal handlers. */
export function systemContext(signal: AbortSignal): CliContext {
  return {
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    platform: platform(),
    homedir: homedir(),
    clock: systemClock,
    random: systemRandom,
    signal,
  };
}

/** A context that prints nowhere, for reading the commands' definitions. */
export function silentTerminal(): CliContext {
  const sink: TextSink = { write: () => undefined };
  return { ...systemContext(new AbortController().signal), stdout: sink, stderr: sink };
}
