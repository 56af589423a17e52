/** `postern usage`: requests, tokens and cost. */
import { type Command, Option } from 'commander';
import { isObject, listAt, numberAt, textAt } from './fields.ts';
import { type Column, formatCount, formatUsd, printJson, printLine, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';
import { parseMoment } from './moments.ts';

interface UsageFlags extends CommonFlags {
  readonly by: string;
  readonly from?: string;
  readonly to?: string;
  readonly model?: string;
  readonly user?: string;
}

const GROUPS = 'user, group, model, provider, agent, session, device, token, format, hour, day, week, month';

export function setupUsage(command: Command, session: Session): void {
  addCommonOptions(command)
    .option('--by <list>', `group by, comma-separated: ${GROUPS}`, 'model')
    .addOption(new Option('--from <time>', 'from then on: 7d, 12h, 2026-11-01 or a full time').default('30d'))
    .option('--to <time>', 'up to then, exclusive; default now')
    .option('--model <model>', 'only this model, as its provider names it')
    .option('--user <principal>', 'only this user; needs the role to see others')
    .action(async (flags: UsageFlags) => {
      const { api } = connect(session, flags);
      const now = session.context.clock.now();
      const answer = await api.get('/api/v1/usage', {
        group_by: flags.by,
        from: parseMoment(flags.from ?? '30d', now, '--from'),
        to: flags.to === undefined ? undefined : parseMoment(flags.to, now, '--to'),
        model: flags.model,
        principal: flags.user,
      });
      if (flags.json === true) {
        printJson(session.context, answer);
        return;
      }
      const groups = flags.by.split(',').map((name) => name.trim());
      const rows = listAt(answer, 'items');
      printTable(session.context, columns(groups), rows, 'no requests in that time');
      if (isObject(answer) && answer['truncated'] === true)
        printLine(
          session.context,
          `\nOnly the first ${formatCount(rows.length)} rows: ask for less time or group by less.`,
        );
      const estimated = rows.reduce<number>((sum, row) => sum + (numberAt(row, 'estimated') ?? 0), 0);
      const unpriced = rows.reduce<number>((sum, row) => sum + (numberAt(row, 'unpriced') ?? 0), 0);
      if (estimated > 0)
        printLine(
          session.context,
          `\n${formatCount(estimated)} requests are estimates: their provider reported no usage.`,
        );
      if (unpriced > 0)
        printLine(
          session.context,
          `\n${formatCount(unpriced)} requests have no known price and are not in the cost.`,
        );
    });
  addExamples(command, [
    ['postern usage', 'by model, the last 30 days'],
    ['postern usage --by user,model --from 7d', 'who used which model this week'],
    ['postern usage --by day --from 2026-11-01 --json', 'for a script'],
  ]);
}

function columns(groups: readonly string[]): readonly Column<unknown>[] {
  const keys = groups.map((group, index): Column<unknown> => ({
    title: group.toUpperCase(),
    value: (row) => keyAt(row, group, index),
  }));
  const count = (title: string, field: string): Column<unknown> => ({
    title,
    align: 'right',
    value: (row) => formatCount(numberAt(row, field)),
  });
  return [
    ...keys,
    count('REQUESTS', 'requests'),
    count('REFUSED', 'refused'),
    count('FAILED', 'failed'),
    count('INPUT', 'input_tokens'),
    count('CACHED', 'cache_read_tokens'),
    count('OUTPUT', 'output_tokens'),
    { title: 'COST', align: 'right', value: (row) => formatUsd(numberAt(row, 'cost_nano_usd')) },
  ];
}

/** The row's value for a group: by name from an object, by place from a list. */
function keyAt(row: unknown, group: string, index: number): string {
  const key = isObject(row) ? row['key'] : undefined;
  if (Array.isArray(key)) {
    const value: unknown = key[index];
    return typeof value === 'string' ? value : '-';
  }
  return textAt(key, group) ?? textAt(row, group) ?? '-';
}
