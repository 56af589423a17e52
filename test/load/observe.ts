/**
 * Loaded into a process under load (`NODE_OPTIONS=--import`): tells over a Unix socket what the process
 * itself sees of its memory and of its event loop. One connection, one JSON line; the figures of the
 * event loop start anew after each.
 */
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

export interface Observation {
  /** Bytes of live objects, after a full collection. */
  readonly heapBytes: number;
  /** Bytes of Buffers, after the same. */
  readonly bufferBytes: number;
  readonly rssBytes: number;
  /** Milliseconds that the event loop was late since the last observation (it is looked at every millisecond). */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /**
   * Most milliseconds of processor time that the thread spent between two looks at its timers: what the
   * process itself held the loop up by. The delay above also counts the time that other processes had the core.
   */
  readonly loopBusyMaxMs: number;
}

const RESOLUTION_MS = 1;

function serve(path: string): void {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const busy = watchBusyTime();
  const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const server = createServer((socket) => {
    const loopDelayMs = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
    const loopBusyMaxMs = busy.max();
    const { rss } = process.memoryUsage();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const seen: Observation = {
      heapBytes: heapUsed,
      bufferBytes: arrayBuffers,
      rssBytes: rss,
      loopDelayMs,
      loopBusyMaxMs,
    };
    socket.end(`${JSON.stringify(seen)}\n`);
    socket.on('error', () => socket.destroy());
    // The collection above is not the process's own doing.
    setTimeout(() => {
      delay.reset();
      busy.reset();
    }, 5);
  });
  server.listen(path).unref();
}

function watchBusyTime(): { max(): number; reset(): void } {
  let max = 0;
  let before = threadCpuMs();
  setInterval(() => {
    const now = threadCpuMs();
    max = Math.max(max, now - before);
    before = now;
  }, RESOLUTION_MS).unref();
  return {
    max: () => max,
    reset: () => {
      max = 0;
    },
  };
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const path = process.env['OBSERVE_SOCKET'];
if (isMainThread && path !== undefined) serve(path);
