/** `postern admin`: who administers, and the way back in for whoever holds the state folder. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { readServerFile } from './connection.ts';
import { EXIT, CliFailure } from './failure.ts';
import { listAt, textAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { printJson, printLine, printTable } from './output.ts';
import { stateFolder } from './paths.ts';
import { ADMIN_RESET_FILE } from './reset-file.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

export function setupAdmin(command: Command, session: Session): void {
  addCommonOptions(
    command
      .command('list', { isDefault: true })
      .description('grants that are not in the document: admins, and the starter'),
  ).action((flags: CommonFlags) => list(session, flags));
  addCommonOptions(command.command('remove').description('take such a grant away; the last admin stays'))
    .argument('<principal>', 'for example local:1000')
    .option('--role <role>', 'user or admin', 'admin')
    .action(async (principal: string, flags: CommonFlags & { readonly role: string }) => {
      const { api } = connect(session, flags);
      const answer = await api.delete(`/api/v1/admins/${encodeURIComponent(principal)}`, {
        query: { role: flags.role },
      });
      if (flags.json === true)
        return printJson(session.context, answer ?? { principal, role: flags.role, removed: true });
      printLine(session.context, `${principal} is no longer ${flags.role}`);
    });
  command
    .command('reset')
    .description('at the next start remove every admin that a claim made, and print a new claim link')
    .option('--state-dir <folder>', 'state folder of the server')
    .option('--json', 'print one JSON object, for programs')
    .action((flags: { readonly stateDir?: string; readonly json?: boolean }) => reset(session, flags));
  addExamples(command, [
    ['postern admin', 'list them'],
    ['postern admin reset && postern serve', 'a new claim, when the only passkey is lost'],
  ]);
}

async function list(session: Session, flags: CommonFlags): Promise<void> {
  const answer = await connect(session, flags).api.get('/api/v1/admins');
  if (flags.json === true) return printJson(session.context, answer);
  printTable(
    session.context,
    [
      { title: 'PRINCIPAL', value: (row) => textAt(row, 'principal') ?? '-' },
      { title: 'ROLE', value: (row) => textAt(row, 'role') ?? '-' },
      { title: 'SINCE', value: (row) => formatLocal(textAt(row, 'created_at')) },
      { title: 'BY', value: (row) => textAt(row, 'created_by') ?? '-' },
    ],
    listAt(answer, 'items'),
    'no stored grants',
  );
}

/** Needs no server and no presence: whoever writes the state folder owns the server anyway. */
function reset(session: Session, flags: { readonly stateDir?: string; readonly json?: boolean }): void {
  const stateDir = stateFolder(flags.stateDir, session.context);
  if (!existsSync(stateDir)) {
    throw new CliFailure(`there is no state folder at ${stateDir}`, {
      exit: EXIT.failed,
      code: 'cli_not_found',
      fix: 'Name it with --state-dir',
    });
  }
  writeFileSync(join(stateDir, ADMIN_RESET_FILE), '', { mode: 0o600 });
  const running = readServerFile(stateDir);
  if (flags.json === true)
    return printJson(session.context, { state_dir: stateDir, running_pid: running?.pid ?? null });
  printLine(
    session.context,
    running === null
      ? 'done: the next `postern serve` prints a new claim link'
      : `restart the server (process ${running.pid}): it will print a new claim link`,
  );
}
