/** `postern find-keys`: keys that lie about, and their way into the vault. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError, describeError } from '../../base/errors.ts';
import { clientOrigin } from '../connection.ts';
import type { CliContext, TextSink } from '../context.ts';
import { CliFailure, EXIT, usageFailure } from '../failure.ts';
import { printable, printJson, printLine, printNote } from '../output.ts';
import { stateFolder } from '../paths.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from '../session.ts';
import { adoptKeys, type AdoptResult } from './adopt/adopt.ts';
import { askAtTerminal } from './adopt/ask.ts';
import { clientToken } from './adopt/client-token.ts';
import { parseChosen, readProviders } from './adopt/choose-provider.ts';
import { journalPath } from './adopt/journal.ts';
import { undoAdoption } from './adopt/undo.ts';
import { startDeadline } from './limits.ts';
import { createProgress } from './progress.ts';
import { redactKey, redactText } from './redact.ts';
import {
  adviceLines,
  describeFinding,
  findingJson,
  reportJson,
  showPath,
  skippedLines,
  summaryLine,
} from './report.ts';
import { numberKeys, searchKeys } from './search.ts';
import type { Finding, SearchResult } from './shapes.ts';

interface FindFlags extends CommonFlags {
  readonly git?: boolean;
  readonly all?: boolean;
  readonly onlyPaths?: boolean;
  readonly nodeModules?: boolean;
  readonly ignore: readonly string[];
  readonly seconds: string;
  readonly adopt?: boolean;
  readonly yes?: boolean;
  readonly undo?: boolean;
  readonly clientToken?: string;
  readonly provider: readonly string[];
}

/** A large repository takes a minute or two. */
const DEFAULT_SECONDS = 300;
const SECONDS_MAX = 86_400;

export function setupFindKeys(command: Command, session: Session): void {
  addCommonOptions(command)
    .argument('[path...]', 'folders and files to search besides the environment and your own settings')
    .option('--git', 'search the whole history of the repositories there, too')
    .option('--only-paths', 'leave out the environment and your own settings')
    .option('--all', 'also private keys, JSON web tokens, and values that only their name makes a secret')
    .option(
      '--ignore <glob>',
      'leave out these paths of a folder or repository, history included',
      collect,
      [],
    )
    .option('--node-modules', 'search node_modules, too')
    .option('--seconds <number>', 'how long to search at most', String(DEFAULT_SECONDS))
    .option('--adopt', 'put provider keys into the vault and turn the settings to Postern; asks for each')
    .option('-y, --yes', 'with --adopt: do not ask')
    .option(
      '--provider <service=provider>',
      'with --adopt: the provider for the keys of a service',
      collect,
      [],
    )
    .option(
      '--client-token <variable>',
      'with --adopt: the variable with the Postern token that clients present',
    )
    .option('--undo', 'restore the files of the last --adopt')
    .action((paths: readonly string[], flags: FindFlags) => guarded(() => findKeysAt(session, paths, flags)));
  addExamples(command, [
    ['postern find-keys', 'your environment, dotfiles, agents and editors'],
    ['postern find-keys --git --only-paths .', 'in CI: exit code 1 if this repository ever held a key'],
    ["postern find-keys --git --only-paths . --ignore 'test/**'", 'but for what the tests plant'],
    ['postern find-keys --adopt', 'put what is found into the vault, file by file'],
    ['postern find-keys --undo', 'and back, byte for byte'],
  ]);
  command.addHelpText('after', '\nA key is only ever shown by its first 6 and last 2 characters.');
}

/** An option that may be given more than once. */
function collect(text: string, former: readonly string[]): readonly string[] {
  return [...former, text];
}

/** The system's messages hold paths, and a path may hold a key. */
async function guarded(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new CliFailure(redactText(describeError(error)), { exit: EXIT.failed, code: 'cli_failed' });
  }
}

async function findKeysAt(session: Session, paths: readonly string[], flags: FindFlags): Promise<void> {
  checkFlags(session.context, paths, flags);
  if (flags.undo === true) return undo(session, flags);
  const chosen = parseChosen(flags.provider);
  const { context } = session;
  const named = paths.length === 0 && (flags.git === true || flags.onlyPaths === true) ? ['.'] : paths;
  const progress = createProgress(context);
  const result = await searchKeys(context, {
    paths: named.map((path) => resolve(path)),
    home: flags.onlyPaths !== true,
    git: flags.git === true,
    nodeModules: flags.nodeModules === true,
    all: flags.all === true,
    ignore: flags.ignore,
    deadline: startDeadline(context.clock, readSeconds(flags.seconds), context.signal),
    onProgress: (text) => progress.show(text),
  });
  progress.end();
  const quiet: Session = { ...session, context: withoutKeys(context, result.findings) };
  const adopted =
    flags.adopt === true && result.findings.length > 0 ? await adopt(quiet, result, flags, chosen) : null;
  if (flags.json === true)
    printJson(quiet.context, {
      ...reportJson(result, quiet.context),
      ...adoptedJson(adopted, result, quiet.context),
    });
  else report(quiet.context, result, adopted);
  const left = adopted === null ? result.findings.length : adopted.left.length;
  if (left > 0 || result.stoppedBy !== null) session.end(EXIT.failed);
}

