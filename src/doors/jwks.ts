/**
 * Public keys of JWT issuers: fetched once, kept, refreshed in the background, and looked for again
 * when a token names a key that is not there. A stranger's token can cause one fetch in 30 s at
 * most, and the last good set serves for an hour while the issuer is down. RFC 7517; OpenID Connect
 * Discovery 1.0 section 4.
 */
import {
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWK,
  type JWSHeaderParameters,
  type LocalJWKSet,
  createLocalJWKSet,
  errors,
} from 'jose';
import type { Clock, UnixMs } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { FetchJson } from './ports.ts';

/** Where the keys of an issuer lie. */
export interface KeySource {
  readonly issuer: string;
  /** Null: the issuer's discovery document names it. */
  readonly jwksUrl: string | null;
}

export interface KeySet {
  /** The key for a token's header. @throws jose errors, AppError<'jwks_unavailable'> */
  key(header: JWSHeaderParameters | undefined, token: FlattenedJWSInput | undefined): ReturnType<LocalJWKSet>;
}

const FRESH_MS = 10 * 60_000;
const STALE_MAX_MS = 60 * 60_000;
const RETRY_MS = 30_000;
const KEYS_MAX = 100;

export function createKeySet(source: KeySource, fetchJson: FetchJson, clock: Clock): KeySet {
  let keys: LocalJWKSet | null = null;
  let fetchedAt: UnixMs = 0;
  let triedAt: UnixMs = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | null = null;

  const refresh = (): Promise<void> => {
    triedAt = clock.now();
    running ??= fetchKeys(source, fetchJson)
      .then((set) => {
        keys = set;
        fetchedAt = clock.now();
      })
      .finally(() => {
        running = null;
      });
    return running;
  };

  const mayRetry = (): boolean => running !== null || clock.now() - triedAt >= RETRY_MS;

  return {
    async key(header, token) {
      const age = clock.now() - fetchedAt;
      if (keys === null || age >= STALE_MAX_MS) {
        keys = null;
        if (!mayRetry()) throw unavailable(source);
        await refresh().catch((error: unknown) => {
          throw unavailable(source, error);
        });
      } else if (age >= FRESH_MS && mayRetry()) {
        refresh().catch(() => {});
      }
      if (keys === null) throw unavailable(source);
      try {
        return await keys(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || !mayRetry()) throw error;
        await refresh().catch(() => {});
        return keys(header, token);
      }
    },
  };
}

function unavailable(source: KeySource, cause?: unknown): AppError<'jwks_unavailable'> {
  return new AppError('jwks_unavailable', `the keys of ${source.issuer} could not be fetched`, { cause });
}

async function fetchKeys(source: KeySource, fetchJson: FetchJson): Promise<LocalJWKSet> {
  const url = source.jwksUrl ?? (await discover(source.issuer, fetchJson));
  return createLocalJWKSet(publicKeys(await fetchJson(url)));
}

async function discover(issuer: string, fetchJson: FetchJson): Promise<string> {
  const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  if (!isObject(document) || document['issuer'] !== issuer) {
    throw new AppError('jwks_unavailable', `the discovery document of ${issuer} names another issuer`);
  }
  const url = document['jwks_uri'];
  if (typeof url !== 'string' || URL.parse(url)?.protocol !== 'https:') {
    throw new AppError('jwks_unavailable', `the discovery document of ${issuer} names no https jwks_uri`);
  }
  return url;
}

/** Only asymmetric public keys: a set that carries a secret one must not make it a verifying key. */
function publicKeys(document: unknown): JSONWebKeySet {
  const list = isObject(document) ? document['keys'] : null;
  if (!Array.isArray(list) || list.length > KEYS_MAX) {
    throw new AppError('jwks_unavailable', `a key set has a list of at most ${KEYS_MAX} keys`);
  }
  const keys = list.filter(
    (key): key is JWK =>
      isObject(key) &&
      typeof key['kty'] === 'string' &&
      ['RSA', 'EC', 'OKP'].includes(key['kty']) &&
      !('d' in key),
  );
  return { keys };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
