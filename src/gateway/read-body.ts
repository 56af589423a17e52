/** Reads a request body whole, within a limit. */
import type { IncomingMessage } from 'node:http';
import type { TrackedExchange } from './active.ts';
import { Refused } from './reasons.ts';

export interface ReadBodyOptions {
  readonly maxBytes: number;
  readonly budget: BodyBudget;
  /** Ends the reading when the right to it is withdrawn. */
  readonly active: Pick<TrackedExchange, 'takeOver'>;
}

/**
 * What `use` makes of the body's bytes; one chunk is given to it as it is, without a copy. Rejects with
 * `body_too_large` at the limit (the rest is not read), with `body_incomplete` where the caller went
 * away, with the reason of a cut, and with what `use` throws. The bytes are taken from `budget` and stay
 * taken where it resolves: the caller releases them with the exchange.
 */
export function readBody<Result>(
  req: IncomingMessage,
  { maxBytes, budget, active }: ReadBodyOptions,
  use: (body: Buffer) => Result | Promise<Result>,
): Promise<Result> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  // Who left while the doors were asked has had its `close` already; no event would come.
  if (req.destroyed && !req.readableEnded) return Promise.reject(leftEarly());
  return new Promise((resolve, reject) => {
    const chunks = new BodyChunks();
    let size = 0;
    let settled = false;
    const fail = (error: unknown): void => {
      settled = true;
      budget.release(size);
      reject(error);
    };
    const stop = (error: Refused): void => {
      if (settled) return;
      req.pause();
      fail(error);
    };
    active.takeOver(stop);
    req.on('data', (chunk: Buffer) => {
      if (settled) return;
      if (size + chunk.length > maxBytes) return stop(tooLarge(maxBytes));
      if (!budget.take(chunk.length)) {
        return stop(new Refused('overloaded', 'too many request bodies are being read at once'));
      }
      size += chunk.length;
      chunks.push(chunk);
    });
    // Not `once`: each of these comes once at most, and its wrapper would cost more than the listener.
    req.on('end', () => {
      if (settled) return;
      settled = true;
      try {
        // Used here, not after an `await`: a promise more for each request is half a microsecond.
        const whole = chunks.whole(size);
        const used = whole instanceof Promise ? whole.then(use) : use(whole);
        if (used instanceof Promise) used.then(resolve, fail);
        else resolve(used);
      } catch (error) {
        fail(error);
      }
    });
    req.on('close', () => {
      // Every request ends with a close; an error is made only for those that ended early.
      if (!settled) stop(leftEarly());
    });
    req.on('error', (error) =>
      stop(new Refused('body_incomplete', 'the body could not be read', { cause: error })),
    );
  });
}

/** Chunks joined at a time. */
const JOINED_MAX = 256;
/** Chunks of this size or more on average are kept as they are: they cost little more than their bytes. */
const SMALL_BYTES = 4096;

/** The chunks of a body. A sender of single bytes makes us hold them in few pieces, not in millions of objects. */
class BodyChunks {
  /** Most bodies are one chunk, for which no list is made. */
  #only: Buffer | null = null;
  #pieces: Buffer[] | null = null;
  #recent: Buffer[] = [];
  #recentBytes = 0;

  push(chunk: Buffer): void {
    if (this.#pieces === null) {
      if (this.#only === null) {
        this.#only = chunk;
        return;
      }
      this.#pieces = [];
      this.#recent = [this.#only];
      this.#recentBytes = this.#only.length;
    }
    this.#recent.push(chunk);
    this.#recentBytes += chunk.length;
    if (this.#recent.length < JOINED_MAX) return;
    if (this.#recentBytes < JOINED_MAX * SMALL_BYTES) {
      this.#pieces.push(Buffer.concat(this.#recent, this.#recentBytes));
    } else this.#pieces.push(...this.#recent);
    this.#recent = [];
    this.#recentBytes = 0;
  }

  whole(size: number): Buffer | Promise<Buffer> {
    if (this.#pieces === null) return this.#only ?? NO_BYTES;
    const all = [...this.#pieces, ...this.#recent];
    return size > JOINED_AT_ONCE_BYTES ? joinInTurns(all, size) : Buffer.concat(all, size);
  }
}

const NO_BYTES = Buffer.alloc(0);

/** 4 MiB are copied in about 2 ms; then others have their turn. */
const JOINED_AT_ONCE_BYTES = 4 * 1024 * 1024;

async function joinInTurns(pieces: readonly Buffer[], size: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(size);
  let at = 0;
  let pausedAt = 0;
  for (const piece of pieces) {
    piece.copy(whole, at);
    at += piece.length;
    if (at - pausedAt < JOINED_AT_ONCE_BYTES) continue;
    pausedAt = at;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return whole;
}

function leftEarly(): Refused {
  return new Refused('body_incomplete', 'the connection closed before the body ended');
}

/** The refusal of a body over the limit. */
export function tooLarge(maxBytes: number): Refused {
  return new Refused(
    'body_too_large',
    `the body is over the limit of ${maxBytes} bytes (limits.bodyMaxBytes)`,
  );
}

/** Bytes of request bodies held at once, over all requests of the process. */
export interface BodyBudget {
  /** Bytes taken now. */
  readonly heldBytes: number;
  take(bytes: number): boolean;
  release(bytes: number): void;
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  let held = 0;
  return {
    get heldBytes() {
      return held;
    },
    take(bytes) {
      if (held + bytes > maxBytes) return false;
      held += bytes;
      return true;
    },
    release(bytes) {
      held -= bytes;
    },
  };
}
