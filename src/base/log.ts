/**
 * The log of the process: one line an event, on standard error. Fields are named values; anything
 * that could hold a secret is a `Secret` and prints as `[secret]`.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LoggerOptions {
  /** Events below this level are dropped. Default `info`. */
  readonly level?: LogLevel;
  /** `json` for machines, `text` for a terminal. */
  readonly format: 'json' | 'text';
  readonly write: (line: string) => void;
  readonly now: () => number;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(options: LoggerOptions): Logger {
  const least = ORDER[options.level ?? 'info'];
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (ORDER[level] < least) return;
    const time = new Date(options.now()).toISOString();
    if (options.format === 'json') {
      options.write(`${JSON.stringify({ time, level, message, ...fields })}\n`);
      return;
    }
    const rest = Object.entries(fields).map(
      ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    options.write(`${time} ${level.padEnd(5)} ${oneLine(`${message}${rest.join('')}`)}\n`);
  };
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  };
}

/** Strangers' text forges no line and steers no terminal: what is not printable is written as an escape. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Drops everything; for tests and for callers that have no log. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
