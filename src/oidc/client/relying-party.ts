/**
 * Sign-in by an OpenID provider (OpenID Connect Core 1.0 section 3.1, authorization code) with PKCE (RFC 7636),
 * state, nonce and the issuer in the answer (RFC 9207). The signature of the ID token is checked against the
 * provider's keys although TLS brought it. Refresh tokens, logout and userinfo are left out: one ID token is
 * all that is asked for, and no token is kept.
 */
import * as openid from 'openid-client';
import type { Clock, UnixMs } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import type { FetchSmall } from '../../net/index.ts';
import { signInError } from './errors.ts';

export interface RelyingPartyOptions {
  /** Exact `iss`; https, or http at a loopback address. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, which has PKCE alone. */
  readonly clientSecret: Secret | null;
  /** Besides `openid`. */
  readonly scopes: readonly string[];
  /** Name of the claim with the person's groups; null: none are read. */
  readonly groupsClaim: string | null;
  /** The guarded way out. */
  readonly fetchSmall: FetchSmall;
  readonly clock: Clock;
}

/** What has to be remembered between the two halves; secret, for one sign-in. */
export interface SignInChecks {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** What the provider vouches for. Lengths are bounded; texts are the provider's or the person's own. */
export interface VouchedPerson {
  /** `sub`: the only name that is never given to somebody else. */
  readonly subject: string;
  /** Lower case; null unless the provider says that it verified the address. */
  readonly email: string | null;
  readonly name: string;
  readonly groups: readonly string[];
}

/** What a provider says of itself is asked again after an hour, so that its new keys and addresses are used. */
const DISCOVERY_LIFE_MS = 3_600_000;
const ANSWER_MAX_BYTES = 256 * 1024;
const FETCH_TIMEOUT_MS = 10_000;
const GROUPS_MAX = 500;
const TEXT_MAX_CHARS = 200;
const SUBJECT_MAX_CHARS = 255;
const EMAIL = /^[^\s@\p{C}]{1,64}@[^\s@\p{C}]{1,190}$/u;

export class RelyingParty {
  readonly #options: RelyingPartyOptions;
  #found: { readonly configuration: Promise<openid.Configuration>; readonly until: UnixMs } | null = null;

  constructor(options: RelyingPartyOptions) {
    this.#options = options;
  }

  /** Where the person's browser goes. Throws AppError<SignInErrorCode>. */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly checks: SignInChecks }> {
    const configuration = await this.#configuration();
    const checks: SignInChecks = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      codeVerifier: openid.randomPKCECodeVerifier(),
    };
    const challenge = await openid.calculatePKCECodeChallenge(checks.codeVerifier);
    try {
      const url = openid.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: ['openid', ...this.#options.scopes].join(' '),
        state: checks.state,
        nonce: checks.nonce,
        code_challenge: challenge,
        code_challenge_method: 'S256',
      });
      return { url: url.href, checks };
    } catch (error) {
      throw signInError('sign_in_provider_unavailable', error);
    }
  }

  /** `callback` is the address that the browser came back to, with what the provider added. Throws AppError<SignInErrorCode>. */
  async finish(callback: URL, checks: SignInChecks): Promise<VouchedPerson> {
    const configuration = await this.#configuration();
    try {
      const tokens = await openid.authorizationCodeGrant(configuration, callback, {
        expectedState: checks.state,
        expectedNonce: checks.nonce,
        pkceCodeVerifier: checks.codeVerifier,
        idTokenExpected: true,
      });
      return personOf(tokens.claims() ?? {}, this.#options.groupsClaim);
    } catch (error) {
      throw signInError('sign_in_refused', error);
    }
  }

  async #configuration(): Promise<openid.Configuration> {
    const now = this.#options.clock.now();
    if (this.#found === null || this.#found.until <= now)
      this.#found = { configuration: this.#discover(), until: now + DISCOVERY_LIFE_MS };
    const { configuration } = this.#found;
    try {
      return await configuration;
    } catch (error) {
      if (this.#found?.configuration === configuration) this.#found = null;
      throw signInError('sign_in_provider_unavailable', error);
    }
  }

  #discover(): Promise<openid.Configuration> {
    const { issuer, clientId, clientSecret, fetchSmall } = this.#options;
    const url = new URL(issuer);
    return openid.discovery(
      url,
      clientId,
      undefined,
      clientSecret === null ? openid.None() : openid.ClientSecretBasic(clientSecret.reveal()),
      {
        [openid.customFetch]: (address, request) => fetchBy(fetchSmall, address, request),
        timeout: FETCH_TIMEOUT_MS / 1000,
        execute: [
          openid.enableNonRepudiationChecks,
          ...(isLoopback(url) ? [openid.allowInsecureRequests] : []),
        ],
      },
    );
  }
}

/** An address of this machine, where plain HTTP cannot be read on the way. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
}

async function fetchBy(
  fetchSmall: FetchSmall,
  url: string,
  { method, headers, body, signal }: openid.CustomFetchOptions,
): Promise<Response> {
  const answer = await fetchSmall(url, {
    method,
    headers,
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMs: FETCH_TIMEOUT_MS,
    ...(typeof body === 'string' || body instanceof Uint8Array ? { body } : {}),
    ...(body instanceof URLSearchParams ? { body: body.toString() } : {}),
    ...(signal === undefined ? {} : { signal }),
  });
  const isEmpty = answer.body.length === 0 || [204, 205, 304].includes(answer.status);
  return new Response(isEmpty ? null : new Uint8Array(answer.body), {
    status: answer.status,
    headers: [...answer.headers],
  });
}

/** Throws where a claim is not what it must be. */
function personOf(claims: Readonly<Record<string, unknown>>, groupsClaim: string | null): VouchedPerson {
  const { sub, email, email_verified: isVerified, name } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > SUBJECT_MAX_CHARS)
    throw new Error('the ID token has no usable sub');
  const isEmail = typeof email === 'string' && isVerified === true && EMAIL.test(email);
  return {
    subject: sub,
    email: isEmail ? email.toLowerCase() : null,
    name: typeof name === 'string' ? name.replace(/\p{C}/gu, '').slice(0, TEXT_MAX_CHARS) : '',
    groups: groupsClaim === null ? [] : groupsOf(claims[groupsClaim]),
  };
}

function groupsOf(claim: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return all
    .filter(
      (name): name is string => typeof name === 'string' && name !== '' && name.length <= TEXT_MAX_CHARS,
    )
    .slice(0, GROUPS_MAX);
}
