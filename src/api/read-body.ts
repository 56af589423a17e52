/** Reads a small request body whole, with a cap, before the framework sees it. */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { ApiError } from './errors.ts';

/**
 * The body as `rawBody` on the request, where the framework's adapter looks for it; its own stream
 * of a body without a stated length cannot be capped. Throws `body_too_large`, or `invalid_request`
 * if the client goes away. The listener bounds the time.
 */
export async function readWholeBody(incoming: IncomingMessage, maxBytes: number): Promise<void> {
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Left open on a throw: the adapter drains what the client still sends, so that it reads the answer.
    for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
      const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      bytes += part.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(part);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError('invalid_request', 'the body ended early', { cause: error });
  }
  Object.assign(incoming, { rawBody: Buffer.concat(chunks) });
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError('body_too_large', `the body is over this route's limit of ${maxBytes} bytes`);
}
