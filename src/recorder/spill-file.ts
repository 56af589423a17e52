/**
 * Where rows wait while the store cannot be written: a file of JSON lines, one row a line, without
 * bodies. Rows go to `<file>`; to be read back it is renamed to `<file>.replay`, so that rows may
 * be added meanwhile. A line torn by a kill, or longer than a row can be, is skipped and counted.
 * Reading a file twice is harmless, because the sink ignores rows that it has.
 */
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { assert } from '../base/errors.ts';
import type { RequestRow } from '../store/shapes.ts';

/** Read at once; a row is about 1 kB, and one longer than this is not ours. */
const READ_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

export interface SpillBatch {
  readonly rows: readonly RequestRow[];
  /** Lines that are no rows. */
  readonly malformed: number;
}

export class SpillFile {
  readonly #file: string;
  readonly #bytesMax: number;
  #reader: { handle: FileHandle; offset: number; nextOffset: number } | null = null;

  /** `bytesMax`: size at which `append` refuses. */
  constructor(file: string, bytesMax: number) {
    this.#file = file;
    this.#bytesMax = bytesMax;
  }

  /** Adds rows and waits until they are on disk. False if the file is full; rejects if it cannot be written. */
  async append(rows: readonly RequestRow[]): Promise<boolean> {
    const handle = await open(this.#file, 'a', 0o600);
    try {
      const { size } = await handle.stat();
      if (size >= this.#bytesMax) return false;
      // The line break first: after a torn line the next row still begins on a line of its own.
      await handle.appendFile(rows.map((row) => `\n${JSON.stringify(row)}`).join(''));
      await handle.datasync();
      return true;
    } finally {
      await handle.close();
    }
  }

  /** The next rows to replay, the same ones until `confirm`; null when nothing waits. */
  async nextBatch(rowsMax: number): Promise<SpillBatch | null> {
    this.#reader ??= await this.#openReplay();
    if (this.#reader === null) return null;
    const { handle, offset } = this.#reader;
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await handle.read(chunk, 0, READ_BYTES, offset);
    if (bytesRead === 0) {
      await this.#finishReplay();
      return this.nextBatch(rowsMax);
    }
    const batch = takeLines(chunk.subarray(0, bytesRead), bytesRead < READ_BYTES, rowsMax);
    this.#reader.nextOffset = offset + batch.bytes;
    return batch;
  }

  /** The rows of the last batch are stored; go on behind them. */
  confirm(): void {
    assert(this.#reader !== null, 'only a batch that was read is confirmed');
    this.#reader.offset = this.#reader.nextOffset;
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.handle.close();
  }

  async #openReplay(): Promise<{ handle: FileHandle; offset: number; nextOffset: number } | null> {
    const replay = `${this.#file}.replay`;
    if (!(await exists(replay))) {
      if (!(await exists(this.#file))) return null;
      await rename(this.#file, replay);
    }
    return { handle: await open(replay, 'r'), offset: 0, nextOffset: 0 };
  }

  async #finishReplay(): Promise<void> {
    await this.close();
    await rm(`${this.#file}.replay`, { force: true });
  }
}

/** Rows of whole lines in `bytes`; the last line counts as whole only at the end of the file. */
function takeLines(bytes: Buffer, atEnd: boolean, rowsMax: number): SpillBatch & { bytes: number } {
  const rows: RequestRow[] = [];
  let malformed = 0;
  let at = 0;
  while (at < bytes.length && rows.length < rowsMax) {
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline === -1 && !atEnd) break;
    const end = newline === -1 ? bytes.length : newline;
    if (end > at) {
      const row = parseRow(bytes.toString('utf8', at, end));
      if (row === null) malformed += 1;
      else rows.push(row);
    }
    at = newline === -1 ? bytes.length : newline + 1;
  }
  if (at > 0) return { rows, malformed, bytes: at };
  // No line ends within the buffer: step over it; what is left of it is malformed too.
  return { rows, malformed: 1, bytes: bytes.length };
}

/** Only the marks of a row are looked at here; the store checks the rest. */
function parseRow(line: string): RequestRow | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRow(value) ? value : null;
  } catch {
    return null;
  }
}

function isRow(value: unknown): value is RequestRow {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'id' in value &&
    typeof value.id === 'string' &&
    'tailnet' in value &&
    typeof value.tailnet === 'string' &&
    'principal' in value &&
    typeof value.principal === 'string' &&
    'startedAt' in value &&
    typeof value.startedAt === 'number'
  );
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
