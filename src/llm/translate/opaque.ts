/**
 * A provider's opaque reasoning (signatures, encrypted content) on its way through a caller of
 * another format. It is sealed under the provider's name, so that it is opened for this provider
 * only; a stranger's is never sent. The seal is no secret and proves nothing: callers may write what
 * they could as well send to the provider themselves.
 *
 * Base64 of `postern: ` and a JSON array of origin and data; Gemini's signatures must be base64.
 */
import { asArray } from '../formats/findings.ts';
import type { TargetFormat } from './contract.ts';
import type { Opaque } from './conversation.ts';

const MARK = 'postern: ';
/** What base64 makes of the mark, whose nine bytes fill twelve characters. */
const PREFIX = 'cG9zdGVybjog';
/** Characters; what is longer is not opened. Reasoning of a turn stays far below. */
const SEALED_MAX = 4 * 1024 * 1024;

/** The name under which a provider's own bytes travel. */
export function originOf(format: TargetFormat, provider: string): string {
  return `${format}:${provider}`;
}

export function sealOpaque({ origin, data }: Opaque): string {
  return Buffer.from(MARK + JSON.stringify([origin, data]), 'utf8').toString('base64');
}

/** Null for what nobody sealed. */
export function openOpaque(sealed: unknown): Opaque | null {
  if (typeof sealed !== 'string' || !sealed.startsWith(PREFIX) || sealed.length > SEALED_MAX) return null;
  const [origin, data] = asArray(
    parseJson(Buffer.from(sealed.slice(PREFIX.length), 'base64').toString('utf8')),
  );
  return typeof origin === 'string' && typeof data === 'string' ? { origin, data } : null;
}

/** Undefined for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
