/** Names on the wire that carry presence. */

/** Cookie of a browser that showed presence: host-only, HttpOnly, SameSite=Strict. */
export const PRESENCE_COOKIE = 'postern_presence';

/** Header in which a command line presents its presence token. */
export const PRESENCE_HEADER = 'x-postern-presence';

/**
 * Header with the other half of a browser's presence, which the page keeps in the storage of its
 * own origin. A cookie of `localhost` is sent to every port of this machine, so that a development
 * server that an agent started would see it; the half in the storage it never sees.
 */
export const PRESENCE_PROOF_HEADER = 'x-postern-presence-proof';
