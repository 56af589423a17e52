/** `postern connect`: the exact settings that a client needs, to paste. */
import type { Command } from 'commander';
import {
  CLIENT_NAMES,
  type ClientFormat,
  type ClientName,
  type ClientSettings,
  NO_CREDENTIAL,
  settingsFor,
} from '../api/connect-snippets.ts';
import { AGENTS, chooseModel, type ModelOffer, modelName, readOffers } from './agents/index.ts';
import { clientOrigin } from './connection.ts';
import { clientCredential } from './credential.ts';
import { CliFailure, EXIT, usageFailure } from './failure.ts';
import { printJson, printLine, printNote } from './output.ts';
import { addCommonOptions, addExamples, type CommonFlags, connect, type Session } from './session.ts';

interface ConnectFlags extends CommonFlags {
  readonly model?: string;
}

const FORMATS: readonly ClientFormat[] = [
  'anthropic_messages',
  'openai_responses',
  'openai_chat',
  'gemini_generate_content',
];

/** The model to show when no server can be asked. */
const TEST_MODEL = 'postern/echo';

export function setupConnect(command: Command, session: Session): void {
  addCommonOptions(command)
    .argument('[client]', `${CLIENT_NAMES.join(', ')}; all of them if left out`)
    .option('--model <model>', 'the model to write down; default the best fit of those you may use')
    .action((name: string | undefined, flags: ConnectFlags) => showSettings(session, name, flags));
  addExamples(command, [
    ['postern connect claude', 'variables and file for Claude Code'],
    ['postern connect openai-sdk --url https://ai.example.ts.net', 'for a program on another machine'],
    ['postern connect curl --json', 'settings are data, too'],
  ]);
}

async function showSettings(session: Session, name: string | undefined, flags: ConnectFlags): Promise<void> {
  const names = name === undefined ? CLIENT_NAMES : [findClient(name)];
  const { api, connection } = connect(session, flags);
  const origin = clientOrigin(connection);
  const offers =
    flags.model === undefined ? await offersOf(session, () => api.get('/api/v1/models', { limit: 500 })) : [];
  // A token is printed only for one named client: a list of all is for reading.
  const credential =
    name === undefined || offers === null
      ? NO_CREDENTIAL
      : await clientCredential(api, session.context, { origin, purpose: `connect ${name}` });
  const settings = names.map((client) =>
    settingsFor(client, {
      baseUrl: origin,
      model: flags.model ?? TEST_MODEL,
      models: flags.model === undefined ? bestModels(offers ?? []) : {},
      credential,
      ...(session.context.platform === 'linux' || connection.kind !== 'socket'
        ? {}
        : { socketPath: connection.where }),
    }),
  );
  if (flags.json === true)
    return printJson(session.context, name === undefined ? { items: settings } : settings[0]);
  for (const [index, one] of settings.entries()) {
    if (index > 0) printLine(session.context);
    printSettings(session, one);
  }
}

function findClient(name: string): ClientName {
  const found = CLIENT_NAMES.find((client) => client === name);
  if (found !== undefined) return found;
  throw usageFailure(`unknown client "${name}"`, `Clients are ${CLIENT_NAMES.join(', ')}`);
}

/** Null when the address is known but nobody answers there yet: settings can be printed all the same. */
async function offersOf(
  session: Session,
  ask: () => Promise<unknown>,
): Promise<readonly ModelOffer[] | null> {
  try {
    return readOffers(await ask());
  } catch (error) {
    if (!(error instanceof CliFailure) || error.exit !== EXIT.noServer) throw error;
    printNote(session.context, `postern: ${error.message}; the model below is a placeholder`);
    return null;
  }
}

function bestModels(offers: readonly ModelOffer[]): Partial<Record<ClientFormat, string>> {
  const best: Partial<Record<ClientFormat, string>> = {};
  for (const format of FORMATS) {
    const prefers = AGENTS.find((agent) => agent.format === format)?.prefers ?? [];
    const offer = chooseModel(offers, format, prefers);
    if (offer !== null) best[format] = modelName(offer);
  }
  return best;
}

function printSettings(session: Session, settings: ClientSettings): void {
  const { context } = session;
  printLine(context, `# ${settings.title}`);
  printLine(context, settings.snippet.text);
  for (const file of settings.files) {
    printLine(context, `\n# ${file.path}`);
    printLine(context, file.text.trimEnd());
  }
  for (const note of settings.notes) printLine(context, `\n# ${note}`);
}
