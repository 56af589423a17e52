/** The bench's figures as Markdown. */
import type { ClosedResult } from './measure.ts';

export interface RateResult {
  /** NaN where the target did not keep up. */
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface Measured {
  readonly name: string;
  readonly does: string;
  readonly small: ClosedResult;
  readonly medium: ClosedResult;
  readonly large: ClosedResult;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly newConnectionP50Us: number;
  readonly firstEventP50Us: number;
  readonly lagP99Us: number;
  readonly cpuPerChunkUs: number;
  readonly bytesPerStream: number;
  readonly errors: number;
}

export interface ReportInput {
  readonly machine: string;
  /** Load average at the start where it was too high for absolute figures; else null. */
  readonly busy: number | null;
  readonly plan: {
    readonly rounds: number;
    readonly perSecond: number;
    readonly streams: number;
    readonly chunks: number;
    readonly openStreams: number;
  };
  readonly measured: readonly Measured[];
  /** Name of a target to why it is not in the table. */
  readonly absent: ReadonlyMap<string, string>;
}

export function renderReport({ machine, busy, plan, measured, absent }: ReportInput): string {
  const direct = measured.find(({ name }) => name === 'direct');
  const nginx = measured.find(({ name }) => name === 'nginx');
  const head = [
    'target',
    'req/s 1.5 KB',
    'CPU µs/req',
    '÷ nginx',
    'CPU µs 32 KB',
    'CPU µs 400 KB',
    'added p50 µs',
    'added p99 µs',
    'new connection µs',
    'added first event µs',
    'event lag p99 µs',
    'CPU µs/event',
    '÷ nginx',
    'KB/open stream',
    'errors',
  ];
  const rows = measured.map((one) => [
    one.name,
    count(one.small.perSecond),
    count(one.small.cpuUs),
    ratio(one.small.cpuUs, nginx?.small.cpuUs),
    count(one.medium.cpuUs),
    count(one.large.cpuUs),
    count(one.p50Us - (direct?.p50Us ?? Number.NaN)),
    count(one.p99Us - (direct?.p99Us ?? Number.NaN)),
    count(one.newConnectionP50Us - (direct?.newConnectionP50Us ?? Number.NaN)),
    count(one.firstEventP50Us - (direct?.firstEventP50Us ?? Number.NaN)),
    count(one.lagP99Us),
    count(one.cpuPerChunkUs),
    ratio(one.cpuPerChunkUs, nginx?.cpuPerChunkUs),
    one.name === 'direct' ? '–' : count(one.bytesPerStream / 1000),
    String(one.errors),
  ]);
  const gone = [...absent].map(([name, why]) => [name, why, ...head.slice(2).map(() => '')]);
  const lines = [
    '',
    `Machine: ${machine}.`,
    ...busyLines(busy),
    '',
    `Medians of ${plan.rounds} interleaved rounds in random order. Closed loop of 64 connections (8 for the larger bodies);`,
    `latencies at ${plan.perSecond} requests a second, open loop, less those of the direct call; the first request of a new`,
    `connection, which pays for finding out who calls; ${plan.streams} streams of`,
    `${plan.chunks} events; memory with ${plan.openStreams} streams open. "–" is a target that did not keep up, or no figure.`,
    '',
    table([head, ...rows, ...gone]),
    '',
    `What each does for a request: ${measured.map(({ name, does }) => `${name}: ${does}`).join('; ')}.`,
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/** Said in the report itself, because figures are copied without the terminal around them. */
function busyLines(load: number | null): string[] {
  if (load === null) return [];
  return [
    '',
    `**The machine was busy at the start (load average ${load.toFixed(1)}): read the ratios only.**`,
  ];
}

function count(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

function ratio(value: number, floor: number | undefined): string {
  const result = value / (floor ?? Number.NaN);
  return Number.isFinite(result) ? result.toFixed(1) : '–';
}

/** A Markdown table with aligned columns: it is read in terminals as well. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row, column))));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((size, i) => (i === 0 ? '-'.repeat(size + 2) : `${'-'.repeat(size + 1)}:`)).join('|')}|`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map((row) => line(row))].join('\n');
}

/** A reason in place of a figure may be long and must not widen its column. */
function width(row: readonly string[], column: number): number {
  const text = row[column] ?? '';
  return column > 0 && text.length > 24 ? 0 : text.length;
}
