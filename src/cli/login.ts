/**
 * `postern login`: shows the server that a person is here. The browser page takes a passkey or the
 * one-time code that the server printed on its own terminal; this command waits for it.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { describeError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { ApiClient } from './client.ts';
import { EXIT, CliFailure } from './failure.ts';
import { isObject, textAt } from './fields.ts';
import { formatLocal } from './moments.ts';
import { printable, printJson, printLine, printNote } from './output.ts';
import { forgetPresence, type Presence, storePresence } from './presence-file.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface LoginFlags extends CommonFlags {
  readonly code?: string;
  readonly forget?: boolean;
}

/** How often the server is asked whether the person did it. */
const POLL_MS = 1000;

export function setupLogin(command: Command, session: Session): void {
  addCommonOptions(command)
    .option('--code <code>', 'the one-time code that the server printed on its terminal before')
    .option('--forget', 'end it before its ten minutes are over')
    .action((flags: LoginFlags) => (flags.forget === true ? forget(session, flags) : login(session, flags)));
  addExamples(command, [
    ['postern login', 'opens a page; use a passkey, or the code that the server printed'],
    ['postern login --forget', 'when you are done'],
  ]);
  command.addHelpText(
    'after',
    `
Admin actions, and reading another person's prompts, need a person who is present: the identity of
the connection is not enough, because agents share it. Presence lasts 10 minutes and is kept in a
file that only you can read (and programs that run as you).`,
  );
}

function forget(session: Session, flags: LoginFlags): void {
  const { connection } = connect(session, flags);
  forgetPresence(connection, session.context);
  if (flags.json === true) printJson(session.context, { presence_until: null });
  else printLine(session.context, 'forgotten');
}

async function login(session: Session, flags: LoginFlags): Promise<void> {
  const { context } = session;
  const { api, connection } = connect(session, flags);
  // A given code was printed for an earlier request: no further one is wanted.
  const asked = { client: 'postern login', ...(flags.code === undefined ? {} : { announce: false }) };
  const request = await api.post('/api/v1/presence/requests', asked);
  const id = requireText(request, 'id');
  const poll = new Secret(requireText(request, 'poll_secret'));
  const end = new AbortController();
  if (flags.code === undefined) {
    printNote(context, instructions(request));
    if (context.stdin.isTTY === true) void readCodes(session, api, id, end.signal);
  } else {
    await confirm(api, id, flags.code);
  }
  try {
    const presence = await waitForPresence(session, api, id, poll);
    const path = storePresence(connection, context, presence);
    const until = new Date(presence.expiresAt).toISOString();
    if (flags.json === true) printJson(context, { presence_until: until, file: path });
    else printLine(context, `present until ${formatLocal(until)}`);
  } finally {
    end.abort();
  }
}

function instructions(request: unknown): string {
  const code = textAt(request, 'user_code');
  const announced = isObject(request) && request['announced'] === true;
  return [
    `Open  ${printable(requireText(request, 'url'))}`,
    ...(code === null ? [] : [`It shows ${printable(code)} for this command.`]),
    announced
      ? 'Use a passkey, or the code that the server has just printed on its own terminal; you can type it here, too.'
      : 'Use your passkey there.',
    'Waiting …',
  ].join('\n');
}

/** At a terminal the printed code may be typed here, until presence was shown in some way. */
async function readCodes(session: Session, api: ApiClient, id: string, signal: AbortSignal): Promise<void> {
  const lines = createInterface({ input: session.context.stdin, signal });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    try {
      await confirm(api, id, line.trim());
    } catch (error) {
      printNote(
        session.context,
        `postern: ${error instanceof CliFailure ? error.message : describeError(error)}`,
      );
    }
  }
}

async function confirm(api: ApiClient, id: string, code: string): Promise<void> {
  await api.post(`/api/v1/presence/requests/${encodeURIComponent(id)}/confirm`, { code });
}

/** Asks until it is confirmed; the server ends a request that nobody confirms. */
async function waitForPresence(
  session: Session,
  api: ApiClient,
  id: string,
  poll: Secret,
): Promise<Presence> {
  const { signal } = session.context;
  for (;;) {
    const answer = await api.post(`/api/v1/presence/requests/${encodeURIComponent(id)}/poll`, {
      poll_secret: poll.reveal(),
    });
    const token = textAt(answer, 'token');
    const expiresAt = Date.parse(textAt(answer, 'expires_at') ?? '');
    if (token !== null && !Number.isNaN(expiresAt)) return { token: new Secret(token), expiresAt };
    try {
      await delay(POLL_MS, undefined, { signal });
    } catch {
      throw new CliFailure('interrupted before anybody confirmed it', {
        exit: EXIT.presence,
        code: 'cli_failed',
      });
    }
  }
}

function requireText(answer: unknown, name: string): string {
  const text = textAt(answer, name);
  if (text !== null) return text;
  throw new CliFailure(`the server's answer has no "${name}"`, { exit: EXIT.failed, code: 'cli_bad_answer' });
}
