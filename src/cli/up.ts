/**
 * `postern up` and `postern down`: the running gateway joins a network of Tailscale's or Headscale's,
 * as a device of its own, or leaves it. The server joins; this command asks, and waits.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ApiClient } from './client.ts';
import { EXIT, CliFailure, usageFailure } from './failure.ts';
import { listAt, numberAt, textAt, textsAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { paint, printable, printJson, printLine, printNote, printTable } from './output.ts';
import { readSecret } from './secret-input.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface UpFlags extends CommonFlags {
  readonly loginServer?: string;
  readonly authKey?: string;
  readonly hostname?: string;
  readonly advertiseTags?: string;
  readonly timeout?: string;
  readonly status?: boolean;
}

interface DownFlags extends CommonFlags {
  readonly logout?: boolean;
}

const PATH = '/api/v1/network';
const POLL_MS = 500;
const FILE_KEY = 'file:';

export function setupUp(command: Command, session: Session): void {
  addCommonOptions(command)
    .option('--login-server <url>', 'the control server; default: the one of before')
    .option(
      '--auth-key <key>',
      'join without a visit to a page: file:PATH, "-" for standard input, or the key itself (which other programs of this machine can then see)',
    )
    .option('--hostname <name>', 'the name to ask for; default "ai"')
    .option('--advertise-tags <tags>', 'tags to ask for, such as tag:gateway,tag:ai')
    .option('--timeout <seconds>', 'stop waiting after this; the server goes on')
    .option('--status', 'only show how the gateway stands with its network')
    .action((flags: UpFlags) => (flags.status === true ? showStatus(session, flags) : up(session, flags)));
  addExamples(command, [
    ['postern up --login-server https://headscale.example.net', 'prints a page to visit, and waits'],
    ['postern up --login-server https://… --auth-key file:key.txt', 'joins at once'],
    ['postern up --status', 'state, addresses, and how each peer is reached'],
    ['postern down', 'leaves, until the next up'],
  ]);
}

export function setupDown(command: Command, session: Session): void {
  addCommonOptions(command)
    .option('--logout', 'for good: the network forgets the key, and joining again needs a new login')
    .action(async (flags: DownFlags) => {
      const { api } = connect(session, flags);
      const answer = await api.post(`${PATH}/down`, { logout: flags.logout === true });
      if (flags.json === true) return printJson(session.context, answer);
      printLine(session.context, 'the gateway has left the network; its other doors are as before');
    });
  addExamples(command, [
    ['postern down', 'until the next postern up'],
    ['postern down --logout', 'for good'],
  ]);
}

async function up(session: Session, flags: UpFlags): Promise<void> {
  const { context } = session;
  const { api } = connect(session, flags);
  const deadline = deadlineOf(flags);
  const tags = flags.advertiseTags?.split(',').map((tag) => tag.trim());
  await api.post(`${PATH}/up`, {
    ...(flags.loginServer === undefined ? {} : { login_server: flags.loginServer }),
    ...(flags.authKey === undefined ? {} : { auth_key: await readAuthKey(session, flags.authKey) }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...(tags === undefined ? {} : { tags: tags.filter((tag) => tag !== '') }),
  });
  const network = await waitUntilRunning(session, api, deadline);
  if (flags.json === true) return printJson(context, network);
  const address = textsAt(network, 'addresses')[0] ?? '';
  printLine(context, `the gateway is ${textAt(network, 'dns_name') ?? ''} (${address})`);
  for (const url of textsAt(network, 'urls').slice(0, 2)) printLine(context, `  ${url}`);
}

/** `file:` keeps the key out of the arguments, which every process of the machine can read. */
async function readAuthKey({ context }: Session, given: string): Promise<string> {
  const what = 'auth key';
  if (given === '-') return (await readSecret(context, { what })).reveal();
  if (!given.startsWith(FILE_KEY)) return given;
  const path = given.slice(FILE_KEY.length);
  try {
    const { readFile } = await import('node:fs/promises');
    const text = (await readFile(path, 'utf8')).trim();
    if (text === '') throw usageFailure(`the ${what} in ${path} is empty`);
    return text;
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw usageFailure(`the ${what} in ${path} cannot be read`);
  }
}

