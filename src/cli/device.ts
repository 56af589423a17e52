/** `postern device`: the devices of Postern's own network, which join by a WireGuard configuration. */
import type { Command } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import { setupWaitingDevices } from './device-waiting.ts';
import { usageFailure } from './failure.ts';
import { listAt, numberAt, textAt, textsAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { paint, printJson, printLine, printNote, printTable } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface AddFlags extends CommonFlags {
  readonly publicKey?: string;
  readonly qr: boolean;
}

const PATH = '/api/v1/devices';
/** Light modules around a QR code: four would be the norm, but not fit 80 columns with a long endpoint. */
const QUIET_ZONE = 2;

export function setupDevice(command: Command, session: Session): void {
  addCommonOptions(
    command.command('list', { isDefault: true }).description('devices, and when they were last heard'),
  ).action(async (flags: CommonFlags) => {
    const answer = await connect(session, flags).api.get(PATH);
    if (flags.json === true) return printJson(session.context, answer);
    printDevices(session, answer);
  });

  const add = addCommonOptions(
    command.command('add').description('add a device and print its WireGuard configuration, once'),
  )
    .argument('<name>', 'such as "phone": letters, digits and hyphens')
    .option('--public-key <key>', 'the key that "wg pubkey" prints on the device; default: a pair is made')
    .option('--no-qr', 'print no QR code')
    .action((name: string, flags: AddFlags) => addDevice(session, name, flags));
  addExamples(add, [
    ['postern device add phone', 'then scan the code with the WireGuard app'],
    ['postern device add laptop > postern.conf', 'then wg-quick up ./postern.conf on the laptop'],
    ["postern device add ci --public-key 'xTIB…='", 'a key that never leaves its device'],
  ]);

  addCommonOptions(command.command('remove').description('remove a device; its connections are cut'))
    .argument('<device>', 'its name or id')
    .action(async (device: string, flags: CommonFlags) => {
      const { api } = connect(session, flags);
      const items = listAt(await api.get(PATH), 'items');
      const known = items.find((item) => textAt(item, 'id') === device || textAt(item, 'name') === device);
      const id = textAt(known, 'id');
      if (id === null) throw usageFailure(`there is no device "${device}"; see postern device list`);
      await api.delete(`${PATH}/${encodeURIComponent(id)}`);
      if (flags.json === true) return printJson(session.context, { id, removed: true });
      printLine(session.context, `${textAt(known, 'name') ?? id} is removed`);
    });
  setupWaitingDevices(command, session);
  addExamples(command, [
    ['postern device', 'list them'],
    ['postern device add phone', 'a configuration and a QR code'],
    ['postern device remove phone', 'and its end'],
  ]);
}

async function addDevice(session: Session, name: string, flags: AddFlags): Promise<void> {
  const { context } = session;
  const { publicKey } = flags;
  const answer = await connect(session, flags).api.post(PATH, {
    name,
    ...(publicKey === undefined ? {} : { public_key: publicKey }),
  });
  if (flags.json === true) return printJson(context, answer);
  const configuration = textAt(answer, 'configuration') ?? '';
  const address = textsAt(answer, 'addresses')[0] ?? '-';
  printNote(context, `${name} is ${address}; this is its configuration, which is not shown again:`);
  printLine(context, configuration.trimEnd());
  if (flags.qr && publicKey === undefined && context.stderr.isTTY === true) {
    /* Light on dark whatever the terminal's own colours are; a code in other colours few readers take. */
    const rows = renderUnicodeCompact(configuration, { border: QUIET_ZONE }).split('\n');
    const code = rows.map((row) => paint(context, context.stderr, ['whiteBright', 'bgBlack'], row));
    printNote(context, `\n${code.join('\n')}`);
  }
  if (publicKey === undefined)
    printNote(context, 'whoever has this text is this device: delete the copies that you make of it');
}

function printDevices(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'NAME', value: (row) => textAt(row, 'name') ?? '-' },
      { title: 'ADDRESS', value: (row) => textsAt(row, 'addresses')[0] ?? '-' },
      { title: 'LAST HEARD', value: (row) => formatLocal(textAt(row, 'last_handshake_at')) },
      { title: 'FROM', value: (row) => textAt(row, 'endpoint') ?? '-' },
      { title: 'RECEIVED', align: 'right', value: (row) => String(numberAt(row, 'received_bytes') ?? 0) },
      { title: 'SENT', align: 'right', value: (row) => String(numberAt(row, 'sent_bytes') ?? 0) },
      { title: 'ID', value: (row) => textAt(row, 'id') ?? '-' },
    ],
    listAt(answer, 'items'),
    'no devices',
  );
}
