/** What the relay needs of its surroundings. */

/** 64 lower-case hex digits: the public half of a device's WireGuard key. */
export type NodeKeyHex = string;

export interface RelayMember {
  /**
   * Ids of every tailnet that the key is a device of; at least one. Two keys reach each other through
   * the relay if they share a tailnet: a key of two tailnets reaches the peers of both, which does not
   * join the two.
   */
  readonly tailnets: readonly string[];
}

/** Who may use the relay. Asked at every login, and every few seconds for whoever is connected. */
export interface RelayAdmission {
  /** Null: not a device of any tailnet here, or no longer. */
  admit(nodeKey: NodeKeyHex): RelayMember | null;
}

/**
 * The way to one client, in whole DERP frames. It never calls back into its session from within a call
 * of the session's, and nothing is called on it after `finish` or `destroy`.
 */
export interface RelayPipe {
  /** Takes the bytes, which nobody alters from then on. False: full; the session hears of `drained`. */
  write(frames: Buffer): boolean;
  /** Ends the connection once the client has what was written, or after a second. */
  finish(): void;
  /** Cuts the connection. */
  destroy(): void;
}
