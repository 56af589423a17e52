/** Every step of a span by the labels of the API, so that a chart shows days on which nothing was. */
import type { Interval, UsageSpan } from './usage-queries.ts';

/** More are not drawn apart by a screen. */
const STEPS_MAX = 800;

/**
 * Labels from the begin of the span to its end in the viewer's zone, oldest first. Weeks and months
 * are left to what the API answered: `known` are its labels, which are always in.
 */
export function stepsOf(
  span: UsageSpan,
  interval: Interval,
  known: readonly string[],
  now: number,
): string[] {
  const labels = new Set(known);
  const isSparse = interval === 'week' || interval === 'month';
  // Without a first row there is no style of label to follow.
  const style = known[0];
  if (!isSparse && style !== undefined) {
    const end = span.to === undefined ? now : Date.parse(span.to);
    const first = Math.max(Date.parse(span.from), end - STEPS_MAX * stepMs(interval));
    const begin = new Date(first);
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const at = stepAt(begin, interval, step);
      if (at.getTime() >= end) break;
      labels.add(labelOf(at, interval, style));
    }
  }
  return [...labels].toSorted();
}

function stepMs(interval: Interval): number {
  return interval === 'hour' ? 3_600_000 : 86_400_000;
}

/** Days have 23 to 25 hours: the calendar counts them. */
function stepAt(begin: Date, interval: Interval, step: number): Date {
  const [year, month, day] = [begin.getFullYear(), begin.getMonth(), begin.getDate()];
  if (interval === 'day') return new Date(year, month, day + step);
  return new Date(begin.getTime() - (begin.getTime() % 60_000) + step * 3_600_000);
}

function labelOf(at: Date, interval: Interval, style: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  if (interval === 'day') return day;
  // What stands between and after day and hour is as in the answer.
  return `${day}${style.slice(10, 11)}${two(at.getHours())}${style.slice(13)}`;
}
