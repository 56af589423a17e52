/**
 * Which counters of a session were seen (RFC 6479): a ring of 8192 bits that moves up with the
 * highest counter, by whole words, so that nothing is shifted.
 */

const WORD_BITS = 32;
const WORDS = 256;
/** Counters that may arrive late: one word less than the ring, since the newest word is partly unused. */
export const REPLAY_WINDOW_COUNTERS = (WORDS - 1) * WORD_BITS;

/** The window of one direction of one session. */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS);
  #highest = -1;

  /** Whether a counter is neither seen nor too old. Changes nothing: to be asked before the packet is opened. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true;
    if (this.#highest - counter >= REPLAY_WINDOW_COUNTERS) return false;
    const word = this.#words[wordOf(counter) % WORDS] ?? 0;
    return (word & (1 << (counter % WORD_BITS))) === 0;
  }

  /** Notes a fresh counter as seen, after its packet proved to be genuine. */
  mark(counter: number): void {
    const word = wordOf(counter);
    if (counter > this.#highest) {
      const before = this.#highest < 0 ? -1 : wordOf(this.#highest);
      const skipped = Math.min(word - before, WORDS);
      for (let step = 0; step < skipped; step += 1) this.#words[(word - step) % WORDS] = 0;
      this.#highest = counter;
    }
    const at = word % WORDS;
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (counter % WORD_BITS));
  }
}

function wordOf(counter: number): number {
  return Math.floor(counter / WORD_BITS);
}
