/** What every command file is given, and the options that most of them share. */
import type { Command } from 'commander';
import { createApiClient, type ApiClient } from './client.ts';
import { resolveConnection, type Connection } from './connection.ts';
import type { CliContext } from './context.ts';
import { loadPresence } from './presence-file.ts';

/** One run of the command line. */
export interface Session {
  readonly context: CliContext;
  /** Sets the exit code; 0 until then. */
  end(exitCode: number): void;
}

/** Adds a command's arguments, options, help and action to `command`. */
export type CommandSetup = (command: Command, session: Session) => void;

/** The options of every command that talks to a server. */
export interface ConnectionFlags {
  readonly url?: string;
  readonly stateDir?: string;
}

export interface CommonFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** Adds `--url`, `--state-dir` and `--json`. */
export function addCommonOptions(command: Command): Command {
  return addConnectionOptions(command).option('--json', 'print one JSON object, for programs');
}

export function addConnectionOptions(command: Command): Command {
  return command
    .option('--url <url>', 'where Postern is; default POSTERN_URL, else the socket in the state folder')
    .option(
      '--state-dir <folder>',
      'state folder of the server; default POSTERN_STATE_DIR, else the usual place',
    );
}

/** A client for the server that the flags and the environment name, with presence if there is any. */
export function connect(
  session: Session,
  flags: ConnectionFlags,
): { readonly api: ApiClient; readonly connection: Connection } {
  const connection = resolveConnection(flags, session.context);
  const presence = loadPresence(connection, session.context);
  return { api: createApiClient({ connection, presence, signal: session.context.signal }), connection };
}

/** Examples under a command's help: what one would type, and what it does. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [command: string, does: string])[],
): void {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}  ${does}`.trimEnd());
  command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
