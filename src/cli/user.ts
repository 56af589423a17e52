/** `postern user`: people of Postern's own tailnets, and whom a tailnet admits by sign-in. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { usageFailure } from './failure.ts';
import { listAt, numberAt, textAt, textsAt } from './fields.ts';
import { printJson, printLine, printTable } from './output.ts';
import { addExamples, connect, type Session } from './session.ts';
import { addTailnetOption, type TailnetFlags, tailnetOf, tailnetPath } from './tailnet-choice.ts';

const ROLES = ['owner', 'admin', 'member'];

interface AddFlags extends TailnetFlags {
  readonly role: string;
}

interface SuspendFlags extends TailnetFlags {
  readonly lift?: boolean;
}

interface SignInFlags extends TailnetFlags {
  readonly rules?: string;
}

export function setupUser(command: Command, session: Session): void {
  setupPeople(command, session);
  setupChanges(command, session);
  setupSignIn(command, session);
  addExamples(command, [
    ['postern user', 'who is in the tailnet'],
    ['postern user add alice@example.com', 'before her first sign-in, or to approve her devices by hand'],
    ['postern user suspend alice@example.com', 'her devices are cut at once; --lift lets her sign in again'],
    ['postern user sign-in --rules rules.json', 'whom the tailnet admits by sign-in'],
  ]);
}

function setupPeople(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(command.command('list', { isDefault: true }).description('people of a tailnet')).action(
    async (flags: TailnetFlags) => {
      const answer = await connect(session, flags).api.get(tailnetPath(tailnetOf(flags, context), '/users'));
      if (flags.json === true) return printJson(context, answer);
      printUsers(session, answer);
    },
  );

  addTailnetOption(command.command('add').description('add a person to a tailnet'))
    .argument('<login>', 'as policies name the person: alice@example.com')
    .option('--role <role>', ROLES.join(', '), 'member')
    .action(async (login: string, { role, ...flags }: AddFlags) => {
      const name = tailnetOf(flags, context);
      const body = { login, role: checkRole(role) };
      const answer = await connect(session, flags).api.post(tailnetPath(name, '/users'), body);
      if (flags.json === true) return printJson(context, answer);
      printLine(context, `${login} is in the tailnet ${name}`);
    });

  addTailnetOption(command.command('remove').description('remove a person with devices and auth keys'))
    .argument('<login>', 'or its id')
    .action(async (login: string, flags: TailnetFlags) => {
      await connect(session, flags).api.delete(userPath(session, flags, login));
      if (flags.json === true) return printJson(context, { login, removed: true });
      printLine(context, `${login} is removed, with all devices`);
    });
}

function setupChanges(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(command.command('suspend').description('cut the devices of a person, and refuse sign-in'))
    .argument('<login>', 'or its id')
    .option('--lift', 'let the person sign in again')
    .action(async (login: string, { lift = false, ...flags }: SuspendFlags) => {
      const path = userPath(session, flags, login);
      const answer = await connect(session, flags).api.patch(path, { suspended: !lift });
      if (flags.json === true) return printJson(context, answer);
      printLine(context, lift ? `${login} may sign in again` : `${login} is suspended; all devices are cut`);
    });

  addTailnetOption(command.command('role').description('change the role of a person'))
    .argument('<login>', 'or its id')
    .argument('<role>', ROLES.join(', '))
    .action(async (login: string, role: string, flags: TailnetFlags) => {
      const path = userPath(session, flags, login);
      const answer = await connect(session, flags).api.patch(path, { role: checkRole(role) });
      if (flags.json === true) return printJson(context, answer);
      printLine(context, `${login} is ${role} now`);
    });
}

function setupSignIn(command: Command, session: Session): void {
  const { context } = session;
  addTailnetOption(command.command('sign-in').description('whom a tailnet admits by sign-in: show, or set'))
    .option('--rules <file>', 'JSON: a list of {provider, domains, emails, groups, policy_groups}')
    .action(async ({ rules, ...flags }: SignInFlags) => {
      const path = tailnetPath(tailnetOf(flags, context), '/sign-in');
      const { api } = connect(session, flags);
      const answer =
        rules === undefined ? await api.get(path) : await api.put(path, { rules: readRules(rules) });
      printJson(context, answer);
    });
}

function userPath({ context }: Session, flags: TailnetFlags, login: string): string {
  return tailnetPath(tailnetOf(flags, context), `/users/${encodeURIComponent(login)}`);
}

function checkRole(role: string): string {
  if (ROLES.includes(role)) return role;
  throw usageFailure(`a role is ${ROLES.join(', ')}, got "${role}"`);
}

function readRules(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw usageFailure(`the file ${path} cannot be read, or is no JSON`);
  }
}

function printUsers(session: Session, answer: unknown): void {
  printTable(
    session.context,
    [
      { title: 'LOGIN', value: (row) => textAt(row, 'login') ?? '-' },
      { title: 'ROLE', value: (row) => textAt(row, 'role') ?? '-' },
      { title: 'DEVICES', align: 'right', value: (row) => String(numberAt(row, 'devices') ?? 0) },
      { title: 'SIGN-IN', value: (row) => textAt(row, 'provider') ?? '-' },
      { title: 'GROUPS', value: (row) => textsAt(row, 'groups').join(',') },
      { title: 'STATE', value: (row) => (Object(row)['suspended'] === true ? 'suspended' : '') },
    ],
    listAt(answer, 'items'),
    'nobody',
  );
}
