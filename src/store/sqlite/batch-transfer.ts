/**
 * A batch of exchanges on its way to the writer's thread: rows as plain objects, and all bytes in
 * one buffer that is handed over, not cloned. (A clone of a small Buffer would take its whole pool
 * along.) The sender keeps its own arrays, so that a batch can be sent again after a failure.
 */
import type { CapturedBodies, RequestBatch, RequestRow } from '../shapes.ts';

/** Where a byte string lies in `data`. */
type Span = readonly [start: number, end: number];

export interface PackedBatch {
  readonly rows: readonly RequestRow[];
  readonly bodies: readonly (Omit<CapturedBodies, 'request' | 'response'> & {
    readonly request: Span;
    readonly response: Span;
  })[];
  readonly conversations: readonly (readonly [requestId: string, span: Span])[];
  readonly data: ArrayBuffer;
}

/** 4 MiB are copied in about 1 ms; then others have their turn. */
const COPY_BYTES_AT_ONCE = 4 * 1024 * 1024;

export async function packBatch(batch: RequestBatch): Promise<PackedBatch> {
  const spans = new Map<Uint8Array, Span>();
  let size = 0;
  const place = (bytes: Uint8Array): Span => {
    // A conversation is mostly the very same array as the captured request.
    const known = spans.get(bytes);
    if (known !== undefined) return known;
    const span: Span = [size, size + bytes.byteLength];
    size = span[1];
    spans.set(bytes, span);
    return span;
  };
  const bodies = batch.bodies.map((body) => ({
    ...body,
    request: place(body.request),
    response: place(body.response),
  }));
  const conversations = [...(batch.conversations ?? [])].map(([id, bytes]) => [id, place(bytes)] as const);
  const data = new ArrayBuffer(size);
  await copyInTurns(spans, new Uint8Array(data));
  return { rows: batch.rows, bodies, conversations, data };
}

export function unpackBatch(packed: PackedBatch): RequestBatch {
  const data = new Uint8Array(packed.data);
  return {
    rows: packed.rows,
    bodies: packed.bodies.map((body) => ({
      ...body,
      request: data.subarray(...body.request),
      response: data.subarray(...body.response),
    })),
    conversations: new Map(packed.conversations.map(([id, span]) => [id, data.subarray(...span)])),
  };
}

async function copyInTurns(spans: ReadonlyMap<Uint8Array, Span>, data: Uint8Array): Promise<void> {
  let copied = 0;
  for (const [bytes, [start]] of spans) {
    for (let at = 0; at < bytes.byteLength; at += COPY_BYTES_AT_ONCE) {
      const piece = bytes.subarray(at, at + COPY_BYTES_AT_ONCE);
      data.set(piece, start + at);
      copied += piece.byteLength;
      if (copied < COPY_BYTES_AT_ONCE) continue;
      copied = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
