/**
 * Cuts a streamed JSON array (`[{…},\n{…}]`, Gemini's `streamGenerateContent` without `alt=sse`)
 * into its elements, in any chunking.
 */
import { HeadAndTail, type HeadAndTailLimits } from './head-and-tail.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export class JsonArrayStream {
  readonly #limits: HeadAndTailLimits;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #element: HeadAndTail | null = null;
  #closed = false;

  /** `limits` are of one element; what is beyond them keeps its ends only. */
  constructor(limits: HeadAndTailLimits) {
    this.#limits = limits;
  }

  /** The array's closing bracket was seen. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes the next bytes; calls `element` with each whole object or array of the array. */
  push(chunk: Buffer, element: (json: HeadAndTail) => void): void {
    let start = this.#element === null ? -1 : 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#depth += 1;
        if (this.#depth === 2) {
          this.#element = new HeadAndTail(this.#limits);
          start = at;
        }
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth -= 1;
        if (this.#depth === 1 && this.#element !== null) {
          this.#element.push(chunk.subarray(start, at + 1));
          element(this.#element);
          this.#element = null;
        } else if (this.#depth === 0) {
          this.#closed = true;
        }
      }
    }
    this.#element?.push(chunk.subarray(start));
  }
}
