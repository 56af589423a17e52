/**
 * What follows from a header's name alone is worked out once for each spelling of it: the same few
 * names come with every request, and to fold and look up each anew is the dearest part of filtering.
 */

/** Spellings that are remembered; strangers choose them, so the number and the length are bounded. */
const REMEMBERED_MAX = 1_024;
const NAME_MAX_CHARS = 64;

/** `decide` is given names in lower case, and must always say the same of the same name. */
export function rememberByName<Fate>(decide: (lower: string) => Fate): (name: string) => Fate {
  const known = new Map<string, Fate>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const fate = decide(name.toLowerCase());
    if (name.length > NAME_MAX_CHARS) return fate;
    // Afresh, not one by one: who sends many names makes others pay for a few look-ups again, no more.
    if (known.size >= REMEMBERED_MAX) known.clear();
    known.set(name, fate);
    return fate;
  };
}
