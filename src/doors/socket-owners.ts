/**
 * Who owns the other end of a connection within this machine: asks the thread that reads the
 * kernel's tables. Questions that arrive while a read runs wait for the next one, because the
 * running one may have begun before their connection existed; however many wait, one read serves all.
 */
import { Worker } from 'node:worker_threads';
import { type Endpoints, rowKeys } from './socket-table.ts';
import type { TableAnswer, TableQuestion } from './socket-table-worker.ts';

export interface SocketOwners {
  /** The uid of the client end, or null if no established row with an owner matches both ends. */
  ownerOf(ends: Endpoints): Promise<number | null>;
  close(): Promise<void>;
}

export interface SocketOwnersOptions {
  /** Where `tcp` and `tcp6` lie. Default `/proc/net`; tests give their own. */
  readonly folder?: string;
  /** Questions that may wait. Default 20,000; more are answered with null. */
  readonly waitingMax?: number;
  /** Reads for one question: a row can be missed while the table changes. Default 2. */
  readonly readsMax?: number;
  /** A read that takes longer is given up and its questions answered with null. Default 5,000. */
  readonly readMs?: number;
}

interface Question {
  readonly keys: readonly string[];
  readonly port: string;
  readsLeft: number;
  readonly answer: (uid: number | null) => void;
}

/** Megabytes: the thread holds one table and little else. */
const HEAP_MAX_MB = 32;

export function createSocketOwners(options: SocketOwnersOptions = {}): SocketOwners {
  return new TableReader(options);
}

class TableReader implements SocketOwners {
  readonly #options: Required<SocketOwnersOptions>;
  #worker: Worker | null = null;
  #waiting: Question[] = [];
  #reading: Question[] | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: SocketOwnersOptions) {
    this.#options = { folder: '/proc/net', waitingMax: 20_000, readsMax: 2, readMs: 5000, ...options };
  }

  ownerOf(ends: Endpoints): Promise<number | null> {
    const keys = rowKeys(ends);
    if (keys === null || this.#closed || this.#waiting.length >= this.#options.waitingMax)
      return Promise.resolve(null);
    const port = (keys[0] ?? '').slice(-4);
    return new Promise((answer) => {
      this.#waiting.push({ keys, port, readsLeft: this.#options.readsMax, answer });
      this.#read();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#giveUp();
    for (const question of this.#waiting.splice(0)) question.answer(null);
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #read(): void {
    if (this.#reading !== null || this.#waiting.length === 0 || this.#closed) return;
    this.#reading = this.#waiting;
    this.#waiting = [];
    const question: TableQuestion = {
      keys: this.#reading.flatMap(({ keys }) => keys),
      ports: [...new Set(this.#reading.map(({ port }) => port))],
    };
    this.#timer = setTimeout(() => this.#dropWorker(), this.#options.readMs);
    this.#timer.unref();
    const worker = this.#startWorker();
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(question);
  }

  #startWorker(): Worker {
    if (this.#worker !== null) return this.#worker;
    /* The built tree has .js files, the source .ts: the thread's file is of this file's kind. */
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./socket-table-worker.${extension}`, import.meta.url), {
      workerData: { folder: this.#options.folder },
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MB },
      name: 'socket-table',
    });
    worker.unref();
    worker.on('message', (answer: TableAnswer) => this.#settle(answer));
    worker.on('error', () => this.#dropWorker());
    worker.on('exit', () => {
      if (this.#worker === worker) this.#dropWorker();
    });
    this.#worker = worker;
    return worker;
  }

  #settle({ owners }: TableAnswer): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const asked = this.#reading ?? [];
    this.#reading = null;
    /* Between reads the thread does not keep the process alive. */
    this.#worker?.unref();
    for (const question of asked) {
      const key = question.keys.find((candidate) => owners.has(candidate));
      question.readsLeft -= 1;
      if (key !== undefined) question.answer(owners.get(key) ?? null);
      else if (question.readsLeft > 0) this.#waiting.push(question);
      else question.answer(null);
    }
    this.#read();
  }

  /** The thread hangs or died: nobody is known, and the next question starts another. */
  #dropWorker(): void {
    const worker = this.#worker;
    this.#worker = null;
    worker?.terminate().catch(() => {});
    this.#giveUp();
    this.#read();
  }

  #giveUp(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const question of this.#reading ?? []) question.answer(null);
    this.#reading = null;
  }
}
