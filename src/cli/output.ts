/** What commands print: JSON for programs, aligned tables and a little colour for people. */
import { stripVTControlCharacters, styleText } from 'node:util';
import { EXIT, type CliFailure } from './failure.ts';
import type { CliContext, TextSink } from './context.ts';

type Style = Parameters<typeof styleText>[0];

/** Text with a colour, if the stream is a terminal and neither NO_COLOR nor a dumb terminal says otherwise. */
export function paint(context: CliContext, sink: TextSink, style: Style, text: string): string {
  const { NO_COLOR, TERM, FORCE_COLOR } = context.env;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0';
  const plain = (NO_COLOR !== undefined && NO_COLOR !== '') || TERM === 'dumb';
  if (plain || !(sink.isTTY === true || forced)) return text;
  return styleText(style, text, { validateStream: false });
}

/** One JSON object (or value) and a line end, on standard output. */
export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLine(context: CliContext, text = ''): void {
  context.stdout.write(`${text}\n`);
}

/** For people only: never part of what a program reads. */
export function printNote(context: CliContext, text: string): void {
  context.stderr.write(`${text}\n`);
}

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers line up on the right. Default left. */
  readonly align?: 'left' | 'right';
}

/** Rows under their titles, two spaces apart; says so when there are none. */
export function printTable<Row>(
  context: CliContext,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): void {
  if (rows.length === 0) {
    printLine(context, empty);
    return;
  }
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, index) =>
        columns[index]?.align === 'right'
          ? cell.padStart(widths[index] ?? 0)
          : cell.padEnd(widths[index] ?? 0),
      )
      .join('  ')
      .trimEnd();
  printLine(context, paint(context, context.stdout, 'dim', format(columns.map((column) => column.title))));
  for (const line of cells) printLine(context, format(line));
}

/** Text from elsewhere without control characters, so that it cannot drive the terminal. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this removes
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}

/** Nano-dollars as dollars: cents from one dollar on, else as many digits as tell. */
export function formatUsd(nanoUsd: number | null): string {
  if (nanoUsd === null) return '-';
  const dollars = nanoUsd / 1e9;
  if (dollars === 0) return '$0';
  if (Math.abs(dollars) >= 1) return `$${dollars.toFixed(2)}`;
  return `$${dollars.toFixed(6).replace(/0+$/, '').replace(/\.$/, '')}`;
}

/** Microseconds as ms or s. */
export function formatDuration(microseconds: number | null): string {
  if (microseconds === null) return '-';
  if (microseconds < 1_000_000) return `${(microseconds / 1000).toFixed(microseconds < 10_000 ? 1 : 0)} ms`;
  return `${(microseconds / 1_000_000).toFixed(1)} s`;
}

export function formatCount(value: number | null): string {
  return value === null ? '-' : value.toLocaleString('en-US');
}

/** What, why and what to do, on standard error; one JSON object with `--json`. */
export function printFailure(context: CliContext, failure: CliFailure, json: boolean): void {
  if (json) {
    const body = {
      error: {
        code: failure.code,
        message: failure.message,
        fix: failure.fix,
        request_id: failure.requestId,
        exit: failure.exit,
      },
    };
    context.stderr.write(`${JSON.stringify(body)}\n`);
    return;
  }
  context.stderr.write(
    `${paint(context, context.stderr, 'red', 'postern:')} ${printable(failure.message)}\n`,
  );
  if (failure.fix !== null)
    context.stderr.write(`  ${failure.fix.split('\n').map(printable).join('\n  ')}\n`);
  if (failure.requestId !== null && failure.exit === EXIT.failed)
    context.stderr.write(`  request ${printable(failure.requestId)}\n`);
}
