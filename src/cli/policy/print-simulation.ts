/** A simulation's report for people: what changes, by what, and what it costs. */
import type { CliContext } from '../context.ts';
import { type JsonObject, listAt, numberAt, objectAt, textAt, textsAt } from '../fields.ts';
import { formatLocal } from '../moments.ts';
import { type Column, formatCount, formatUsd, printable, printLine, printTable } from '../output.ts';

/** Lines of each list; `--json` has more. */
const LINES_MAX = 10;

export function printSimulation(context: CliContext, report: JsonObject): void {
  const rows = numberAt(report, 'rows') ?? 0;
  const changed = numberAt(report, 'changed_requests') ?? 0;
  printLine(
    context,
    `${formatLocal(textAt(report, 'from'))} to ${formatLocal(textAt(report, 'to'))}: ${formatCount(rows)} requests, ${formatCount(changed)} of them otherwise under the draft`,
  );
  printTotals(context, report);
  if (changed > 0) printChanges(context, report);
  printList(context, 'Refused under the draft, and not now', listAt(report, 'newly_refused'), REFUSED);
  printList(context, 'Sent elsewhere', listAt(report, 'rerouted'), REROUTED);
  printList(context, 'Tool calls under rules', listAt(report, 'tools'), TOOLS);
  printList(context, 'Budgets that refuse', listAt(report, 'budgets'), BUDGETS);
  printList(context, 'Requests that guardrails look at', listAt(report, 'guardrails'), GUARDRAILS);
  printList(context, 'Requests that hooks are called for', listAt(report, 'hooks'), HOOKS);
  const cost = objectAt(report, 'cost');
  for (const [name, title] of COSTS) {
    const lines = listAt(cost, name).filter(
      (line) => numberAt(line, 'before_nano_usd') !== numberAt(line, 'after_nano_usd'),
    );
    printList(context, title, lines, COST);
  }
  printRequests(context, report);
  printLine(context, '\nWhat this cannot tell:');
  for (const line of textsAt(report, 'limits')) printLine(context, `- ${printable(line)}`);
}

const COSTS = [
  ['by_model', 'Cost by model, where it changes'],
  ['by_provider', 'Cost by provider, where it changes'],
  ['by_user', 'Cost by user, where it changes'],
] as const;

function printTotals(context: CliContext, report: JsonObject): void {
  const before = objectAt(report, 'before');
  const after = objectAt(report, 'after');
  const line = (name: string, field: string, from: (side: unknown) => string): readonly string[] => [
    name,
    from(before),
    from(after),
    field,
  ];
  const count = (name: string, field: string): readonly string[] =>
    line(name, field, (side) => formatCount(numberAt(side, field)));
  const calls = (name: string, field: string): readonly string[] =>
    line(name, field, (side) => formatCount(numberAt(objectAt(side, 'tool_calls'), field)));
  const lines = [
    count('allowed', 'allowed'),
    count('denied', 'denied'),
    count('over budget', 'over_budget'),
    count('unknown', 'unknown'),
    calls('tool calls denied', 'denied'),
    calls('  perhaps denied', 'may_be_denied'),
    calls('tool calls asked', 'asked'),
    calls('  perhaps asked', 'may_be_asked'),
    calls('tool calls rewritten', 'rewritten'),
    line('cost', 'cost', (side) => formatUsd(numberAt(side, 'cost_nano_usd'))),
    count('without a price', 'unpriced'),
  ].filter(([, was, is, field]) => ALWAYS.has(field ?? '') || was !== '0' || is !== '0');
  printLine(context);
  printTable(
    context,
    [
      { title: '', value: ([name = '']) => name },
      { title: 'NOW', align: 'right', value: ([, was = '']) => was },
      { title: 'DRAFT', align: 'right', value: ([, , is = '']) => is },
    ],
    lines,
    '',
  );
}

const ALWAYS: ReadonlySet<string> = new Set(['allowed', 'denied', 'cost']);

function printChanges(context: CliContext, report: JsonObject): void {
  const changes = Object.entries(objectAt(report, 'changes') ?? {}).filter(([, count]) => count !== 0);
  printLine(context);
  printTable(
    context,
    [
      { title: 'CHANGE', value: ([name]) => name.replaceAll('_', ' ') },
      {
        title: 'REQUESTS',
        align: 'right',
        value: ([, count]) => formatCount(typeof count === 'number' ? count : null),
      },
    ],
    changes,
    '',
  );
}

