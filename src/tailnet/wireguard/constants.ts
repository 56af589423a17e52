/** The constants of WireGuard (white paper, sections 5 and 6.1). Times in milliseconds. */

/** Mixed into every handshake (section 5.4). */
export const WIREGUARD_PROLOGUE = 'WireGuard v1 zx2c4 Jason@zx2c4.com';

/** An initiator's session is renewed when it is this old (section 6.2). */
export const REKEY_AFTER_MS = 120_000;
/** A session this old neither sends nor receives (section 6.2). */
export const REJECT_AFTER_MS = 180_000;
/** Keys are wiped this long after the last session was made (section 6.3). */
export const WIPE_AFTER_MS = 3 * REJECT_AFTER_MS;
/** How long a handshake is tried (section 6.4). */
const REKEY_ATTEMPT_MS = 90_000;
/** Between two tries of a handshake, and the least time between two initiations to a peer (section 6.1). */
export const REKEY_TIMEOUT_MS = 5_000;
/** Added to the time between tries, drawn from 0 up to this, so that two sides do not collide for ever (section 6.1). */
export const REKEY_JITTER_MAX_MS = 333;
/** Silence after which received data is answered by a keepalive (section 6.5). */
export const KEEPALIVE_MS = 10_000;
/** Data without any answer for this long means that the session is lost (section 6.5). */
export const LOST_AFTER_MS = KEEPALIVE_MS + REKEY_TIMEOUT_MS;
/** A receiving initiator renews its session at this age, early enough to finish before it is rejected (section 6.2). */
export const REKEY_WHEN_RECEIVING_MS = REJECT_AFTER_MS - KEEPALIVE_MS - REKEY_TIMEOUT_MS;
/** Tries of one handshake: one every 5 s for 90 s. */
export const HANDSHAKE_TRIES_MAX = REKEY_ATTEMPT_MS / REKEY_TIMEOUT_MS;
/** A cookie and the secret behind it are good for this long (section 5.4.7). */
export const COOKIE_LIFETIME_MS = 120_000;
/** The least time between two initiations accepted from one peer: 20 per second. Ours; the paper asks for a bound. */
export const INITIATION_SPACING_MS = 50;

/**
 * The paper has 2^60 and 2^64 - 2^13 - 1. Counters here are exact up to 2^53 only, so both are
 * lowered. It makes no difference: a session ends after three minutes, and 2^52 packets take 142
 * years at a million per second. A peer that counts further is refused.
 */
export const REKEY_AFTER_MESSAGES = 2 ** 52;
/** See `REKEY_AFTER_MESSAGES`; 2^13 below the end, as in the paper. */
export const REJECT_AFTER_MESSAGES = 2 ** 53 - 2 ** 13 - 1;

/** Inner packets are padded to a multiple of this (section 5.4.6). */
export const PADDING_BYTES = 16;
/** Packets kept for one peer while its handshake runs. Ours; the oldest goes first. */
export const STAGED_PACKETS_MAX = 128;
/** Bytes kept for all peers together while handshakes run. Ours. */
export const STAGED_BYTES_MAX = 16 * 1024 * 1024;
/** Peers of one device. Ours. */
export const PEERS_MAX = 100_000;