function deadlineOf({ timeout }: UpFlags): number {
  if (timeout === undefined) return Number.POSITIVE_INFINITY;
  const seconds = Number(timeout);
  if (!(seconds > 0)) throw usageFailure('--timeout is a number of seconds above 0');
  return performance.now() + seconds * 1000;
}

/** The network once it runs. Prints the login URL once, and again if it is another. */
async function waitUntilRunning(session: Session, api: ApiClient, deadline: number): Promise<unknown> {
  const { context } = session;
  let shown = '';
  let told = '';
  for (;;) {
    const network = await api.get(PATH);
    const state = textAt(network, 'state');
    if (state === 'running') return network;
    const problem = textAt(network, 'problem');
    if (state === 'failed' || state === 'off') {
      throw new CliFailure(`the network cannot be joined: ${printable(problem ?? 'it was left meanwhile')}`, {
        exit: EXIT.failed,
        code: 'cli_failed',
      });
    }
    const url = textAt(network, 'login_url');
    if (url !== null && url !== shown) {
      shown = url;
      printNote(context, `To let this gateway in, visit:\n\n  ${printable(url)}\n\nWaiting …`);
    }
    if (problem !== null && problem !== told) {
      told = problem;
      printNote(context, `not yet: ${printable(problem)}; trying on`);
    }
    if (performance.now() >= deadline) {
      const why = problem === null ? '' : `: ${printable(problem)}`;
      throw new CliFailure(`the network does not run yet${why}`, {
        exit: EXIT.failed,
        code: 'cli_failed',
        fix: 'The server goes on trying; see postern up --status',
      });
    }
    try {
      await delay(POLL_MS, undefined, { signal: context.signal });
    } catch {
      throw new CliFailure('interrupted; the server goes on joining', {
        exit: EXIT.failed,
        code: 'cli_failed',
        fix: 'postern up --status shows how far it is; postern down ends it',
      });
    }
  }
}

async function showStatus(session: Session, flags: UpFlags): Promise<void> {
  const { context } = session;
  const network = await connect(session, flags).api.get(PATH);
  if (flags.json === true) return printJson(context, network);
  const row = (name: string, text: string): void => {
    if (text !== '') printLine(context, `${name.padEnd(12)}${printable(text)}`);
  };
  const state = textAt(network, 'state') ?? '?';
  row('state', paint(context, context.stdout, 'bold', state));
  row('server', textAt(network, 'login_server') ?? '');
  row('problem', textAt(network, 'problem') ?? '');
  row('visit', textAt(network, 'login_url') ?? '');
  row('name', textAt(network, 'dns_name') ?? '');
  row('addresses', textsAt(network, 'addresses').join(', '));
  row('owner', textAt(network, 'user') ?? textsAt(network, 'tags').join(', '));
  row(
    'key until',
    textAt(network, 'key_expires_at') === null ? '' : formatLocal(textAt(network, 'key_expires_at')),
  );
  row('relay', String(numberAt(network, 'home_relay') ?? 0));
  for (const text of textsAt(network, 'health')) row('health', text);
  const peers = listAt(network, 'peers');
  if (state !== 'running') return;
  printLine(context);
  printTable(
    context,
    [
      { title: 'PEER', value: (peer) => textAt(peer, 'name') ?? '-' },
      { title: 'ADDRESS', value: (peer) => textsAt(peer, 'addresses')[0] ?? '-' },
      { title: 'OWNER', value: (peer) => textAt(peer, 'user') ?? textsAt(peer, 'tags').join(',') },
      { title: 'PATH', value: (peer) => textAt(peer, 'path') ?? 'idle' },
      { title: 'FROM', value: (peer) => textAt(peer, 'endpoint') ?? '-' },
      { title: 'LAST HEARD', value: (peer) => formatLocal(textAt(peer, 'last_handshake_at')) },
    ],
    peers,
    'no peers',
  );
}
