/**
 * Which headers of a provider's answer reach the caller. The body is a stranger's: it must not set
 * state, open origins or navigate in a browser that shares this address (DESIGN section 4).
 */

import { rememberByName } from '../wire/header-names.ts';

/** RFC 9110 section 7.6.1, and framing that our own server decides. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a stranger's answer may not say to a browser. `access-control-*` goes by prefix. */
const UNSAFE = new Set([
  'set-cookie',
  'set-cookie2',
  'refresh',
  'clear-site-data',
  'content-security-policy',
  'content-security-policy-report-only',
  'x-content-type-options',
  'strict-transport-security',
  'alt-svc',
  'content-location',
  'link',
  'location',
  'speculation-rules',
  'www-authenticate',
  'nel',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'sourcemap',
  'x-frame-options',
]);

/** Sent with everything that is proxied: whatever it is, a browser may not run or frame it. */
export const PROXIED_HEADERS: readonly string[] = [
  'content-security-policy',
  "sandbox; default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options',
  'nosniff',
];

export interface AnswerHeaders {
  /** Flat list: name, value, name, value … */
  readonly headers: string[];
  readonly contentType: string | null;
  readonly contentLength: number | null;
  readonly contentEncoding: string | null;
}

export type RawHeaders = readonly (Buffer | string)[];

/** What becomes of a header by its name: passed, read and passed, or left out. */
type Fate = 'pass' | 'drop' | 'content-type' | 'content-encoding' | 'content-length';

function decideFate(lower: string): Fate {
  if (lower === 'content-type' || lower === 'content-encoding' || lower === 'content-length') return lower;
  if (HOP_BY_HOP.has(lower) || UNSAFE.has(lower)) return 'drop';
  return lower.startsWith('access-control-') || lower.startsWith('x-postern-') ? 'drop' : 'pass';
}

const fateOf = rememberByName(decideFate);

/** What an answer's body is said to be; null where nothing is said. */
export function mediaOf(raw: RawHeaders): Pick<AnswerHeaders, 'contentType' | 'contentEncoding'> {
  let contentType: string | null = null;
  let contentEncoding: string | null = null;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const fate = fateOf(text(raw[i]));
    if (fate === 'content-type') contentType = text(raw[i + 1]);
    else if (fate === 'content-encoding') contentEncoding = text(raw[i + 1]);
  }
  return { contentType, contentEncoding };
}

/** Copies what may pass. `keepLength` is false where the body will be changed on its way. */
export function filterAnswerHeaders(raw: RawHeaders, keepLength: boolean): AnswerHeaders {
  const headers: string[] = [];
  let contentType: string | null = null;
  let contentLength: number | null = null;
  let contentEncoding: string | null = null;
  const named = connectionNamed(raw);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = text(raw[i]);
    const fate = fateOf(name);
    if (fate === 'drop' || (named !== NONE && named.has(name.toLowerCase()))) continue;
    const value = text(raw[i + 1]);
    if (fate === 'content-type') contentType = value;
    else if (fate === 'content-encoding') contentEncoding = value;
    else if (fate === 'content-length') {
      contentLength = /^\d+$/.test(value) ? Number(value) : null;
      // Beside chunks of ours, a length that cannot be read would be a second framing.
      if (!keepLength || contentLength === null) continue;
    }
    headers.push(name, value);
  }
  return { headers, contentType, contentLength, contentEncoding };
}

const NONE: ReadonlySet<string> = new Set();

/** Headers that `Connection` names are hop-by-hop too (RFC 9110 section 7.6.1). */
function connectionNamed(raw: RawHeaders): ReadonlySet<string> {
  let names: Set<string> | null = null;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i];
    if (name === undefined || name.length !== 10 || text(name).toLowerCase() !== 'connection') continue;
    names ??= new Set();
    for (const part of text(raw[i + 1]).split(',')) names.add(part.trim().toLowerCase());
  }
  return names ?? NONE;
}

function text(part: Buffer | string | undefined): string {
  if (part === undefined) return '';
  return typeof part === 'string' ? part : part.toString('latin1');
}
