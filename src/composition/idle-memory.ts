/**
 * Gives memory back when nobody asks anything. V8 keeps the room that a start or a load took (tens of
 * megabytes) until it needs a collection, which an idle process never does. A full collection takes
 * 50 to 150 ms and throws compiled code away: the next 15,000 requests cost up to twice as much until it is
 * made anew. So it runs soon after the start, when nothing is compiled yet, and later only after a long time
 * without a request, and only if there is something to give back.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What the release needs to see of the server. */
export interface Activity {
  /** Exchanges under way. */
  readonly underWay: () => number;
  /** Grows with every exchange. */
  readonly served: () => number;
}

export interface IdleMemoryOptions {
  readonly activity: Activity;
  /** Runs a full collection; `fullCollection()` in production. */
  readonly collect: () => void;
  /** Bytes of the heap that are held but not in use. */
  readonly unusedBytes?: () => number;
  /** Default 2,000: the wait after the start, and the time between two looks. */
  readonly idleMs?: number;
  /** Time without a request that counts as idle once there was one; whole times `idleMs`. Default 600,000. */
  readonly afterUseMs?: number;
}

const IDLE_MS = 2_000;
/** Ten minutes: whoever calls every few minutes does not wait for a compiler. */
const AFTER_USE_MS = 600_000;
/** Less is not worth the pause. */
const WORTH_BYTES = 8 * 1024 * 1024;

/** Looks every `idleMs`; gives the function that ends it. */
export function releaseIdleMemory(options: IdleMemoryOptions): () => void {
  const { activity, collect, unusedBytes = unusedHeapBytes } = options;
  const { idleMs = IDLE_MS, afterUseMs = AFTER_USE_MS } = options;
  let servedBefore = activity.served();
  // Once after each time of use: what a collection could not give back, the next cannot either.
  let isDue = true;
  let quietMs = 0;
  let neededMs = 0;
  const timer = setInterval(() => {
    const served = activity.served();
    const wasUsed = served !== servedBefore || activity.underWay() > 0;
    servedBefore = served;
    if (wasUsed) {
      isDue = true;
      quietMs = 0;
      neededMs = afterUseMs;
      return;
    }
    quietMs += idleMs;
    if (!isDue || quietMs < neededMs || unusedBytes() < WORTH_BYTES) return;
    isDue = false;
    collect();
  }, idleMs);
  timer.unref();
  return () => clearInterval(timer);
}

function unusedHeapBytes(): number {
  const { total_physical_size: held, used_heap_size: used } = getHeapStatistics();
  return held - used;
}

/**
 * A function that collects all garbage and returns free pages to the system. Node.js has it only behind
 * the V8 flag `--expose-gc`; it is set for a context of its own, so that no global appears.
 */
export function fullCollection(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: (options: object) => void = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return () => collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
