/**
 * Long texts are looked at in slices, one in each turn of the event loop whoever asks, so that the streams
 * of others go on in between (DESIGN section 11: the loop is never held over 10 ms).
 */
import { SCAN_STEP_CHARS, type Scan } from '../llm/scan.ts';

/** Characters times detectors in one slice: about 1 ms for text full of numbers. */
const SLICE_CHARS = 65_536;

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

/** A look that goes on in the turns that it gets. */
export async function inSlices<Found>(scan: Scan<Found>, slices: Slices): Promise<Found> {
  for (;;) {
    const step = scan.next();
    if (step.done === true) return step.value;
    const turn = slices.before(step.value ?? SCAN_STEP_CHARS);
    if (turn !== null) await turn;
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
