/**
 * `npm run bench:control`: the coordination server under a thousand devices, and Headscale beside it under
 * the load that has one tailnet. The server alone has core 0; all devices are in this process.
 *
 *     npm run bench:control                       # 100 tailnets of 10; one of 1,000; Headscale
 *     npm run bench:control -- --only tailnets    # tailnets | one | headscale
 *     npm run bench:control -- --nodes 200        # of the one tailnet and of Headscale
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Load, type Measured, measureControl, type Times } from './scenario.ts';
import { startHeadscaleControl, startPosternControl, type Subject } from './subjects.ts';

const { values } = parseArgs({
  options: { only: { type: 'string' }, nodes: { type: 'string', default: '1000' } },
});

const IDLE_MS = 20_000;
const COMMON = { registrations: 400, idleMs: IDLE_MS, changes: 10 };
const ONE: Load = { ...COMMON, tailnets: 1, nodesPerTailnet: Number(values.nodes) };

interface Run {
  readonly name: string;
  readonly load: Load;
  start(folder: string): Promise<Subject | null>;
}

const RUNS: readonly Run[] = [
  { name: 'tailnets', load: { ...COMMON, tailnets: 100, nodesPerTailnet: 10 }, start: startPosternControl },
  { name: 'one', load: ONE, start: startPosternControl },
  { name: 'headscale', load: ONE, start: startHeadscaleControl },
];

const wanted = values.only?.split(',') ?? RUNS.map(({ name }) => name);
say(
  `load average at the start: ${loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')}`,
);
const measured: Measured[] = [];
const failed: string[] = [];
for (const run of RUNS.filter(({ name }) => wanted.includes(name))) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-control-'));
  const subject = await run.start(folder);
  try {
    if (subject === null) failed.push(`${run.name}: not installed (npm run test:interop builds it)`);
    else measured.push(await measureControl(subject, run.load, (text) => say(`${run.name}: ${text}`)));
  } catch (error) {
    failed.push(`${run.name}: ${String(error)}`);
  } finally {
    await subject?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
process.stdout.write(`${report(measured)}\n${failed.map((line) => `\nnot measured: ${line}\n`).join('')}`);
process.exit(failed.length === 0 ? 0 : 1);

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A Markdown table, a column for each run. */
function report(runs: readonly Measured[]): string {
  const rows: readonly (readonly [string, (run: Measured) => string])[] = [
    ['devices live', ({ load }) => `${load.tailnets} × ${load.nodesPerTailnet}`],
    ['all joined', ({ joinedInMs, joinCpuSec }) => `${seconds(joinedInMs)} (${joinCpuSec.toFixed(1)} s CPU)`],
    ['idle: CPU of one core', ({ idleCpuPercent }) => `${idleCpuPercent.toFixed(1)} %`],
    ['idle: resident', ({ residentMb }) => `${residentMb.toFixed(0)} MB`],
    ['new device at its peers, p50 / p99 / max', ({ newDevice }) => times(newDevice)],
    ['policy at its devices, p50 / p99 / max', ({ policy }) => times(policy)],
    [
      'bytes to other tailnets',
      ({ load, foreignBytes }) => (load.tailnets === 1 ? '–' : String(foreignBytes)),
    ],
    ['registrations at once, p50 / p99 / max', ({ registered }) => times(registered)],
    ['all of them', ({ load, registered }) => `${load.registrations} in ${seconds(registered.allMs)}`],
    ['killed and started: all maps back', ({ reconnectedInMs }) => seconds(reconnectedInMs)],
    ['resident after that', ({ residentAfterMb }) => `${residentAfterMb.toFixed(0)} MB`],
  ];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['', ...runs.map(({ subject }) => subject)]),
    line(['---', ...runs.map(() => '---:')]),
    ...rows.map(([title, cell]) => line([title, ...runs.map(cell)])),
  ].join('\n');
}

function times({ p50, p99, max }: Times): string {
  return `${[p50, p99, max].map((ms) => ms.toFixed(0)).join(' / ')} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
