/** Puts an answer on the wire as a behaviour wants it: whole, slowly, cut, in odd pieces, or not at all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { ServerResponse } from 'node:http';
import type { Behaviour } from './behaviours.ts';

/** An answer that is ready to be sent. */
export interface Delivery {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** One item an event for streams, one item in all for JSON. */
  readonly parts: readonly string[];
  readonly streamed: boolean;
  /** The format's error event; only for streams. */
  readonly streamError: string;
}

/** How many odd pieces one answer is cut into at most; the rest follows in one. */
const MAX_PIECES = 20_000;

/** A reset discards what the other side has not read yet, so give it the time to read. */
const RESET_AFTER_MS = 50;

const HOSTILE_HEADERS: readonly (readonly [string, string])[] = [
  ['set-cookie', 'postern_presence=stolen; Path=/'],
  ['access-control-allow-origin', '*'],
  ['access-control-allow-credentials', 'true'],
  ['refresh', '0; url=http://127.0.0.1:9/'],
  ['clear-site-data', '"*"'],
  ['content-security-policy', "default-src *; script-src * 'unsafe-inline'"],
  ['x-postern-request-id', 'forged'],
  ['x-postern-warning', 'forged'],
  ['alt-svc', 'h3=":9"'],
  ['strict-transport-security', 'max-age=31536000'],
];

/** Where an answer goes. */
export interface Destination {
  readonly response: ServerResponse;
  /** Gets every piece that is written. */
  readonly sent: Buffer[];
  /** Fires when the other side leaves or the fake closes. */
  readonly signal: AbortSignal;
}

/** Sends `delivery`. Does not throw when the signal fires. */
export async function deliver(
  destination: Destination,
  delivery: Delivery,
  behaviour: Behaviour,
): Promise<void> {
  try {
    await deliverOrThrow(destination, delivery, behaviour);
  } catch (error) {
    if (!destination.signal.aborted) throw error;
  }
}

async function deliverOrThrow(
  destination: Destination,
  delivery: Delivery,
  behaviour: Behaviour,
): Promise<void> {
  const { response, sent, signal } = destination;
  if (behaviour.delayBeforeMs > 0) await sleep(behaviour.delayBeforeMs, undefined, { signal });
  if (behaviour.stop === 'hang-before-headers') return untilAborted(signal);
  if (behaviour.stop === 'reset-before-headers') return reset(response);

  const pieces = cut(delivery, behaviour);
  const whole = behaviour.stop === null && !behaviour.errorInStream;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const headers = delivery.headers.flatMap(([name, value]) => [name, value]);
  if (behaviour.hostileHeaders) headers.push(...HOSTILE_HEADERS.flat());
  if (behaviour.gzip) headers.push('content-encoding', 'gzip');
  if (!delivery.streamed && whole) headers.push('content-length', String(length));
  response.writeHead(delivery.status, headers);
  response.flushHeaders();

  for (const [index, piece] of pieces.entries()) {
    if (index > 0 && behaviour.delayBetweenMs > 0)
      await sleep(behaviour.delayBetweenMs, undefined, { signal });
    sent.push(piece);
    if (!response.write(piece)) await drained(response, signal);
    // Each odd piece has to leave by itself, or the kernel would join them again.
    if (behaviour.chunking === 'byte' || behaviour.chunking === 'split-utf8') await nextTurn();
  }
  if (behaviour.stop === 'hang-mid-stream') return untilAborted(signal);
  if (behaviour.stop === 'reset-mid-stream') {
    await sleep(RESET_AFTER_MS, undefined, { signal });
    return reset(response);
  }
  response.end();
}

/** The writes that the behaviour asks for, short of what it withholds. */
function cut(delivery: Delivery, behaviour: Behaviour): Buffer[] {
  let parts = [...delivery.parts];
  if (behaviour.garbage) parts = ['<html>', 'this is not what it says\u0000', '</html>'];
  if (behaviour.stop !== null || (behaviour.errorInStream && delivery.streamed)) {
    parts = parts.length > 1 ? parts.slice(0, Math.ceil(parts.length / 2)) : halves(parts[0] ?? '');
  }
  if (behaviour.errorInStream && delivery.streamed) parts.push(delivery.streamError);
  if (behaviour.gzip) return [gzipSync(parts.join(''))];
  if (behaviour.chunking === 'event') return parts.map((part) => Buffer.from(part));
  const bytes = Buffer.from(parts.join(''));
  if (behaviour.chunking === 'coalesced') return [bytes];
  return slices(bytes, behaviour.chunking === 'byte' ? () => true : isContinuation);
}

/** Inside a character of UTF-8, where no polite sender would cut. */
function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0;
}

function halves(text: string): string[] {
  return [text.slice(0, Math.floor(text.length / 2))];
}

/** Cuts before every byte for which `before` holds. */
function slices(bytes: Buffer, before: (byte: number) => boolean): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let i = 1; i < bytes.length && pieces.length < MAX_PIECES; i += 1) {
    if (!before(bytes[i] ?? 0)) continue;
    pieces.push(bytes.subarray(start, i));
    start = i;
  }
  pieces.push(bytes.subarray(start));
  return pieces;
}

function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
