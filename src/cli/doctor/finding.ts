/** What a check of `postern doctor` says. */

/** `problem` and `warning` make the command end with 1. */
export type Level = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  /** The part that was looked at: `node`, `state`, `settings` … */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly fix: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message, fix: null };
}

export function found(
  check: string,
  level: Exclude<Level, 'ok'>,
  message: string,
  fix: string | null,
): Finding {
  return { check, level, message, fix };
}
