/** `postern serve`: reads the operator's settings, starts the server, says where everything is, and stops it well. */
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { AppError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import {
  loadOperatorSettings,
  type OperatorSettings,
  type SettingSpec,
  SETTINGS,
  settingsFiles,
} from '../config/index.ts';
import { booleanKind } from '../config/setting-kinds.ts';
import type { RunningServer } from '../server.ts';
import { printBanner } from './banner.ts';
import { readServerFile, serverFilePath } from './connection.ts';
import type { CliContext } from './context.ts';
import { EXIT, CliFailure } from './failure.ts';
import { paint, printJson } from './output.ts';
import { refuseDebugger } from './refuse-debugger.ts';
import { ADMIN_RESET_FILE } from './reset-file.ts';
import { addExamples, type Session } from './session.ts';
import { awaitStop } from './stop-signal.ts';

type ServeFlags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** How long requests under way may go on after the first signal; a second signal ends them. */
const DRAIN_MS = 30_000;

export function setupServe(command: Command, session: Session): void {
  for (const [name, spec] of Object.entries(SETTINGS)) {
    if (spec.flag !== null) command.addOption(optionOf(name, spec));
  }
  command
    .option('--json', 'print what the banner says as one JSON object')
    .action((flags: ServeFlags) => serve(session, flags));
  addExamples(command, [
    ['postern serve', 'on http://localhost:8080, for this machine'],
    ['postern serve --listen localhost:9000 --state-dir /tmp/postern', 'a second one, apart'],
    ['postern serve --config gateway.hujson', 'with a document that lives in a repository'],
    ['postern serve --log-format json 2>> postern.log', 'with a log for machines'],
  ]);
}

/** A setting as an option, in its own words; one that takes a list may be repeated. */
function optionOf(name: string, spec: SettingSpec): Option {
  const flag = spec.flag ?? `--${name}`;
  const environment = spec.env === null ? '' : `; or ${spec.env}`;
  const help = `${spec.doc.replaceAll('`', '')} Default: ${spec.fallback}${environment}`;
  if (spec.kind === booleanKind) return new Option(flag, help);
  if (!spec.kind.name.startsWith('list')) return new Option(`${flag} <value>`, help);
  return new Option(`${flag} <value>`, help).argParser((value, before: readonly string[] | undefined) => [
    ...(before ?? []),
    value,
  ]);
}

async function serve(session: Session, flags: ServeFlags): Promise<void> {
  const { context } = session;
  const settings = loadSettings(context, flags);
  const logger = createLogger({
    level: settings.log.level,
    format: settings.log.format,
    write: (line) => context.stderr.write(line),
    now: () => context.clock.now(),
  });
  refuseDebugger((text) => logger.warn(text));
  const resetFile = join(settings.stateDir, ADMIN_RESET_FILE);
  const resetAdmins = existsSync(resetFile);
  const server = await start(context, settings, logger, resetAdmins);
  // Before anything is printed: whoever reads it may send a signal at once.
  const stop = awaitStop();
  // Only now: a start that failed must not lose the wish.
  if (resetAdmins) rmSync(resetFile, { force: true });
  const serverFile = writeServerFile(settings.stateDir, server);
  if (flags.json === true) printJson(context, bannerData(server, settings));
  else printBanner(context, { ...server, firstDevice: await server.firstDevice() }, settings);
  try {
    const signal = await stop.first;
    const words = `postern: ${signal}, finishing what is under way (again to stop at once)`;
    context.stderr.write(`${paint(context, context.stderr, 'dim', words)}\n`);
    const isDone = await Promise.race([
      server.close(DRAIN_MS).then(() => true),
      stop.second.then(() => false),
    ]);
    // As after a crash: the recorder loses no more than its bound.
    if (!isDone) session.end(EXIT.failed);
  } finally {
    rmSync(serverFile, { force: true });
  }
}

function loadSettings(context: CliContext, flags: ServeFlags): OperatorSettings {
  const { json: _json, ...named } = flags;
  return loadOperatorSettings({
    flags: named,
    env: context.env,
    platform: context.platform,
    homedir: context.homedir,
    cwd: process.cwd(),
    readFile: (path) => settingsFiles.readFile(path),
  });
}

async function start(
  context: CliContext,
  settings: OperatorSettings,
  logger: Logger,
  resetAdmins: boolean,
): Promise<RunningServer> {
  // Loaded here, so that no other command pays for the whole server.
  const { startServer } = await import('../server.ts');
  try {
    return await startServer({
      settings,
      env: context.env,
      logger,
      resetAdmins,
      announce: (text) => context.stderr.write(`postern: ${text}\n`),
    });
  } catch (error) {
    throw startFailure(error, settings);
  }
}

/** The reasons that a start fails for, in words that say what to do. */
function startFailure(error: unknown, settings: OperatorSettings): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  const cause =
    error instanceof Error && error.cause instanceof Error && 'code' in error.cause ? error.cause.code : null;
  const { host, port } = settings.listen;
  const running = readServerFile(settings.stateDir);
  if (code === 'EADDRINUSE' || cause === 'EADDRINUSE') {
    const other =
      running === null ? '' : ` It may be the Postern with process id ${running.pid}, at ${running.url}.`;
    return new CliFailure(`port ${port} of ${host} is in use by another program.${other}`, {
      exit: EXIT.failed,
      code: 'cli_port_in_use',
      fix: `Stop it, or choose another port: postern serve --listen ${host}:${port + 1}`,
      cause: error,
    });
  }
  if (code === 'EACCES' || cause === 'EACCES') {
    return new CliFailure(`this user may not listen on port ${port} or write ${settings.stateDir}`, {
      exit: EXIT.failed,
      code: 'cli_not_permitted',
      fix: 'Choose a port above 1023 with --listen, or a state folder of your own with --state-dir',
      cause: error,
    });
  }
  if (error instanceof AppError)
    return new CliFailure(error.message, { exit: EXIT.failed, code: error.code, cause: error });
  return error;
}

function bannerData(server: RunningServer, settings: OperatorSettings): unknown {
  return {
    url: server.url,
    addresses: server.addresses,
    socket: server.socketPath,
    certificate:
      server.certificate === null
        ? null
        : { sha256: server.certificate.fingerprint, file: server.certificate.file },
    claim_url: server.claimUrl,
    state_dir: settings.stateDir,
    network: server.network,
    providers: server.providers,
    capture: server.capture,
    warnings: server.warnings,
    pid: process.pid,
  };
}

/** Lets `run` and `connect` know the address. Returns the file's path. */
function writeServerFile(stateDir: string, server: RunningServer): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = serverFilePath(stateDir);
  writeFileSync(path, JSON.stringify({ url: server.url, socket: server.socketPath, pid: process.pid }), {
    mode: 0o600,
  });
  // The mode above is only for a new file.
  chmodSync(path, 0o600);
  return path;
}
