/** Which tailnet a command means: its flag, POSTERN_TAILNET, what `postern tailnet use` chose, else the first one's name. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { stateFolder } from './paths.ts';
import { addCommonOptions, type CommonFlags } from './session.ts';

export interface TailnetFlags extends CommonFlags {
  readonly tailnet?: string;
}

const FILE_NAME = 'cli-tailnet';
const DEFAULT_TAILNET = 'default';
const NAME_MAX_CHARS = 200;

/** `--tailnet` beside the common options. */
export function addTailnetOption(command: Command): Command {
  return addCommonOptions(command).option(
    '--tailnet <name>',
    'default POSTERN_TAILNET, else what `postern tailnet use` chose, else "default"',
  );
}

export function tailnetOf(flags: TailnetFlags, context: CliContext): string {
  const named = flags.tailnet ?? context.env['POSTERN_TAILNET'];
  if (named !== undefined && named !== '') return named;
  const path = join(stateFolder(flags.stateDir, context), FILE_NAME);
  const chosen = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  return chosen === '' || chosen.length > NAME_MAX_CHARS ? DEFAULT_TAILNET : chosen;
}

/** From now on commands with this state folder mean that tailnet. */
export function chooseTailnet(name: string, flags: CommonFlags, context: CliContext): void {
  const folder = stateFolder(flags.stateDir, context);
  if (!existsSync(folder)) {
    throw new CliFailure(`there is no state folder at ${folder} to keep the choice in`, {
      exit: EXIT.failed,
      code: 'cli_not_found',
      fix: 'Set POSTERN_TAILNET instead',
    });
  }
  writeFileSync(join(folder, FILE_NAME), `${name}\n`, { mode: 0o600 });
}

/** `/api/v1/tailnets/<name>…`. */
export function tailnetPath(name: string, rest = ''): string {
  return `/api/v1/tailnets/${encodeURIComponent(name)}${rest}`;
}
