/** The pause before an attempt is repeated. */
import type { Exchange } from '../exchange.ts';

/** Resolves after `afterMs`, or as soon as the caller has left or has its answer. Who goes on looks. */
export function waitForRetry({ res }: Pick<Exchange, 'res'>, afterMs: number): Promise<void> | undefined {
  if (afterMs <= 0) return undefined;
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      res.off('close', end);
      resolve();
    };
    const timer = setTimeout(end, afterMs);
    res.on('close', end);
  });
}
