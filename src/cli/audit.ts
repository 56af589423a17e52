/** `postern audit`: what was changed or looked at, and whether the log is whole. */
import type { Command } from 'commander';
import { EXIT } from './failure.ts';
import { isObject, listAt, numberAt, textAt } from './fields.ts';
import { formatLocal, parseMoment } from './moments.ts';
import { printJson, printLine, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface AuditFlags extends CommonFlags {
  readonly limit: string;
  readonly from?: string;
  readonly action?: string;
  readonly actor?: string;
}

export function setupAudit(command: Command, session: Session): void {
  addCommonOptions(command.command('list', { isDefault: true }).description('entries, newest first'))
    .option('-n, --limit <count>', 'how many, 1 to 500', '50')
    .option('--from <time>', 'from then on: 7d, 2026-11-01 or a full time')
    .option('--action <action>', 'only this action, for example prompt.read')
    .option('--actor <principal>', 'only by this actor')
    .action((flags: AuditFlags) => list(session, flags));
  addCommonOptions(
    command
      .command('verify')
      .description('compute the hash chain again; exit code 1 if an entry does not fit'),
  ).action((flags: CommonFlags) => verify(session, flags));
  addExamples(command, [
    ['postern audit --action prompt.read --from 30d', 'who read prompts this month, and why'],
    ['postern audit verify', 'prove that no entry was altered'],
  ]);
}

async function list(session: Session, flags: AuditFlags): Promise<void> {
  const now = session.context.clock.now();
  const answer = await connect(session, flags).api.get('/api/v1/audit', {
    limit: flags.limit,
    from: flags.from === undefined ? undefined : parseMoment(flags.from, now, '--from'),
    action: flags.action,
    actor: flags.actor,
  });
  if (flags.json === true) return printJson(session.context, answer);
  printTable(
    session.context,
    [
      { title: 'SEQ', align: 'right', value: (row) => String(numberAt(row, 'seq') ?? '-') },
      { title: 'TIME', value: (row) => formatLocal(textAt(row, 'at')) },
      { title: 'ACTOR', value: (row) => textAt(row, 'actor_label') ?? textAt(row, 'actor') ?? '-' },
      { title: 'PRESENCE', value: (row) => textAt(row, 'presence') ?? '-' },
      { title: 'ACTION', value: (row) => textAt(row, 'action') ?? '-' },
      { title: 'TARGET', value: (row) => textAt(row, 'target') ?? '-' },
      { title: 'REASON', value: (row) => textAt(row, 'reason') ?? '' },
    ],
    listAt(answer, 'items'),
    'no entries',
  );
}

async function verify(session: Session, flags: CommonFlags): Promise<void> {
  const answer = await connect(session, flags).api.get('/api/v1/audit/verify');
  const brokenAt = numberAt(answer, 'broken_at');
  // An answer without the field proves nothing.
  const whole = isObject(answer) && answer['broken_at'] === null;
  session.end(whole ? EXIT.done : EXIT.failed);
  if (flags.json === true) return printJson(session.context, answer);
  const rows = numberAt(answer, 'rows') ?? 0;
  printLine(
    session.context,
    whole
      ? `${rows} entries, the chain is whole`
      : `the chain is broken at entry ${brokenAt ?? '?'} of ${rows}`,
  );
}
