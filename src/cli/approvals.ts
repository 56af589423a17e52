/** `postern approvals`: what waits for a person; approve and deny it, live if wanted. */
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { ApiClient } from './client.ts';
import { createEventReader, type ServerEvent } from './event-reader.ts';
import { EXIT, CliFailure, usageFailure } from './failure.ts';
import { isObject, listAt, numberAt, objectAt, textAt } from './fields.ts';
import { formatLocal, parseSpan } from './moments.ts';
import { paint, printable, printJson, printLine, printNote, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface ListFlags extends CommonFlags {
  readonly state?: string;
  readonly mine?: boolean;
  readonly toDecide?: boolean;
  readonly limit: number;
  readonly cursor?: string;
}

interface DecideFlags extends CommonFlags {
  readonly reason?: string;
  readonly for?: string;
  readonly edited?: string;
  readonly seenEdits?: number;
}

const PATH = '/api/v1/approvals';
const STATES = 'pending, approved, used, denied, expired, withdrawn';

export function setupApprovals(command: Command, session: Session): void {
  setupList(command, session);
  addCommonOptions(
    command
      .command('watch')
      .description('live; at a terminal each can be decided here. With --json one JSON line each'),
  ).action((flags: CommonFlags) => watch(session, flags));
  addCommonOptions(command.command('show').description('one in full; approvers see arguments with presence'))
    .argument('<id>', 'apr_…, from `postern approvals`')
    .action((id: string, flags: CommonFlags) => show(session, id, flags));
  setupDecisions(command, session);
  addExamples(command, [
    ['postern approvals', 'what I asked, and what waits for me'],
    ['postern approvals watch', 'live, and decide as they come'],
    ['postern approvals approve apr_06f3k9 --for 1h', 'that same call passes for an hour'],
    ['postern approvals deny apr_06f3k9 --reason "not in production"', 'the agent is told why'],
  ]);
}

function setupList(command: Command, session: Session): void {
  addCommonOptions(
    command.command('list', { isDefault: true }).description('what waits or was decided, newest first'),
  )
    .option('--state <state>', `only these: ${STATES}`)
    .option('--mine', 'only what I asked')
    .option('--to-decide', 'only what waits for me')
    .option('-n, --limit <count>', 'how many, 1 to 500', parseCount, 20)
    .option('--cursor <cursor>', 'go on where the last page ended (next_cursor of --json)')
    .action(async (flags: ListFlags) => {
      if (flags.mine === true && flags.toDecide === true)
        throw usageFailure('--mine and --to-decide exclude each other: nobody decides what they asked');
      const answer = await connect(session, flags).api.get(PATH, {
        limit: flags.limit,
        cursor: flags.cursor,
        state: flags.state,
        of: flags.mine === true ? 'mine' : flags.toDecide === true ? 'to_decide' : undefined,
      });
      if (flags.json === true) return printJson(session.context, answer);
      printList(session, answer);
    });
}

function setupDecisions(command: Command, session: Session): void {
  addCommonOptions(command.command('approve').description('let it happen; needs presence (`postern login`)'))
    .argument('<id>', 'apr_…, from `postern approvals`')
    .option('--for <scope>', 'once, session, or a time: 30m, 8h; default once, for a model as long as may be')
    .option('--reason <text>', 'kept with it')
    .option('--edited <json>', 'arguments that run in place of those asked for')
    .option('--seen-edits <count>', '`edits` of what you saw, if somebody edited before', parseCount)
    .action(async (id: string, flags: DecideFlags) => {
      const { api } = connect(session, flags);
      print(session, flags, await decide(api, id, approval(flags)));
    });
  addCommonOptions(command.command('deny').description('refuse it; needs presence (`postern login`)'))
    .argument('<id>', 'apr_…, from `postern approvals`')
    .option('--reason <text>', 'told to the caller')
    .action(async (id: string, flags: DecideFlags) => {
      const { api } = connect(session, flags);
      print(session, flags, await decide(api, id, { verdict: 'deny', ...reasonOf(flags) }));
    });
  addCommonOptions(
    command.command('withdraw').description('take back what you asked, or what is not used up'),
  )
    .argument('<id>', 'apr_…, from `postern approvals`')
    .action(async (id: string, flags: CommonFlags) => {
      const answer = await connect(session, flags).api.delete(`${PATH}/${encodeURIComponent(id)}`);
      if (flags.json === true) return printJson(session.context, answer ?? { id, withdrawn: true });
      printLine(session.context, `${id} is withdrawn`);
    });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || count > 500)
    throw new InvalidArgumentError('It must be a whole number up to 500.');
  return count;
}

