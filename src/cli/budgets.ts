/** `postern budgets`: what is left, asking for more, and refilling as an admin. */
import type { Command } from 'commander';
import { CliFailure, EXIT } from './failure.ts';
import { listAt, numberAt, objectAt, textAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { formatCount, formatUsd, printable, printJson, printLine, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface ListFlags extends CommonFlags {
  readonly mine?: boolean;
  readonly group?: string;
  readonly quota?: string;
  readonly cursor?: string;
}

interface AskFlags extends CommonFlags {
  readonly reason: string;
}

const PATH = '/api/v1/budgets';
const AMOUNT = '$5.00 for dollars, else a whole number';

export function setupBudgets(command: Command, session: Session): void {
  setupList(command, session);
  addCommonOptions(
    command
      .command('refill')
      .description('add to a bucket, up to its capacity; as an admin with presence (`postern login`)'),
  )
    .argument('<bucket>', 'from `postern budgets`')
    .argument('<amount>', AMOUNT)
    .option('--reason <text>', 'kept in the audit log')
    .action(async (bucket: string, amount: string, flags: CommonFlags & { readonly reason?: string }) => {
      const { reason } = flags;
      const body = { bucket, amount, ...(reason === undefined ? {} : { reason }) };
      const answer = await connect(session, flags).api.post(`${PATH}/refill`, body);
      if (flags.json === true) return printJson(session.context, answer);
      for (const row of listAt(answer, 'items'))
        printLine(session.context, `${printable(bucket)} has ${amountOf(row, 'remaining')} left`);
    });
  addCommonOptions(command.command('ask').description('ask for more: somebody else decides'))
    .argument('<bucket>', 'one of yours, from `postern budgets`')
    .argument('<amount>', AMOUNT)
    .requiredOption('--reason <text>', 'told to whoever decides')
    .action((bucket: string, amount: string, flags: AskFlags) => ask(session, { bucket, amount }, flags));
  addExamples(command, [
    ['postern budgets', 'what is left of mine; of all, as an admin'],
    ["postern budgets ask daily:alice@example.com '$5.00' --reason 'a release today'", 'ask for more'],
    ["postern budgets refill daily:alice@example.com '$5.00'", 'as an admin'],
  ]);
}

function setupList(command: Command, session: Session): void {
  addCommonOptions(command.command('list', { isDefault: true }).description('what is left'))
    .option('--mine', 'only mine, as an auditor or admin')
    .option('--group <group>', 'those of a group that I lead')
    .option('--quota <name>', 'only buckets of this quota')
    .option('--cursor <cursor>', 'go on where the last page ended (next_cursor of --json)')
    .action(async (flags: ListFlags) => {
      const answer = await connect(session, flags).api.get(PATH, {
        limit: 500,
        of: flags.mine === true ? 'mine' : undefined,
        group: flags.group,
        quota: flags.quota,
        cursor: flags.cursor,
      });
      if (flags.json === true) return printJson(session.context, answer);
      printList(session, answer);
    });
}

async function ask(
  session: Session,
  { bucket, amount }: { readonly bucket: string; readonly amount: string },
  flags: AskFlags,
): Promise<void> {
  const body = { kind: 'budget', bucket, amount, reason: flags.reason };
  const answer = await connect(session, flags).api.post('/api/v1/approvals', body);
  if (flags.json === true) return printJson(session.context, answer);
  const id = textAt(answer, 'id');
  if (id === null)
    throw new CliFailure('the server named no approval', { exit: EXIT.failed, code: 'cli_bad_answer' });
  printLine(session.context, `${id} is ${textAt(answer, 'state') ?? 'pending'}`);
  printLine(session.context, `see it with: postern approvals show ${id}`);
}

function printList(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'BUCKET', value: (row) => printable(textAt(row, 'bucket') ?? '-') },
      { title: 'LEFT', align: 'right', value: (row) => amountOf(row, 'remaining') },
      { title: 'OF', align: 'right', value: (row) => amountOf(row, 'capacity') },
      { title: 'UNIT', value: (row) => textAt(row, 'unit') ?? '-' },
      { title: 'REFILLS', value: rateOf },
      { title: 'WINDOW ENDS', value: (row) => formatLocal(textAt(row, 'window_end')) },
      { title: 'WARNED', value: warnedOf },
    ],
    listAt(answer, 'items'),
    'no budgets',
  );
}

function amountOf(row: unknown, field: string): string {
  const amount = numberAt(row, field);
  return textAt(row, 'unit') === 'usd' ? formatUsd(amount) : formatCount(amount);
}

function rateOf(row: unknown): string {
  const rate = objectAt(row, 'rate');
  const amount = numberAt(rate, 'amount');
  const seconds = numberAt(rate, 'period_sec');
  if (amount === null || seconds === null) return '-';
  const text = textAt(row, 'unit') === 'usd' ? formatUsd(amount) : formatCount(amount);
  return `${text}/${PERIODS.get(seconds) ?? `${seconds}s`}`;
}

const PERIODS: ReadonlyMap<number, string> = new Map([
  [60, 'min'],
  [3_600, 'hour'],
  [86_400, 'day'],
  [604_800, 'week'],
  [2_592_000, 'month'],
]);

function warnedOf(row: unknown): string {
  const levels = listAt(row, 'warned').filter((level) => typeof level === 'number');
  return levels.length === 0 ? '' : `${Math.round(Math.max(...levels) * 100)} %`;
}
