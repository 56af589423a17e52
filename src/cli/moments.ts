/** Times as people write them on a command line. */
import { toRfc3339, type UnixMs } from '../base/clock.ts';
import { usageFailure } from './failure.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** `7d`, `90m` and the like, as milliseconds. Fails with `cli_usage`. At most ten years. */
export function parseSpan(text: string, option: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  const milliseconds = unit === undefined ? 0 : Number(match?.[1]) * unit;
  if (milliseconds <= 0 || milliseconds > 3650 * 86_400_000) {
    throw usageFailure(`${option} must be a span such as 30m, 12h, 7d or 4w, got "${text}"`);
  }
  return milliseconds;
}

/** A span back from now, a date (UTC midnight) or a time with its zone, as RFC 3339. Fails with `cli_usage`. */
export function parseMoment(text: string, now: UnixMs, option: string): string {
  if (/^\d+[smhdw]$/.test(text)) return toRfc3339(now - parseSpan(text, option));
  const hasZone = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const time = hasZone ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw usageFailure(
      `${option} must be a span (7d), a date (2026-11-01) or a time with its zone (2026-11-01T08:00:00Z), got "${text}"`,
    );
  }
  return toRfc3339(time);
}

/** The local time of an RFC 3339 text, to the second; the text itself if it is none. */
export function formatLocal(text: string | null): string {
  const time = text === null ? Number.NaN : Date.parse(text);
  if (text === null || Number.isNaN(time)) return text ?? '-';
  const at = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
