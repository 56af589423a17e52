/**
 * The recorder: rows and bodies of finished exchanges go through a bounded queue to the store, in
 * batches, one at a time, off the hot path (DESIGN section 8).
 *
 * What is lost and when: a `kill -9` loses what is queued or being written, at most 250 ms or 1,000
 * rows while the store keeps up. When the store fails, rows stay queued, then go to the spill file,
 * and come back at the next success or start. When memory runs short, bodies are dropped before
 * rows. Every loss is counted in `stats` and logged once a minute.
 */
import type { Clock } from '../base/clock.ts';
import { AppError, describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { CapturedBodies, RequestRow } from '../store/shapes.ts';
import { DEFAULT_RECORDER_LIMITS, type RecorderLimits } from './limits.ts';
import type { RecordSink } from './ports.ts';
import { EntryQueue, toBatch, withoutBodies, type Entry } from './queue.ts';
import { SpillFile } from './spill-file.ts';

export type { RecorderLimits } from './limits.ts';

export interface RecorderOptions {
  readonly sink: RecordSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<RecorderLimits>;
  /** File in the state folder for rows that the store does not take; without it they wait in memory only. */
  readonly spillFile?: string;
}

export interface RecorderStats {
  /** Exchanges that came to the recorder, whatever became of them. */
  readonly recorded: number;
  /** Rows in memory, those being written included. */
  readonly queuedRows: number;
  readonly queuedBytes: number;
  /** Rows that the store took, replayed ones included. */
  readonly written: number;
  /** Exchanges whose bodies were left out for want of memory or of a store. */
  readonly droppedBodies: number;
  /** Rows that are gone. */
  readonly lostRows: number;
  /** Rows that went to the spill file. */
  readonly spilledRows: number;
  /** Age of the oldest row in memory. */
  readonly lagMs: number;
  /** Why the last write failed; null after a success. */
  readonly lastError: string | null;
}

export interface Recorder {
  /**
   * Queues one exchange. Never blocks, never throws; keeps the byte arrays until they are written,
   * so the caller must not change them. `bodies` are stored only where the row's `capture` is
   * `full`; `conversation` (the request's body) is only hashed, and not even that under `none`.
   */
  record(row: RequestRow, bodies: CapturedBodies | null, conversation: Uint8Array | null): void;
  /** Resolves when all that was recorded before is stored or spilled; rejects with `recorder_write_failed`. */
  flush(): Promise<void>;
  /** Writes what is queued, or spills it, and stops. Later records are counted as lost. */
  close(): Promise<void>;
  stats(): RecorderStats;
}

/** Closed set of failure codes of the recorder. */
export type RecorderErrorCode = 'recorder_write_failed';

/** Starts a recorder; rows that an earlier process spilled are replayed at once. */
export function createRecorder(options: RecorderOptions): Recorder {
  const recorder = new QueueRecorder(options);
  recorder.start();
  return recorder;
}

class QueueRecorder implements Recorder {
  readonly #sink: RecordSink;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: RecorderLimits;
  readonly #spill: SpillFile | null;
  readonly #queue = new EntryQueue();
  readonly #counts = { recorded: 0, written: 0, droppedBodies: 0, lostRows: 0, spilledRows: 0 };
  readonly #reported = { droppedBodies: 0, lostRows: 0, spilledRows: 0 };
  #inFlight: readonly Entry[] = [];
  #inFlightBytes = 0;
  #draining: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #reportTimer: NodeJS.Timeout | null = null;
  #reportedAt: number | null = null;
  #failures = 0;
  #lastError: string | null = null;
  #mayReplay: boolean;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#limits = { ...DEFAULT_RECORDER_LIMITS, ...options.limits };
    this.#spill =
      options.spillFile === undefined ? null : new SpillFile(options.spillFile, this.#limits.spillFileBytes);
    this.#mayReplay = this.#spill !== null;
  }

  start(): void {
    if (this.#mayReplay) void this.#drain(true);
  }

  record(row: RequestRow, bodies: CapturedBodies | null, conversation: Uint8Array | null): void {
    this.#counts.recorded += 1;
    if (this.#closed || this.#queue.length + this.#inFlight.length >= this.#limits.queueRows) {
      this.#counts.lostRows += 1;
      this.#reportLosses();
      return;
    }
    this.#queue.push(this.#admit(row, bodies, conversation));
    this.#arm();
  }

  async flush(): Promise<void> {
    const target = this.#counts.recorded;
    while (this.#settled() < target) {
      await this.#drain(true);
      if (this.#lastError !== null && this.#settled() < target) {
        const waiting = this.#queue.length;
        throw new AppError<RecorderErrorCode>(
          'recorder_write_failed',
          `${waiting} records cannot be stored yet`,
          {
            detail: this.#lastError,
          },
        );
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.flush();
    } catch {
      // The reason is in `lastError` and was logged when it happened; the rows get one way more.
      await this.#spillQueue();
      this.#counts.lostRows += this.#queue.take(Infinity, Infinity).length;
    }
    await this.#draining;
    this.#disarm();
    await this.#spill?.close();
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#reportTimer = null;
    this.#logLosses();
  }

  stats(): RecorderStats {
    const oldestAt = this.#inFlight[0]?.at ?? this.#queue.oldestAt;
    return {
      recorded: this.#counts.recorded,
      queuedRows: this.#queue.length + this.#inFlight.length,
      queuedBytes: this.#queue.bytes + this.#inFlightBytes,
      written: this.#counts.written,
      droppedBodies: this.#counts.droppedBodies,
      lostRows: this.#counts.lostRows,
      spilledRows: this.#counts.spilledRows,
      lagMs: oldestAt === null ? 0 : this.#clock.monotonicMs() - oldestAt,
      lastError: this.#lastError,
    };
  }

  /** Applies the row's capture mode and the byte bound. */
  #admit(row: RequestRow, bodies: CapturedBodies | null, conversation: Uint8Array | null): Entry {
    const at = this.#clock.monotonicMs();
    const kept = row.capture === 'full' ? bodies : null;
    const hashed = row.capture === 'none' || row.sessionId !== null ? null : conversation;
    const bytes = bodyBytes(kept) + (hashed === null || hashed === kept?.request ? 0 : hashed.byteLength);
    const held = this.#queue.bytes + this.#inFlightBytes;
    if (held > 0 && held + bytes > this.#limits.queueBytes) {
      if (kept !== null) this.#counts.droppedBodies += 1;
      this.#reportLosses();
      return { row: withoutBodies(row), bodies: null, conversation: null, bytes: 0, at };
    }
    return { row, bodies: kept, conversation: hashed, bytes, at };
  }

  #settled(): number {
    return this.#counts.recorded - this.#queue.length - this.#inFlight.length;
  }

  /** Sees to it that a write begins in time, unless one is under way or a pause after a failure runs. */
  #arm(): void {
    if (this.#draining !== null || this.#immediate !== null) return;
    if (this.#queue.length >= this.#limits.batchRows && this.#failures === 0) {
      this.#immediate = setImmediate(() => void this.#drain(false));
      return;
    }
    this.#timer ??= setTimeout(() => void this.#drain(false), this.#pauseMs());
    this.#timer.unref();
  }

  #pauseMs(): number {
    // What waited while the last batch was written has used up its time.
    if (this.#failures === 0) {
      const now = this.#clock.monotonicMs();
      const dueAt = (this.#queue.oldestAt ?? now) + this.#limits.flushMs;
      return Math.min(this.#limits.flushMs, Math.max(0, dueAt - now));
    }
    return Math.min(
      this.#limits.backoffMaxMs,
      this.#limits.backoffMinMs * 2 ** Math.min(this.#failures - 1, 20),
    );
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  /** Joins the write under way, or starts one. `all`: until nothing is queued, else while batches are full. */
  #drain(all: boolean): Promise<void> {
    this.#disarm();
    this.#draining ??= this.#writeBatches(all).finally(() => {
      this.#draining = null;
      if (!this.#closed && (this.#queue.length > 0 || (this.#mayReplay && this.#failures > 0))) this.#arm();
    });
    return this.#draining;
  }

  async #writeBatches(all: boolean): Promise<void> {
    try {
      do {
        await this.#writeNext();
        await this.#replayNext();
      } while (this.#hasMore(all));
      this.#failures = 0;
      this.#lastError = null;
    } catch (error) {
      this.#failures += 1;
      this.#lastError = describeError(error);
      this.#logger.warn('records could not be stored', { failures: this.#failures, error: this.#lastError });
      if (
        this.#failures >= this.#limits.spillAfterFailures ||
        this.#queue.length * 2 >= this.#limits.queueRows
      ) {
        await this.#spillQueue();
      }
    }
  }

  #hasMore(all: boolean): boolean {
    if (this.#mayReplay) return true;
    return this.#queue.length >= (all || this.#closed ? 1 : this.#limits.batchRows);
  }

  async #writeNext(): Promise<void> {
    const entries = this.#queue.take(this.#limits.batchRows, this.#limits.batchBytes);
    if (entries.length === 0) return;
    this.#inFlight = entries;
    this.#inFlightBytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    try {
      await this.#append(entries);
    } catch (error) {
      this.#queue.putBack(entries);
      throw error;
    } finally {
      this.#inFlight = [];
      this.#inFlightBytes = 0;
    }
  }

  async #replayNext(): Promise<void> {
    if (this.#spill === null || !this.#mayReplay) return;
    const batch = await this.#spill.nextBatch(this.#limits.batchRows);
    if (batch === null) {
      this.#mayReplay = false;
      return;
    }
    await this.#append(batch.rows.map((row) => ({ row, bodies: null, conversation: null, bytes: 0, at: 0 })));
    this.#counts.lostRows += batch.malformed;
    if (batch.malformed > 0) this.#reportLosses();
    this.#spill.confirm();
  }

  /** Writes entries; a row that the store will never take is found, logged and given up. */
  async #append(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.#sink.appendRequests(toBatch(entries));
      this.#counts.written += entries.length;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'store_invalid_row') throw error;
      const [first] = entries;
      if (entries.length === 1 && first !== undefined) {
        this.#counts.lostRows += 1;
        this.#logger.error('a record breaks the rules of the store', {
          id: first.row.id,
          error: describeError(error),
        });
        return;
      }
      for (const entry of entries) await this.#append([entry]);
    }
  }

  /** Moves all queued rows to the spill file; they stay queued if it takes no more. */
  async #spillQueue(): Promise<void> {
    if (this.#spill === null || this.#queue.length === 0) return;
    const entries = this.#queue.take(Infinity, Infinity);
    this.#inFlight = entries;
    let spilled = false;
    try {
      spilled = await this.#spill.append(entries.map((entry) => withoutBodies(entry.row)));
    } catch (error) {
      this.#lastError = describeError(error);
      this.#logger.error('records could not be spilled', { rows: entries.length, error: this.#lastError });
    }
    this.#inFlight = [];
    if (!spilled) {
      this.#queue.putBack(entries);
      return;
    }
    this.#mayReplay = true;
    this.#counts.spilledRows += entries.length;
    this.#counts.droppedBodies += entries.filter((entry) => entry.bodies !== null).length;
    this.#reportLosses();
  }

  /** At most one report in `reportMs`; what comes sooner is reported when that is over. */
  #reportLosses(): void {
    if (this.#reportTimer !== null) return;
    const now = this.#clock.monotonicMs();
    const waitMs = this.#reportedAt === null ? 0 : this.#reportedAt + this.#limits.reportMs - now;
    if (waitMs <= 0) {
      this.#logLosses();
      return;
    }
    this.#reportTimer = setTimeout(() => {
      this.#reportTimer = null;
      this.#logLosses();
    }, waitMs);
    this.#reportTimer.unref();
  }

  #logLosses(): void {
    const { droppedBodies, lostRows, spilledRows } = this.#counts;
    const fresh = {
      lostRows: lostRows - this.#reported.lostRows,
      droppedBodies: droppedBodies - this.#reported.droppedBodies,
      spilledRows: spilledRows - this.#reported.spilledRows,
    };
    if (fresh.lostRows + fresh.droppedBodies + fresh.spilledRows === 0) return;
    this.#reportedAt = this.#clock.monotonicMs();
    Object.assign(this.#reported, { droppedBodies, lostRows, spilledRows });
    this.#logger.warn('records were lost, reduced or spilled', fresh);
  }
}

function bodyBytes(bodies: CapturedBodies | null): number {
  return bodies === null ? 0 : bodies.request.byteLength + bodies.response.byteLength;
}
