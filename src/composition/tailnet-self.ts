/** Follows what the host's tailscaled says of this node: whether it is up, its addresses and names. */
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { readSelf, type LocalApi, type SelfNode } from '../doors/index.ts';

export interface TailnetSelf {
  /** As last told; null while the daemon never answered. Kept while it is away. */
  readonly current: SelfNode | null;
  close(): void;
}

export interface TailnetSelfOptions {
  readonly api: LocalApi;
  /** Called after each answer, changed or not, so that what failed before is tried again. */
  readonly onAnswer: (self: SelfNode) => void | Promise<void>;
  readonly logger: Logger;
  /** Between two questions while the node is up. Default 5,000; changes are told at once besides. */
  readonly pollMs?: number;
  /** Between two questions while it is not. Default 1,000. */
  readonly retryMs?: number;
}

/** Resolves after the first question, answered or not. */
export async function followTailnet(options: TailnetSelfOptions): Promise<TailnetSelf> {
  const { api, logger } = options;
  const stop = new AbortController();
  let current: SelfNode | null = null;
  let isAway = false;
  let wake: () => void = () => undefined;

  const ask = async (): Promise<boolean> => {
    try {
      current = readSelf(await api.status());
      if (isAway) logger.info('tailscaled answers');
      isAway = false;
      if (!stop.signal.aborted) await options.onAnswer(current);
      return current.state === 'Running';
    } catch (error) {
      if (!isAway)
        logger.warn('tailscaled does not answer; asked again until it does', { error: describeError(error) });
      isAway = true;
      return false;
    }
  };

  const follow = async (first: boolean): Promise<void> => {
    let isUp = first;
    while (!stop.signal.aborted) {
      await pause(
        isUp ? (options.pollMs ?? 5000) : (options.retryMs ?? 1000),
        stop.signal,
        (wakeUp) => (wake = wakeUp),
      );
      if (!stop.signal.aborted) isUp = await ask();
    }
  };

  /* Without the watch, questions at intervals are enough; so its end is no event. */
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await api
        .watch({ signal: stop.signal, onOpen: () => wake(), onChange: () => wake() })
        .catch(() => undefined);
      await pause(options.retryMs ?? 1000, stop.signal);
    }
  };

  const first = await ask();
  void follow(first);
  void watch();
  return {
    get current() {
      return current;
    },
    close: () => stop.abort(),
  };
}

/** Ends early when the signal aborts, or when what is handed to `onWake` is called. */
function pause(durationMs: number, signal: AbortSignal, onWake?: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, durationMs);
    timer.unref();
    signal.addEventListener('abort', finish, { once: true });
    onWake?.(finish);
  });
}
