/** Numbers that look random and are the same for the same seed (mulberry32). Never for secrets. */

export interface Seeded {
  /** At least 0, below 1. */
  fraction(): number;
  /** A whole number from `from` to `to`, both included. */
  whole(from: number, to: number): number;
  chance(share: number): boolean;
  /** One of a list that is not empty. */
  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T;
  /** Around `middle`, mostly near it, seldom several times as much: how long answers and pauses are. */
  skewed(middle: number): number;
  /** Another one, whose numbers do not depend on how many this one gave. */
  fork(name: string): Seeded;
}

export function createSeeded(seed: number): Seeded {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    fraction,
    whole: (from, to) => from + Math.floor(fraction() * (to - from + 1)),
    chance: (share) => fraction() < share,
    pick(list) {
      const found = list[Math.floor(fraction() * list.length)];
      if (found === undefined) throw new RangeError('a list to pick from must not be empty');
      return found;
    },
    skewed: (middle) => middle * Math.exp((fraction() + fraction() + fraction() - 1.5) * 1.2),
    fork: (name) => createSeeded(hashText(`${seed}/${name}`)),
  };
}

/** FNV-1a over UTF-16 units, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
