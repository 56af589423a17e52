/**
 * When a provider says that it may be asked again: `Retry-After` (RFC 9110 section 10.2.3, seconds
 * or a date), `retry-after-ms` (milliseconds; OpenAI and Azure), and `x-should-retry`, by which
 * OpenAI and Anthropic tell their SDKs what a status does not. All of it is a stranger's word:
 * bounded, and whatever cannot be read is as if it were not there.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { RawHeaders } from '../response-headers.ts';

/** 1 h: a daily quota may state more, but a key that was topped up should not rest until tomorrow. */
export const RETRY_AFTER_MAX_MS = 3_600_000;
/** Longer than any date of RFC 9110 section 5.6.7. */
const VALUE_MAX_LENGTH = 64;

/** The preferred form and the older one with the day's whole name; the oldest names no zone and is left out. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, [\w :-]+ GMT$/;

export interface RetryAdvice {
  /** From now, 0 to `RETRY_AFTER_MAX_MS`; null where nothing readable was said. */
  readonly retryAfterMs: number | null;
  /** Null where nothing was said. */
  readonly shouldRetry: boolean | null;
}

const NO_ADVICE: RetryAdvice = { retryAfterMs: null, shouldRetry: null };

/** Reads an answer's flat header list; `now` is for dates. Never throws. */
export function readRetryAdvice(rawHeaders: RawHeaders, now: UnixMs): RetryAdvice {
  let exactMs: number | null = null;
  let statedMs: number | null = null;
  let shouldRetry: boolean | null = null;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    switch (text(rawHeaders[i]).toLowerCase()) {
      case 'retry-after-ms':
        exactMs ??= readNumber(text(rawHeaders[i + 1]), 1);
        break;
      case 'retry-after':
        statedMs ??= readSecondsOrDate(text(rawHeaders[i + 1]), now);
        break;
      case 'x-should-retry':
        shouldRetry ??= readBoolean(text(rawHeaders[i + 1]));
        break;
      default:
    }
  }
  const retryAfterMs = exactMs ?? statedMs;
  return retryAfterMs === null && shouldRetry === null ? NO_ADVICE : { retryAfterMs, shouldRetry };
}

function readSecondsOrDate(value: string, now: UnixMs): number | null {
  const seconds = readNumber(value, 1000);
  if (seconds !== null || value.length > VALUE_MAX_LENGTH) return seconds;
  // `Date.parse` reads much more than dates of RFC 9110 section 5.6.7, some of it in local time.
  const at = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : bounded(at - now);
}

/** Plain decimals, with a fraction as some providers send it. */
function readNumber(value: string, unitMs: number): number | null {
  return value.length <= VALUE_MAX_LENGTH && /^\d+(\.\d+)?$/.test(value)
    ? bounded(Number(value) * unitMs)
    : null;
}

function readBoolean(value: string): boolean | null {
  if (value === 'true') return true;
  return value === 'false' ? false : null;
}

function bounded(durationMs: number): number {
  return Math.min(RETRY_AFTER_MAX_MS, Math.max(0, Math.ceil(durationMs)));
}

function text(part: Buffer | string | undefined): string {
  if (part === undefined) return '';
  return (typeof part === 'string' ? part : part.toString('latin1')).trim();
}