function approval(flags: DecideFlags): Record<string, unknown> {
  return {
    verdict: 'approve',
    ...(flags.for === undefined ? {} : scopeOf(flags.for)),
    ...reasonOf(flags),
    ...(flags.edited === undefined ? {} : { edited: parseEdit(flags.edited) }),
    ...(flags.seenEdits === undefined ? {} : { seen_edits: flags.seenEdits }),
  };
}

function scopeOf(text: string): Record<string, unknown> {
  if (text === 'once' || text === 'session') return { scope: text };
  return { scope: 'time', duration_sec: Math.floor(parseSpan(text, '--for') / 1_000) };
}

function reasonOf({ reason }: DecideFlags): Record<string, unknown> {
  return reason === undefined ? {} : { reason };
}

function parseEdit(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usageFailure('--edited must be JSON', 'Write it in single quotes: --edited \'{"command":"ls"}\'');
  }
}

function decide(api: ApiClient, id: string, body: Record<string, unknown>): Promise<unknown> {
  return api.post(`${PATH}/${encodeURIComponent(id)}/decision`, body);
}

function print(session: Session, flags: CommonFlags, answer: unknown): void {
  if (flags.json === true) return printJson(session.context, answer);
  const state = textAt(answer, 'state') ?? '-';
  const votes = listAt(answer, 'votes').length;
  const quorum = numberAt(answer, 'quorum') ?? 1;
  printLine(
    session.context,
    `${textAt(answer, 'id') ?? 'it'} is ${state === 'pending' ? `still pending: ${votes} of ${quorum} approve` : state}`,
  );
}

function printList(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
      { title: 'STATE', value: (row) => textAt(row, 'state') ?? '-' },
      { title: 'WHO', value: (row) => textAt(row, 'label') ?? '-' },
      { title: 'WANTS', value: subjectText },
      { title: 'WHAT', value: (row) => (textAt(row, 'preview') ?? '').slice(0, 60) },
      { title: 'ASKED', value: (row) => formatLocal(textAt(row, 'created_at')) },
      { title: 'DECIDE', value: (row) => (isObject(row) && row['may_decide'] === true ? 'you' : '') },
    ],
    listAt(answer, 'items'),
    'no approvals',
  );
}

function subjectText(row: unknown): string {
  const subject = textAt(row, 'subject') ?? '';
  const kind = textAt(row, 'kind') ?? '-';
  return [kind, subject, textAt(row, 'amount_text') ?? ''].filter((text) => text !== '').join(' ');
}

async function show(session: Session, id: string, flags: CommonFlags): Promise<void> {
  const answer = await connect(session, flags).api.get(`${PATH}/${encodeURIComponent(id)}`);
  if (flags.json === true) return printJson(session.context, answer);
  for (const [name, value] of Object.entries(isObject(answer) ? answer : {})) {
    if (value === null || value === '') continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    printLine(session.context, `${name.padEnd(20)} ${printable(text)}`);
  }
  if (textAt(answer, 'content') === 'presence_required')
    printNote(
      session.context,
      'Its arguments are shown to you in person: run `postern login`, then this again.',
    );
}

/** News until the command is interrupted. At a terminal what may be decided is asked about, one after the other. */
async function watch(session: Session, flags: CommonFlags): Promise<void> {
  const { api, connection } = connect(session, flags);
  const desk = flags.json !== true && session.context.stdin.isTTY === true ? new Desk(session, api) : null;
  desk?.askAboutWaiting();
  const reader = createEventReader((event) => {
    const news = newsOf(event);
    if (news === null) return;
    printNews(session, flags, event.name, news);
    if (event.name === 'approval.requested') desk?.ask(news);
  });
  const stream = api.stream('/api/v1/events', {}, (text) => reader.push(text));
  await (desk === null ? stream : Promise.race([stream, desk.failed]));
  if (session.context.signal.aborted) return;
  throw new CliFailure(`the server at ${connection.where} ended the stream`, {
    exit: EXIT.noServer,
    code: 'cli_no_server',
    fix: 'It may be restarting: run the command again',
  });
}

