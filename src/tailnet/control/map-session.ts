/**
 * One map stream: takes messages from its viewer when it may write, frames and compresses them, and keeps
 * the stream alive. At most one message is under way; what changes meanwhile goes with the next.
 *
 *   offset  bytes  what
 *   0       4      L, little-endian
 *   4       L      JSON, or a zstd frame of it (RFC 8878)
 */
import type { ServerHttp2Stream } from 'node:http2';
import { zstdCompressSync } from 'node:zlib';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';

/** Changes come in bursts: a device that joins states its endpoints, then its home relay. */
const COALESCE_MS = 60;
/** Clients give a stream up after two minutes of silence. */
const KEEP_ALIVE_MS = 50_000;
const KEEP_ALIVE_JITTER_MS = 9000;
/** A reader that takes nothing for so long is gone. */
const STALLED_MS = 60_000;
const KEEP_ALIVE_JSON = '{"KeepAlive":true}';

export interface MapSessionOptions {
  readonly stream: ServerHttp2Stream;
  readonly wantsZstd: boolean;
  readonly wantsKeepAlive: boolean;
  /** The next message, or null. */
  readonly take: () => string | null;
  readonly clock: Clock;
  readonly random: Random;
}

export class MapSession {
  readonly #options: MapSessionOptions;
  readonly #frame: (json: string) => Buffer;
  #isWriting = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #keepAliveAt: number;
  #writingSince = 0;

  constructor(options: MapSessionOptions) {
    this.#options = options;
    this.#frame = options.wantsZstd ? compressedFrame : plainFrame;
    this.#keepAliveAt = this.#nextKeepAlive();
    options.stream.once('close', () => this.#stop());
  }

  /** There is something to take. */
  wake(): void {
    if (this.#isWriting || this.#timer !== undefined || this.#isOver()) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.pump();
    }, COALESCE_MS);
  }

  /** Sends what there is, now. */
  pump(): void {
    if (this.#isWriting || this.#isOver()) return;
    const json = this.#options.take();
    if (json !== null) this.#send(json);
  }

  /** Keeps the stream alive, or ends one that is dead. About once a second. */
  pass(): void {
    const now = this.#options.clock.monotonicMs();
    if (this.#isOver()) return;
    if (this.#isWriting) {
      if (now - this.#writingSince > STALLED_MS) this.#options.stream.close();
      return;
    }
    if (this.#options.wantsKeepAlive && now >= this.#keepAliveAt) this.#send(KEEP_ALIVE_JSON);
  }

  /** A last message, if any, and the end. */
  end(farewell: string | null): void {
    if (this.#isOver()) return;
    this.#stop();
    const { stream } = this.#options;
    if (farewell === null) stream.end();
    else stream.end(this.#frame(farewell));
  }

  #send(json: string): void {
    const { stream, clock } = this.#options;
    this.#isWriting = true;
    this.#writingSince = clock.monotonicMs();
    this.#keepAliveAt = this.#nextKeepAlive();
    /* The callback comes when the bytes are out of our hands: until then nothing more is made. */
    stream.write(this.#frame(json), () => {
      this.#isWriting = false;
      this.wake();
    });
  }

  #isOver(): boolean {
    const { stream } = this.#options;
    return stream.destroyed || stream.closed || stream.writableEnded;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #nextKeepAlive(): number {
    const { clock, random } = this.#options;
    const share = Buffer.from(random.bytes(2)).readUInt16BE(0) / 0x1_0000;
    return clock.monotonicMs() + KEEP_ALIVE_MS + share * KEEP_ALIVE_JITTER_MS;
  }
}

function plainFrame(json: string): Buffer {
  return framed(Buffer.from(json));
}

function compressedFrame(json: string): Buffer {
  return framed(zstdCompressSync(json));
}

function framed(body: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32LE(body.length, 0);
  return Buffer.concat([length, body]);
}
