/**
 * The near end of a database thread: sends calls, matches answers, and starts the thread anew at
 * the next call if it ended by itself (out of memory, a fault).
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../base/log.ts';
import { describeError } from '../../base/errors.ts';
import { isStoreErrorCode, storeError } from '../errors.ts';
import {
  CLOSE_METHOD,
  READY_ID,
  type WorkerRequest,
  type WorkerResponse,
  type WorkerStart,
} from './protocol.ts';

/** Upper bounds of a thread's memory, not reservations: a large usage query needs some 100 MB. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8, stackSizeMb: 4 };
/** Calls that may wait; beyond it the store is overwhelmed and says so. */
const CALLS_MAX = 10_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Method = (...args: never[]) => unknown;

/** Calls the methods of one thread; `Methods` is the type of its method table. */
export class WorkerClient<Methods extends Record<keyof Methods, Method>> {
  readonly #start: () => WorkerStart;
  readonly #logger: Logger;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #opening: Promise<void> | null = null;
  #lastId = READY_ID;
  #closed = false;

  /** `start` is asked at each start of the thread. */
  constructor(start: () => WorkerStart, logger: Logger) {
    this.#start = start;
    this.#logger = logger;
  }

  /** Starts the thread; rejects with `store_open_failed`, `store_newer_schema` or `store_corrupt`. */
  open(): Promise<void> {
    this.#opening ??= new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(READY_ID, { resolve, reject });
      this.#launch();
    }).then(
      () => {
        this.#opening = null;
      },
      (error: unknown) => {
        this.#opening = null;
        this.#worker = null;
        throw error;
      },
    );
    return this.#opening;
  }

  async call<Name extends keyof Methods & string>(
    method: Name,
    args: Parameters<Methods[Name]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<Methods[Name]>> {
    if (this.#closed) throw storeError('store_closed', 'the store is closed');
    if (this.#waiting.size >= CALLS_MAX)
      throw storeError('store_worker_failed', `more than ${CALLS_MAX} calls wait for the database`);
    if (this.#worker === null || this.#opening !== null) await this.open();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the thread's method table has the type `Methods`.
    return (await this.#send(method, args, transfer)) as ReturnType<Methods[Name]>;
  }

  /** Finishes the calls under way, then ends the thread. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#worker === null) return;
    const worker = this.#worker;
    const exited = new Promise<void>((resolve) => void worker.once('exit', () => resolve()));
    await this.#send(CLOSE_METHOD, [], []);
    await exited;
  }

  #send(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const worker = this.#worker;
      if (worker === null) {
        reject(storeError('store_worker_failed', 'the database thread ended'));
        return;
      }
      this.#lastId += 1;
      const request: WorkerRequest = { id: this.#lastId, method, args };
      this.#waiting.set(request.id, { resolve, reject });
      try {
        worker.postMessage(request, transfer);
      } catch (cause) {
        this.#waiting.delete(request.id);
        reject(
          storeError('store_invalid_row', 'a value that is no plain data cannot be stored', undefined, cause),
        );
      }
    });
  }

  #launch(): void {
    // The same folder holds `.ts` files in development and `.js` files in a release.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const start = this.#start();
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      name: `store-${start.role}`,
      workerData: start,
      // Nothing of the environment (provider keys!) is of use there.
      env: {},
      resourceLimits: RESOURCE_LIMITS,
    });
    this.#worker = worker;
    worker.on('message', (response: WorkerResponse) => this.#settle(response));
    worker.on('error', (error) => {
      this.#logger.error('the database thread failed', { role: start.role, error: describeError(error) });
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = null;
      this.#rejectAll();
    });
  }

  #settle(response: WorkerResponse): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (waiting === undefined) return;
    if (response.ok) {
      waiting.resolve(response.value);
      return;
    }
    const code = isStoreErrorCode(response.code) ? response.code : 'store_corrupt';
    waiting.reject(storeError(code, response.message, response.detail));
  }

  #rejectAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting)
      reject(storeError('store_worker_failed', 'the database thread ended; try again'));
  }
}
