/**
 * Presence in force: who showed that a person is there, until when, and which browser or command
 * it is bound to. Kept in memory only, by the hash of its secret: a restart ends all presence.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { constantTimeEqual, sha256, sha256Hex } from '../../crypto/index.ts';
import type { Presence } from '../actor.ts';

/** 10 minutes: DESIGN section 5, "it lasts minutes". */
export const PRESENCE_TTL_MS = 10 * 60_000;
/** Entries at once; the oldest ends when more are opened. */
const SESSIONS_MAX = 1_000;
/** 160 bits. */
const SECRET_BYTES = 20;

export interface PresencePresented {
  readonly principal: string;
  readonly header: string | undefined;
  readonly cookie: string | undefined;
  readonly proof: string | undefined;
}

export interface OpenedPresence {
  /** For the cookie of a browser or the header of a command. */
  readonly secret: Secret;
  /** The other half for a browser's storage; null for a command. */
  readonly proof: Secret | null;
  readonly until: UnixMs;
}

interface Entry {
  readonly principal: string;
  readonly how: Presence['how'];
  readonly until: UnixMs;
  readonly proofHash: Uint8Array | null;
}

export interface PresenceSessions {
  open(session: {
    readonly principal: string;
    readonly how: Presence['how'];
    readonly binding: 'browser' | 'command';
    /** Not beyond this: presence that approves presence cannot prolong itself. */
    readonly notAfter?: UnixMs;
  }): OpenedPresence;
  /** The presence of this principal that the request carries, or null. Never throws. */
  find(presented: PresencePresented): Presence | null;
  /** Ends all presence of a principal. */
  endAll(principal: string): void;
}

export function createPresenceSessions(parts: {
  readonly clock: Clock;
  readonly random: Random;
}): PresenceSessions {
  const entries = new Map<string, Entry>();
  const hash = (text: string): Uint8Array => sha256(text);

  const lookUp = (secret: string | undefined, principal: string): Entry | null => {
    if (secret === undefined || secret.length > 200) return null;
    const key = sha256Hex(secret);
    const entry = entries.get(key);
    if (entry === undefined || entry.principal !== principal) return null;
    if (entry.until > parts.clock.now()) return entry;
    entries.delete(key);
    return null;
  };

  return {
    open({ principal, how, binding, notAfter }) {
      makeRoom(entries, parts.clock.now());
      const secret = newSecret(parts.random);
      const proof = binding === 'browser' ? newSecret(parts.random) : null;
      const until = Math.min(parts.clock.now() + PRESENCE_TTL_MS, notAfter ?? Infinity);
      entries.set(sha256Hex(secret.reveal()), {
        principal,
        how,
        until,
        proofHash: proof === null ? null : hash(proof.reveal()),
      });
      return { secret, proof, until };
    },

    find({ principal, header, cookie, proof }) {
      const command = lookUp(header, principal);
      if (command !== null && command.proofHash === null) return { how: command.how, until: command.until };
      const browser = lookUp(cookie, principal);
      if (browser === null || browser.proofHash === null || proof === undefined || proof.length > 200)
        return null;
      if (!constantTimeEqual(hash(proof), browser.proofHash)) return null;
      return { how: browser.how, until: browser.until };
    },

    endAll(principal) {
      for (const [key, entry] of entries) if (entry.principal === principal) entries.delete(key);
    },
  };
}

/** 160 random bits as 32 characters that can be read aloud. */
export function newSecret(random: Random): Secret {
  return new Secret(encodeBase32(random.bytes(SECRET_BYTES)));
}

function makeRoom(entries: Map<string, Entry>, now: UnixMs): void {
  if (entries.size < SESSIONS_MAX) return;
  for (const [key, entry] of entries) if (entry.until <= now) entries.delete(key);
  for (const key of entries.keys()) {
    if (entries.size < SESSIONS_MAX) return;
    entries.delete(key);
  }
}
