/** Reads a request body whole, within a limit. */
import type { IncomingMessage } from 'node:http';
import { Refused } from './reasons.ts';

/**
 * The body's bytes; one chunk is returned as it is, without a copy. Rejects with `body_too_large`
 * at the limit (the rest is not read) and with `body_incomplete` where the caller went away.
 * The bytes are taken from `budget` and stay taken: the caller releases them with the exchange.
 */
export function readBody(req: IncomingMessage, maxBytes: number, budget: BodyBudget): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let settled = false;
    const fail = (error: Refused): void => {
      if (settled) return;
      settled = true;
      budget.release(size);
      req.pause();
      reject(error);
    };
    req.on('data', (chunk: Buffer) => {
      if (settled) return;
      if (size + chunk.length > maxBytes) return fail(tooLarge(maxBytes));
      if (!budget.take(chunk.length)) {
        return fail(new Refused('overloaded', 'too many request bodies are being read at once'));
      }
      size += chunk.length;
      chunks.push(chunk);
    });
    req.once('end', () => {
      if (settled) return;
      settled = true;
      const only = chunks.length === 1 ? chunks[0] : undefined;
      resolve(only ?? Buffer.concat(chunks, size));
    });
    req.once('close', () => fail(new Refused('body_incomplete', 'the connection closed before the body ended')));
    req.once('error', (error) => fail(new Refused('body_incomplete', 'the body could not be read', { cause: error })));
  });
}

function tooLarge(maxBytes: number): Refused {
  return new Refused('body_too_large', `the body is over the limit of ${maxBytes} bytes (limits.bodyMaxBytes)`);
}

/** Bytes of request bodies held at once, over all requests of the process. */
export interface BodyBudget {
  take(bytes: number): boolean;
  release(bytes: number): void;
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  let held = 0;
  return {
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
