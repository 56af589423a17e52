/**
 * Which credentials a request presents that could be ours: a Postern token (`pst_…`) or a JWT of a
 * configured issuer. Everything else is the caller's own business with nobody: ignored here,
 * stripped before forwarding. Nothing is verified here.
 */
import { TOKEN_HEADERS, TOKEN_PREFIX } from '../identity/headers.ts';

export { TOKEN_PREFIX };

/** Longer values are no token of ours, and JWTs of real issuers stay well below. */
const CREDENTIAL_MAX_CHARS = 16 * 1024;

export type Presented =
  | { readonly kind: 'none' }
  /** Two different ones: nobody can say which identity is meant. */
  | { readonly kind: 'several' }
  | { readonly kind: 'postern'; readonly text: string }
  | { readonly kind: 'jwt'; readonly text: string }
  /** In Postern's own header, and nothing that we know. */
  | { readonly kind: 'unusable' };

const NONE: Presented = { kind: 'none' };
const SEVERAL: Presented = { kind: 'several' };
const UNUSABLE: Presented = { kind: 'unusable' };

export interface PresentedOptions {
  /** Whether a JWT claims an issuer that the operator configured; must not throw on any text. */
  readonly isOurJwt: (text: string) => boolean;
  /** Whether this is the operator's break-glass token; constant time. */
  readonly isBreakGlass: (text: string) => boolean;
}

/** `rawHeaders` is the flat list as received, `target` the request line's path and query. */
export function findPresented(
  rawHeaders: readonly string[],
  target: string,
  options: PresentedOptions,
): Presented {
  let found = NONE;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (!mayBearToken(name.length)) continue;
    const lower = name.toLowerCase();
    if (!TOKEN_HEADERS.has(lower)) continue;
    const next = classify(rawHeaders[i + 1] ?? '', lower, options);
    found = combine(found, next);
  }
  const key = queryKey(target);
  return key === null ? found : combine(found, classify(key, 'key', options));
}

/** Lengths of the names in TOKEN_HEADERS: most headers are ruled out without lower-casing them. */
function mayBearToken(length: number): boolean {
  return length === 7 || length === 9 || length === 13 || length === 14 || length === 23;
}

function classify(value: string, where: string, options: PresentedOptions): Presented {
  const isOwnHeader = where === 'x-postern-authorization';
  const text = bare(value, where);
  if (text.length > CREDENTIAL_MAX_CHARS) return isOwnHeader ? UNUSABLE : NONE;
  if (text.startsWith(TOKEN_PREFIX)) return { kind: 'postern', text };
  if (text.startsWith('ey') && options.isOurJwt(text)) return { kind: 'jwt', text };
  if (text.length > 0 && options.isBreakGlass(text)) return { kind: 'postern', text };
  return isOwnHeader ? UNUSABLE : NONE;
}

/** Without the scheme. `Bearer` is optional where clients send bare keys. */
function bare(value: string, where: string): string {
  const text = value.trim();
  if (where === 'authorization' || where === 'x-postern-authorization') {
    const match = /^bearer +/i.exec(text);
    if (match !== null) return text.slice(match[0].length);
    const basic = where === 'authorization' ? basicUser(text) : null;
    if (basic !== null) return basic;
    /* Other schemes (AWS4-HMAC-SHA256, Basic with anything else) are no token of ours. */
    return where === 'x-postern-authorization' && !text.includes(' ') ? text : '';
  }
  return text;
}

/** A token as the user name of `Basic`, as `curl -u` and Tailscale's clients send an API key; null for anything else. */
function basicUser(text: string): string | null {
  const [, value] = /^basic +([A-Za-z0-9+/=]{1,400})$/i.exec(text) ?? [];
  if (value === undefined) return null;
  const [name = ''] = Buffer.from(value, 'base64').toString('latin1').split(':', 1);
  return name.startsWith(TOKEN_PREFIX) && name.length > TOKEN_PREFIX.length ? name : null;
}

/** SDKs may send one key in two headers; that is one credential. */
function combine(a: Presented, b: Presented): Presented {
  if (b.kind === 'none') return a;
  if (a.kind === 'none') return b;
  if (a.kind === 'several' || b.kind === 'several') return SEVERAL;
  if (a.kind === 'unusable' || b.kind === 'unusable') return UNUSABLE;
  return a.text === b.text ? a : SEVERAL;
}

/** The value of `?key=` (decoded), or null. Two of them count as one text that no token matches. */
function queryKey(target: string): string | null {
  const start = target.indexOf('?');
  if (start === -1 || !target.includes('key', start)) return null;
  const values = new URLSearchParams(target.slice(start + 1)).getAll('key');
  return values.length === 0 ? null : values.join(' ');
}
