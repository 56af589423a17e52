/**
 * JWTs of issuers that the operator configured, as identities (RFC 7519, RFC 8725). Signature by an
 * allowed algorithm, issuer, audience, time, and at least one claim that binds the token to a
 * tenant must hold. Verified tokens are remembered by the SHA-256 of the whole token until they
 * expire, in a bounded map; nothing shorter than the whole token is ever a key.
 */
import { errors, jwtVerify } from 'jose';
import type { Clock, UnixMs } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { sha256Hex } from '../crypto/index.ts';
import type { Caller, DoorName } from '../identity/caller.ts';
import { PRINCIPAL_MAX_CHARS, isPlainIdentityText, jwtPrincipal } from '../identity/principal.ts';
import { NO_CAPABILITIES, type Revocation } from './door.ts';
import type { JwtDenials, JwtFacts } from './jwt-denials.ts';
import { type KeySet, createKeySet } from './jwks.ts';
import type { FetchJson } from './ports.ts';

export interface JwtIssuer {
  /** Exact value of `iss`. */
  readonly issuer: string;
  /** At least one; one of them must be in `aud`. */
  readonly audience: readonly string[];
  /** At least one, asymmetric. */
  readonly algorithms: readonly string[];
  readonly jwksUrl: string | null;
  /** At least one; all must hold. */
  readonly tenantClaims: readonly { readonly name: string; readonly value: string }[];
  /** Claim that names the person. Null: `email` if `email_verified` is true, else `sub`. */
  readonly loginClaim: string | null;
  /** Claim with a list of group names; null for none. */
  readonly groupsClaim: string | null;
}

export type JwtVerdict =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly why: string };

export interface JwtVerifier {
  /** Whether the text claims a configured issuer. Reads unverified bytes; says nothing about validity. */
  isOurs(text: string): boolean;
  /** Synchronous for a token seen before. Never rejects. */
  verify(text: string, via: DoorName | null): JwtVerdict | Promise<JwtVerdict>;
  /** Called when a JWT that was accepted is put on the deny-list; returns the function that ends the subscription. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
}

export interface JwtVerifierOptions {
  readonly issuers: readonly JwtIssuer[];
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  readonly tailnet: string;
  /** Tokens and people that are refused though their tokens are valid; asked at every request. Default: none. */
  readonly denials?: Pick<JwtDenials, 'denies' | 'onAdded'>;
  /** Clocks of issuers may differ from ours by this much. Default 30 s. */
  readonly leewaySec?: number;
  /** Verified tokens remembered. Default 10,000. */
  readonly cacheMax?: number;
}

const ALGORITHMS: ReadonlySet<string> = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]);

const GROUPS_MAX = 500;

interface Verified {
  readonly facts: JwtFacts;
  readonly caller: Omit<Caller, 'via'>;
  /** Unix milliseconds, leeway included. */
  readonly usableUntil: UnixMs;
  readonly verdicts: Map<DoorName | null, JwtVerdict>;
}

interface Issuer {
  readonly settings: JwtIssuer;
  readonly keys: KeySet;
}