function printList(
  context: CliContext,
  title: string,
  rows: readonly unknown[],
  columns: readonly Column<unknown>[],
): void {
  if (rows.length === 0) return;
  printLine(context, `\n${title}:`);
  printTable(context, columns, rows.slice(0, LINES_MAX), '');
  if (rows.length > LINES_MAX) printLine(context, `and ${rows.length - LINES_MAX} more: see --json`);
}

function printRequests(context: CliContext, report: JsonObject): void {
  const requests = listAt(report, 'requests');
  if (requests.length === 0) return;
  printLine(context, '\nRequests that change:');
  printTable(context, REQUESTS, requests, '');
  const omitted = numberAt(report, 'requests_omitted') ?? 0;
  if (omitted > 0) printLine(context, `and ${formatCount(omitted)} more: see --requests`);
}

function text(title: string, field: string): Column<unknown> {
  return { title, value: (row) => textAt(row, field) ?? '-' };
}

function count(title: string, field: string): Column<unknown> {
  return { title, align: 'right', value: (row) => formatCount(numberAt(row, field)) };
}

function dollars(title: string, field: string): Column<unknown> {
  return { title, align: 'right', value: (row) => formatUsd(numberAt(row, field)) };
}

function callsOf(side: 'before' | 'after'): (row: unknown) => string {
  return (row) => {
    const counts = objectAt(row, side);
    const told = Object.entries(counts ?? {}).filter(([, value]) => typeof value === 'number' && value > 0);
    const words = told.map(([name, value]) => `${String(value)} ${name.replaceAll('_', ' ')}`);
    return words.join(', ') || '-';
  };
}

const REFUSED: readonly Column<unknown>[] = [
  text('REASON', 'reason'),
  text('RULE', 'rule'),
  text('MODEL', 'model'),
  text('USER', 'user'),
  count('REQUESTS', 'requests'),
];

const REROUTED: readonly Column<unknown>[] = [
  text('FROM', 'from'),
  text('TO', 'to'),
  count('REQUESTS', 'requests'),
  dollars('COST NOW', 'before_nano_usd'),
  dollars('DRAFT', 'after_nano_usd'),
];

const TOOLS: readonly Column<unknown>[] = [
  text('TOOL', 'tool'),
  count('CALLS', 'calls'),
  { title: 'NOW', value: callsOf('before') },
  { title: 'DRAFT', value: callsOf('after') },
];

const BUDGETS: readonly Column<unknown>[] = [
  text('BUCKET', 'bucket'),
  count('NOW', 'refused_before'),
  count('DRAFT', 'refused_after'),
  { title: 'FIRST', value: (row) => formatLocal(textAt(row, 'first_refused_at')) },
  { title: 'LAST', value: (row) => formatLocal(textAt(row, 'last_refused_at')) },
];

const GUARDRAILS: readonly Column<unknown>[] = [
  text('GUARDRAIL', 'name'),
  text('ACTION', 'action'),
  count('NOW', 'before'),
  count('DRAFT', 'after'),
];

const HOOKS: readonly Column<unknown>[] = [
  text('HOOK', 'name'),
  count('NOW', 'before'),
  count('DRAFT', 'after'),
];

const COST: readonly Column<unknown>[] = [
  text('NAME', 'name'),
  dollars('NOW', 'before_nano_usd'),
  dollars('DRAFT', 'after_nano_usd'),
];

const REQUESTS: readonly Column<unknown>[] = [
  { title: 'TIME', value: (row) => formatLocal(textAt(row, 'started_at')) },
  text('USER', 'user'),
  text('MODEL', 'requested_model'),
  { title: 'CHANGE', value: (row) => textsAt(row, 'changes').join(', ').replaceAll('_', ' ') },
  { title: 'BECAUSE', value: becauseOf },
  text('ID', 'id'),
];

/** The reason and rule of the draft; else where it goes. */
function becauseOf(row: unknown): string {
  const after = objectAt(row, 'after');
  const reason = textAt(after, 'reason');
  const rule = textAt(after, 'rule');
  if (reason !== null) return rule === null ? reason : `${reason}: ${rule}`;
  const [tool] = listAt(row, 'tools');
  const toolRule = textAt(tool, 'rule');
  if (tool !== undefined) return `${textAt(tool, 'tool') ?? ''}: ${toolRule ?? 'no rule'}`;
  return `${textAt(after, 'provider') ?? ''}/${textAt(after, 'model') ?? ''}`;
}
