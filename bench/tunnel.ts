/**
 * `npm run bench -- --tunnel [--quick]`: our WireGuard and TCP/IP stack to wireguard-go, beside
 * wireguard-go to wireguard-go, in one run. HTTP by curl over veth between network namespaces, both
 * ways, in turns; every transfer's digest is checked. Linux and root. Method: docs/performance.md.
 */
import assert from 'node:assert/strict';
import { cpus, loadavg } from 'node:os';
import {
  createTunnelBed,
  expectedDigest,
  type TunnelBed,
  type TunnelEnd,
} from '../test/interop/tunnel-bed.ts';
import { cpuSeconds } from './processes.ts';
import { median, shuffled } from './statistics.ts';

const PLANS = { quick: { rounds: 3, megabytes: 50 }, full: { rounds: 9, megabytes: 100 } } as const;
const MB = 1_000_000;
const DIRECTIONS = ['download', 'upload'] as const;
type Direction = (typeof DIRECTIONS)[number];

interface Sample {
  readonly megabitsPerSec: number;
  /** Processor seconds of the far end for 100 MB: its WireGuard, its TCP where that is ours, its HTTP. */
  readonly farCpu: number;
  /** The same of the client's wireguard-go. */
  readonly clientCpu: number;
}

/** Measures and prints a Markdown table. */
export async function benchTunnel(options: { readonly isQuick: boolean }): Promise<void> {
  const { rounds, megabytes } = options.isQuick ? PLANS.quick : PLANS.full;
  const load = loadavg()[0] ?? 0;
  const bed = await createTunnelBed();
  const endAll = (): void => void bed.close().finally(() => process.exit(1));
  process.once('SIGINT', endAll).once('SIGTERM', endAll);
  try {
    const ends = [await bed.addOurs('Postern'), await bed.addWireguardGo('wireguard-go')];
    const samples = new Map<string, Sample[]>();
    /* Round 0 warms up. */
    for (let round = 0; round <= rounds; round += 1) {
      process.stderr.write(`bench: tunnel, round ${round} of ${rounds}\n`);
      for (const end of shuffled(ends)) {
        for (const direction of DIRECTIONS) {
          const sample = await measure(bed, end, direction, megabytes * MB);
          const key = `${end.name} ${direction}`;
          if (round > 0) samples.set(key, [...(samples.get(key) ?? []), sample]);
        }
      }
    }
    process.stdout.write(report(ends, samples, { rounds, megabytes, load }));
  } finally {
    await bed.close();
  }
}

async function measure(bed: TunnelBed, end: TunnelEnd, direction: Direction, bytes: number): Promise<Sample> {
  const farSeconds = (): number => end.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const [farBefore, clientBefore] = [farSeconds(), cpuSeconds(bed.clientPid)];
  const { seconds, sha256 } = await bed[direction](end, bytes);
  assert.equal(sha256, expectedDigest(bytes), `${end.name}, ${direction}: other bytes came than were sent`);
  const per100 = (100 * MB) / bytes;
  return {
    megabitsPerSec: (bytes * 8) / seconds / 1e6,
    farCpu: (farSeconds() - farBefore) * per100,
    clientCpu: (cpuSeconds(bed.clientPid) - clientBefore) * per100,
  };
}

function report(
  ends: readonly TunnelEnd[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  run: { readonly rounds: number; readonly megabytes: number; readonly load: number },
): string {
  const of = (end: string, direction: Direction, pick: (sample: Sample) => number): number[] =>
    (samples.get(`${end} ${direction}`) ?? []).map(pick);
  const rows = DIRECTIONS.flatMap((direction) => {
    const base = median(of('wireguard-go', direction, ({ megabitsPerSec }) => megabitsPerSec));
    return ends.map(({ name }) => {
      const rates = of(name, direction, ({ megabitsPerSec }) => megabitsPerSec);
      const range = `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`;
      const cells = [
        direction,
        name,
        `${median(rates).toFixed(0)} (${range})`,
        (median(rates) / base).toFixed(2),
        median(of(name, direction, ({ farCpu }) => farCpu)).toFixed(2),
        median(of(name, direction, ({ clientCpu }) => clientCpu)).toFixed(2),
      ];
      return `| ${cells.join(' | ')} |`;
    });
  });
  return [
    `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; ${run.rounds} rounds of ${run.megabytes} MB; load at the start ${run.load.toFixed(1)}`,
    '',
    '| to wireguard-go | far end | Mbit/s, median (range) | ÷ wireguard-go | far end, CPU s per 100 MB | client wireguard-go, CPU s per 100 MB |',
    '|---|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}