/** @throws AppError<'jwt_settings_invalid'> if an issuer's settings would accept too much. */
export function createJwtVerifier(options: JwtVerifierOptions): JwtVerifier {
  const issuers = new Map<string, Issuer[]>();
  for (const settings of options.issuers) {
    checkIssuer(settings);
    const list = issuers.get(settings.issuer) ?? [];
    list.push({ settings, keys: createKeySet(settings, options.fetchJson, options.clock) });
    issuers.set(settings.issuer, list);
  }
  const cache = new Map<string, Verified>();
  const cacheMax = options.cacheMax ?? 10_000;
  /** By the very objects that were handed out: open exchanges hold them, however old they are. */
  const handedOut = new WeakMap<Caller, JwtFacts>();

  const answer = (known: Verified, via: DoorName | null): JwtVerdict => {
    if (known.usableUntil <= options.clock.now()) return { ok: false, why: 'the JWT has expired' };
    if (options.denials?.denies(known.facts) === true)
      return { ok: false, why: 'the JWT or its subject is on the deny-list' };
    let verdict = known.verdicts.get(via);
    if (verdict === undefined) {
      const caller: Caller = { ...known.caller, via };
      handedOut.set(caller, known.facts);
      verdict = { ok: true, caller };
      known.verdicts.set(via, verdict);
    }
    return verdict;
  };

  return {
    isOurs: (text) => issuers.size > 0 && issuers.has(claimedIssuer(text) ?? ''),
    verify(text, via) {
      const digest = sha256Hex(text);
      const known = cache.get(digest);
      if (known !== undefined) return answer(known, via);
      const candidates = issuers.get(claimedIssuer(text) ?? '') ?? [];
      return verifyAny(text, digest, candidates, options).then((result) => {
        if (typeof result === 'string') return { ok: false, why: result };
        remember(cache, digest, result, { max: cacheMax, now: options.clock.now() });
        return answer(result, via);
      });
    },
    onRevoked: (listener) =>
      options.denials?.onAdded(({ id }) =>
        listener({
          door: 'token',
          why: `JWTs were put on the deny-list by ${id}`,
          matches(caller) {
            const facts = handedOut.get(caller);
            return facts !== undefined && options.denials?.denies(facts) === true;
          },
        }),
      ) ?? (() => undefined),
  };
}

function checkIssuer(settings: JwtIssuer): void {
  const unknown = settings.algorithms.find((algorithm) => !ALGORITHMS.has(algorithm));
  const fault =
    settings.algorithms.length === 0
      ? 'needs at least one algorithm'
      : unknown !== undefined
        ? `allows the algorithm ${unknown}; only asymmetric ones (${[...ALGORITHMS].join(', ')}) are accepted`
        : settings.audience.length === 0 || settings.audience.includes('')
          ? 'needs an audience'
          : settings.tenantClaims.length === 0 ||
              settings.tenantClaims.some(({ name, value }) => name === '' || value === '')
            ? 'needs at least one tenant claim with a value'
            : null;
  if (fault !== null)
    throw new AppError('jwt_settings_invalid', `the JWT issuer ${settings.issuer} ${fault}`);
}

/** `iss` of the payload, unverified; null for anything that is not a JWS in compact form. */
function claimedIssuer(text: string): string | null {
  const first = text.indexOf('.');
  const second = text.indexOf('.', first + 1);
  if (first <= 0 || second === -1 || text.includes('.', second + 1)) return null;
  try {
    const payload: unknown = JSON.parse(
      Buffer.from(text.slice(first + 1, second), 'base64url').toString('utf8'),
    );
    if (typeof payload !== 'object' || payload === null || !('iss' in payload)) return null;
    return typeof payload.iss === 'string' ? payload.iss : null;
  } catch {
    return null;
  }
}

/** The first configuration of the issuer that accepts the token, else why the last did not. */
async function verifyAny(
  text: string,
  digest: string,
  candidates: readonly Issuer[],
  options: JwtVerifierOptions,
): Promise<Verified | string> {
  let why = 'the issuer is not configured';
  for (const issuer of candidates) {
    const result = await verifyWith(text, digest, issuer, options);
    if (typeof result !== 'string') return result;
    why = result;
  }
  return why;
}

async function verifyWith(
  text: string,
  digest: string,
  issuer: Issuer,
  options: JwtVerifierOptions,
): Promise<Verified | string> {
  const leewaySec = options.leewaySec ?? 30;
  const { settings } = issuer;
  let claims: Record<string, unknown>;
  try {
    const { payload } = await jwtVerify(text, (header, token) => issuer.keys.key(header, token), {
      algorithms: [...settings.algorithms],
      issuer: settings.issuer,
      audience: [...settings.audience],
      clockTolerance: leewaySec,
      currentDate: new Date(options.clock.now()),
      requiredClaims: ['exp', 'sub'],
    });
    claims = payload;
  } catch (error) {
    return whyRejected(error);
  }
  const missing = settings.tenantClaims.find(({ name, value }) => !holds(claims[name], value));
  if (missing !== undefined) return `the claim ${missing.name} is not that of the configured tenant`;
  return toVerified(claims, digest, settings, { tailnet: options.tailnet, leewaySec });
}

