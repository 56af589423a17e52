/** `postern demo`: a throw-away Postern with a week behind it, to look around in. */
import { type Command, InvalidArgumentError } from 'commander';
import { createLogger } from '../base/log.ts';
import type { RunningDemo } from '../demo/index.ts';
import { EXIT, CliFailure } from './failure.ts';
import { paint, printJson } from './output.ts';
import { refuseDebugger } from './refuse-debugger.ts';
import { addExamples, type Session } from './session.ts';
import { awaitStop } from './stop-signal.ts';

interface DemoFlags {
  readonly listen: string;
  readonly keep?: string;
  readonly still?: boolean;
  readonly seed: number;
  readonly days: number;
  readonly requests: number;
  readonly json?: boolean;
}

/** What is under way when the demo stops is part of the demo. */
const DRAIN_MS = 500;

export function setupDemo(command: Command, session: Session): void {
  command
    .option('--listen <address>', 'where to listen, on this machine only', 'localhost:8080')
    .option('--keep <folder>', 'keep the state in this new or empty folder; default: removed in the end')
    .option('--still', 'no further traffic once the week is there')
    .option('--seed <number>', 'another week: same number, same week', whole(0, 4_294_967_295), 1)
    .option('--days <number>', 'days of history, 1 to 90', whole(1, 90), 7)
    .option('--requests <number>', 'ordinary requests in them, 0 to 1000000', whole(0, 1_000_000), 1_400)
    .option('--json', 'print where everything is as one JSON object')
    .action((flags: DemoFlags) => demo(session, flags));
  addExamples(command, [
    ['postern demo', 'a week of an office of twelve, on http://localhost:8080'],
    ['postern demo --listen localhost:9000 --still', 'apart, and nothing moves'],
    ['postern demo --requests 20000 --days 30', 'a busy month'],
  ]);
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,10}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

async function demo(session: Session, flags: DemoFlags): Promise<void> {
  const { context } = session;
  const logger = createLogger({
    level: 'error',
    format: 'text',
    write: (line) => context.stderr.write(line),
    now: () => context.clock.now(),
  });
  refuseDebugger((text) => logger.warn(text));
  const note = (text: string): void =>
    void context.stderr.write(`${paint(context, context.stderr, 'dim', text)}\n`);
  note('postern demo: people who do not exist work for a week with models that are fakes …');
  // Before anything is there that would stay behind.
  const stop = awaitStop();
  const running = await start(flags, {
    logger,
    announce: (text) => context.stderr.write(`postern: ${text}\n`),
    onProgress: (done, planned) => {
      if (context.stderr.isTTY === true) context.stderr.write(`\r  ${done} of about ${planned} requests`);
    },
  });
  if (context.stderr.isTTY === true) context.stderr.write('\r\u001b[2K');
  if (flags.json === true) printJson(context, facts(running, flags));
  else context.stdout.write(banner(session, running, flags));
  const signal = await stop.first;
  note(
    `postern demo: ${signal}, ${flags.keep === undefined ? 'removing what it wrote' : `the state stays in ${flags.keep}`}`,
  );
  const isDone = await Promise.race([
    running.close(DRAIN_MS).then(() => true),
    stop.second.then(() => false),
  ]);
  if (!isDone) session.end(EXIT.failed);
}

interface StartParts {
  readonly logger: ReturnType<typeof createLogger>;
  readonly announce: (text: string) => void;
  readonly onProgress: (done: number, planned: number) => void;
}

async function start(flags: DemoFlags, parts: StartParts): Promise<RunningDemo> {
  // Loaded here, so that no other command pays for the whole server, and `serve` never has it.
  const { startDemo } = await import('../demo/index.ts');
  try {
    return await startDemo({
      ...parts,
      listen: flags.listen,
      seed: flags.seed,
      days: flags.days,
      requests: flags.requests,
      live: flags.still !== true,
      ...(flags.keep === undefined ? {} : { keep: flags.keep }),
    });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EADDRINUSE')
      throw new CliFailure(`${flags.listen} is in use by another program`, {
        exit: EXIT.failed,
        code: 'cli_port_in_use',
        fix: 'Choose another port: postern demo --listen localhost:9000',
        cause: error,
      });
    throw error;
  }
}

function facts(running: RunningDemo, { keep }: DemoFlags): unknown {
  return {
    demo: true,
    url: running.url,
    sign_in_url: running.viewerUrl,
    socket: running.server.socketPath,
    state_dir: running.stateDir,
    kept: keep !== undefined,
    filled_in_ms: Math.round(running.filledInMs),
    answers: running.answers,
    pid: process.pid,
  };
}

function banner({ context }: Session, running: RunningDemo, { keep, still }: DemoFlags): string {
  const bold = (text: string): string => paint(context, context.stdout, 'bold', text);
  const count = Object.values(running.answers).reduce((sum, one) => sum + one, 0);
  const lines = [
    '',
    `${bold('Postern demo')} on ${bold(running.url)}: ${count} requests in ${(running.filledInMs / 1000).toFixed(1)} s`,
    '  All of it is made up: people, prompts and providers. Do not put a real key in.',
    `  state      ${running.stateDir} (${keep === undefined ? 'removed when this ends' : 'kept'})`,
    `  traffic    ${still === true ? 'none any more' : 'a request every few seconds'}`,
    '',
    ...(running.viewerUrl === null
      ? ['Open it in a browser of this machine.']
      : [
          'Open this link within five minutes; it signs this browser in, as admin:',
          `  ${bold(running.viewerUrl)}`,
        ]),
    '',
    `Or look from here: postern logs --state-dir ${running.stateDir}.  Stop with Ctrl-C.`,
    '',
    '',
  ];
  return lines.join('\n');
}
