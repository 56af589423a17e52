/**
 * What must hold of a request before anybody asks who is calling (DESIGN section 4): it names this
 * server, and no foreign web page made it. Pure; one pass over the raw headers.
 *
 * A browser adds a person's ambient identity (loopback, tailnet address) to whatever any page asks
 * of it. `Host` stops rebinding names; `Origin` and `Sec-Fetch-Site` (Fetch Metadata) stop pages;
 * a JSON media type makes every cross-site write ask by preflight first, which is refused.
 */

export interface RequestGuardOptions {
  /** Closed list of `Host` values: `localhost:8080`, `[::1]:8080`, `postern.example.ts.net`. */
  readonly hosts: readonly string[];
  /** Origins besides the server's own that may call, as a browser writes them. Default none. */
  readonly origins?: readonly string[];
  /** What the listener speaks; its own origin has this scheme. `either` behind a proxy that ends TLS. */
  readonly scheme: 'http' | 'https' | 'either';
}

export interface RequestFacts {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  /** Flat list as received. */
  readonly rawHeaders: readonly string[];
  /** A write must bear a JSON media type: true on API paths. */
  readonly jsonWrites: boolean;
  /** A page that other sites may link to (GET navigations only); default false. */
  readonly linkable?: boolean;
}

export type GuardCode = 'host_unknown' | 'origin_foreign' | 'request_invalid' | 'media_type_wrong';

export type GuardAnswer =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly status: 400 | 403 | 415 | 421;
      readonly code: GuardCode;
      readonly message: string;
    };

export interface RequestGuard {
  checkRequest(facts: RequestFacts): GuardAnswer;
  /** Names change when a device joins or leaves a network. */
  setHosts(hosts: readonly string[]): void;
}

const OK: GuardAnswer = { ok: true };

/** The `Host` values of a loopback listener. */
export function loopbackHosts(port: number): string[] {
  const names = ['localhost', '127.0.0.1', '[::1]'];
  return port === 80
    ? [...names, ...names.map((name) => `${name}:80`)]
    : names.map((name) => `${name}:${port}`);
}

export function createRequestGuard(options: RequestGuardOptions): RequestGuard {
  let hosts = new Set(options.hosts.map((host) => host.toLowerCase()));
  const origins = new Set(options.origins);
  return {
    checkRequest(facts) {
      const wrongTarget = checkTarget(facts.target);
      if (wrongTarget !== null) return invalid(wrongTarget);
      const seen = scanHeaders(facts.rawHeaders);
      if (seen.hosts !== 1)
        return invalid(
          seen.hosts === 0
            ? 'a request must have a Host header'
            : 'a request must have one Host header, not several',
        );
      if (seen.contentTypes > 1) return invalid('a request must have one Content-Type header, not several');
      const host = hosts.has(seen.host) ? seen.host : seen.host.toLowerCase();
      if (!hosts.has(host)) {
        return no(
          421,
          'host_unknown',
          `the Host ${quote(seen.host)} is not a name of this server; the operator adds names with \`hosts\` in the settings`,
        );
      }
      const foreign = checkSource(facts, seen, { host, origins, scheme: options.scheme });
      if (foreign !== null) return no(403, 'origin_foreign', foreign);
      if (facts.jsonWrites && !hasJsonBody(facts.method, seen.contentType)) {
        return no(415, 'media_type_wrong', 'a write must have `content-type: application/json`');
      }
      return OK;
    },
    setHosts(next) {
      hosts = new Set(next.map((name) => name.toLowerCase()));
    },
  };
}

/** Origin form only (RFC 9112 section 3.2.1): a target that names a host could disagree with `Host`. */
function checkTarget(target: string): string | null {
  if (target.startsWith('//'))
    return 'the path begins with two slashes; take the last slash off the base URL';
  if (!target.startsWith('/')) return 'the request target must be a path';
  return hasDotSegment(target) ? 'the path must have no "." or ".." segments' : null;
}