function checkFlags(context: CliContext, paths: readonly string[], flags: FindFlags): void {
  if (flags.undo === true && (flags.adopt === true || paths.length > 0))
    throw usageFailure('--undo stands alone: it restores what the last --adopt changed');
  if (
    flags.adopt !== true &&
    (flags.yes === true || flags.provider.length > 0 || flags.clientToken !== undefined)
  )
    throw usageFailure('--yes, --provider and --client-token belong to --adopt');
  if (flags.adopt === true && flags.yes !== true && (context.stdin.isTTY !== true || flags.json === true))
    throw usageFailure(
      '--adopt asks for each key, and there is no terminal to ask at',
      'Add --yes to adopt whatever can be adopted',
    );
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d{1,5}$/.test(text) && seconds >= 1 && seconds <= SECONDS_MAX) return seconds;
  throw usageFailure(
    `--seconds must be a number from 1 to ${SECONDS_MAX}, got "${printable(text.slice(0, 40))}"`,
  );
}

/** A second lock: whatever is written, no key that was found is in it. */
function withoutKeys(context: CliContext, findings: readonly Finding[]): CliContext {
  const keys = [...new Set(findings.map(({ secret }) => secret.reveal()))].sort(
    (a, b) => b.length - a.length,
  );
  const scrub = (text: string): string =>
    keys.reduce((rest, key) => (rest.includes(key) ? rest.replaceAll(key, redactKey(key)) : rest), text);
  const sink = (inner: TextSink): TextSink => ({
    ...(inner.isTTY === undefined ? {} : { isTTY: inner.isTTY }),
    ...(inner.columns === undefined ? {} : { columns: inner.columns }),
    write: (text) => inner.write(scrub(text)),
  });
  return { ...context, stdout: sink(context.stdout), stderr: sink(context.stderr) };
}

function report(context: CliContext, result: SearchResult, adopted: AdoptResult | null): void {
  const numbers = numberKeys(result.findings);
  const why = new Map(adopted?.left.map(({ finding, why: text }) => [finding, text]));
  for (const finding of result.findings) {
    printLine(context, describeFinding({ number: numbers.get(finding) ?? 0, finding }, context));
    if (adopted !== null)
      printLine(
        context,
        `    ${printable(why.has(finding) ? `left: ${why.get(finding) ?? ''}` : 'adopted')}`,
      );
  }
  if (result.findings.length > 0) printLine(context);
  printLine(context, summaryLine(result));
  for (const line of skippedLines(result, context)) printLine(context, line);
  if (result.stoppedBy !== null)
    printLine(context, `the search did not see everything: ${printable(result.stoppedBy)}`);
  for (const line of adviceLines(result, adopted !== null)) printLine(context, line);
  if (adopted?.journal !== undefined && adopted.journal !== null) {
    const { keys, files } = adopted.journal;
    printLine(
      context,
      `vault: ${keys.join(', ')}; files changed: ${files.length}. Their backups hold the keys: delete them once all works (*${BACKUP_HINT}*)`,
    );
    printLine(context, 'restore with: postern find-keys --undo');
  }
}

const BACKUP_HINT = '.postern-backup-';

function adoptedJson(
  adopted: AdoptResult | null,
  result: SearchResult,
  context: CliContext,
): Record<string, unknown> {
  if (adopted === null) return {};
  const numbers = numberKeys(result.findings);
  const view = (finding: Finding): Record<string, unknown> =>
    findingJson({ number: numbers.get(finding) ?? 0, finding }, context);
  const { journal } = adopted;
  return {
    adopted: adopted.adopted.map(view),
    left: adopted.left.map(({ finding, why }) => ({ ...view(finding), why })),
    vault_keys: journal?.keys ?? [],
    changed_files: (journal?.files ?? []).map(({ path, backup }) => ({
      path: showPath(path, context),
      backup: backup === null ? null : showPath(backup, context),
    })),
  };
}

async function adopt(
  session: Session,
  result: SearchResult,
  flags: FindFlags,
  chosen: ReadonlyMap<string, string>,
): Promise<AdoptResult> {
  const { context } = session;
  const { api, connection } = connect(session, flags);
  const origin = clientOrigin(connection);
  const credential = clientToken(context, { connection, origin, variable: flags.clientToken });
  const providers = await readProviders(api, chosen);
  const numbers = numberKeys(result.findings);
  const questions = flags.yes === true ? null : askAtTerminal(context);
  try {
    return await adoptKeys(result.findings, {
      context,
      api,
      stateDir: connection.stateDir,
      origin,
      credential,
      providers,
      async agree(finding) {
        if (questions === null) return 'yes';
        printNote(context, describeFinding({ number: numbers.get(finding) ?? 0, finding }, context));
        return questions.ask('Put it into the vault and turn this setting to Postern?');
      },
    });
  } finally {
    questions?.close();
  }
}

async function undo(session: Session, flags: FindFlags): Promise<void> {
  const { context } = session;
  const stateDir = stateFolder(flags.stateDir, context);
  const journal = undoAdoption(stateDir);
  if (journal === null)
    throw new CliFailure('there is no adoption to undo', {
      exit: EXIT.failed,
      code: 'cli_not_found',
      fix: `None is written down in ${redactText(journalPath(stateDir, '*'))}`,
    });
  const files = journal.files.map(({ path }) => showPath(path, context));
  if (flags.json === true) return printJson(context, { restored: files, vault_keys: journal.keys });
  for (const file of files) printLine(context, printable(`restored ${file}`));
  if (journal.keys.length > 0)
    printLine(context, `the keys stay in the vault: ${journal.keys.join(', ')} (postern keys revoke <id>)`);
}
