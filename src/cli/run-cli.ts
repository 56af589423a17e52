/** Runs one command line from its words to its exit code. */
import { CommanderError } from 'commander';
import { AppError, describeError } from '../base/errors.ts';
import { buildProgram } from './commands.ts';
import type { CliContext } from './context.ts';
import { EXIT, CliFailure } from './failure.ts';
import { printFailure } from './output.ts';

/** `words` are the arguments without the program's name. Never rejects: a failure is printed and becomes the code. */
export async function runCli(words: readonly string[], context: CliContext): Promise<number> {
  let exitCode: number = EXIT.done;
  const session = {
    context,
    end: (code: number) => {
      exitCode = code;
    },
  };
  const first = words[0];
  // Everything after `run` belongs to the agent, which may have a --json of its own.
  const json = first !== 'run' && words.includes('--json');
  try {
    const effective =
      first === undefined ? ['--help'] : first === '--version' ? ['version', ...words.slice(1)] : [...words];
    const named = first === 'help' ? (words[1] ?? '') : (effective[0] ?? '');
    const program = await buildProgram(session, named);
    await program.parseAsync(effective, { from: 'user' });
    return exitCode;
  } catch (error) {
    const failure = asFailure(error);
    if (failure === null) return exitCode;
    printFailure(context, failure, json);
    return failure.exit;
  }
}

/** Null for the end that is none: help was asked for and shown. */
function asFailure(error: unknown): CliFailure | null {
  if (error instanceof CliFailure) return error;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return null;
    const [message = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
    const hint = rest.join(' ').trim();
    const fix =
      error.code === 'commander.help'
        ? 'See `postern --help`'
        : `${hint === '' ? '' : `${hint}\n`}See \`postern --help\``;
    return new CliFailure(message === '(outputHelp)' ? 'a command is missing' : message, {
      exit: EXIT.usage,
      code: 'cli_usage',
      fix,
    });
  }
  const message = error instanceof AppError ? error.message : describeError(error);
  return new CliFailure(message, {
    exit: EXIT.failed,
    code: error instanceof AppError ? error.code : 'cli_failed',
    cause: error,
  });
}
