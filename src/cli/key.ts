/** `postern key`: auth keys, by which devices join a tailnet without anybody's sign-in. */
import type { Command } from 'commander';
import { usageFailure } from './failure.ts';
import { listAt, textAt, textsAt } from './fields.ts';
import { formatLocal, parseSpan } from './moments.ts';
import { printJson, printLine, printNote, printTable } from './output.ts';
import { addExamples, connect, type Session } from './session.ts';
import { addTailnetOption, type TailnetFlags, tailnetOf, tailnetPath } from './tailnet-choice.ts';

interface CreateFlags extends TailnetFlags {
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  readonly needsApproval?: boolean;
  readonly ttl: string;
  readonly description?: string;
}

export function setupKey(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(
    command.command('list', { isDefault: true }).description('auth keys of a tailnet; never their text'),
  ).action(async (flags: TailnetFlags) => {
    const answer = await connect(session, flags).api.get(tailnetPath(tailnetOf(flags, context), '/keys'));
    if (flags.json === true) return printJson(context, answer);
    printKeys(session, answer);
  });

  const create = addTailnetOption(
    command.command('create').description('make an auth key; it is shown once and stored as a hash'),
  )
    .option('--user <login>', 'whose devices it makes')
    .option('--tags <tags>', 'comma-separated, tag:x; its devices are nobody’s', (text: string) =>
      text.split(',').map((tag) => tag.trim()),
    )
    .option('--reusable', 'for more than one device')
    .option('--ephemeral', 'its devices are forgotten once they are silent')
    .option('--needs-approval', 'its devices wait for an admin, where the tailnet asks for approval')
    .option('--ttl <span>', 'how long it is valid: 1h, 30d; at most 90d', '1h')
    .option('--description <text>', 'what it is for')
    .action((flags: CreateFlags) => createKey(session, flags));
  addExamples(create, [
    ['postern key create --user alice@example.com', "for one of alice's devices, within the hour"],
    ['postern key create --tags tag:ci --ephemeral --reusable --ttl 30d', 'for runners'],
  ]);

  addTailnetOption(command.command('revoke').description('end an auth key; devices that joined by it stay'))
    .argument('<id>', 'from `postern key`')
    .action(async (id: string, flags: TailnetFlags) => {
      const path = tailnetPath(tailnetOf(flags, context), `/keys/${encodeURIComponent(id)}`);
      await connect(session, flags).api.delete(path);
      if (flags.json === true) return printJson(context, { id, revoked: true });
      printLine(context, `${id} is revoked`);
    });
  addExamples(command, [
    ['postern key', 'list them'],
    ['postern key create --tags tag:server', 'and the line for the device'],
    ['postern key revoke ak_06f3k9', 'and its end'],
  ]);
}

async function createKey(session: Session, flags: CreateFlags): Promise<void> {
  const { context } = session;
  if ((flags.user === undefined) === (flags.tags === undefined))
    throw usageFailure('an auth key is for a user (--user) or has tags (--tags): name one of the two');
  const tailnet = tailnetOf(flags, context);
  const answer = await connect(session, flags).api.post(tailnetPath(tailnet, '/keys'), {
    ...(flags.description === undefined ? {} : { description: flags.description }),
    user: flags.user ?? null,
    tags: flags.tags ?? [],
    reusable: flags.reusable === true,
    ephemeral: flags.ephemeral === true,
    preauthorized: flags.needsApproval !== true,
    expires_in_sec: Math.floor(parseSpan(flags.ttl, '--ttl') / 1000),
  });
  if (flags.json === true) return printJson(context, answer);
  const key = textAt(answer, 'key') ?? '';
  printNote(
    context,
    `valid until ${formatLocal(textAt(answer, 'expires_at'))}, and not shown again. On the device:`,
  );
  printNote(context, `tailscale up --login-server ${textAt(answer, 'login_server') ?? ''} --auth-key ${key}`);
  printLine(context, key);
}

function printKeys(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
      { title: 'FOR', value: (row) => textAt(row, 'user') ?? textsAt(row, 'tags').join(',') },
      { title: 'KIND', value: kindOf },
      { title: 'EXPIRES', value: (row) => formatLocal(textAt(row, 'expires_at')) },
      { title: 'STATE', value: stateOf },
      { title: 'DESCRIPTION', value: (row) => textAt(row, 'description') ?? '' },
    ],
    listAt(answer, 'items'),
    'no auth keys',
  );
}

function kindOf(row: unknown): string {
  const facts = Object(row);
  return [
    facts['reusable'] === true ? 'reusable' : 'one device',
    facts['ephemeral'] === true ? 'ephemeral' : '',
  ]
    .filter((word) => word !== '')
    .join(', ');
}

function stateOf(row: unknown): string {
  if (textAt(row, 'revoked_at') !== null) return 'revoked';
  if (textAt(row, 'used_at') !== null) return 'used';
  return 'valid';
}
