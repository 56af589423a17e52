/**
 * Google access tokens: from a service-account key by a signed assertion (RFC 7523, as in
 * https://developers.google.com/identity/protocols/oauth2/service-account), from a user's refresh
 * token, or from the metadata server. Left out: workload identity federation (`external_account`).
 */
import { SignJWT, importPKCS8 } from 'jose';
import { isIP } from 'node:net';
import type { UnixMs } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { sha256Hex } from '../../crypto/index.ts';
import { upstreamError } from './contract.ts';
import { parseFields, textField } from './fields.ts';
import type { FetchSmall, ProvidersPorts, SmallResponse } from './ports.ts';
import { createRefreshing } from './refreshing.ts';
import type { Expiring, Refreshing } from './refreshing.ts';

/** A minted token and what its credential says of itself. */
export interface GoogleAccess {
  readonly token: string;
  /** Null where the credential names none. */
  readonly projectId: string | null;
}

export interface GoogleTokens {
  /**
   * Access by the credential that was entered; null for a plain key, which is sent as it is.
   * Throws or rejects with an `UpstreamErrorCode`.
   */
  fromSecret(secret: Secret): GoogleAccess | Promise<GoogleAccess> | null;
  /** Access by the metadata server. Rejects with `upstream_credential_missing` unless enabled. */
  ambient(): GoogleAccess | Promise<GoogleAccess>;
  /** Null forgets the ambient token. */
  forget(secret: Secret | null): void;
}

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
const METADATA_URL = 'http://metadata.google.internal/computeMetadata/v1';
/** Google refuses assertions that live longer than an hour. */
const ASSERTION_SEC = 3_600;
/** A key file has about 2.4 kB; base64 adds a third. */
const KEY_MAX_CHARS = 65_536;
const ANSWER_MAX_BYTES = 65_536;
const TIMEOUT_MS = 10_000;
/** Credentials held at once, over all tailnets; the oldest goes first. */
const SOURCES_MAX = 256;

type Source = Refreshing<GoogleAccess>;

export function createGoogleTokens(ports: ProvidersPorts): GoogleTokens {
  // A secret object is looked up without hashing; the second map serves equal keys in new objects.
  const bySecret = new WeakMap<Secret, Source | 'plain'>();
  const byDigest = new Map<string, Source>();
  const { fetchGcpMetadata } = ports.operator;
  const metadata =
    fetchGcpMetadata === null
      ? null
      : createRefreshing(() => askMetadata(fetchGcpMetadata, ports), ports.clock);

  function find(secret: Secret): Source | 'plain' {
    const known = bySecret.get(secret);
    if (known !== undefined) return known;
    const text = secret.reveal().trim();
    const found = isKeyFile(text) ? shared(text) : 'plain';
    bySecret.set(secret, found);
    return found;
  }

  function shared(text: string): Source {
    const digest = sha256Hex(text);
    let source = byDigest.get(digest);
    if (source === undefined) {
      const key = parseKeyFile(text);
      source = createRefreshing(() => mint(key, ports), ports.clock);
      const oldest = byDigest.size < SOURCES_MAX ? undefined : byDigest.keys().next().value;
      if (oldest !== undefined) byDigest.delete(oldest);
      byDigest.set(digest, source);
    }
    return source;
  }

  return {
    fromSecret(secret) {
      const source = find(secret);
      return source === 'plain' ? null : source.get();
    },
    ambient() {
      if (metadata !== null) return metadata.get();
      throw upstreamError(
        'upstream_credential_missing',
        'the vertex provider has no credential: enter a service-account key, or start with --ambient-credentials gcp',
      );
    },
    forget(secret) {
      const source = secret === null ? metadata : find(secret);
      if (source !== null && source !== 'plain') source.drop();
    },
  };
}

type KeyFile =
  | {
      readonly type: 'service_account';
      readonly email: string;
      readonly privateKey: string;
      readonly keyId: string | null;
      readonly projectId: string | null;
      readonly tokenUrl: string;
    }
  | {
      readonly type: 'authorized_user';
      readonly clientId: string;
      readonly clientSecret: string;
      readonly refreshToken: string;
      readonly projectId: string | null;
      readonly tokenUrl: string;
    };

function isKeyFile(text: string): boolean {
  return text.startsWith('keyfile::') || text.startsWith('{');
}

