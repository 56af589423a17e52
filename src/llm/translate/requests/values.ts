/** Careful readers for members of requests, and media in the forms that formats share. */
import type { JsonRecord } from '../../formats/findings.ts';
import type { MediaSource } from '../conversation.ts';

export function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function booleanOrNull(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

/** A count of tokens that a limit can be; null for anything else. */
export function countOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** The members that are not null. */
export function present(members: JsonRecord): JsonRecord {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** `data:` URLs hold their bytes; others are addresses. */
export function sourceFromUrl(url: string): MediaSource {
  // A pattern over the whole would walk through megabytes.
  const comma = url.startsWith('data:') ? url.slice(0, 256).indexOf(',') : -1;
  const found =
    comma < 0 ? null : /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*;base64$/.exec(url.slice(0, comma));
  if (found === null) return { kind: 'url', url };
  return { kind: 'base64', mediaType: found[1] ?? 'application/octet-stream', data: url.slice(comma + 1) };
}

export function sourceToUrl(source: MediaSource): string {
  return source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
}
