/**
 * AWS Signature Version 4 for request headers
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 *
 *   canonical request = method LF path LF query LF headers LF LF names LF hex(sha256(body))
 *   string to sign    = AWS4-HMAC-SHA256 LF time LF scope LF hex(sha256(canonical request))
 *   key               = HMAC chain over date, region, service, "aws4_request"
 *
 * The path of the canonical request is the path as sent, encoded once more (all services but S3).
 * Left out: presigned URLs, chunked bodies, SigV4A.
 */
import type { UnixMs } from '../../base/clock.ts';
import { hmacSha256, sha256Hex } from '../../crypto/index.ts';
import type { Header } from './headers.ts';
import { encodeStrict } from './paths.ts';

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Null for long-term keys. */
  readonly sessionToken: string | null;
}

export interface SigningRequest {
  readonly method: string;
  /** With its port unless that is the scheme's own. */
  readonly host: string;
  /** As sent: percent-encoded once, without the query. */
  readonly path: string;
  readonly query: string;
  /** Flat list of what else is sent; `content-type` and `x-amz-*` get signed. */
  readonly headers: readonly string[];
  /** Lower-case hex of the body's SHA-256. */
  readonly bodyHash: string;
  readonly region: string;
  readonly service: string;
  readonly time: UnixMs;
}

/** What the signer writes; none of these may be among the headers that it is given. */
export const SIGNATURE_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
]);

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** The headers to add to the request. */
export function signV4(request: SigningRequest, keys: AwsKeys): Header[] {
  const time = new Date(request.time).toISOString().replace(/[:-]|\.\d{3}/g, '');
  const date = time.slice(0, 8);
  const added: Header[] = [
    ['x-amz-date', time],
    ['x-amz-content-sha256', request.bodyHash],
  ];
  if (keys.sessionToken !== null) added.push(['x-amz-security-token', keys.sessionToken]);

  const signed = signedHeaders(request, added);
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    request.bodyHash,
  ].join('\n');
  const scope = `${date}/${request.region}/${request.service}/aws4_request`;
  const toSign = [ALGORITHM, time, scope, sha256Hex(canonical)].join('\n');
  const signature = Buffer.from(hmacSha256(signingKey(keys, date, request), toSign)).toString('hex');
  const credential = `Credential=${keys.accessKeyId}/${scope}`;
  added.push(['authorization', `${ALGORITHM} ${credential}, SignedHeaders=${names}, Signature=${signature}`]);
  return added;
}

/** Sorted by name, values trimmed and inner runs of blanks folded, equal names joined by commas. */
function signedHeaders(request: SigningRequest, added: readonly Header[]): Header[] {
  const values = new Map<string, string>([['host', request.host]]);
  const add = (name: string, value: string): void => {
    const folded = value.trim().replace(/[ \t]+/g, ' ');
    const before = values.get(name);
    values.set(name, before === undefined ? folded : `${before},${folded}`);
  };
  for (let i = 0; i + 1 < request.headers.length; i += 2) {
    const name = (request.headers[i] ?? '').toLowerCase();
    if (name === 'content-type' || name.startsWith('x-amz-')) add(name, request.headers[i + 1] ?? '');
  }
  for (const [name, value] of added) add(name, value);
  return [...values].sort(([a], [b]) => compare(a, b));
}

function canonicalPath(path: string): string {
  return path.split('/').map(encodeStrict).join('/');
}

/** Each name and value decoded and encoded strictly, sorted by name, then value. */
function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair): Header => {
    const end = pair.indexOf('=');
    return end < 0 ? [recode(pair), ''] : [recode(pair.slice(0, end)), recode(pair.slice(end + 1))];
  });
  return pairs
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** By code unit, as AWS sorts; all is ASCII here. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function recode(text: string): string {
  try {
    return encodeStrict(decodeURIComponent(text));
  } catch {
    return encodeStrict(text);
  }
}

interface CachedKey {
  readonly scope: string;
  readonly key: Uint8Array;
}

/** The last key of each credential: it holds for a day, a region and a service. */
const keyCache = new WeakMap<AwsKeys, CachedKey>();

function signingKey(keys: AwsKeys, date: string, { region, service }: SigningRequest): Uint8Array {
  const scope = `${date}/${region}/${service}`;
  const cached = keyCache.get(keys);
  if (cached?.scope === scope) return cached.key;
  const dateKey = hmacSha256(Buffer.from(`AWS4${keys.secretAccessKey}`), date);
  const key = hmacSha256(hmacSha256(hmacSha256(dateKey, region), service), 'aws4_request');
  keyCache.set(keys, { scope, key });
  return key;
}
