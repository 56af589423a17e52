/** `postern keys`: the provider keys of the vault. */
import type { Command } from 'commander';
import { listAt, numberAt, textAt } from './fields.ts';
import { showKey, type ShowKeyFlags } from './key-impact.ts';
import { formatLocal } from './moments.ts';
import { printable, printJson, printLine, printTable } from './output.ts';
import { readSecret } from './secret-input.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface AddFlags extends CommonFlags {
  readonly name?: string;
  readonly stage?: boolean;
  readonly fromEnv?: string;
}

/** What each step does, in the words of its help. */
const STEPS = [
  ['promote', 'use a staged key from now on; the one before it is retired'],
  ['retire', 'finish what the key began and send nothing new with it'],
  ['revoke', 'stop using the key at once, running requests included'],
] as const;

export function setupKeys(command: Command, session: Session): void {
  addCommonOptions(
    command.command('list', { isDefault: true }).description('every key with its state, never its value'),
  )
    .option('--provider <provider>', 'only of this provider')
    .action((flags: CommonFlags & { readonly provider?: string }) => list(session, flags));

  const add = addCommonOptions(
    command.command('add').description('put a key into the vault; it is read from standard input'),
  )
    .argument('<provider>', 'provider id of the document, for example anthropic')
    .option('--name <name>', 'a name to tell it by; default the date')
    .option('--stage', 'keep it staged until `keys promote`')
    .option('--from-env <variable>', 'take it from this variable in place of standard input')
    .action((provider: string, flags: AddFlags) => addKey(session, provider, flags));
  addExamples(add, [
    ['postern keys add anthropic', 'asks for the key without showing it'],
    [
      'pass show anthropic | postern keys add anthropic --stage',
      'from a password store, to be promoted later',
    ],
  ]);

  addCommonOptions(command.command('show').description('who uses a key, and what its revocation would touch'))
    .argument('<id>', 'key id, from `postern keys`')
    .option('--days <number>', 'how far to look back, 1 to 366; default 30')
    .action((id: string, flags: ShowKeyFlags) => showKey(session, id, flags));

  for (const [step, does] of STEPS) {
    addCommonOptions(command.command(step).description(does))
      .argument('<id>', 'key id, from `postern keys`')
      .action(async (id: string, flags: CommonFlags) => {
        const answer = await connect(session, flags).api.post(
          `/api/v1/keys/${encodeURIComponent(id)}/${step}`,
          {},
        );
        if (flags.json === true) return printJson(session.context, answer);
        printLine(session.context, `${id} is ${textAt(answer, 'state') ?? `${step}d`}`);
      });
  }
  addExamples(command, [
    ['postern keys', 'list them'],
    ['postern keys show key_06f3k9', 'who would notice if it were revoked'],
    ['postern keys add openai --stage', 'a rotation: add the new one staged,'],
    ['postern keys promote key_06f3k9', 'then promote it; nothing under way breaks'],
  ]);
}

async function list(session: Session, flags: CommonFlags & { readonly provider?: string }): Promise<void> {
  const answer = await connect(session, flags).api.get('/api/v1/keys', { provider: flags.provider });
  if (flags.json === true) return printJson(session.context, answer);
  const text = (field: string) => (row: unknown) => textAt(row, field) ?? '-';
  printTable(
    session.context,
    [
      { title: 'PROVIDER', value: text('provider') },
      { title: 'ID', value: text('id') },
      { title: 'NAME', value: text('name') },
      { title: 'KEY', value: text('hint') },
      { title: 'STATE', value: text('state') },
      { title: 'FOR', value: text('origin') },
      { title: 'LAST USED', value: (row) => formatLocal(textAt(row, 'last_used_at')) },
      { title: 'FAILURES', align: 'right', value: (row) => String(numberAt(row, 'failures') ?? '-') },
    ],
    listAt(answer, 'items'),
    'no keys: `postern keys add <provider>` puts one into the vault',
  );
}

async function addKey(session: Session, provider: string, flags: AddFlags): Promise<void> {
  const { api } = connect(session, flags);
  const secret = await readSecret(session.context, {
    what: `key for ${printable(provider)}`,
    variable: flags.fromEnv,
  });
  const today = new Date(session.context.clock.now()).toISOString().slice(0, 10);
  const answer = await api.post('/api/v1/keys', {
    provider,
    name: flags.name ?? today,
    secret: secret.reveal(),
    state: flags.stage === true ? 'staged' : 'active',
  });
  if (flags.json === true) return printJson(session.context, answer);
  const id = textAt(answer, 'id') ?? '?';
  printLine(
    session.context,
    `${id} for ${textAt(answer, 'origin') ?? provider} is ${textAt(answer, 'state') ?? 'stored'}`,
  );
  if (flags.stage === true) printLine(session.context, `use it with: postern keys promote ${id}`);
}