/** Asks the person at the terminal about one approval after the other, each once. */
class Desk {
  /** Rejects as soon as a decision fails: without presence with exit code 5 and the way to get it. */
  readonly failed: Promise<never>;
  readonly #session: Session;
  readonly #api: ApiClient;
  readonly #seen = new Set<string>();
  #turn: Promise<void> = Promise.resolve();
  #fail: (error: unknown) => void = () => undefined;

  constructor(session: Session, api: ApiClient) {
    this.#session = session;
    this.#api = api;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
  }

  /** What waited before the command began, the oldest first. */
  askAboutWaiting(): void {
    this.#next(async () => {
      const answer = await this.#api.get(PATH, { of: 'to_decide', limit: 50 });
      for (const item of listAt(answer, 'items').toReversed()) await this.#askOnce(item);
    });
  }

  ask(news: unknown): void {
    this.#next(() => this.#askOnce(news));
  }

  #next(run: () => Promise<void>): void {
    this.#turn = this.#turn.then(run).catch((error: unknown) => {
      // Interrupted, which ends the stream too.
      if (!this.#session.context.signal.aborted) this.#fail(error);
    });
  }

  async #askOnce(news: unknown): Promise<void> {
    const id = textAt(news, 'id');
    if (id === null || this.#seen.has(id) || this.#session.context.signal.aborted) return;
    this.#seen.add(id);
    await askHere(this.#session, this.#api, id);
  }
}

function newsOf(event: ServerEvent): unknown {
  if (!event.name.startsWith('approval.')) return null;
  try {
    return JSON.parse(event.data);
  } catch {
    return null;
  }
}

function printNews(session: Session, flags: CommonFlags, name: string, news: unknown): void {
  if (flags.json === true) {
    printLine(session.context, JSON.stringify({ event: name, ...(isObject(news) ? news : {}) }));
    return;
  }
  const state = textAt(news, 'state') ?? '-';
  const style = state === 'pending' ? 'yellow' : state === 'approved' ? 'green' : 'red';
  const by = textAt(news, 'by');
  printLine(
    session.context,
    [
      formatLocal(textAt(news, 'at')),
      paint(session.context, session.context.stdout, style, state),
      printable(textAt(news, 'label') ?? '-'),
      printable(subjectText(news)),
      printable(textAt(news, 'preview') ?? ''),
      ...(by === null ? [] : [`by ${printable(by)}`]),
      textAt(news, 'id') ?? '',
    ]
      .filter((text) => text !== '')
      .join('  '),
  );
}

/** Shows one and takes the answer of whoever sits at the terminal. */
async function askHere(session: Session, api: ApiClient, id: string): Promise<void> {
  const detail = await api.get(`${PATH}/${encodeURIComponent(id)}`);
  if (!isObject(detail) || detail['may_decide'] !== true || textAt(detail, 'state') !== 'pending') return;
  printLine(session.context, '');
  printLine(
    session.context,
    `${printable(textAt(detail, 'label') ?? '-')} wants ${printable(subjectText(detail))}`,
  );
  const shown = textAt(detail, 'arguments') ?? textAt(detail, 'preview') ?? '';
  printLine(session.context, `  ${printable(shown)}`);
  const edited = objectAt(detail, 'edited_arguments') ?? detail['edited_arguments'];
  if (edited !== undefined) printLine(session.context, `  edited: ${printable(JSON.stringify(edited))}`);
  // The server knows how far a plain yes reaches: a call or a refill once, a model for a time.
  const isBudget = textAt(detail, 'kind') === 'budget';
  const hour = isBudget ? '' : ', for an hour [h]';
  const verdict = await question(session, `approve [y]${hour}, deny [n], later [Enter]? `);
  const seen = { seen_edits: numberAt(detail, 'edits') ?? 0 };
  const body = {
    y: { verdict: 'approve', ...seen },
    h: { verdict: 'approve', scope: 'time', duration_sec: 3_600, ...seen },
    n: { verdict: 'deny' },
  }[verdict];
  if (body !== undefined) print(session, {}, await decide(api, id, body));
}

async function question(session: Session, text: string): Promise<string> {
  const { stdin, signal } = session.context;
  const lines = createInterface({ input: stdin });
  session.context.stdout.write(text);
  try {
    return (await lines.question('', { signal })).trim().toLowerCase();
  } catch (error) {
    // Interrupted: as if left for later.
    if (signal.aborted) return '';
    throw error;
  } finally {
    lines.close();
  }
}
