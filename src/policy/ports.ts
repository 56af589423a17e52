/**
 * What policy needs from its siblings, declared here because a layer does not import its own row.
 * The composition root joins them.
 */

/** A provider that the operator's environment or machine offers, without its key. */
export interface FoundProviderView {
  /** Id in `provider/model`. */
  readonly id: string;
  readonly name: string;
  /** Base address; a stray `/v1` is understood. */
  readonly baseUrl: string;
  /** How the key travels: `bearer`, `x-api-key`, `x-goog-api-key`, or `none` for a server without keys. */
  readonly header: string;
  /** Format flags, as in a document's `compatibility`. */
  readonly compatibility: readonly string[];
  /** Price list (`cost_basis`); null where nothing is charged or nothing is known. */
  readonly costBasis: string | null;
  /** Model ids or globs. */
  readonly models: readonly string[];
}

/** A grant that lives in the store: the starter's own, an admin's that the claim made, or one that was asked for and approved. */
export interface StoredGrantView {
  readonly principal: string;
  readonly role: 'user' | 'admin';
  /** Globs over `provider/model`. */
  readonly models: readonly string[];
  /** The approval that it follows from; null or absent for the others. */
  readonly approvalId?: string | null;
}
