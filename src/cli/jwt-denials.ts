/** `postern tokens deny | denied | allow`: JWTs that are refused though their issuer's signature holds. */
import type { Command } from 'commander';
import { usageFailure } from './failure.ts';
import { listAt, textAt } from './fields.ts';
import { formatLocal, parseMoment } from './moments.ts';
import { printJson, printLine, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface DenyFlags extends CommonFlags {
  readonly issuer?: string;
  readonly jti?: string;
  readonly subject?: string;
  readonly issuedBefore?: string;
}

const PATH = '/api/v1/jwt-denials';

export function setupJwtDenials(command: Command, session: Session): void {
  const deny = addCommonOptions(
    command.command('deny').description('refuse JWTs that are valid; their open streams are cut'),
  )
    .argument('[id]', 'jwt_…, as records and `whoami` show it')
    .option('--issuer <iss>', 'the issuer whose --jti or --subject follows')
    .option('--jti <id>', 'one JWT by its id')
    .option('--subject <sub>', 'every JWT of a subject issued before --issued-before')
    .option('--issued-before <time>', 'with --subject: a span back from now, a date or a time; default now')
    .action((id: string | undefined, flags: DenyFlags) => denyJwt(session, id, flags));
  addExamples(deny, [
    ['postern tokens deny jwt_0f3a…', 'the one that a record shows'],
    ['postern tokens deny --issuer https://login.example --subject alice', 'whoever holds one signs in anew'],
  ]);

  addCommonOptions(command.command('denied').description('the deny-list of JWTs')).action(
    async (flags: CommonFlags) => {
      const answer = await connect(session, flags).api.get(PATH);
      if (flags.json === true) return printJson(session.context, answer);
      printDenials(session, answer);
    },
  );

  addCommonOptions(command.command('allow').description('take a denial back'))
    .argument('<id>', 'deny_…, from `postern tokens denied`')
    .action(async (id: string, flags: CommonFlags) => {
      const answer = await connect(session, flags).api.delete(`${PATH}/${encodeURIComponent(id)}`);
      if (flags.json === true) return printJson(session.context, answer ?? { id, removed: true });
      printLine(session.context, `${id} is removed`);
    });
}

async function denyJwt(session: Session, id: string | undefined, flags: DenyFlags): Promise<void> {
  const answer = await connect(session, flags).api.post(PATH, readDenial(session, id, flags));
  if (flags.json === true) return printJson(session.context, answer);
  printLine(session.context, `${textAt(answer, 'id') ?? 'it'} is on the deny-list`);
}

/** What is denied must be one thing; the server knows which issuers there are. */
function readDenial(session: Session, id: string | undefined, flags: DenyFlags): object {
  const { issuer, jti, subject, issuedBefore } = flags;
  const given = [id, jti, subject].filter((value) => value !== undefined).length;
  if (given !== 1 || (id === undefined) === (issuer === undefined))
    throw usageFailure('name what to deny: an id jwt_…, or --issuer with --jti or --subject');
  if (issuedBefore !== undefined && subject === undefined)
    throw usageFailure('--issued-before goes with --subject');
  if (id !== undefined) return { token_id: id };
  if (jti !== undefined) return { issuer, jti };
  const before =
    issuedBefore === undefined
      ? {}
      : { issued_before: parseMoment(issuedBefore, session.context.clock.now(), '--issued-before') };
  return { issuer, subject, ...before };
}

function printDenials(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
      { title: 'ISSUER', value: (row) => textAt(row, 'issuer') ?? '-' },
      { title: 'JWT', value: (row) => textAt(row, 'jti') ?? textAt(row, 'token_id') ?? '-' },
      { title: 'SUBJECT', value: (row) => textAt(row, 'subject') ?? '-' },
      { title: 'ISSUED BEFORE', value: (row) => formatLocal(textAt(row, 'issued_before')) },
      { title: 'DENIED', value: (row) => formatLocal(textAt(row, 'created_at')) },
    ],
    listAt(answer, 'items'),
    'no JWT is denied',
  );
}