function whyRejected(error: unknown): string {
  if (error instanceof errors.JWTClaimValidationFailed)
    return `the claim ${error.claim} does not hold (${error.reason})`;
  if (error instanceof errors.JOSEError) return `the JWT was rejected: ${error.code}`;
  if (error instanceof AppError) return error.message;
  return 'the JWT could not be verified';
}

/** Exactly the value: a string, a whole number, a boolean; never a member of a list, which a tenant could share. */
function holds(claim: unknown, value: string): boolean {
  return (
    (typeof claim === 'string' || typeof claim === 'number' || typeof claim === 'boolean') &&
    String(claim) === value
  );
}

interface VerifiedContext {
  readonly tailnet: string;
  readonly leewaySec: number;
}

function toVerified(
  claims: Record<string, unknown>,
  digest: string,
  settings: JwtIssuer,
  { tailnet, leewaySec }: VerifiedContext,
): Verified | string {
  const subject = claims['sub'];
  const login = loginOf(claims, settings);
  if (typeof subject !== 'string' || !isPlainIdentityText(subject, 255))
    return 'the claim sub is not a plain name';
  if (typeof login !== 'string' || !isPlainIdentityText(login, 255))
    return `the claim ${settings.loginClaim ?? 'sub'} names nobody`;
  const principal = jwtPrincipal(settings.issuer, subject);
  if (principal.length > PRINCIPAL_MAX_CHARS) return 'issuer and subject are too long';
  const expiresAt = Number(claims['exp']) * 1000;
  const name = claims['name'];
  const issuedAt = claims['iat'];
  const tokenId = `jwt_${digest.slice(0, 24)}`;
  return {
    facts: {
      issuer: settings.issuer,
      principal,
      jti: typeof claims['jti'] === 'string' ? claims['jti'] : null,
      tokenId,
      issuedAt: typeof issuedAt === 'number' ? issuedAt * 1000 : null,
    },
    usableUntil: expiresAt + leewaySec * 1000,
    verdicts: new Map(),
    caller: {
      principal,
      tailnet,
      door: 'token',
      device: null,
      user: {
        id: subject,
        login,
        displayName: typeof name === 'string' && isPlainIdentityText(name, 255) ? name : null,
      },
      groups: groupsOf(settings.groupsClaim === null ? null : claims[settings.groupsClaim]),
      capabilities: NO_CAPABILITIES,
      token: { id: tokenId, scopes: ['use', 'read'], models: null, expiresAt },
    },
  };
}

/** An address that the issuer did not verify could be anybody's, and grants match logins. */
function loginOf(claims: Record<string, unknown>, settings: JwtIssuer): unknown {
  if (settings.loginClaim !== null) return claims[settings.loginClaim];
  return typeof claims['email'] === 'string' && claims['email_verified'] === true
    ? claims['email']
    : claims['sub'];
}

function groupsOf(claim: unknown): readonly string[] {
  if (!Array.isArray(claim)) return [];
  return claim
    .slice(0, GROUPS_MAX)
    .filter((name): name is string => typeof name === 'string' && isPlainIdentityText(name, 255))
    .map((name) => (name.startsWith('group:') ? name : `group:${name}`));
}

function remember(
  cache: Map<string, Verified>,
  digest: string,
  known: Verified,
  { max, now }: { max: number; now: UnixMs },
): void {
  if (cache.size >= max) {
    for (const [key, entry] of cache) if (entry.usableUntil <= now) cache.delete(key);
    for (const key of cache.keys()) {
      if (cache.size < max) break;
      cache.delete(key);
    }
  }
  cache.set(digest, known);
}
