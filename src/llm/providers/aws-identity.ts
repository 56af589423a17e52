/** Who Postern is towards AWS, and how that is read from what an operator pasted. */
import type { Secret } from '../../base/secret.ts';
import { upstreamError } from './contract.ts';
import { asFields, parseFields, textField } from './fields.ts';
import type { Fields } from './fields.ts';
import type { AwsKeys } from './sigv4.ts';

/** Either keys to sign with or a Bedrock API key, and the region that came along. */
export type AwsIdentity =
  | { readonly kind: 'keys'; readonly keys: AwsKeys; readonly region: string | null }
  | { readonly kind: 'bearer'; readonly token: string; readonly region: string | null };

/** Keys and session tokens; a session token has up to about 2 kB. */
const SECRET_MAX_CHARS = 16_384;

/** Names as in the SDKs, in `aws sts` output, and in credentials files. */
const ACCESS_KEY = ['accessKeyId', 'AccessKeyId', 'aws_access_key_id'];
const SECRET_KEY = ['secretAccessKey', 'SecretAccessKey', 'aws_secret_access_key'];
const SESSION_TOKEN = ['sessionToken', 'SessionToken', 'aws_session_token'];
const REGION = ['region', 'aws_region'];

const parsed = new WeakMap<Secret, AwsIdentity>();

/**
 * A Bedrock API key, or JSON with `accessKeyId`, `secretAccessKey` and perhaps `sessionToken` and
 * `region`. Throws `upstream_credential_invalid`, whose message never quotes the secret.
 */
export function awsIdentityOf(secret: Secret): AwsIdentity {
  let identity = parsed.get(secret);
  if (identity === undefined) {
    identity = parseAwsSecret(secret.reveal().trim());
    parsed.set(secret, identity);
  }
  return identity;
}

function parseAwsSecret(text: string): AwsIdentity {
  if (!text.startsWith('{')) return { kind: 'bearer', token: text, region: null };
  if (text.length > SECRET_MAX_CHARS) throw invalidSecret(`more than ${SECRET_MAX_CHARS} characters`);
  const outer = parseFields(text);
  // `aws sts assume-role` wraps its answer.
  const fields = asFields(outer['Credentials'] ?? outer);
  const accessKeyId = pick(fields, ACCESS_KEY);
  const secretAccessKey = pick(fields, SECRET_KEY);
  if (accessKeyId === null || secretAccessKey === null) throw invalidSecret('not JSON with both keys');
  return {
    kind: 'keys',
    keys: awsKeys(accessKeyId, secretAccessKey, pick(fields, SESSION_TOKEN)),
    region: pick(fields, REGION),
  };
}

/** Checked parts; all of them become header values. Throws `upstream_credential_invalid`. */
export function awsKeys(accessKeyId: string, secretAccessKey: string, sessionToken: string | null): AwsKeys {
  if (!/^\w{8,128}$/.test(accessKeyId)) throw invalidSecret('the access key id has not its form');
  if (!/^[\x21-\x7e]+$/.test(secretAccessKey)) throw invalidSecret('the secret key has not its form');
  if (sessionToken !== null && !/^[\x21-\x7e]+$/.test(sessionToken))
    throw invalidSecret('the session token has not its form');
  return { accessKeyId, secretAccessKey, sessionToken };
}

function pick(fields: Fields, names: readonly string[]): string | null {
  for (const name of names) {
    const value = textField(fields, name);
    if (value !== null) return value;
  }
  return null;
}

function invalidSecret(why: string): Error {
  return upstreamError(
    'upstream_credential_invalid',
    `the bedrock credential cannot be used (${why}); enter a Bedrock API key or {"accessKeyId", "secretAccessKey", "sessionToken"}`,
  );
}
