/**
 * Paths of requests to providers. A format's path is appended to the base URL; a version at the
 * base URL's end, which many people write there, is understood.
 */
import { upstreamError } from './contract.ts';
import type { UpstreamInput } from './contract.ts';

/**
 * Base paths under which the OpenAI routes lie without `/v1`: another version (`/api/paas/v4`,
 * `/v1beta/openai`), Vertex's `/endpoints/openapi`, and the ChatGPT account's Codex service.
 */
const STANDS_FOR_V1 =
  /\/(?:v(?:[2-9]|[1-9]\d)|v1(?:alpha|beta)\d*(?:\/openai)?|endpoints\/openapi|backend-api\/codex)$/;

/** `path` under `prefix`, for formats whose paths begin with `/v1`. */
export function versionedPath(prefix: string, path: string): string {
  const base = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  if (base.endsWith('/v1')) return base.slice(0, -3) + path;
  if (base !== '' && path.startsWith('/v1/') && STANDS_FOR_V1.test(base)) return base + path.slice(3);
  return base + path;
}

/** `prefix` without the first of `endings` that it ends with, and without a slash at its end. */
export function withoutEnding(prefix: string, ...endings: readonly string[]): string {
  const base = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  for (const ending of endings) if (base.endsWith(ending)) return base.slice(0, -ending.length);
  return base;
}

/** The path without its leading `/v1`; for base paths that bring their own version. */
export function withoutVersion(path: string): string {
  return path.startsWith('/v1/') ? path.slice(3) : path;
}

/** Percent-encodes all but RFC 3986's unreserved characters, as AWS does. */
export function encodeStrict(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A model id as one segment of a Google path; `@` (a version) stays as clients send it. */
export function encodeGoogleModel(model: string): string {
  return encodeStrict(model).replaceAll('%40', '@');
}

/**
 * Path and query to send. Throws `upstream_path_refused` for dot segments, spaces and control
 * characters: model ids and object ids of callers are part of paths, and must not lead elsewhere.
 */
export function requestTarget(path: string, ...queries: readonly string[]): string {
  const folded = path.includes('%') ? path.replace(/%2e/gi, '.').replace(/%2f|%5c/gi, '/') : path;
  if (!path.startsWith('/') || /[^\x21-\x7e]|[#?\\]/.test(path) || /\/\.{1,2}(?:\/|$)/.test(folded)) {
    throw upstreamError('upstream_path_refused', 'the path must be printable ASCII without dot segments');
  }
  const query = queries.filter((part) => part !== '').join('&');
  return query === '' ? path : `${path}?${query}`;
}

/** Refuses a format that the provider kind does not speak. */
export function unsupportedFormat(input: UpstreamInput): never {
  const { provider, match } = input;
  throw upstreamError(
    'upstream_format_unsupported',
    `a provider of kind ${provider.kind} does not serve ${match.format}; use a model of another provider`,
  );
}
