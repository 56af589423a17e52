/**
 * `npm run bench [-- --quick] [-- --only nginx,Postern]`: what a request costs through Postern, beside
 * nginx as the floor and beside other gateways, in one run. All targets are started once and measured
 * in turns, in random order; what is printed are medians over the rounds, and ratios to nginx of the
 * same run. Absolute figures of shared machines mean little. Method: docs/performance.md.
 * With `--tunnel`: the network node alone, see `tunnel.ts`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { INSTANT_MODEL, chatBody, streamModel } from './bodies.ts';
import { makeLoad, measureClosed, measureStreams } from './measure.ts';
import type { ClosedResult, StreamsResult } from './measure.ts';
import { LOAD_CORE, canPin, findProgram, startProcess } from './processes.ts';
import { renderReport } from './report.ts';
import type { Measured, RateResult } from './report.ts';
import { median, quantile, shuffled } from './statistics.ts';
import { TARGETS, folderFor } from './targets.ts';
import { benchTunnel } from './tunnel.ts';
import type { RunningTarget, Target } from './targets.ts';

/** How long and how often; the quick plan is for a look, the full one for figures. */
interface Plan {
  readonly rounds: number;
  readonly closedSec: number;
  readonly largeRounds: number;
  readonly largeSec: number;
  readonly rateRounds: number;
  readonly rateSec: number;
  readonly perSecond: number;
  readonly streamRounds: number;
  readonly streams: number;
  readonly chunks: number;
  readonly openStreams: number;
}

const QUICK: Plan = {
  rounds: 3,
  closedSec: 1,
  largeRounds: 1,
  largeSec: 1,
  rateRounds: 1,
  rateSec: 2,
  perSecond: 1000,
  streamRounds: 1,
  streams: 200,
  chunks: 50,
  openStreams: 1000,
};
const FULL: Plan = {
  rounds: 9,
  closedSec: 2,
  largeRounds: 5,
  largeSec: 2,
  rateRounds: 5,
  rateSec: 4,
  perSecond: 1000,
  streamRounds: 3,
  streams: 200,
  chunks: 100,
  openStreams: 4000,
};

/** Connections of the closed loop. */
const CONNECTIONS = 64;
/** Connections of the large bodies: 400 KB each, or the load's core only copies. */
const LARGE_CONNECTIONS = 8;
const GAP_MS = 20;
/** Above this load average at the start somebody else is at work, and only ratios are worth reading. */
const BUSY_LOAD = 0.5;
/** How much of a failed target's own log is shown. */
const LOG_SHOWN_CHARS = 1500;
const BODY_BYTES = { small: 1500, medium: 32_000, large: 400_000 } as const;

interface Started {
  readonly target: Target;
  readonly running: RunningTarget;
  readonly folder: string;
}

interface Bodies {
  readonly small: string;
  readonly medium: string;
  readonly large: string;
  readonly stream: string;
  readonly open: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, tunnel: { type: 'boolean' } },
  });
  if (values.tunnel === true) {
    await benchTunnel({ isQuick: values.quick === true });
    return;
  }
  const plan = values.quick === true ? QUICK : FULL;
  const wanted = values.only?.split(',').map((name) => name.trim().toLowerCase());
  const chosen = TARGETS.filter(
    ({ name }) => name === 'direct' || (wanted?.some((part) => name.toLowerCase().includes(part)) ?? true),
  );
  const loadAtStart = loadavg()[0] ?? 0;
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  const script = fileURLToPath(new URL('./mock.ts', import.meta.url));
  const mock = startProcess([process.execPath, script], { core: LOAD_CORE });
  const started: Started[] = [];
  const endAll = async (): Promise<void> => {
    await Promise.allSettled(started.map(({ running }) => running.stop()));
    await mock.stop();
    await rm(folder, { recursive: true, force: true });
  };
  // Other people's programs do not notice that the bench is gone.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void endAll().finally(() => process.exit(1)));
  }
  try {
    const { port } = JSON.parse(await mock.firstLine);
    const absent = await startAll(chosen, { mock: `http://127.0.0.1:${port}`, folder, started });
    const bodies = await writeBodies(folder, plan);
    const measured = await measureAll(started, plan, bodies);
    process.stdout.write(
      renderReport({
        machine: machineText(),
        busy: loadAtStart > BUSY_LOAD ? loadAtStart : null,
        plan,
        measured,
        absent,
      }),
    );
  } finally {
    await endAll();
  }
}

