/** One measurement of one target: makes the load, and reads what the target spent meanwhile. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LoadJob, LoadResult } from './load.ts';
import { LOAD_CORE, cpuSeconds, findProgram, pinnedTo, residentBytes } from './processes.ts';
import type { RunningTarget } from './targets.ts';

const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));

export interface ClosedResult {
  readonly perSecond: number;
  /** Processor microseconds of the target for each request; NaN for the mock itself. */
  readonly cpuUs: number;
  readonly errors: number;
}

/** As many requests as come back, over a fixed number of connections. `wrk` where it is, else `load.ts`. */
export async function measureClosed(
  target: RunningTarget,
  options: {
    readonly bodyFile: string;
    readonly connections: number;
    readonly seconds: number;
    readonly folder: string;
  },
): Promise<ClosedResult> {
  const before = cpuOf(target);
  const result =
    findProgram('wrk') === null ? await closedByOwn(target, options) : await closedByWrk(target, options);
  const spent = cpuOf(target) - before;
  return {
    perSecond: result.done / result.seconds,
    cpuUs: (spent / result.done) * 1e6,
    errors: result.errors,
  };
}

type Counted = Pick<LoadResult, 'done' | 'errors' | 'seconds'>;

function closedByOwn(
  target: RunningTarget,
  options: { readonly bodyFile: string; readonly connections: number; readonly seconds: number },
): Promise<Counted> {
  const { bodyFile, connections, seconds } = options;
  return makeLoad({
    mode: 'closed',
    url: target.url,
    headers: target.headers,
    bodyFile,
    connections,
    seconds,
  });
}

async function closedByWrk(
  target: RunningTarget,
  options: {
    readonly bodyFile: string;
    readonly connections: number;
    readonly seconds: number;
    readonly folder: string;
  },
): Promise<Counted> {
  const script = join(options.folder, 'post.lua');
  const headers = Object.entries({ 'content-type': 'application/json', ...target.headers });
  const lines = [
    'wrk.method = "POST"',
    `local file = io.open(${JSON.stringify(options.bodyFile)}, "rb")`,
    'wrk.body = file:read("*a")',
    ...headers.map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`),
    // Counts for a program; wrk's own report is for people.
    'done = function(summary, latency, requests)',
    '  local e = summary.errors',
    '  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,',
    '    e.connect + e.read + e.write + e.status + e.timeout))',
    'end',
  ];
  writeFileSync(script, `${lines.join('\n')}\n`);
  const words = [
    ...pinnedTo(LOAD_CORE),
    'wrk',
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--timeout',
    '10s',
  ];
  const output = await capture([...words, '-s', script, target.url]);
  const found = /RESULT (\d+) (\d+) (\d+)/.exec(output);
  if (found === null) throw new Error(`wrk said nothing that could be read: ${output}`);
  const [requests = 0, microseconds = 0, errors = 0] = found.slice(1).map(Number);
  return { done: requests - errors, errors, seconds: microseconds / 1e6 };
}

/** Runs `load.ts` on the load's core; `onWarm` is called when it says that all its connections are. */
export async function makeLoad(job: LoadJob, onWarm?: () => void): Promise<LoadResult> {
  const output = await capture([...pinnedTo(LOAD_CORE), process.execPath, LOAD, JSON.stringify(job)], onWarm);
  return JSON.parse(output);
}

export interface StreamsResult {
  readonly errors: number;
  /** Microseconds of the first request of each connection, which pays for finding out who calls. */
  readonly newConnectionUs: readonly number[];
  /** Microseconds from the request to the first event, one a stream, on connections that are known. */
  readonly firstEventUs: readonly number[];
  /** Microseconds from the mock to the client, one an event. */
  readonly lagsUs: readonly number[];
  /** Processor microseconds of the target for each event. */
  readonly cpuPerChunkUs: number;
  /** Bytes that the target grew by for each stream while all were open. */
  readonly bytesPerStream: number;
}

export interface StreamsOptions {
  readonly bodyFile: string;
  readonly warmBodyFile: string;
  readonly streams: number;
  readonly seconds: number;
  /** Time over which they are opened; default 1,000. */
  readonly spreadMs?: number;
  /** After the connections are warm; the streams must all be open by then. */
  readonly readAfterMs: number;
}

/** Many streams at once. Time is counted once the connections are known, memory from before they are open. */
export async function measureStreams(target: RunningTarget, options: StreamsOptions): Promise<StreamsResult> {
  const { bodyFile, warmBodyFile, streams: connections, seconds, spreadMs = 1000 } = options;
  const { url, headers, pid } = target;
  const bytesBefore = pid === null ? 0 : residentBytes(pid);
  let cpuBefore = cpuOf(target);
  let bytesOpen = Promise.resolve(Number.NaN);
  const result = await makeLoad(
    { mode: 'streams', url, headers, bodyFile, warmBodyFile, connections, seconds, spreadMs },
    () => {
      cpuBefore = cpuOf(target);
      bytesOpen = sleep(options.readAfterMs).then(() => (pid === null ? Number.NaN : residentBytes(pid)));
    },
  );
  return {
    errors: result.errors,
    newConnectionUs: result.newConnectionUs,
    firstEventUs: result.latenciesUs,
    lagsUs: result.lagsUs,
    cpuPerChunkUs: ((cpuOf(target) - cpuBefore) / result.chunks) * 1e6,
    bytesPerStream: ((await bytesOpen) - bytesBefore) / connections,
  };
}

function cpuOf(target: RunningTarget): number {
  return target.pid === null ? Number.NaN : cpuSeconds(target.pid);
}

/** Standard output of a program that must end with 0; `load.ts` says `warm` on the other. */
function capture(words: readonly string[], onWarm?: () => void): Promise<string> {
  const [program = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      err.push(chunk);
      if (chunk.toString('utf8').trim() === 'warm') onWarm?.();
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString('utf8'));
      else
        reject(
          new Error(`${program} ended with ${code}: ${Buffer.concat(err).toString('utf8').slice(-2000)}`),
        );
    });
  });
}
