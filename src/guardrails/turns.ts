/**
 * Long texts are looked at in slices, one in each turn of the event loop whoever asks, so that the streams
 * of others go on in between (DESIGN section 11: the loop is never held over 10 ms).
 */

/**
 * Characters times detectors in one slice: 1 to 2 ms for text full of numbers. One detector looks at one text
 * in one go, which takes up to 5 ms for 400 KB.
 */
const SLICE_CHARS = 131_072;

/** Gives a turn to one who waits, then to the next; in the order of asking. */
export class Turns {
  #waiting: (() => void)[] = [];
  #isSet = false;

  /** Resolves in a turn of the loop that nobody else got from here. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#set();
    });
  }

  #set(): void {
    if (this.#isSet || this.#waiting.length === 0) return;
    this.#isSet = true;
    setImmediate(() => {
      this.#isSet = false;
      this.#waiting.shift()?.();
      this.#set();
    });
  }
}

/** How far one look has come in its turn. */
export class Slices {
  readonly #turns: Turns;
  #left = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Asked before `chars` are looked at; a promise where that is for another turn, the first time always. */
  before(chars: number): Promise<void> | null {
    if (this.#left > 0) {
      this.#left -= chars;
      return null;
    }
    this.#left = SLICE_CHARS - chars;
    return this.#turns.next();
  }
}
