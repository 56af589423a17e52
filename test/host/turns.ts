/** How long single turns of the event loop take. */

export interface Turns {
  /** Main-thread CPU time of the longest turn since the last call, in milliseconds. */
  readonly longestMs: () => number;
  readonly stop: () => void;
}

/** CPU time, not wall time: what else runs on the machine must not decide. */
export function watchTurns(): Turns {
  let longest = 0;
  let isStopped = false;
  let last = process.threadCpuUsage();
  const turn = (): void => {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, (now.user - last.user + now.system - last.system) / 1000);
    last = now;
    if (!isStopped) setImmediate(turn);
  };
  turn();
  return {
    longestMs: () => {
      const result = longest;
      longest = 0;
      return result;
    },
    stop: () => {
      isStopped = true;
    },
  };
}
