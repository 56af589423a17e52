/** The log of refused strangers: few lines a second, since anybody who reaches a port can cause them, and a count of the rest. */
import type { Clock } from '../base/clock.ts';
import type { LogFields, Logger } from '../base/log.ts';

/** Enough to see what happens; a flood would fill the disk. */
const LINES_PER_WINDOW = 20;
const WINDOW_MS = 1000;

/** Logs a refusal, or counts it; the count is told with the first refusal of a later second. */
export function createStrangerLog(
  logger: Logger,
  clock: Pick<Clock, 'monotonicMs'>,
): (fields: LogFields) => void {
  let windowStart = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let untold = 0;
  return (fields) => {
    const now = clock.monotonicMs();
    if (now - windowStart >= WINDOW_MS) {
      if (untold > 0) logger.warn('strangers were refused too often to log each', { count: untold });
      windowStart = now;
      lines = 0;
      untold = 0;
    }
    lines += 1;
    if (lines <= LINES_PER_WINDOW) logger.info('refused a stranger', fields);
    else untold += 1;
  };
}
