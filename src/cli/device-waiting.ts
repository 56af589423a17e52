/** `postern device waiting | approve | refuse`: official clients that asked to join one of Postern's tailnets. */
import type { Command } from 'commander';
import { listAt, textAt, textsAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { printJson, printLine, printTable } from './output.ts';
import { addCommonOptions, type CommonFlags, connect, type Session } from './session.ts';
import { addTailnetOption, type TailnetFlags, tailnetOf } from './tailnet-choice.ts';

const PATH = '/api/v1/waiting-devices';

interface ApproveFlags extends TailnetFlags {
  readonly user?: string;
}

/** Adds the three to `postern device`. */
export function setupWaitingDevices(command: Command, session: Session): void {
  const { context } = session;
  addCommonOptions(
    command.command('waiting').description('devices that wait to be let into a tailnet'),
  ).action(async (flags: CommonFlags) => {
    const answer = await connect(session, flags).api.get(PATH);
    if (flags.json === true) return printJson(context, answer);
    printTable(
      context,
      [
        { title: 'CODE', value: (row) => textAt(row, 'code') ?? '-' },
        { title: 'DEVICE', value: (row) => textAt(row, 'hostname') ?? '-' },
        { title: 'SYSTEM', value: (row) => textAt(row, 'os') ?? '-' },
        { title: 'FINGERPRINT', value: (row) => textAt(row, 'fingerprint') ?? '-' },
        { title: 'ASKS FOR', value: (row) => textsAt(row, 'tags').join(',') },
        { title: 'SINCE', value: (row) => formatLocal(textAt(row, 'since')) },
      ],
      listAt(answer, 'items'),
      'no device waits',
    );
  });
  addTailnetOption(
    command.command('approve').description('let a waiting device in; compare its fingerprint first'),
  )
    .argument('<code>', 'which the device shows')
    .option('--user <login>', "whose device it is; default: the tailnet's owner")
    .action((code: string, { user, ...flags }: ApproveFlags) =>
      decide(session, flags, `${PATH}/${encodeURIComponent(code)}/approve`, {
        tailnet: tailnetOf(flags, context),
        user: user ?? null,
      }),
    );
  addCommonOptions(command.command('refuse').description('turn a waiting device away'))
    .argument('<code>', 'which the device shows')
    .action((code: string, flags: CommonFlags) =>
      decide(session, flags, `${PATH}/${encodeURIComponent(code)}/refuse`, {}),
    );
}

async function decide(session: Session, flags: CommonFlags, path: string, body: object): Promise<void> {
  const answer = await connect(session, flags).api.post(path, body);
  if (flags.json === true) return printJson(session.context, answer);
  const device = `${textAt(answer, 'hostname') ?? 'the device'} (${textAt(answer, 'fingerprint') ?? ''})`;
  printLine(session.context, `${device} is ${path.endsWith('approve') ? 'in' : 'turned away'}`);
}
