/**
 * `node bench/guard.ts`: fails when Postern has become dearer. It compares processor time for each
 * request, not time passed, with that of `baseline-proxy.ts` (the same node:http and undici, nothing
 * else) over a fixed number of requests in interleaved rounds: a ratio that a busy machine hardly
 * moves. Exit 1 above the bound. Linux only, because processor time is read from /proc.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { INSTANT_MODEL, chatBody } from './bodies.ts';
import { makeLoad } from './measure.ts';
import { LOAD_CORE, cpuSeconds, startProcess } from './processes.ts';
import { shuffled } from './statistics.ts';
import { TARGETS, folderFor } from './targets.ts';
import type { RunningTarget } from './targets.ts';

const ROUNDS = 7;
const REQUESTS_PER_ROUND = 4000;
/** Until the compiler has done its work; not counted. */
const WARM_UP_REQUESTS = 16_000;
const CONNECTIONS = 16;

interface Bound {
  readonly target: string;
  /** Times the baseline's processor time for a request, worker threads included. */
  readonly most: number;
}

/** A quarter above the highest median of several runs (3.9 to 4.7, 5.1 to 5.5): noise passes, a regression does not. */
const BOUNDS: readonly Bound[] = [
  { target: 'Postern, capture metadata', most: 5.8 },
  { target: 'Postern, capture full', most: 6.9 },
];

const BASELINE = 'bare node:http + undici';

interface Measured {
  readonly name: string;
  readonly running: RunningTarget;
  readonly cpuUs: number[];
}

/** True when every bound holds. */
async function guard(bounds: readonly Bound[]): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-guard-'));
  const script = fileURLToPath(new URL('./mock.ts', import.meta.url));
  const mock = startProcess([process.execPath, script], { core: LOAD_CORE });
  const measured: Measured[] = [];
  try {
    const { port } = JSON.parse(await mock.firstLine);
    for (const target of TARGETS) {
      if (target.name !== BASELINE && !bounds.some((bound) => bound.target === target.name)) continue;
      const running = await target.start(`http://127.0.0.1:${port}`, await folderFor(folder, target));
      measured.push({ name: target.name, running, cpuUs: [] });
    }
    const bodyFile = join(folder, 'body.json');
    await writeFile(bodyFile, chatBody({ model: INSTANT_MODEL, bytes: 1500, stream: false }));
    for (const { running } of measured) await cpuPerRequestUs(running, bodyFile, WARM_UP_REQUESTS);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const one of shuffled(measured)) {
        one.cpuUs.push(await cpuPerRequestUs(one.running, bodyFile, REQUESTS_PER_ROUND));
      }
    }
    return judge(measured, bounds);
  } finally {
    await Promise.all(measured.map(({ running }) => running.stop()));
    await mock.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function cpuPerRequestUs(running: RunningTarget, bodyFile: string, requests: number): Promise<number> {
  const { url, headers, pid } = running;
  if (pid === null) throw new Error('the guard measures processes only');
  const before = cpuSeconds(pid);
  const result = await makeLoad({
    mode: 'closed',
    url,
    headers,
    bodyFile,
    connections: CONNECTIONS,
    requests,
    seconds: 60,
  });
  if (result.errors > 0 || result.done !== requests) {
    throw new Error(`${url}: ${result.done} of ${requests} requests were answered, ${result.errors} failed`);
  }
  return ((cpuSeconds(pid) - before) / requests) * 1e6;
}

/** The least of the rounds: neighbours on the machine can only add to what a request costs. Infinite of none. */
function least(measured: readonly Measured[], name: string): number {
  return Math.min(...(measured.find((one) => one.name === name)?.cpuUs ?? []));
}

function judge(measured: readonly Measured[], bounds: readonly Bound[]): boolean {
  const baseline = least(measured, BASELINE);
  process.stdout.write(`${BASELINE}: ${baseline.toFixed(0)} µs of processor time for a request\n`);
  return bounds
    .map(({ target, most }) => {
      const cpuUs = least(measured, target);
      const ratio = cpuUs / baseline;
      // NaN must fail as well.
      const holds = ratio <= most;
      const verdict = holds ? 'within' : 'ABOVE';
      process.stdout.write(
        `${target}: ${cpuUs.toFixed(0)} µs, ${ratio.toFixed(2)} times, ${verdict} the bound of ${most}\n`,
      );
      return holds;
    })
    .every(Boolean);
}

const { values } = parseArgs({ options: { most: { type: 'string' } } });
// `--most 1` proves that the guard can fail.
const bounds =
  values.most === undefined ? BOUNDS : BOUNDS.map((bound) => ({ ...bound, most: Number(values.most) }));
process.exitCode = (await guard(bounds)) ? 0 : 1;
