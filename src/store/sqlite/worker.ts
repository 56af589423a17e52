/** A database thread: opens its connection, then answers one call after the other. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { AppError, assert } from '../../base/errors.ts';
import { Database, toStoreError } from './database.ts';
import { readerMethods, writerMethods } from './methods.ts';
import { migrate } from './migrate.ts';
import {
  CLOSE_METHOD,
  READY_ID,
  type WorkerRequest,
  type WorkerResponse,
  type WorkerStart,
} from './protocol.ts';

type Method = (...args: readonly never[]) => unknown;

/**
 * Of the writing thread: on a machine with few cores, requests under way go before the rows of those
 * that are done. At 5 it still gets a quarter of a core that it shares with a busy request loop.
 */
const WRITER_NICE = 5;

/** Opens the database and serves calls until `close`. Runs only as the main module of a worker. */
function serve(start: WorkerStart): void {
  assert(parentPort !== null, 'the database thread runs in a worker');
  const port = parentPort;
  if (start.role === 'writer') yieldToRequests();
  const answer = (response: WorkerResponse, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(response, transfer);
  let database: Database;
  try {
    database = new Database(start.file, start.role);
    if (start.role === 'writer') migrate(database, start.now);
  } catch (error) {
    answer(failure(READY_ID, toStoreError(error, 'store_open_failed')));
    port.close();
    return;
  }
  const methods = new Map<string, Method>(
    Object.entries(start.role === 'writer' ? writerMethods(database, start) : readerMethods(database, start)),
  );
  port.on('message', ({ id, method, args }: WorkerRequest) => {
    try {
      if (method === CLOSE_METHOD) {
        close(database, start);
        answer({ id, ok: true, value: undefined });
        port.close();
        return;
      }
      const run = methods.get(method);
      assert(run !== undefined, `the ${start.role} has no method ${method}`);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the client's types tie each method to its arguments.
      const value = run(...(args as never[]));
      answer({ id, ok: true, value }, value instanceof ArrayBuffer ? [value] : []);
    } catch (error) {
      const fallback = start.role === 'writer' ? 'store_write_failed' : 'store_read_failed';
      answer(failure(id, toStoreError(error, fallback)));
    }
  });
  answer({ id: READY_ID, ok: true, value: undefined });
}

/** Linux counts niceness by thread, and 0 is the calling one; elsewhere it would be the whole process. */
function yieldToRequests(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, WRITER_NICE);
  } catch {
    // A sandbox may forbid it; nothing depends on it but the time of other requests.
  }
}

/** Leaves one tidy file behind. */
function close(database: Database, start: WorkerStart): void {
  if (start.role === 'writer') {
    database.exec('PRAGMA optimize');
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }
  database.close();
}

function failure(id: number, error: Error): WorkerResponse {
  const code = error instanceof AppError ? error.code : 'store_read_failed';
  const detail = error instanceof AppError ? error.detail : undefined;
  return { id, ok: false, code, message: error.message, detail };
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `WorkerClient` starts this file with nothing else.
serve(workerData as WorkerStart);
