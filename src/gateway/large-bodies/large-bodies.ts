/**
 * Large bodies are read in a thread: scanning, looking for references and, where there may be some,
 * parsing tens of megabytes takes up to seconds, in which the request loop serves others (DESIGN section 11).
 *
 * The bytes are handed over and back, not copied. Bodies wait in line for the one thread; how many bytes
 * wait is bounded, and what comes beyond is refused as overload.
 */
import { Worker } from 'node:worker_threads';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { withMembers, type BodyFacts } from '../../llm/index.ts';
import type { StoredInputs } from '../../llm/stored-inputs/index.ts';
import type { ObjectReference } from '../ownership/object-references.ts';
import { Refused } from '../reasons.ts';
import { isRefusal, type BodyQuestion, type BodyRefusal } from './read-body-facts.ts';
import type { WorkerAnswer, WorkerQuestion } from './worker.ts';

/** A body that came back from the thread. */
export interface LargeBody {
  /** The same bytes as were given, in another array. */
  readonly body: Buffer;
  readonly facts: BodyFacts;
  readonly references: readonly ObjectReference[];
  readonly storedInputs: StoredInputs;
}

export interface LargeBodies {
  /** Bodies of more bytes than this are for `read`; smaller ones cost less than the way to the thread. */
  readonly fromBytes: number;
  /**
   * Reads a body. The array that is given is empty afterwards. Rejects with `body_invalid`, `model_missing`,
   * and with `overloaded` where too much waits, or the thread failed or took too long.
   */
  read(body: Buffer, question: BodyQuestion): Promise<LargeBody>;
  close(): Promise<void>;
}

export interface LargeBodiesOptions {
  readonly logger: Logger;
  /** Default 1 MiB: about 2 ms on the request loop. */
  readonly fromBytes?: number;
  /** Bytes in line, the one being read included. Default 256 MiB. */
  readonly waitingMaxBytes?: number;
  /** Default 30,000: 64 MiB with references take about 2 s. */
  readonly readMs?: number;
  /** Without work for so long the thread ends. Default 60,000: its memory is given back. */
  readonly idleMs?: number;
}

/** A body of 64 MiB of small members takes some ten times its size when it is parsed. */
const HEAP_MAX_MB = 1024;

interface Waiting {
  readonly size: number;
  readonly question: WorkerQuestion;
  readonly resolve: (body: LargeBody) => void;
  readonly reject: (error: Refused) => void;
}

export function createLargeBodies(options: LargeBodiesOptions): LargeBodies {
  return new ThreadReader(options);
}

class ThreadReader implements LargeBodies {
  readonly fromBytes: number;
  readonly #options: Required<LargeBodiesOptions>;
  #worker: Worker | null = null;
  #waiting: Waiting[] = [];
  #reading: Waiting | null = null;
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastId = 0;
  #closed = false;

  constructor(options: LargeBodiesOptions) {
    this.#options = {
      fromBytes: 1024 * 1024,
      waitingMaxBytes: 256 * 1024 * 1024,
      readMs: 30_000,
      idleMs: 60_000,
      ...options,
    };
    this.fromBytes = this.#options.fromBytes;
  }

  read(body: Buffer, { match, contentType }: BodyQuestion): Promise<LargeBody> {
    const size = body.length;
    if (this.#closed || this.#waitingBytes + size > this.#options.waitingMaxBytes)
      return Promise.reject(new Refused('overloaded', 'too many large bodies are being read at once'));
    this.#waitingBytes += size;
    this.#lastId += 1;
    const question: WorkerQuestion = { id: this.#lastId, bytes: ownBytes(body), match, contentType };
    return new Promise((resolve, reject) => {
      this.#waiting.push({ size, question, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#fail('the server is stopping');
    for (const waiting of this.#waiting.splice(0)) this.#refuse(waiting, 'the server is stopping');
  }

  #next(): void {
    if (this.#reading !== null) return;
    this.#stopTimer();
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#timer = setTimeout(() => void this.#fail('idle'), this.#options.idleMs).unref();
      return;
    }
    this.#reading = next;
    this.#timer = setTimeout(() => void this.#fail('it took too long'), this.#options.readMs).unref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#startWorker().postMessage(next.question, [next.question.bytes]);
  }

  #startWorker(): Worker {
    if (this.#worker !== null) return this.#worker;
    // The built tree has .js files, the source .ts: the thread's file is of this file's kind.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      name: 'large-bodies',
      // Nothing of the environment (provider keys!) is of use there.
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MB },
    });
    worker.unref();
    worker.on('message', (answer: WorkerAnswer) => this.#settle(answer));
    worker.on('error', (error) => {
      this.#options.logger.error('the thread that reads large bodies failed', {
        error: describeError(error),
      });
    });
    worker.on('exit', () => {
      if (this.#worker === worker) void this.#fail('its thread ended');
    });
    this.#worker = worker;
    return worker;
  }

  #settle({ id, bytes, read }: WorkerAnswer): void {
    const waiting = this.#reading;
    if (waiting === null || waiting.question.id !== id) return;
    this.#reading = null;
    this.#waitingBytes -= waiting.size;
    if (isRefusal(read)) waiting.reject(toRefusal(read));
    else {
      const body = Buffer.from(bytes);
      const { references, storedInputs } = read;
      waiting.resolve({ body, facts: withMembers(body, read.facts), references, storedInputs });
    }
    this.#next();
  }

  /** Ends the thread; what it was reading is refused, what waits gets a new one. */
  async #fail(why: string): Promise<void> {
    this.#stopTimer();
    const worker = this.#worker;
    const waiting = this.#reading;
    this.#worker = null;
    this.#reading = null;
    if (waiting !== null) this.#refuse(waiting, why);
    if (this.#waiting.length > 0 && !this.#closed) this.#next();
    await worker?.terminate();
  }

  #refuse({ size, reject }: Waiting, why: string): void {
    this.#waitingBytes -= size;
    reject(new Refused('overloaded', 'the body could not be read', { detail: why }));
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

function toRefusal({ code, message, detail }: BodyRefusal): Refused {
  return new Refused(code, message, detail === undefined ? {} : { detail });
}

/** Bytes that may be handed over: an array that is all the body's own. */
function ownBytes(body: Buffer): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = body;
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength) return buffer;
  const copy = new ArrayBuffer(byteLength);
  body.copy(new Uint8Array(copy));
  return copy;
}
