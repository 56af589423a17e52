/** Says on standard error what is being done, if it takes long. */
import { printable } from '../output.ts';
import type { CliContext } from '../context.ts';

/** Shorter work says nothing. */
const QUIET_MS = 2_000;
const TERMINAL_EVERY_MS = 250;
const LOG_EVERY_MS = 15_000;
/** Back to the beginning of the line, and clear it. */
const REWRITE = '\r\u001b[K';

export interface Progress {
  show(text: string): void;
  /** Clears the line. */
  end(): void;
}

export function createProgress(context: CliContext): Progress {
  const { stderr, clock } = context;
  const isTerminal = stderr.isTTY === true;
  const every = isTerminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS;
  let next = clock.monotonicMs() + Math.max(QUIET_MS, isTerminal ? 0 : LOG_EVERY_MS);
  let shown = false;
  return {
    show(text) {
      const now = clock.monotonicMs();
      if (now < next) return;
      next = now + every;
      shown = true;
      const line = printable(text);
      stderr.write(
        isTerminal ? `${REWRITE}${line.slice(0, Math.max(20, (stderr.columns ?? 80) - 1))}` : `${line}\n`,
      );
    },
    end() {
      if (shown && isTerminal) stderr.write(REWRITE);
    },
  };
}