/** Throws `upstream_credential_invalid`, whose message never quotes the key. */
function parseKeyFile(text: string): KeyFile {
  if (text.length > KEY_MAX_CHARS) throw invalidKey(`more than ${KEY_MAX_CHARS} characters`);
  const json = text.startsWith('keyfile::') ? Buffer.from(text.slice(9), 'base64').toString('utf8') : text;
  const fields = parseFields(json);
  const field = (name: string): string => {
    const value = textField(fields, name);
    if (value === null) throw invalidKey(`"${name}" is missing`);
    return value;
  };
  const projectId = textField(fields, 'project_id') ?? textField(fields, 'quota_project_id');
  const tokenUrl = checkTokenUrl(textField(fields, 'token_uri') ?? TOKEN_URL);
  switch (fields['type']) {
    case 'service_account':
      return {
        type: 'service_account',
        email: field('client_email'),
        privateKey: field('private_key'),
        keyId: textField(fields, 'private_key_id'),
        projectId,
        tokenUrl,
      };
    case 'authorized_user':
      return {
        type: 'authorized_user',
        clientId: field('client_id'),
        clientSecret: field('client_secret'),
        refreshToken: field('refresh_token'),
        projectId,
        tokenUrl,
      };
    default:
      throw invalidKey('"type" must be service_account or authorized_user');
  }
}

/** The assertion must not cross a network in the clear; a local emulator is no network. */
function checkTokenUrl(text: string): string {
  const url = URL.parse(text);
  const host = url?.hostname.replace(/^\[|\]$/g, '') ?? '';
  const local = host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && local))) return url.href;
  throw invalidKey('"token_uri" must be an https address');
}

function invalidKey(why: string): Error {
  return upstreamError(
    'upstream_credential_invalid',
    `the vertex credential is not a Google key file (${why}); paste the JSON that Google gave, or keyfile:: and its base64`,
  );
}

async function mint(key: KeyFile, ports: ProvidersPorts): Promise<Expiring<GoogleAccess>> {
  const askedAt = ports.clock.now();
  const form = new URLSearchParams(
    key.type === 'service_account' ? await assertion(key, ports) : refreshForm(key),
  );
  const answer = await ask(ports.fetchSmall, key.tokenUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
  });
  return readToken(answer, key.projectId, askedAt);
}

async function assertion(
  key: Extract<KeyFile, { type: 'service_account' }>,
  ports: ProvidersPorts,
): Promise<Record<string, string>> {
  const nowSec = Math.floor(ports.clock.now() / 1000);
  let signed: string;
  try {
    signed = await new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(key.keyId === null ? {} : { kid: key.keyId }) })
      .setIssuer(key.email)
      .setSubject(key.email)
      .setAudience(key.tokenUrl)
      .setIssuedAt(nowSec)
      .setExpirationTime(nowSec + ASSERTION_SEC)
      .sign(await importPKCS8(key.privateKey, 'RS256'));
  } catch {
    // The cause is left out: it could quote the key.
    throw invalidKey('"private_key" is not a PKCS #8 RSA key in PEM');
  }
  return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: signed };
}

function refreshForm(key: Extract<KeyFile, { type: 'authorized_user' }>): Record<string, string> {
  return {
    grant_type: 'refresh_token',
    client_id: key.clientId,
    client_secret: key.clientSecret,
    refresh_token: key.refreshToken,
  };
}

async function askMetadata(fetchSmall: FetchSmall, ports: ProvidersPorts): Promise<Expiring<GoogleAccess>> {
  const askedAt = ports.clock.now();
  const get = (path: string): Promise<SmallResponse> =>
    ask(fetchSmall, `${METADATA_URL}/${path}`, { method: 'GET', headers: { 'metadata-flavor': 'Google' } });
  const [token, project] = await Promise.all([
    get('instance/service-accounts/default/token'),
    get('project/project-id'),
  ]);
  const projectId = project.status === 200 ? Buffer.from(project.body).toString('utf8').trim() : '';
  return readToken(token, projectId === '' ? null : projectId, askedAt);
}

async function ask(
  fetchSmall: FetchSmall,
  url: string,
  request: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: string },
): Promise<SmallResponse> {
  try {
    return await fetchSmall(url, { ...request, maxBytes: ANSWER_MAX_BYTES, timeoutMs: TIMEOUT_MS });
  } catch (cause) {
    throw upstreamError(
      'upstream_credential_unavailable',
      'the token service of Google could not be reached',
      { detail: describeError(cause), cause },
    );
  }
}

/** The life time counts from before the request, as it may have taken long. */
function readToken(answer: SmallResponse, projectId: string | null, askedAt: UnixMs): Expiring<GoogleAccess> {
  const fields = parseFields(answer.body);
  const token = textField(fields, 'access_token');
  if (answer.status === 200 && token !== null && /^[\x21-\x7e]+$/.test(token)) {
    const seconds = Number(fields['expires_in']);
    const lifeSec = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, ASSERTION_SEC * 12) : 60;
    return { value: { token, projectId }, expiresAt: askedAt + lifeSec * 1000 };
  }
  const code =
    answer.status >= 400 && answer.status < 500
      ? 'upstream_credential_rejected'
      : 'upstream_credential_unavailable';
  const reason = textField(fields, 'error')?.slice(0, 100) ?? '';
  throw upstreamError(code, 'the token service of Google gave no token for the vertex credential', {
    detail: `status ${answer.status} ${reason}`,
  });
}
