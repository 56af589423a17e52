/**
 * Compressed request bodies (RFC 9110 section 8.4): decoded, because policy must see what the provider sees,
 * and sent on plain. Output is bounded by the limit of bodies and counted in their budget as it comes, so
 * that a few bytes cannot ask for many. One coding only; a list of them is refused.
 */
import type { IncomingMessage } from 'node:http';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import { tooLarge, type BodyBudget } from './read-body.ts';
import { Refused } from './reasons.ts';

/** 8 MiB: the largest window of the coding `zstd` (RFC 9659 section 3); a larger one would be memory that no budget sees. */
const ZSTD_WINDOW_LOG_MAX = 23;

const DECODERS = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }),
} as const satisfies Record<string, () => Transform>;

export type ContentCoding = keyof typeof DECODERS;

/** Null for a plain body. Throws `encoding_unsupported`. */
export function contentCodingOf({ headers }: Pick<IncomingMessage, 'headers'>): ContentCoding | null {
  const named = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (named === 'identity' || named === '') return null;
  if (isCoding(named)) return named;
  throw new Refused(
    'encoding_unsupported',
    `the content-encoding is not one of ${Object.keys(DECODERS).join(', ')}; one at a time`,
  );
}

function isCoding(name: string): name is ContentCoding {
  return Object.hasOwn(DECODERS, name);
}

/**
 * The decoded body, taken from `budget`. Rejects with `body_too_large`, `overloaded`, or `body_invalid`
 * for bytes that are not of the coding; then nothing stays taken.
 */
export function decodeBody(
  body: Buffer,
  coding: ContentCoding,
  { maxBytes, budget }: { readonly maxBytes: number; readonly budget: BodyBudget },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const decoder: Transform = DECODERS[coding]();
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = (error: Refused): void => {
      decoder.destroy();
      budget.release(size);
      size = 0;
      reject(error);
    };
    decoder.on('data', (chunk: Buffer) => {
      if (decoder.destroyed) return;
      if (size + chunk.length > maxBytes) return fail(tooLarge(maxBytes));
      if (!budget.take(chunk.length))
        return fail(new Refused('overloaded', 'too many request bodies are being read at once'));
      size += chunk.length;
      chunks.push(chunk);
    });
    decoder.on('end', () => resolve(Buffer.concat(chunks, size)));
    decoder.on('error', (error) =>
      fail(new Refused('body_invalid', `the body is not valid ${coding}`, { cause: error })),
    );
    decoder.end(body);
  });
}
