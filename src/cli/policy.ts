/** `postern policy`: the document as code. */
import { type Command, InvalidArgumentError } from 'commander';
import { simulateDraft, type SimulateFlags } from './policy/simulate-draft.ts';
import { testDocument } from './policy/test-document.ts';
import { addCommonOptions, addExamples, type CommonFlags, type Session } from './session.ts';

/** The server tells no more. */
const REQUESTS_MAX = 1_000;

export function setupPolicy(command: Command, session: Session): void {
  addCommonOptions(
    command
      .command('test')
      .description('check a document and run its "tests"; exit code 1 if something is wrong'),
  )
    .argument('[file]', 'HuJSON file, - for standard input; without it the document of the server')
    .action((file: string | undefined, flags: CommonFlags) => testDocument(session, file, flags));

  addCommonOptions(
    command
      .command('simulate')
      .description('what a draft would have made of recorded requests; changes nothing'),
  )
    .requiredOption('--draft <file>', 'HuJSON file, - for standard input')
    .option('--since <time>', 'from then on: 7d, 12h, 2026-11-01 or a full time', '7d')
    .option('--until <time>', 'up to then, exclusive; default now')
    .option('--requests <number>', 'changed requests to show one by one', parseCount, 20)
    .action((flags: SimulateFlags) => simulateDraft(session, flags));

  addExamples(command, [
    ['postern policy test gateway.hujson', 'before saving it, without a server'],
    ['postern policy simulate --draft gateway.hujson', 'against the last seven days'],
    ['postern policy simulate --draft gateway.hujson --since 30d --json', 'for a script'],
  ]);
}

function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= REQUESTS_MAX)) throw new InvalidArgumentError(`give a number from 0 to ${REQUESTS_MAX}.`);
  return count;
}
