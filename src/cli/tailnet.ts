/** `postern tailnet`: networks of Postern's own, which official clients join. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { usageFailure } from './failure.ts';
import { listAt, numberAt, textAt, textsAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { printJson, printLine, printNote, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';
import {
  addTailnetOption,
  chooseTailnet,
  type TailnetFlags,
  tailnetOf,
  tailnetPath,
} from './tailnet-choice.ts';

const PATH = '/api/v1/tailnets';

interface CreateFlags extends CommonFlags {
  readonly kind: string;
  readonly policy?: string;
}

interface SetFlags extends TailnetFlags {
  readonly policy?: string;
  readonly defaultPolicy?: boolean;
  readonly keyExpiryDays?: string;
  readonly deviceApproval?: string;
}

export function setupTailnet(command: Command, session: Session): void {
  setupLife(command, session);
  setupContent(command, session);
  addExamples(command, [
    ['postern tailnet', 'list them'],
    ['postern tailnet create staging', 'a second network, which shares nothing with the first'],
    ['postern tailnet set --policy network.hujson', 'who may reach whom, in force within a second'],
    ['postern tailnet devices', 'who is in it'],
  ]);
}

function setupLife(command: Command, session: Session): void {
  const { context } = session;
  addCommonOptions(
    command.command('list', { isDefault: true }).description('tailnets, and where they are joined'),
  ).action(async (flags: CommonFlags) => {
    const answer = await connect(session, flags).api.get(PATH);
    if (flags.json === true) return printJson(context, answer);
    printTailnets(session, answer, tailnetOf(flags, context));
  });

  addCommonOptions(command.command('create').description('make a tailnet'))
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .addOption(
      new Option('--kind <kind>', 'of people who sign in, or of tagged machines only')
        .choices(['people', 'machines'])
        .default('people'),
    )
    .option('--policy <file>', "Tailscale's policy file (HuJSON); default: everybody reaches everything")
    .action(async (name: string, { kind, policy, ...flags }: CreateFlags) => {
      const body = { name, kind, policy: policy === undefined ? null : readPolicy(policy) };
      const answer = await connect(session, flags).api.post(PATH, body);
      if (flags.json === true) return printJson(context, answer);
      printLine(
        context,
        `tailnet ${name} is made; its devices are named *.${textAt(answer, 'domain') ?? name}`,
      );
      printNote(context, `let a device join it: postern key create --tailnet ${name} …`);
    });

  addCommonOptions(command.command('delete').description('delete a tailnet; its devices are cut'))
    .argument('<name>', 'its name or id')
    .action(async (name: string, flags: CommonFlags) => {
      await connect(session, flags).api.delete(tailnetPath(name));
      if (flags.json === true) return printJson(context, { name, deleted: true });
      printLine(context, `tailnet ${name} is deleted`);
    });

  addCommonOptions(command.command('use').description('let commands mean this tailnet from now on'))
    .argument('<name>', 'its name')
    .action(async (name: string, flags: CommonFlags) => {
      const known = listAt(await connect(session, flags).api.get(PATH), 'items');
      if (!known.some((tailnet) => textAt(tailnet, 'name') === name))
        throw usageFailure(`there is no tailnet "${name}"; see postern tailnet list`);
      chooseTailnet(name, flags, context);
      if (flags.json === true) return printJson(context, { tailnet: name });
      printLine(context, `commands mean the tailnet ${name} from now on`);
    });

  addTailnetOption(command.command('set').description('change settings or the policy of a tailnet'))
    .option('--policy <file>', "Tailscale's policy file (HuJSON)")
    .option('--default-policy', 'everybody reaches everything')
    .option('--key-expiry-days <days>', 'after which a person signs in again; 0: never')
    .addOption(
      new Option('--device-approval <state>', 'new devices wait for an admin').choices(['on', 'off']),
    )
    .action((flags: SetFlags) => setTailnet(session, flags));
}

function setupContent(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(command.command('policy').description('print the policy of a tailnet')).action(
    async (flags: TailnetFlags) => {
      const { api } = connect(session, flags);
      const answer = await api.get(tailnetPath(tailnetOf(flags, context)));
      const own = textAt(answer, 'policy');
      const policy = own ?? textAt(await api.get(`${PATH}/policy/default`), 'policy') ?? '';
      if (flags.json === true) return printJson(context, { policy, default: own === null });
      context.stdout.write(policy.endsWith('\n') ? policy : `${policy}\n`);
    },
  );
  addTailnetOption(command.command('devices').description('devices of a tailnet')).action(
    async (flags: TailnetFlags) => {
      const answer = await connect(session, flags).api.get(
        tailnetPath(tailnetOf(flags, context), '/devices?limit=500'),
      );
      if (flags.json === true) return printJson(context, answer);
      printDevices(session, answer);
    },
  );
  addTailnetOption(command.command('remove-device').description('remove a device; it has to join anew'))
    .argument('<device>', 'its name or id')
    .action(async (device: string, flags: TailnetFlags) => {
      const path = tailnetPath(tailnetOf(flags, context), `/devices/${encodeURIComponent(device)}`);
      await connect(session, flags).api.delete(path);
      if (flags.json === true) return printJson(context, { device, removed: true });
      printLine(context, `${device} is removed`);
    });
}

async function setTailnet(session: Session, flags: SetFlags): Promise<void> {
  const { policy, defaultPolicy, keyExpiryDays, deviceApproval } = flags;
  if (keyExpiryDays !== undefined && !/^\d{1,4}$/.test(keyExpiryDays))
    throw usageFailure(`--key-expiry-days is a number of days, got "${keyExpiryDays}"`);
  const change = {
    ...(policy === undefined ? {} : { policy: readPolicy(policy) }),
    ...(defaultPolicy === true ? { policy: null } : {}),
    ...(keyExpiryDays === undefined ? {} : { key_expiry_days: Number(keyExpiryDays) }),
    ...(deviceApproval === undefined ? {} : { device_approval: deviceApproval === 'on' }),
  };
  if (Object.keys(change).length === 0) throw usageFailure('nothing to change was named; see --help');
  const name = tailnetOf(flags, session.context);
  const answer = await connect(session, flags).api.patch(tailnetPath(name), change);
  if (flags.json === true) return printJson(session.context, answer);
  printLine(session.context, `tailnet ${name} is changed`);
}

function readPolicy(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw usageFailure(`the file ${path} cannot be read`);
  }
}

function printTailnets(session: Session, answer: unknown, chosen: string): void {
  const { context } = session;
  printTable(
    context,
    [
      { title: '', value: (row) => (textAt(row, 'name') === chosen ? '*' : '') },
      { title: 'NAME', value: (row) => textAt(row, 'name') ?? '-' },
      { title: 'KIND', value: (row) => textAt(row, 'kind') ?? '-' },
      { title: 'DEVICES', align: 'right', value: (row) => String(numberAt(row, 'devices') ?? 0) },
      { title: 'ONLINE', align: 'right', value: (row) => String(numberAt(row, 'online') ?? 0) },
      { title: 'DOMAIN', value: (row) => textAt(row, 'domain') ?? '-' },
    ],
    listAt(answer, 'items'),
    'no tailnets: start Postern with --lan or --public-url',
  );
  const loginServer = textAt(answer, 'login_server');
  if (loginServer !== null)
    printNote(context, `devices join with: tailscale up --login-server ${loginServer}`);
}

function printDevices(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'NAME', value: (row) => textAt(row, 'name') ?? '-' },
      { title: 'ADDRESS', value: (row) => textsAt(row, 'addresses')[0] ?? '-' },
      { title: 'OWNER', value: (row) => textAt(row, 'user') ?? textsAt(row, 'tags').join(',') },
      { title: 'SYSTEM', value: (row) => textAt(row, 'os') ?? '-' },
      { title: 'LAST SEEN', value: (row) => lastSeen(row) },
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
    ],
    listAt(answer, 'items'),
    'no devices',
  );
}

function lastSeen(row: unknown): string {
  return Object(row)['online'] === true ? 'online' : formatLocal(textAt(row, 'last_seen_at'));
}