/** Who dispatches by the path as sent, and who resolves it first, would take it for two (RFC 3986 section 5.2.4). */
function hasDotSegment(target: string): boolean {
  if (!target.includes('/.') && !target.includes('%2')) return false;
  const end = target.indexOf('?');
  return /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(end < 0 ? target : target.slice(0, end));
}

interface SeenHeaders {
  hosts: number;
  host: string;
  origin: string | null;
  origins: number;
  fetchSite: string | null;
  fetchMode: string | null;
  contentType: string | null;
  contentTypes: number;
}

/** Lengths first: most headers are none of these, and comparing lengths costs nothing. */
function scanHeaders(raw: readonly string[]): SeenHeaders {
  const seen: SeenHeaders = {
    hosts: 0,
    host: '',
    origin: null,
    origins: 0,
    fetchSite: null,
    fetchMode: null,
    contentType: null,
    contentTypes: 0,
  };
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const length = name.length;
    if (length !== 4 && length !== 6 && length !== 12 && length !== 14) continue;
    const value = raw[i + 1] ?? '';
    switch (name.toLowerCase()) {
      case 'host':
        seen.hosts += 1;
        seen.host = value;
        break;
      case 'origin':
        seen.origins += 1;
        seen.origin = value;
        break;
      case 'content-type':
        seen.contentTypes += 1;
        seen.contentType = value;
        break;
      case 'sec-fetch-site':
        seen.fetchSite = value;
        break;
      case 'sec-fetch-mode':
        seen.fetchMode = value;
        break;
      default:
    }
  }
  return seen;
}

interface OwnOrigin {
  readonly host: string;
  readonly origins: ReadonlySet<string>;
  readonly scheme: RequestGuardOptions['scheme'];
}

/** Null if no foreign page is behind the request, else why. */
function checkSource(facts: RequestFacts, seen: SeenHeaders, own: OwnOrigin): string | null {
  if (seen.origins > 1) return 'a request must have one Origin header, not several';
  if (seen.origin !== null) {
    if (own.origins.has(seen.origin)) return null;
    if (!isOwnOrigin(seen.origin, own))
      return `a page of the origin ${quote(seen.origin)} may not call this server`;
  }
  switch (seen.fetchSite) {
    case null:
    case 'same-origin':
    case 'none':
      return null;
    default:
      /* Following a link is a person's act and gives the linking page nothing to read. */
      if (facts.linkable === true && facts.method === 'GET' && seen.fetchMode === 'navigate') return null;
      return 'a page of another site may not call this server';
  }
}

function isOwnOrigin(origin: string, own: OwnOrigin): boolean {
  const lower = origin.toLowerCase();
  return (
    (own.scheme !== 'https' && sameAuthority(lower, 'http://', own.host, ':80')) ||
    (own.scheme !== 'http' && sameAuthority(lower, 'https://', own.host, ':443'))
  );
}

/** Browsers leave a default port out of Origin; `Host` may bear it. */
function sameAuthority(origin: string, prefix: string, host: string, defaultPort: string): boolean {
  const bare = host.endsWith(defaultPort) ? host.slice(0, -defaultPort.length) : host;
  return origin === `${prefix}${bare}`;
}

const JSON_MEDIA = /^application\/(?:json|hujson|[a-z0-9!#$&^_.-]+\+json)\s*(?:;|$)/i;

function hasJsonBody(method: string, contentType: string | null): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
      return true;
    case 'DELETE':
      /* Not a simple method: a page cannot send it without a preflight. */
      return contentType === null || JSON_MEDIA.test(contentType);
    default:
      return contentType !== null && JSON_MEDIA.test(contentType);
  }
}

function invalid(message: string): GuardAnswer {
  return no(400, 'request_invalid', message);
}

function no(status: 400 | 403 | 415 | 421, code: GuardCode, message: string): GuardAnswer {
  return { ok: false, status, code, message };
}

/** A stranger's text, short and printable, for a message that goes back to them. */
function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
