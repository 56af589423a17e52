/**
 * Who stands behind a principal. Nobody decides what they asked themselves, whichever of their
 * tokens, devices or names they use, and one person is one vote (DESIGN section 5: an agent is not
 * its human, and an approver is not the requester).
 */

export interface Somebody {
  readonly principal: string;
  readonly label: string;
  readonly tokenId: string | null;
}

/** Owners and minters of a token, by its id. */
export type PeopleBehind = (tokenId: string) => readonly string[];

/**
 * Every name of the person or machine: the principal, the login (or tags) in any case, and of a
 * presented token its owner and whoever minted it.
 */
export function peopleOf(somebody: Somebody, peopleBehind: PeopleBehind): ReadonlySet<string> {
  const { principal, label, tokenId } = somebody;
  const behind = tokenId === null ? [] : peopleBehind(tokenId);
  // The same login by two doors (a tailnet, an issuer of JWTs) is taken for one person.
  return new Set([principal, `label:${label.normalize('NFC').toLowerCase()}`, ...behind]);
}

/** Whether two are one person, as far as their names tell. */
export function isSamePerson(a: ReadonlySet<string>, b: Iterable<string>): boolean {
  for (const name of b) if (a.has(name)) return true;
  return false;
}
