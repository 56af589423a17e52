/**
 * Failures that travel. Expected outcomes of pure checks are tagged unions instead, and
 * programmer faults are `assert`.
 */

export interface AppErrorOptions {
  /** For the log only: never shown to a caller. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/** A failure with a stable code from its module's closed set and a message that is safe to show. */
export class AppError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly detail: string | undefined;

  constructor(code: Code, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.detail = options.detail;
  }
}

/** Throws on a programmer's fault; `why` names the broken assumption. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${why}`);
}

/** The text of anything thrown, for logs. */
export function describeError(error: unknown): string {
  if (error instanceof AppError) {
    return error.detail === undefined
      ? `${error.code}: ${error.message}`
      : `${error.code}: ${error.message} (${error.detail})`;
  }
  return error instanceof Error ? error.message : String(error);
}
