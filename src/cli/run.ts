/**
 * `postern run`: an agent with a configuration of its own that points at Postern. It reads and
 * writes nothing of the user's configuration, and no key of the user's is in its environment.
 */
import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { AGENTS, type Agent, type AgentLaunch, chooseModel, modelName, readOffers } from './agents/index.ts';
import type { ApiClient } from './client.ts';
import { clientOrigin } from './connection.ts';
import type { CliContext } from './context.ts';
import { clientCredential } from './credential.ts';
import { EXIT, CliFailure, usageFailure } from './failure.ts';
import { printNote } from './output.ts';
import { stateFolder } from './paths.ts';
import { addConnectionOptions, addExamples, type ConnectionFlags, connect, type Session } from './session.ts';

interface RunFlags extends ConnectionFlags {
  readonly model?: string;
  readonly fresh?: boolean;
}

/** What no agent may have: Postern's own credentials, and provider keys, which would lead past it. */
const NEVER_FOR_AGENTS =
  /^(POSTERN_(TOKEN|ADMIN_TOKEN|MASTER_KEY)(_FILE)?|(ANTHROPIC|OPENAI|GEMINI|GOOGLE|OPENROUTER|MISTRAL|GROQ|DEEPSEEK|XAI|TOGETHER|FIREWORKS|CEREBRAS|PERPLEXITY|COHERE|CO|MOONSHOT)_API_KEY)$/;

export function setupRun(command: Command, session: Session): void {
  addConnectionOptions(command)
    .argument('<agent>', AGENTS.map((agent) => agent.name).join(', '))
    .argument('[args...]', 'for the agent, as they are')
    .addOption(
      new Option('--model <model>', 'the model to start with; default the best fit of those you may use'),
    )
    .option('--fresh', 'with an empty, throw-away configuration in place of the kept one')
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (name: string, args: readonly string[], flags: RunFlags) => {
      session.end(await runAgent(session, findAgent(name), args, flags));
    });
  addExamples(command, [
    ['postern run claude', 'Claude Code, interactive'],
    ['postern run claude -p "explain this folder"', "everything after the name is the agent's"],
    ['postern run --model postern/echo codex exec "hi"', 'with the built-in test model: no key, no cost'],
  ]);
  command.addHelpText(
    'after',
    `
The agent keeps its settings and history in the state folder (agents/<name>), apart from your own.
Its exit code is the command's.`,
  );
}

function findAgent(name: string): Agent {
  const found = AGENTS.find((agent) => agent.name === name);
  if (found !== undefined) return found;
  throw usageFailure(`unknown agent "${name}"`, `Agents are ${AGENTS.map((agent) => agent.name).join(', ')}`);
}

async function runAgent(
  session: Session,
  agent: Agent,
  args: readonly string[],
  flags: RunFlags,
): Promise<number> {
  const { context } = session;
  const program = findProgram(agent.program, context);
  if (program === null) {
    throw new CliFailure(`${agent.title} is not installed: no program "${agent.program}" on PATH`, {
      exit: EXIT.failed,
      code: 'cli_not_found',
      fix: `Install it with: ${agent.install}`,
    });
  }
  const { api, connection } = connect(session, flags);
  const origin = clientOrigin(connection);
  const model = flags.model ?? (await defaultModel(api, agent, context));
  const credential = await clientCredential(api, context, { origin, purpose: `run ${agent.name}` });
  const home = agentHome(agent, stateFolder(flags.stateDir, context), flags.fresh === true);
  try {
    const launch = agent.launch({ home, origin, model, credential });
    writeFiles(home, launch);
    return await runProgram(program, args, agentEnvironment(context, launch), context);
  } finally {
    if (flags.fresh === true) rmSync(home, { recursive: true, force: true });
  }
}

async function defaultModel(api: ApiClient, agent: Agent, context: CliContext): Promise<string> {
  const offer = chooseModel(
    readOffers(await api.get('/api/v1/models', { limit: 500 })),
    agent.format,
    agent.prefers,
  );
  if (offer === null) {
    throw new CliFailure(`you may use no model that speaks ${agent.format}, which ${agent.title} needs`, {
      exit: EXIT.refused,
      code: 'cli_failed',
      fix: 'Ask an administrator, or name a model with --model',
    });
  }
  if (offer.test)
    printNote(
      context,
      `postern: no real model is granted, so ${agent.title} talks to the test model, which only echoes`,
    );
  return modelName(offer);
}

/** The first executable file of that name on PATH. */
function findProgram(name: string, context: CliContext): string | null {
  for (const folder of (context.env['PATH'] ?? '').split(delimiter)) {
    // An empty or relative entry means the current folder, where anybody may have put a program.
    if (!folder.startsWith('/')) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not in this folder: the next one is asked.
    }
  }
  return null;
}

function agentHome(agent: Agent, stateDir: string, fresh: boolean): string {
  if (fresh) return mkdtempSync(join(tmpdir(), `postern-${agent.name}-`));
  const home = join(stateDir, 'agents', agent.name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return home;
}

function writeFiles(home: string, launch: AgentLaunch): void {
  for (const file of launch.files) {
    const path = join(home, file.path);
    if (file.when === 'missing' && existsSync(path)) continue;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Put in place whole, for another run of the agent may be reading it.
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, file.text, { mode: 0o600 });
    renameSync(temporary, path);
  }
}

function agentEnvironment(context: CliContext, launch: AgentLaunch): Record<string, string | undefined> {
  const isKept = (name: string): boolean => !NEVER_FOR_AGENTS.test(name) && !launch.remove.includes(name);
  const kept = Object.fromEntries(Object.entries(context.env).filter(([name]) => isKept(name)));
  return { ...kept, ...launch.environment };
}

/** The program's exit code, or 128 and the signal's number. */
function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string | undefined>,
  context: CliContext,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    const forward = (signal: NodeJS.Signals): void => {
      child.kill(signal);
    };
    // At a terminal the agent gets Ctrl-C from the terminal itself; a second one would mean more.
    const interrupt = (): void => {
      if (context.stdin.isTTY !== true) child.kill('SIGINT');
    };
    process.on('SIGTERM', forward);
    process.on('SIGHUP', forward);
    process.on('SIGINT', interrupt);
    const finish = (): void => {
      process.off('SIGTERM', forward);
      process.off('SIGHUP', forward);
      process.off('SIGINT', interrupt);
    };
    child.once('error', (error) => {
      finish();
      reject(
        new CliFailure(`cannot start ${program}: ${error.message}`, {
          exit: EXIT.failed,
          code: 'cli_failed',
          cause: error,
        }),
      );
    });
    child.once('exit', (code, signal) => {
      finish();
      resolve(code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]));
    });
  });
}
