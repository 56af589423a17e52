/** Times in the viewer's own zone, and durations. */

const DASH = '–';

/** Microseconds: `840 µs`, `12 ms`, `3.2 s`, `4 min 10 s`. */
export function durationOfUs(us: number | null | undefined): string {
  if (us === null || us === undefined) return DASH;
  return us < 1_000 ? `${us} µs` : durationOfMs(us / 1_000);
}

/** Milliseconds. */
export function durationOfMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return DASH;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const sec = ms / 1_000;
  if (sec < 59.95) return `${sec.toFixed(1)} s`;
  const min = Math.floor(sec / 60);
  if (min < 60) return `${min} min ${Math.floor(sec % 60)} s`;
  const hours = Math.floor(min / 60);
  return hours < 48 ? `${hours} h ${min % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Today the time, else day and time. */
export function shortTime(iso: string, now = new Date()): string {
  const time = new Date(iso);
  if (time.toDateString() === now.toDateString()) return time.toLocaleTimeString();
  return time.toLocaleString([], {
    ...(time.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' }),
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** Day, time with seconds, zone. */
export function exactTime(iso: string): string {
  return new Date(iso).toLocaleString([], { dateStyle: 'full', timeStyle: 'long' });
}

const STEPS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
] as const;

/** `3 minutes ago`, `in 2 hours`, `now`. */
export function relativeTime(iso: string, nowMs = Date.now()): string {
  let value = (Date.parse(iso) - nowMs) / 1_000;
  if (Math.abs(value) < 5) return 'now';
  const format = new Intl.RelativeTimeFormat([], { numeric: 'auto' });
  for (const [unit, size] of STEPS) {
    if (Math.abs(value) < size) return format.format(Math.round(value), unit);
    value /= size;
  }
  return format.format(Math.round(value), 'year');
}
