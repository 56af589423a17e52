/**
 * Which of the caller's headers reach the provider: all that are end-to-end, except credentials,
 * Postern's own, and what tells where the caller sits (DESIGN section 3, step 6).
 */
import {
  HOP_BY_HOP_HEADERS,
  isCallerCredential,
  isCallerCredentialQuery,
  isPosternHeader,
  isProxyHeader,
} from '../identity/index.ts';

/** Decided anew for the provider's connection, or none of its business. */
const NOT_FORWARDED = new Set([...HOP_BY_HOP_HEADERS, 'host', 'content-length', 'accept-encoding', 'origin']);

/**
 * `keep` names one credential header (lower case) that passthrough lets by, or null.
 * `rawHeaders` is Node's flat list of the request.
 */
export function forwardableHeaders(rawHeaders: readonly string[], keep: string | null): string[] {
  const headers: string[] = [];
  const named = connectionNamed(rawHeaders);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (NOT_FORWARDED.has(lower) || isPosternHeader(lower) || lower.startsWith('sec-fetch-')) continue;
    if (isProxyHeader(lower) || named?.has(lower) === true) continue;
    if (lower !== keep && isCallerCredential(lower)) continue;
    headers.push(name, rawHeaders[i + 1] ?? '');
  }
  return headers;
}

function connectionNamed(rawHeaders: readonly string[]): ReadonlySet<string> | null {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    const value = rawHeaders[i + 1] ?? '';
    if (value.toLowerCase() === 'keep-alive' || value.toLowerCase() === 'close') continue;
    return new Set(value.split(',').map((part) => part.trim().toLowerCase()));
  }
  return null;
}

/** The query without credentials; the rest keeps its bytes and order. */
export function forwardableQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .filter((pair) => !isCallerCredentialQuery(decodeName(pair)))
    .join('&');
}

/** A parameter's name, decoded, so that `%6bey=` is known as `key`. */
function decodeName(pair: string): string {
  const end = pair.indexOf('=');
  const name = end < 0 ? pair : pair.slice(0, end);
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
