/** How the command line ends: exit codes, and the one failure that carries them. */
import { AppError } from '../base/errors.ts';

/** Exit codes of every command but `run`, which ends as its agent ended. */
export const EXIT = {
  done: 0,
  /** It failed, or a check found something. */
  failed: 1,
  usage: 2,
  /** No server answered. */
  noServer: 3,
  /** The server knows the caller and said no. */
  refused: 4,
  presence: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** `cli_…` are the command line's own; any other code came from the server, as it said it. */
export type CliCode =
  | 'cli_failed'
  | 'cli_usage'
  | 'cli_no_server'
  | 'cli_bad_answer'
  | 'cli_not_found'
  | (string & {});

export interface CliFailureOptions {
  readonly exit: ExitCode;
  readonly code: CliCode;
  /** What to do about it; whole sentences without the last full stop. */
  readonly fix?: string;
  /** Request id, for whoever reads the server's log. */
  readonly requestId?: string;
  readonly cause?: unknown;
}

/** A command's end without success: what went wrong, what to do, and the exit code. */
export class CliFailure extends AppError<CliCode> {
  readonly exit: ExitCode;
  readonly fix: string | null;
  readonly requestId: string | null;

  constructor(message: string, options: CliFailureOptions) {
    super(options.code, message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'CliFailure';
    this.exit = options.exit;
    this.fix = options.fix ?? null;
    this.requestId = options.requestId ?? null;
  }
}

/** A mistake in how the command was written. */
export function usageFailure(message: string, fix?: string): CliFailure {
  return new CliFailure(message, {
    exit: EXIT.usage,
    code: 'cli_usage',
    ...(fix === undefined ? {} : { fix }),
  });
}
