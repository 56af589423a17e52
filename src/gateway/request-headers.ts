/**
 * Which of the caller's headers reach the provider: all that are end-to-end, except credentials,
 * Postern's own, and what tells where the caller sits (DESIGN section 3, step 6).
 */
import {
  HOP_BY_HOP_HEADERS,
  isCallerCredential,
  isCallerCredentialQuery,
  isOverrideHeader,
  isOverrideQuery,
  isPosternHeader,
  isProxyHeader,
  TOKEN_PREFIX,
} from '../identity/index.ts';
import { rememberByName } from '../wire/header-names.ts';

/** Decided anew for the provider's connection, or none of its business. */
const NOT_FORWARDED = new Set([
  ...HOP_BY_HOP_HEADERS,
  'host',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'origin',
]);

/** What becomes of a header by its name alone. */
type Fate = 'pass' | 'credential' | 'drop';

function decideFate(lower: string): Fate {
  if (NOT_FORWARDED.has(lower) || isPosternHeader(lower) || lower.startsWith('sec-fetch-')) return 'drop';
  if (isProxyHeader(lower) || isOverrideHeader(lower)) return 'drop';
  return isCallerCredential(lower) ? 'credential' : 'pass';
}

const fateOf = rememberByName(decideFate);

/**
 * `keep` names one credential header (lower case) that passthrough lets by, or null.
 * `rawHeaders` is Node's flat list of the request.
 */
export function forwardableHeaders(rawHeaders: readonly string[], keep: string | null): string[] {
  const headers: string[] = [];
  const named = connectionNamed(rawHeaders);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const fate = fateOf(name);
    if (fate === 'drop' || named?.has(name.toLowerCase()) === true) continue;
    if (fate === 'credential' && name.toLowerCase() !== keep) continue;
    const value = rawHeaders[i + 1] ?? '';
    if (!value.includes(TOKEN_PREFIX)) headers.push(name, value);
  }
  return headers;
}

function connectionNamed(rawHeaders: readonly string[]): ReadonlySet<string> | null {
  let names: Set<string> | null = null;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    const value = rawHeaders[i + 1] ?? '';
    if (value.toLowerCase() === 'keep-alive' || value.toLowerCase() === 'close') continue;
    names ??= new Set();
    for (const part of value.split(',')) names.add(part.trim().toLowerCase());
  }
  return names;
}

/** The query without credentials; the rest keeps its bytes and order. */
export function forwardableQuery(query: string): string {
  if (query === '') return '';
  return query.split('&').filter(mayPass).join('&');
}

function mayPass(pair: string): boolean {
  const end = pair.indexOf('=');
  const name = decode(end < 0 ? pair : pair.slice(0, end));
  return !isCallerCredentialQuery(name) && !isOverrideQuery(name) && !decode(pair).includes(TOKEN_PREFIX);
}

/** Decoded, so that `%6bey=` is known as `key`. */
function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
