/**
 * Calendar buckets in a time zone of the IANA database. SQL counts by quarter of an hour, because
 * every zone's offset since 1972 is a multiple of that; here a quarter gets its local label.
 */

/** 15 min in ms. */
export const QUARTER_MS = 900_000;

export type TimeUnit = 'hour' | 'day' | 'week' | 'month';

/** A local label for each quarter (Unix time divided by `QUARTER_MS`). */
export type BucketLabeller = (quarter: number) => string;

/**
 * Labels: hour `2026-10-25T02:00+02:00` (with its offset, so that the hour that comes twice in
 * autumn is two buckets), day `2026-10-25`, week `2026-W43` (ISO 8601, from Monday), month
 * `2026-10`. They sort by time within one zone. Throws `RangeError` for an unknown zone.
 */
export function createLabeller(unit: TimeUnit, timeZone: string): BucketLabeller {
  const offsetMinutes = createOffsets(timeZone);
  return (quarter) => {
    const at = quarter * QUARTER_MS;
    const offset = offsetMinutes(quarter);
    const local = new Date(at + offset * 60_000);
    const date = local.toISOString().slice(0, 10);
    if (unit === 'hour') return `${date}T${twoDigits(local.getUTCHours())}:00${offsetText(offset)}`;
    if (unit === 'week') return isoWeek(local);
    return unit === 'month' ? date.slice(0, 7) : date;
  };
}

/** The zone's offset from UTC at a quarter, in minutes; kept for each quarter that was asked. */
function createOffsets(timeZone: string): (quarter: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const known = new Map<number, number>();
  return (quarter) => {
    const hit = known.get(quarter);
    if (hit !== undefined) return hit;
    const at = quarter * QUARTER_MS;
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(at)) part[type] = Number(value);
    const local = Date.UTC(
      part.year ?? 0,
      (part.month ?? 1) - 1,
      part.day ?? 1,
      part.hour ?? 0,
      part.minute ?? 0,
    );
    const offset = Math.round((local - at) / 60_000);
    known.set(quarter, offset);
    return offset;
  };
}

/** ISO 8601 week of a local date that is held in UTC fields: the week belongs to the year of its Thursday. */
function isoWeek(local: Date): string {
  const day = (local.getUTCDay() + 6) % 7;
  const thursday = new Date(
    Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate() - day + 3),
  );
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * 86_400_000));
  return `${year}-W${twoDigits(week)}`;
}

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}:${twoDigits(size % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
