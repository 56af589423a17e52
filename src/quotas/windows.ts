/**
 * Calendar windows in a time zone of the IANA database: hour, day, week (from Monday, ISO 8601) and
 * month. Windows follow each other without gap or overlap, over changes of the clocks too: a day of
 * 23 or 25 hours is one window, and where midnight does not exist the day begins when the clocks
 * come out of the gap. The hour that comes twice in autumn is two windows.
 */
import type { UnixMs } from '../base/clock.ts';

export type WindowUnit = 'hour' | 'day' | 'week' | 'month';

export interface Window {
  readonly start: UnixMs;
  /** The first moment of the next one. */
  readonly end: UnixMs;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Finds the window that holds a moment; `null` as zone is UTC. Throws `RangeError` for an unknown zone. */
export class Windows {
  readonly #formats = new Map<string, Intl.DateTimeFormat>();

  at(unit: WindowUnit, timeZone: string | null, now: UnixMs): Window {
    const zone = timeZone ?? 'UTC';
    const offset = (at: UnixMs): number => this.#offsetMs(zone, at);
    const local = now + offset(now);
    if (unit === 'hour') {
      const start = now - mod(local, HOUR_MS);
      return { start, end: start + HOUR_MS };
    }
    const first = localStart(unit, local);
    return { start: toUtc(first, offset), end: toUtc(nextLocalStart(unit, first), offset) };
  }

  /** The zone's offset from UTC at a moment, in milliseconds. */
  #offsetMs(zone: string, at: UnixMs): number {
    if (zone === 'UTC') return 0;
    const whole = Math.floor(at / 1000) * 1000;
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of this.#format(zone).formatToParts(whole)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
  }

  #format(zone: string): Intl.DateTimeFormat {
    const known = this.#formats.get(zone);
    if (known !== undefined) return known;
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    this.#formats.set(zone, format);
    return format;
  }
}

/** The first local moment of the window, local time held in UTC fields. */
function localStart(unit: Exclude<WindowUnit, 'hour'>, local: number): number {
  const day = local - mod(local, DAY_MS);
  if (unit === 'day') return day;
  const date = new Date(day);
  // 1970-01-01 was a Thursday; Monday is day 0 of the week.
  if (unit === 'week') return day - ((date.getUTCDay() + 6) % 7) * DAY_MS;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

function nextLocalStart(unit: Exclude<WindowUnit, 'hour'>, first: number): number {
  if (unit === 'day') return first + DAY_MS;
  if (unit === 'week') return first + 7 * DAY_MS;
  const date = new Date(first);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** The first moment at which local clocks show `local` or, where they skip it, something later. */
function toUtc(local: number, offset: (at: UnixMs) => number): UnixMs {
  const before = offset(local - DAY_MS);
  const after = offset(local + DAY_MS);
  const candidates = [local - Math.max(before, after), local - Math.min(before, after)];
  for (const at of candidates) if (at + offset(at) === local) return at;
  // Skipped: the change lies between the candidates.
  let [low = 0, high = 0] = candidates;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
