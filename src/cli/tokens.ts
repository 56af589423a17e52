/** `postern tokens`: Postern's own tokens, for callers that no network names. */
import { type Command, InvalidArgumentError } from 'commander';
import { listAt, textAt, textsAt } from './fields.ts';
import { setupJwtDenials } from './jwt-denials.ts';
import { formatLocal, parseSpan } from './moments.ts';
import { printJson, printLine, printNote, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface CreateFlags extends CommonFlags {
  readonly scope: readonly string[];
  readonly model?: readonly string[];
  readonly ttl: string;
  readonly owner?: string;
}

const SCOPES = ['use', 'read', 'admin', 'metrics'];

export function setupTokens(command: Command, session: Session): void {
  addCommonOptions(
    command.command('list', { isDefault: true }).description('your tokens; every one, as an admin'),
  ).action(async (flags: CommonFlags) => {
    const answer = await connect(session, flags).api.get('/api/v1/tokens');
    if (flags.json === true) return printJson(session.context, answer);
    printTokens(session, answer);
  });

  const create = addCommonOptions(
    command.command('create').description('make a token; it is shown once and stored as a hash'),
  )
    .argument('<name>', 'what it is for')
    .option('--scope <scopes>', `comma-separated: ${SCOPES.join(', ')}`, parseScopes, ['use'])
    .option(
      '--model <globs>',
      'comma-separated globs over provider/model; default all that you may use',
      parseList,
    )
    .option('--ttl <span>', 'how long it is valid: 12h, 30d', '30d')
    .option('--owner <service>', 'a service principal (service:<name>) in place of yourself; as an admin')
    .action((name: string, flags: CreateFlags) => createToken(session, name, flags));
  addExamples(create, [
    ["postern tokens create ci --ttl 7d --model 'anthropic/*'", 'for a pipeline'],
    ['export POSTERN_TOKEN=$(postern tokens create laptop)', 'only the token goes to standard output'],
  ]);

  addCommonOptions(command.command('revoke').description('end a token at once; its open streams are cut'))
    .argument('<id>', 'token id, from `postern tokens`')
    .action(async (id: string, flags: CommonFlags) => {
      const answer = await connect(session, flags).api.delete(`/api/v1/tokens/${encodeURIComponent(id)}`);
      if (flags.json === true) return printJson(session.context, answer ?? { id, revoked: true });
      printLine(session.context, `${id} is revoked`);
    });
  setupJwtDenials(command, session);
  addExamples(command, [
    ['postern tokens', 'list them'],
    ['postern tokens create ci --ttl 7d', 'a token for a pipeline'],
    ['postern tokens revoke tok_06f3k9', 'and its end'],
  ]);
}

function printTokens(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
      { title: 'NAME', value: (row) => textAt(row, 'name') ?? '-' },
      { title: 'OWNER', value: (row) => textAt(row, 'owner_label') ?? textAt(row, 'owner') ?? '-' },
      { title: 'SCOPES', value: (row) => textsAt(row, 'scopes').join(',') },
      { title: 'EXPIRES', value: (row) => formatLocal(textAt(row, 'expires_at')) },
      { title: 'LAST USED', value: (row) => formatLocal(textAt(row, 'last_used_at')) },
      { title: 'STATE', value: (row) => (textAt(row, 'revoked_at') === null ? 'valid' : 'revoked') },
    ],
    listAt(answer, 'items'),
    'no tokens',
  );
}

async function createToken(session: Session, name: string, flags: CreateFlags): Promise<void> {
  const ttlSec = Math.floor(parseSpan(flags.ttl, '--ttl') / 1000);
  const answer = await connect(session, flags).api.post('/api/v1/tokens', {
    name,
    scopes: flags.scope,
    expires_in_sec: ttlSec,
    ...(flags.model === undefined ? {} : { models: flags.model }),
    ...(flags.owner === undefined ? {} : { owner: flags.owner }),
  });
  if (flags.json === true) return printJson(session.context, answer);
  const expires = formatLocal(textAt(answer, 'expires_at'));
  printNote(session.context, `token ${name} is valid until ${expires} and is not shown again:`);
  printLine(session.context, textAt(answer, 'token') ?? '');
}

function parseList(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

function parseScopes(text: string): readonly string[] {
  const scopes = parseList(text);
  const unknown = scopes.find((scope) => !SCOPES.includes(scope));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`Scopes are ${SCOPES.join(', ')}; got "${unknown}".`);
  return scopes;
}
