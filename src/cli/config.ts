/** `postern config`: the gateway document. */
import type { Command } from 'commander';
import type { ApiClient } from './client.ts';
import { checkDocument } from './config/check.ts';
import { importDocument } from './config/import-aperture.ts';
import { liftDocumentSecrets } from './config/lift-secrets.ts';
import { readDocumentFile } from './config/read-document.ts';
import { EXIT, CliFailure } from './failure.ts';
import { listAt, numberAt, textAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { printJson, printLine, printNote, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface ApplyFlags extends CommonFlags {
  readonly comment: string;
  readonly ifVersion?: string;
}

export function setupConfig(command: Command, session: Session): void {
  addCommonOptions(
    command.command('show', { isDefault: true }).description('print the document, secrets left out'),
  ).action((flags: CommonFlags) => show(session, flags));

  addCommonOptions(
    command.command('check').description('check a document; exit code 1 if something is wrong'),
  )
    .argument('[file]', 'HuJSON file, - for standard input; without it the document of the server')
    .action((file: string | undefined, flags: CommonFlags) => checkDocument(session, file, flags));

  addCommonOptions(command.command('apply').description('save a document as the new version'))
    .argument('<file>', 'HuJSON file, - for standard input')
    .option('--comment <text>', 'why, kept with the version', '')
    .option(
      '--if-version <number>',
      'only if this is still the version in force; default the one read just before',
    )
    .action((file: string, flags: ApplyFlags) => apply(session, file, flags));

  addCommonOptions(command.command('versions').description('every version with its author')).action(
    (flags: CommonFlags) => versions(session, flags),
  );

  addCommonOptions(
    command
      .command('diff')
      .description('what changed between two versions, or between the server and a file'),
  )
    .argument('[from]', 'version number, or a file to compare the server with; default the version before')
    .argument('[to]', 'version number; default the version in force')
    .action((from: string | undefined, to: string | undefined, flags: CommonFlags) =>
      diff(session, from, to, flags),
    );

  addCommonOptions(command.command('rollback').description('make an earlier version the newest one again'))
    .argument('<version>', 'version number, from `postern config versions`')
    .action((version: string, flags: CommonFlags) => rollback(session, version, flags));

  addCommonOptions(
    command
      .command('import')
      .description("read an Aperture document, keep its meaning, print it as Postern's"),
  )
    .argument('<file>', 'HuJSON file, - for standard input')
    .action((file: string, flags: CommonFlags) => importDocument(session, file, flags));

  addCommonOptions(
    command.command('lift-secrets').description('print a document without its keys; the file is not changed'),
  )
    .argument('<file>', 'HuJSON file, - for standard input')
    .option('--store', "put the keys into the server's vault as well")
    .action((file: string, flags: CommonFlags & { readonly store?: boolean }) =>
      liftDocumentSecrets(session, file, flags),
    );

  addExamples(command, [
    ['postern config > gateway.hujson', 'the document, to edit'],
    ['postern config check gateway.hujson', 'before saving it, without a server'],
    ['postern config apply gateway.hujson --comment "add mistral"', 'save it'],
    ['postern config diff 3 4', 'what a version changed'],
  ]);
}

async function show(session: Session, flags: CommonFlags): Promise<void> {
  const answer = await connect(session, flags).api.get('/api/v1/config');
  if (flags.json === true) return printJson(session.context, answer);
  const text = textAt(answer, 'text') ?? '';
  session.context.stdout.write(withLineEnd(text));
  if (text === '')
    printNote(
      session.context,
      'postern: no document was saved yet: what the environment names may be used as `postern admin` lists',
    );
  const error = textAt(answer, 'error');
  if (error !== null)
    printNote(
      session.context,
      `postern: the file was changed but could not be loaded; this is the last good one: ${error}`,
    );
}

async function apply(session: Session, file: string, flags: ApplyFlags): Promise<void> {
  const text = await readDocumentFile(session.context, file);
  const { api } = connect(session, flags);
  const current = await api.call('GET', '/api/v1/config');
  const etag = current.headers['etag'];
  if (etag === undefined)
    throw new CliFailure('the server gave no version of its document', {
      exit: EXIT.failed,
      code: 'cli_bad_answer',
    });
  const version = numberAt(JSON.parse(current.text), 'version');
  if (flags.ifVersion !== undefined && Number(flags.ifVersion) !== version) {
    throw new CliFailure(`the version in force is ${version ?? 'unknown'}, not ${flags.ifVersion}`, {
      exit: EXIT.failed,
      code: 'precondition_failed',
      fix: 'See `postern config diff` and apply your change to the newer one',
    });
  }
  const answer = await api.put(
    '/api/v1/config',
    { text, comment: flags.comment },
    { headers: { 'if-match': etag } },
  );
  if (flags.json === true) return printJson(session.context, answer);
  printLine(session.context, `saved as version ${numberAt(answer, 'version') ?? '?'}`);
}

async function versions(session: Session, flags: CommonFlags): Promise<void> {
  const answer = await connect(session, flags).api.get('/api/v1/config/versions');
  if (flags.json === true) return printJson(session.context, answer);
  printTable(
    session.context,
    [
      { title: 'VERSION', align: 'right', value: (row) => String(numberAt(row, 'version') ?? '-') },
      { title: 'TIME', value: (row) => formatLocal(textAt(row, 'created_at')) },
      { title: 'BY', value: (row) => textAt(row, 'created_by') ?? '-' },
      { title: 'COMMENT', value: (row) => textAt(row, 'comment') ?? '' },
    ],
    listAt(answer, 'items'),
    'no version was ever saved',
  );
}

async function diff(
  session: Session,
  from: string | undefined,
  to: string | undefined,
  flags: CommonFlags,
): Promise<void> {
  const { api } = connect(session, flags);
  if (from !== undefined && !/^\d+$/.test(from)) return diffWithFile(session, api, from, flags);
  const current = to === undefined ? await api.get('/api/v1/config') : null;
  const upper = to === undefined ? (numberAt(current, 'version') ?? 0) : Number(to);
  const lower = from === undefined ? upper - 1 : Number(from);
  // Before the first version there was nothing.
  if (lower < 1 && current !== null) {
    const { diffDocuments } = await import('../policy/index.ts');
    return printDiff(session, diffDocuments('', textAt(current, 'text') ?? ''), flags);
  }
  const answer = await api.get('/api/v1/config/diff', { from: lower, to: upper });
  if (flags.json === true) return printJson(session.context, answer);
  printDiff(session, textAt(answer, 'diff') ?? '', flags);
}

/** What the file would change; keys on either side are not shown. */
async function diffWithFile(
  session: Session,
  api: ApiClient,
  file: string,
  flags: CommonFlags,
): Promise<void> {
  const text = await readDocumentFile(session.context, file);
  const current = textAt(await api.get('/api/v1/config'), 'text') ?? '';
  const { diffDocuments, redactSecrets } = await import('../policy/index.ts');
  printDiff(session, diffDocuments(current, redactSecrets(text)), flags);
}

function printDiff(session: Session, text: string, flags: CommonFlags): void {
  if (flags.json === true) return printJson(session.context, { diff: text });
  if (text === '') printNote(session.context, 'no difference');
  else session.context.stdout.write(withLineEnd(text));
}

async function rollback(session: Session, version: string, flags: CommonFlags): Promise<void> {
  const { api } = connect(session, flags);
  const current = await api.call('GET', '/api/v1/config');
  const etag = current.headers['etag'];
  const answer = await api.post(
    '/api/v1/config/rollback',
    { version: Number(version) },
    etag === undefined ? {} : { headers: { 'if-match': etag } },
  );
  if (flags.json === true) return printJson(session.context, answer);
  printLine(
    session.context,
    `version ${version} is in force again, as version ${numberAt(answer, 'version') ?? '?'}`,
  );
}

function withLineEnd(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
