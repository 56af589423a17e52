/**
 * Cuts a byte stream into frames of a fixed header that states the length of what follows. Whole
 * frames within one chunk are given as views; only what spans chunks is copied, once.
 */

export interface FrameShape {
  readonly headerBytes: number;
  /** Bytes after this header; null if that length is refused, which breaks the stream. Bounds the memory. */
  bodyBytes(header: Buffer): number | null;
}

export class FrameSplitter {
  readonly #shape: FrameShape;
  readonly #header: Buffer;
  #headerFilled = 0;
  #body: Buffer | null = null;
  #bodyFilled = 0;
  #isBroken = false;

  constructor(shape: FrameShape) {
    this.#shape = shape;
    this.#header = Buffer.alloc(shape.headerBytes);
  }

  /**
   * Gives every frame that this chunk completes. `header` is valid during the call only; `body` may
   * share the chunk's memory. False when the stream is broken, then and ever after; `onFrame`
   * returning false also stops, after which nothing more is to be pushed.
   */
  push(chunk: Buffer, onFrame: (header: Buffer, body: Buffer) => boolean): boolean {
    let at = 0;
    while (!this.#isBroken) {
      if (this.#body === null) {
        const wanted = this.#shape.headerBytes - this.#headerFilled;
        const taken = chunk.copy(this.#header, this.#headerFilled, at, at + wanted);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled < this.#shape.headerBytes) return true;
        const length = this.#shape.bodyBytes(this.#header);
        if (length === null) break;
        if (chunk.length - at >= length) {
          this.#headerFilled = 0;
          const body = chunk.subarray(at, at + length);
          at += length;
          if (!onFrame(this.#header, body)) break;
          continue;
        }
        this.#body = Buffer.allocUnsafeSlow(length);
        this.#bodyFilled = 0;
      }
      const body = this.#body;
      const taken = chunk.copy(body, this.#bodyFilled, at);
      this.#bodyFilled += taken;
      at += Math.min(taken, chunk.length - at);
      if (this.#bodyFilled < body.length) return true;
      this.#body = null;
      this.#headerFilled = 0;
      if (!onFrame(this.#header, body)) break;
    }
    this.#isBroken = true;
    this.#body = null;
    return false;
  }

  /** True between frames: where a stream may end. */
  get isBetweenFrames(): boolean {
    return this.#headerFilled === 0 && this.#body === null;
  }
}
