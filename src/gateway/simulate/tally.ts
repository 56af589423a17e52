/** Counting by name within bounds: names come from callers and models. */

/** What the names beyond the bound are counted under. */
export const OTHERS = '(others)';

export interface Tally<Item> {
  /** The item of a name, made when it is new; beyond the bound that of all others. */
  of(name: string): Item;
  /** The greatest first, equal ones by name. */
  top(most: number, size: (item: Item) => number): readonly (readonly [name: string, item: Item])[];
}

/** `make` is called with the name that counts, which may be `OTHERS`. */
export function createTally<Item>(namesMax: number, make: (name: string) => Item): Tally<Item> {
  const items = new Map<string, Item>();
  const get = (name: string): Item => {
    const known = items.get(name);
    if (known !== undefined) return known;
    const made = make(name);
    items.set(name, made);
    return made;
  };
  return {
    of: (name) => (items.has(name) || items.size < namesMax ? get(name) : get(OTHERS)),
    top: (most, size) =>
      [...items]
        .map((entry) => ({ entry, size: size(entry[1]) }))
        .filter((one) => one.size > 0)
        .sort((a, b) => b.size - a.size || (a.entry[0] < b.entry[0] ? -1 : 1))
        .slice(0, most)
        .map(({ entry }) => entry),
  };
}
