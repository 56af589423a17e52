/**
 * The headers of a request to a provider: the caller's, then what the provider kind needs, the
 * provider's and the grant's `add_headers`, and the credential.
 */
import { rememberByName } from '../../wire/header-names.ts';
import { upstreamError } from './contract.ts';
import type { UpstreamInput, UpstreamProvider } from './contract.ts';

export type Header = readonly [name: string, value: string];

/** What a provider kind adds; names in lower case. */
export interface HeaderPlan {
  /** Over whatever the caller sent. */
  readonly set?: readonly Header[];
  /** Only where the caller sent none. */
  readonly defaults?: readonly Header[];
  /** Sent by nobody, `add_headers` included: the kind writes them itself, later. */
  readonly drop?: ReadonlySet<string>;
}

/** Headers that carry a provider credential in one provider's style or another. */
const CREDENTIAL_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
]);

/**
 * Headers by which a caller would choose who is billed, among those that our key may bill. They
 * pass only beside the caller's own credential; for ours, `add_headers` says.
 */
const BILLING_NAMES: ReadonlySet<string> = new Set([
  'openai-organization',
  'openai-project',
  'x-goog-user-project',
]);

/** Written by us or by the connection; `accept-encoding` is `identity` because answers are read as they pass. */
const FRAMING_NAMES: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'content-length',
  'accept-encoding',
]);

/** A name as it is compared, and what it is. */
interface NamedHeader {
  readonly lower: string;
  readonly kind: 'framing' | 'credential' | 'billing' | 'other';
}

function readName(lower: string): NamedHeader {
  if (FRAMING_NAMES.has(lower)) return { lower, kind: 'framing' };
  if (CREDENTIAL_NAMES.has(lower)) return { lower, kind: 'credential' };
  return { lower, kind: BILLING_NAMES.has(lower) ? 'billing' : 'other' };
}

const nameOf = rememberByName(readName);

/** HTTP's token and field value (RFC 9110 sections 5.1, 5.5), bytes above 127 left out. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;

/** A Postern token is never passed on, whatever the mode. */
const POSTERN_TOKEN = /^(?:bearer\s+)?pst_/i;

/** The flat list of headers to send. */
export function outgoingHeaders(input: UpstreamInput, plan: HeaderPlan): string[] {
  const added = addedHeaders(input);
  const kept = callersCredential(input);
  const out: string[] = [];
  // Only defaults ask what was sent.
  const seen = plan.defaults === undefined ? null : new Set<string>();
  const { headers } = input;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const { lower, kind } = nameOf(name);
    if (kind === 'framing' || (kind === 'credential' && i !== kept)) continue;
    if (kind === 'billing' && kept === null) continue;
    if (isNamed(plan.set, lower) || plan.drop?.has(lower) === true) continue;
    if (added.names.size > 0 && added.names.has(lower)) continue;
    seen?.add(lower);
    out.push(name, headers[i + 1] ?? '');
  }
  for (const [name, value] of plan.defaults ?? [])
    if (seen?.has(name) !== true && !added.names.has(name)) out.push(name, value);
  for (const [name, value] of plan.set ?? []) if (!added.names.has(name)) out.push(name, value);
  for (const [name, value] of added.headers)
    if (plan.drop?.has(name.toLowerCase()) !== true) out.push(name, value);
  out.push('accept-encoding', 'identity');
  if (
    input.body.length > 0 ||
    (input.method !== 'GET' && input.method !== 'HEAD' && input.method !== 'DELETE')
  ) {
    out.push('content-length', String(input.body.length));
  }
  return out;
}

/**
 * The credential's header, or null where none is to be sent: mode `none`, or `passthrough` with a
 * credential of the caller's own. A key is needed otherwise only by the provider, so its absence
 * is not an error here: local servers have none.
 */
export function credentialHeader(input: UpstreamInput): Header | null {
  if (!sendsOurs(input) || input.credential === null) return null;
  return keyHeader(input.credential.header, input.credential.secret.reveal());
}

/**
 * As `credentialHeader`, for Google, where documents say `bearer` for API keys too: those (`AIza…`)
 * count only in `x-goog-api-key`.
 */
export function googleKeyHeader(input: UpstreamInput): Header | null {
  const header = credentialHeader(input);
  if (header === null || !header[1].startsWith('Bearer AIza')) return header;
  return ['x-goog-api-key', header[1].slice('Bearer '.length)];
}

/** Whether our credential goes with this request. */
export function sendsOurs(input: UpstreamInput): boolean {
  return input.provider.authMode !== 'none' && callersCredential(input) === null;
}

/** A key as the header that is asked for. Throws `upstream_credential_invalid`. */
export function keyHeader(header: string, key: string): Header {
  const value = key.trim();
  if (value === '' || !VALUE.test(value)) {
    throw upstreamError(
      'upstream_credential_invalid',
      'the provider key must be printable ASCII on one line; enter it again',
    );
  }
  const name = header.toLowerCase();
  if (name === 'bearer' || name === 'authorization') return ['authorization', `Bearer ${value}`];
  if (!NAME.test(name)) {
    throw upstreamError('upstream_credential_invalid', 'the header of the provider key is not a header name');
  }
  return [name, value];
}

/** `set` of a plan from a header that may be absent. */
export function only(header: Header | null): readonly Header[] {
  return header === null ? [] : [header];
}

/** Index of the caller's credential that passthrough keeps, or null. */
function callersCredential(input: UpstreamInput): number | null {
  if (input.provider.authMode !== 'passthrough') return null;
  const { headers } = input;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (CREDENTIAL_NAMES.has((headers[i] ?? '').toLowerCase()) && !POSTERN_TOKEN.test(headers[i + 1] ?? ''))
      return i;
  }
  return null;
}

interface AddedHeaders {
  readonly names: ReadonlySet<string>;
  readonly headers: readonly Header[];
}

const addedByProvider = new WeakMap<UpstreamProvider, AddedHeaders>();

function addedHeaders(input: UpstreamInput): AddedHeaders {
  let added = addedByProvider.get(input.provider);
  if (added === undefined) {
    added = collectAdded(input.provider.addHeaders);
    addedByProvider.set(input.provider, added);
  }
  if (input.addHeaders === undefined || input.addHeaders.length === 0) return added;
  return collectAdded([...input.provider.addHeaders, ...input.addHeaders]);
}

/** The last of equal names wins. */
function collectAdded(headers: readonly Header[]): AddedHeaders {
  const last = new Map<string, Header>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (FRAMING_NAMES.has(lower) || !NAME.test(name) || !VALUE.test(value)) continue;
    last.set(lower, [name, value]);
  }
  return { names: new Set(last.keys()), headers: [...last.values()] };
}

function isNamed(headers: readonly Header[] | undefined, lower: string): boolean {
  if (headers === undefined) return false;
  for (const [name] of headers) if (name === lower) return true;
  return false;
}
