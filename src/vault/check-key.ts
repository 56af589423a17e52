/** What a key must look like before it is kept. */
import type { Secret } from '../base/secret.ts';
import { vaultError } from './errors.ts';

/** A service account's JSON is 2.4 kB; this leaves room for credentials to come. */
const SECRET_BYTES_MAX = 64 * 1024;
const NAME_CHARACTERS_MAX = 100;
/** Kinds that go into an HTTP header as they are. */
const HEADER_KINDS: ReadonlySet<string> = new Set(['bearer', 'x-api-key', 'x-goog-api-key', 'api-key']);

/** Throws `vault_invalid_key` or `vault_invalid_origin`; messages never hold the secret. */
export function checkKey(key: {
  provider: string;
  name: string;
  origin: string;
  header: string;
  secret: Secret;
}): void {
  checkName('provider', key.provider);
  checkName('key name', key.name);
  checkOrigin(key.origin);
  if (!/^[a-z0-9][a-z0-9_-]{0,39}$/.test(key.header)) {
    throw vaultError(
      'vault_invalid_key',
      'the way a key is presented is a short lower-case name such as "bearer" or "x-api-key"',
    );
  }
  const value = key.secret.reveal();
  if (value === '') throw vaultError('vault_invalid_key', 'the key is empty');
  if (Buffer.byteLength(value) > SECRET_BYTES_MAX) {
    throw vaultError('vault_invalid_key', `the key is longer than ${SECRET_BYTES_MAX} bytes`);
  }
  if (HEADER_KINDS.has(key.header) && !isJsonCredential(value) && !/^[\x21-\x7e]+$/.test(value)) {
    throw vaultError(
      'vault_invalid_key',
      'the key holds white space or characters that an HTTP header cannot carry; paste it without them',
    );
  }
}

/**
 * A cloud's credentials as one JSON object (a service account, a pair of AWS keys), pasted with its
 * line ends. Providers sign with it or trade it for a token; it never is a header itself.
 */
function isJsonCredential(value: string): boolean {
  if (!value.trimStart().startsWith('{')) return false;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null;
  } catch {
    return false;
  }
}

/** `https://host[:port]` exactly as `URL.origin` writes it. */
function checkOrigin(origin: string): void {
  const url = URL.parse(origin);
  const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === null || !isHttp || url.origin !== origin) {
    throw vaultError(
      'vault_invalid_origin',
      'a key is bound to an origin such as "https://api.example.com", without path or slash at its end',
    );
  }
}

function checkName(what: string, name: string): void {
  if (name === '' || name.length > NAME_CHARACTERS_MAX || /\p{Cc}/u.test(name)) {
    throw vaultError('vault_invalid_key', `the ${what} has 1 to ${NAME_CHARACTERS_MAX} printable characters`);
  }
}
