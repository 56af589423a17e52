import { inspect } from 'node:util';

/** What a secret prints as, wherever it is printed. */
export const REDACTED = '[secret]';

/**
 * A value that must not reach a log, an error, an export or a page. Printing, interpolating,
 * inspecting and serialising give `[secret]`; only `reveal()` gives the value, so that a search
 * for that word finds every use.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it where the value is used, never to pass it on. */
  reveal(): string {
    return this.#value;
  }

  /** The last four characters of a value of 12 or more, to tell keys apart; else `****`. */
  hint(): string {
    return this.#value.length >= 12 ? `…${this.#value.slice(-4)}` : '****';
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
