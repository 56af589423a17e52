/** The wish to stop, from the terminal or a service manager. */

export interface StopSignals {
  readonly first: Promise<NodeJS.Signals>;
  /** Once the first was given. */
  readonly second: Promise<NodeJS.Signals>;
  /** Gives the signals back to the system. */
  forget(): void;
}

/** One Ctrl-C can arrive twice, from the terminal and from a parent that hands it on: 500 ms are one wish. */
const SAME_WISH_MS = 500;

/** Listens for SIGINT and SIGTERM from now on. */
export function awaitStop(now: () => number = () => performance.now()): StopSignals {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === null) {
      firstAt = now();
      first.resolve(signal);
    } else if (now() - firstAt >= SAME_WISH_MS) {
      second.resolve(signal);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    first: first.promise,
    second: second.promise,
    forget() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