/** Starts what can be started; answers why the rest cannot. */
async function startAll(
  targets: readonly Target[],
  place: { readonly mock: string; readonly folder: string; readonly started: Started[] },
): Promise<Map<string, string>> {
  const absent = new Map<string, string>();
  for (const target of targets) {
    const why = await target.absent();
    if (why !== null) {
      absent.set(target.name, why);
      continue;
    }
    say(`starting ${target.name}`);
    const folder = await folderFor(place.folder, target);
    try {
      place.started.push({ target, folder, running: await target.start(place.mock, folder) });
    } catch (error) {
      absent.set(target.name, `did not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return absent;
}

async function writeBodies(folder: string, plan: Plan): Promise<Bodies> {
  const write = async (name: string, body: Buffer): Promise<string> => {
    const path = join(folder, `${name}.json`);
    await writeFile(path, body);
    return path;
  };
  const plain = (bytes: number): Buffer => chatBody({ model: INSTANT_MODEL, bytes, stream: false });
  const streamed = (chunks: number, gapMs: number): Buffer =>
    chatBody({ model: streamModel(chunks, gapMs), bytes: BODY_BYTES.small, stream: true });
  return {
    small: await write('small', plain(BODY_BYTES.small)),
    medium: await write('medium', plain(BODY_BYTES.medium)),
    large: await write('large', plain(BODY_BYTES.large)),
    stream: await write('stream', streamed(plan.chunks, GAP_MS)),
    // Slow and few events: the streams stand open together without loading the core.
    open: await write('open', streamed(20, 500)),
  };
}

async function measureAll(started: readonly Started[], plan: Plan, bodies: Bodies): Promise<Measured[]> {
  const results = new Map(started.map(({ target }) => [target.name, emptySamples()]));
  const inTurns = async (
    rounds: number,
    what: string,
    measure: (one: Started, samples: Samples) => Promise<void>,
  ): Promise<void> => {
    for (let round = 1; round <= rounds; round += 1) {
      say(`${what}, round ${round} of ${rounds}`);
      for (const one of shuffled(started)) {
        const samples = results.get(one.target.name);
        if (samples !== undefined) await attempt(one, samples, measure);
      }
    }
  };
  const closed = (
    one: Started,
    bodyFile: string,
    connections: number,
    seconds: number,
  ): Promise<ClosedResult> =>
    measureClosed(one.running, { bodyFile, connections, seconds, folder: one.folder });

  await inTurns(1, 'warm-up', async (one) => {
    await closed(one, bodies.small, CONNECTIONS, 1);
  });
  // Before the large bodies: a heap that shrinks again would hide what a stream costs.
  await inTurns(1, `${plan.openStreams} streams open together`, async (one, samples) => {
    const options = {
      bodyFile: bodies.open,
      warmBodyFile: bodies.small,
      streams: plan.openStreams,
      seconds: 14,
      readAfterMs: 4000,
    };
    samples.open.push(await measureStreams(one.running, options));
  });
  await inTurns(plan.rounds, '1.5 KB bodies, closed loop', async (one, samples) => {
    samples.small.push(await closed(one, bodies.small, CONNECTIONS, plan.closedSec));
  });
  await inTurns(plan.largeRounds, '32 KB and 400 KB bodies', async (one, samples) => {
    samples.medium.push(await closed(one, bodies.medium, LARGE_CONNECTIONS, plan.largeSec));
    samples.large.push(await closed(one, bodies.large, LARGE_CONNECTIONS, plan.largeSec));
  });
  await inTurns(plan.rateRounds, `${plan.perSecond} requests a second, open loop`, async (one, samples) => {
    const keepsUp = median(samples.small.map(({ perSecond }) => perSecond)) > plan.perSecond;
    if (keepsUp) samples.rate.push(await measureRate(one.running, plan, bodies.small));
  });
  await inTurns(
    plan.streamRounds,
    `${plan.streams} streams, ${plan.chunks} events, every ${GAP_MS} ms`,
    async (one, samples) => {
      const seconds = 2 + (plan.chunks * GAP_MS) / 1000;
      const options = {
        bodyFile: bodies.stream,
        warmBodyFile: bodies.small,
        streams: plan.streams,
        seconds,
        readAfterMs: 1000,
      };
      samples.streams.push(await measureStreams(one.running, options));
    },
  );
  return started.map(({ target }) => summarise(target, results.get(target.name) ?? emptySamples()));
}

/** A target that fails under load is shown with what it managed, not with a stopped bench. */
async function attempt(
  one: Started,
  samples: Samples,
  measure: (one: Started, samples: Samples) => Promise<void>,
): Promise<void> {
  try {
    await measure(one, samples);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    say(`${one.target.name}: ${why}\n${one.running.log().slice(-LOG_SHOWN_CHARS)}`);
  }
}

interface Samples {
  readonly small: ClosedResult[];
  readonly medium: ClosedResult[];
  readonly large: ClosedResult[];
  readonly rate: RateResult[];
  readonly streams: StreamsResult[];
  readonly open: StreamsResult[];
}

function emptySamples(): Samples {
  return { small: [], medium: [], large: [], rate: [], streams: [], open: [] };
}

async function measureRate(target: RunningTarget, plan: Plan, bodyFile: string): Promise<RateResult> {
  const { url, headers } = target;
  const { perSecond, rateSec: seconds } = plan;
  const result = await makeLoad({
    mode: 'rate',
    url,
    headers,
    bodyFile,
    connections: 512,
    perSecond,
    seconds,
  });
  // What did not keep up has no latency at this rate, only a queue.
  const kept = result.errors === 0 && result.seconds < seconds + 1;
  const { latenciesUs } = result;
  return kept
    ? { p50Us: quantile(latenciesUs, 0.5), p99Us: quantile(latenciesUs, 0.99) }
    : { p50Us: Number.NaN, p99Us: Number.NaN };
}

function summarise(target: Target, samples: Samples): Measured {
  const closed = (results: readonly ClosedResult[]): ClosedResult => ({
    perSecond: median(results.map(({ perSecond }) => perSecond)),
    cpuUs: median(results.map(({ cpuUs }) => cpuUs)),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
  });
  const all = [...samples.small, ...samples.medium, ...samples.large, ...samples.streams, ...samples.open];
  return {
    name: target.name,
    does: target.does,
    small: closed(samples.small),
    medium: closed(samples.medium),
    large: closed(samples.large),
    p50Us: median(samples.rate.map(({ p50Us }) => p50Us)),
    p99Us: median(samples.rate.map(({ p99Us }) => p99Us)),
    newConnectionP50Us: median(samples.streams.map(({ newConnectionUs }) => quantile(newConnectionUs, 0.5))),
    firstEventP50Us: median(samples.streams.map(({ firstEventUs }) => quantile(firstEventUs, 0.5))),
    lagP99Us: median(samples.streams.map(({ lagsUs }) => quantile(lagsUs, 0.99))),
    cpuPerChunkUs: median(samples.streams.map(({ cpuPerChunkUs }) => cpuPerChunkUs)),
    bytesPerStream: median(samples.open.map(({ bytesPerStream }) => bytesPerStream)),
    errors: all.reduce((sum, { errors }) => sum + errors, 0),
  };
}

function machineText(): string {
  const pinning = canPin()
    ? 'target on core 0, mock and load on core 1'
    : 'NOT PINNED: cores are shared freely';
  const load = findProgram('wrk') === null ? 'own load generator' : 'wrk';
  return `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; ${pinning}; ${load}`;
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

await main();
