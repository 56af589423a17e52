/** `postern logs`: records of requests, newest first, or live. */
import { type Command, InvalidArgumentError } from 'commander';
import { createEventReader, type ServerEvent } from './event-reader.ts';
import { EXIT, CliFailure } from './failure.ts';
import { isObject, listAt, numberAt, objectAt, textAt } from './fields.ts';
import { formatLocal, parseMoment } from './moments.ts';
import { formatCount, formatDuration, formatUsd, paint, printable, printJson, printLine } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface LogFlags extends CommonFlags {
  readonly follow?: boolean;
  readonly limit: number;
  readonly cursor?: string;
  readonly from?: string;
  readonly model?: string;
  readonly provider?: string;
  readonly agent?: string;
  readonly session?: string;
  readonly outcome?: string;
  readonly user?: string;
}

export function setupLogs(command: Command, session: Session): void {
  addCommonOptions(command)
    .argument('[id]', 'one request in full')
    .option('-f, --follow', 'show requests as they end, until interrupted; with --json one JSON line each')
    .option('-n, --limit <count>', 'how many, 1 to 500', parseLimit, 20)
    .option('--cursor <cursor>', 'go on where the last page ended (next_cursor of --json)')
    .option('--from <time>', 'from then on: 7d, 12h, 2026-11-01 or a full time')
    .option('--model <model>', 'only this model, as its provider names it')
    .option('--provider <provider>', 'only this provider')
    .option('--agent <agent>', 'only this agent, for example claude-code')
    .option('--session <id>', 'only this session')
    .option(
      '--outcome <outcome>',
      'only these: ok, refused, upstream_error, upstream_failed, truncated, client_abort, gateway_error',
    )
    .option('--user <principal>', 'only this user; needs the role to see others')
    .action(async (id: string | undefined, flags: LogFlags) => {
      if (id !== undefined) return showOne(session, flags, id);
      return flags.follow === true ? follow(session, flags) : list(session, flags);
    });
  addExamples(command, [
    ['postern logs', 'the last 20 requests'],
    ['postern logs -f --provider postern', 'live, one provider'],
    ['postern logs --outcome refused --from 1d', "today's refusals"],
    ['postern logs req_06f3k9 --json', 'everything about one request'],
  ]);
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 500)
    throw new InvalidArgumentError('It must be a whole number from 1 to 500.');
  return limit;
}

async function showOne(session: Session, flags: LogFlags, id: string): Promise<void> {
  const { api } = connect(session, flags);
  const answer = await api.get(`/api/v1/requests/${encodeURIComponent(id)}`);
  if (flags.json === true) {
    printJson(session.context, answer);
    return;
  }
  for (const [name, value] of Object.entries(isObject(answer) ? answer : {})) {
    if (value === null) continue;
    printLine(
      session.context,
      `${name.padEnd(24)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`,
    );
  }
}

async function list(session: Session, flags: LogFlags): Promise<void> {
  const { api } = connect(session, flags);
  const now = session.context.clock.now();
  const answer = await api.get('/api/v1/requests', {
    limit: flags.limit,
    cursor: flags.cursor,
    from: flags.from === undefined ? undefined : parseMoment(flags.from, now, '--from'),
    model: flags.model,
    provider: flags.provider,
    agent: flags.agent,
    session: flags.session,
    outcome: flags.outcome,
    principal: flags.user,
  });
  if (flags.json === true) {
    printJson(session.context, answer);
    return;
  }
  const rows = listAt(answer, 'items');
  if (rows.length === 0) printLine(session.context, 'no requests');
  for (const row of rows) printLine(session.context, formatRow(session, row));
}

/** Live rows until the command is interrupted; the server ending the stream is a failure. */
async function follow(session: Session, flags: LogFlags): Promise<void> {
  const { api, connection } = connect(session, flags);
  const reader = createEventReader((event) => {
    const row = finishedRequest(event, flags);
    if (row === null) return;
    printLine(session.context, flags.json === true ? JSON.stringify(row) : formatRow(session, row));
  });
  await api.stream('/api/v1/events', {}, (text) => reader.push(text));
  if (session.context.signal.aborted) return;
  throw new CliFailure(`the server at ${connection.where} ended the stream`, {
    exit: EXIT.noServer,
    code: 'cli_no_server',
    fix: 'It may be restarting: run the command again',
  });
}

/** The row of an event that says that a request ended and that the filters let pass. */
function finishedRequest(event: ServerEvent, flags: LogFlags): unknown {
  if (event.name !== 'request.finished') return null;
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    return null;
  }
  const row = objectAt(data, 'request') ?? data;
  const wanted: readonly (readonly [string, string | undefined])[] = [
    ['provider', flags.provider],
    ['agent', flags.agent],
    ['session_id', flags.session],
    ['outcome', flags.outcome],
    ['principal', flags.user],
  ];
  const passes = wanted.every(([field, value]) => value === undefined || textAt(row, field) === value);
  const model = flags.model;
  const isModel =
    model === undefined ||
    [textAt(row, 'model'), modelName(row), textAt(row, 'requested_model')].includes(model);
  return passes && isModel ? row : null;
}

function formatRow(session: Session, row: unknown): string {
  const outcome = textAt(row, 'outcome') ?? '-';
  const status = String(numberAt(row, 'status') ?? '-');
  const style =
    outcome === 'ok' ? 'green' : outcome === 'refused' || outcome === 'client_abort' ? 'yellow' : 'red';
  const reason = textAt(row, 'reason');
  const estimated = isObject(row) && row['estimated'] === true ? '~' : '';
  return [
    formatLocal(textAt(row, 'started_at')),
    paint(session.context, session.context.stdout, style, status),
    printable(modelName(row)),
    printable(textAt(row, 'user_label') ?? textAt(row, 'principal') ?? '-'),
    ...(textAt(row, 'agent') === null ? [] : [printable(textAt(row, 'agent') ?? '')]),
    `${estimated}${formatCount(usageAt(row, 'input_tokens'))} in ${formatCount(usageAt(row, 'output_tokens'))} out`,
    formatUsd(numberAt(row, 'cost_nano_usd')),
    formatDuration(durationAt(row, 'total_us')),
    ...(outcome === 'ok' ? [] : [printable(reason ?? outcome)]),
    textAt(row, 'id') ?? '',
  ].join('  ');
}

function modelName(row: unknown): string {
  const provider = textAt(row, 'provider');
  const model = textAt(row, 'model') ?? textAt(row, 'requested_model') ?? '-';
  return provider === null ? model : `${provider}/${model}`;
}

function usageAt(row: unknown, field: string): number | null {
  return numberAt(row, field) ?? numberAt(objectAt(row, 'usage'), field);
}

function durationAt(row: unknown, field: string): number | null {
  return numberAt(row, field) ?? numberAt(objectAt(row, 'timing'), field);
}
