/** A text that comes in pieces, examined as if it came whole: gives each stretch once nothing can change its finds. */
import { detect, type CompiledEntries, type EntryDetection } from './compile-entries.ts';
import { holdRules, type HoldRule } from './hold-rules.ts';

/** A stretch that may go on, with its finds; offsets in `text`. */
export interface Settled {
  readonly text: string;
  readonly found: readonly EntryDetection[];
}

/** What stands before a stretch, for detectors that look at the name before a value. */
const CONTEXT_MAX = 128;
/** Beyond this much text on hold, it is looked at again only when an eighth has been added. */
const EAGER_MAX = 2_048;

/** Most text on hold, in UTF-16 units: the longest private key and what stands around it. */
const HELD_MAX = 32_768;

const NOTHING: Settled = { text: '', found: [] };

export class SettledText {
  readonly #compiled: CompiledEntries | null;
  readonly #rules: readonly HoldRule[];
  /** Released before, not given again. */
  #context = '';
  #pending = '';
  #lookAt = 0;

  /** `compiled` null looks for nothing; `further` are rules beside those of the detectors. */
  constructor(compiled: CompiledEntries | null, further: readonly HoldRule[]) {
    this.#compiled = compiled;
    this.#rules = [...(compiled === null ? [] : holdRules(compiled)), ...further];
  }

  push(text: string): Settled {
    this.#pending += text;
    if (this.#pending.length < this.#lookAt) return NOTHING;
    const settled = this.#settle(false);
    const left = this.#pending.length;
    this.#lookAt = left < EAGER_MAX ? 0 : left + (left >> 3);
    return settled;
  }

  finish(): Settled {
    return this.#settle(true);
  }

  /** UTF-16 units that wait. */
  get heldLength(): number {
    return this.#pending.length;
  }

  #settle(isEnd: boolean): Settled {
    if (this.#pending === '') return NOTHING;
    const before = this.#context.length;
    const whole = this.#context + this.#pending;
    let cut = isEnd
      ? whole.length
      : this.#rules.reduce((least, rule) => Math.min(least, rule(whole)), whole.length);
    if (cut <= before) return NOTHING;
    const found = this.#compiled === null ? [] : detect(this.#compiled, whole);
    // A find that goes on beyond the cut waits whole, and what overlaps it with it; one that has
    // no end goes in pieces, of which only the first is sure to be found.
    for (let moved = true; moved;) {
      moved = false;
      for (const { start, end } of found) {
        const isOpen = start < cut && end > cut && start >= before;
        if (!isOpen || whole.length - start > HELD_MAX) continue;
        cut = start;
        moved = true;
      }
    }
    if (cut <= before) return NOTHING;
    const text = whole.slice(before, cut);
    this.#pending = whole.slice(cut);
    this.#context = whole.slice(Math.max(0, cut - CONTEXT_MAX), cut);
    return {
      text,
      found: found
        .filter(({ start, end }) => end > before && start < cut)
        .map((one) => ({
          ...one,
          start: Math.max(0, one.start - before),
          end: Math.min(cut, one.end) - before,
        })),
    };
  }
}
