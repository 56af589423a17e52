/**
 * Which request headers mean what to identity. One table, so that what a door reads, what is
 * stripped before forwarding, and what betrays a proxy can never drift apart. Names are lower case.
 */

/** Headers that carry a caller's credential besides AWS's, which `isCallerCredential` knows by their prefix. */
const CALLER_CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'x-postern-authorization',
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'cookie',
  'cookie2',
  'proxy-authorization',
]);

/** Headers in which a Postern token or an accepted JWT may be presented. */
export const TOKEN_HEADERS: ReadonlySet<string> = new Set([
  'x-postern-authorization',
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
]);

/** Query parameters that carry a caller's credential besides those known by a prefix, lower case. */
const CALLER_CREDENTIAL_QUERY: ReadonlySet<string> = new Set([
  'key',
  'api_key',
  'access_token',
  'oauth_token',
]);

/** What every Postern token begins with; nothing that holds it goes upstream, whatever it is called. */
export const TOKEN_PREFIX = 'pst_';

/**
 * Headers by which a request would become another one than policy saw: Google's servers take the
 * method from them.
 */
const OVERRIDE_HEADERS: ReadonlySet<string> = new Set([
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
]);

/** Whether a header (lower-case name) makes another request of the one that it is in. */
export function isOverrideHeader(name: string): boolean {
  return OVERRIDE_HEADERS.has(name);
}

/** Google's system parameters that stand for a method, headers or a body (`$httpMethod`, `$httpHeaders`, `$req`, `$ct`). */
const OVERRIDE_QUERY: ReadonlySet<string> = new Set(['$httpmethod', '$httpheaders', '$req', '$ct']);

/** Whether a query parameter (any case) makes another request of the one that it is in. */
export function isOverrideQuery(name: string): boolean {
  return OVERRIDE_QUERY.has(name.toLowerCase());
}

/** Whether a header (lower-case name) carries a caller's credential and must not go upstream. */
export function isCallerCredential(name: string): boolean {
  return CALLER_CREDENTIAL_HEADERS.has(name) || name.startsWith('x-amz-');
}

/** Whether a query parameter (any case) carries a caller's credential and must not go upstream. */
export function isCallerCredentialQuery(name: string): boolean {
  const lower = name.toLowerCase();
  return CALLER_CREDENTIAL_QUERY.has(lower) || lower.startsWith('x-amz-') || lower.startsWith('x-goog-');
}

/** Whether a header (lower-case name) is Postern's own; none goes upstream and none is believed from there. */
export function isPosternHeader(name: string): boolean {
  return name.startsWith('x-postern-');
}

const PROXY_HEADERS: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'true-client-ip',
  'client-ip',
  'cf-connecting-ip',
  'cf-ray',
  'fastly-client-ip',
  'fly-client-ip',
  'x-envoy-external-address',
  'x-proxyuser-ip',
  'proxy-connection',
  'cdn-loop',
]);

/**
 * Whether a header (lower-case name) shows that a proxy stands between the caller and us, so that
 * the connection's owner is the proxy and not the caller. `tailscale serve` and Funnel count too.
 */
export function isProxyHeader(name: string): boolean {
  return PROXY_HEADERS.has(name) || name.startsWith('x-forwarded-') || name.startsWith('tailscale-');
}

/** Headers that concern one connection only (RFC 9110 section 7.6.1) and are never forwarded. */
export const HOP_BY_HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
]);
