/**
 * Access tokens of OAuth clients (RFC 6749 section 4.4): an hour each, kept in memory as hashes. After a restart
 * a client asks for another; one that was revoked has none any more.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { sha256 } from '../../crypto/index.ts';

/** Not `pst_`: no door takes it for an identity. */
export const ACCESS_TOKEN_PREFIX = 'psta_';
export const ACCESS_TOKEN_LIFE_SEC = 3600;
const SECRET_BYTES = 25;
/** The oldest go first: their clients ask again. */
const TOKENS_MAX = 10_000;

export interface AccessToken {
  readonly clientId: string;
  /** Of the client. */
  readonly clientTailnet: string;
  /** Of what it is for: the client's own, or a tailnet that the organization's client named. */
  readonly tailnet: string;
  readonly scopes: readonly string[];
  readonly tags: readonly string[];
}

export class AccessTokens {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #byHash = new Map<string, AccessToken & { readonly expiresAt: UnixMs }>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  mint(token: AccessToken): Secret {
    for (const [hash] of this.#byHash) {
      if (this.#byHash.size < TOKENS_MAX) break;
      this.#byHash.delete(hash);
    }
    const text = `${ACCESS_TOKEN_PREFIX}${encodeBase32(this.#random.bytes(SECRET_BYTES))}`;
    this.#byHash.set(hashOf(text), {
      ...token,
      expiresAt: this.#clock.now() + ACCESS_TOKEN_LIFE_SEC * 1000,
    });
    return new Secret(text);
  }

  /** Null for none, and for one that has ended. */
  find(text: string): AccessToken | null {
    const hash = hashOf(text);
    const token = this.#byHash.get(hash);
    if (token === undefined) return null;
    if (token.expiresAt > this.#clock.now()) return token;
    this.#byHash.delete(hash);
    return null;
  }
}

function hashOf(text: string): string {
  return Buffer.from(sha256(Buffer.from(text))).toString('hex');
}
