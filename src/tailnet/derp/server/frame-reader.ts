/**
 * Cuts what a client sends into frames, header included, so that a frame can be altered where it lies
 * and sent on without a copy. Only a frame that spans chunks is copied, once.
 */
import { DERP_HEADER_BYTES } from '../../../wire/derp.ts';

/** The frame is `bytes` from `start` to `end`. False: no more. */
export type OnRelayFrame = (bytes: Buffer, start: number, end: number) => boolean;

export class FrameReader {
  /** A body that says it is longer breaks the stream; it bounds the memory of a connection. */
  bodyMaxBytes: number;
  readonly #header = Buffer.alloc(DERP_HEADER_BYTES);
  #headerFilled = 0;
  /** A frame that came in part, and how much of it. */
  #frame: Buffer | null = null;
  #frameFilled = 0;

  constructor(bodyMaxBytes: number) {
    this.bodyMaxBytes = bodyMaxBytes;
  }

  /** False: a frame is too long, or `onFrame` said so; nothing more is to be pushed. */
  push(chunk: Buffer, onFrame: OnRelayFrame): boolean {
    let at = this.#frame === null && this.#headerFilled === 0 ? 0 : this.#finish(chunk, onFrame);
    if (at < 0) return false;
    while (chunk.length - at >= DERP_HEADER_BYTES) {
      const end = at + DERP_HEADER_BYTES + chunk.readUInt32BE(at + 1);
      if (end - at - DERP_HEADER_BYTES > this.bodyMaxBytes) return false;
      if (end > chunk.length) {
        this.#keep(chunk, at, end - at);
        return true;
      }
      if (!onFrame(chunk, at, end)) return false;
      at = end;
    }
    if (at < chunk.length) this.#headerFilled = chunk.copy(this.#header, 0, at);
    return true;
  }

  /** Completes what an earlier chunk began. Gives where the rest begins; -1 to stop. */
  #finish(chunk: Buffer, onFrame: OnRelayFrame): number {
    let at = 0;
    if (this.#frame === null) {
      at = chunk.copy(this.#header, this.#headerFilled);
      this.#headerFilled += at;
      if (this.#headerFilled < DERP_HEADER_BYTES) return at;
      const bodyBytes = this.#header.readUInt32BE(1);
      if (bodyBytes > this.bodyMaxBytes) return -1;
      this.#keep(this.#header, 0, DERP_HEADER_BYTES + bodyBytes);
    }
    const frame = this.#frame;
    if (frame === null) return -1;
    const taken = chunk.copy(frame, this.#frameFilled, at);
    this.#frameFilled += taken;
    if (this.#frameFilled < frame.length) return at + taken;
    this.#frame = null;
    this.#headerFilled = 0;
    return onFrame(frame, 0, frame.length) ? at + taken : -1;
  }

  #keep(bytes: Buffer, at: number, frameBytes: number): void {
    this.#frame = Buffer.allocUnsafeSlow(frameBytes);
    this.#frameFilled = bytes.copy(this.#frame, 0, at);
    this.#headerFilled = 0;
  }
}
