/** The report of what a translation could not say: names of fields, each once. */

const NAMES_MAX = 64;
/** Keys are the caller's own text: only plain words go into a header. */
const PLAIN_NAME = /^[A-Za-z][\w.-]{0,63}$/;

/** Gathers names; beyond the limit they are left out. */
export class Losses {
  readonly #names = new Set<string>();

  /** `field` is a path in the caller's words (`tools.web_search`). What is no plain word counts as `other`. */
  add(field: string): void {
    if (this.#names.size < NAMES_MAX) this.#names.add(PLAIN_NAME.test(field) ? field : 'other');
  }

  /** Adds the members of `record` that are not in `known` and not null. */
  addUnknown(record: Readonly<Record<string, unknown>>, known: ReadonlySet<string>, prefix = ''): void {
    for (const key of Object.keys(record)) {
      const value = record[key];
      if (value !== null && value !== undefined && !known.has(key)) this.add(prefix + key);
    }
  }

  list(): readonly string[] {
    return [...this.#names].sort();
  }
}
