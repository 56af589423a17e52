/** Spans of time that lists and charts are asked for. */

export const RANGES = [
  { id: '1h', label: 'Last hour', ms: 3_600_000 },
  { id: '24h', label: 'Last 24 hours', ms: 86_400_000 },
  { id: '7d', label: 'Last 7 days', ms: 7 * 86_400_000 },
  { id: '30d', label: 'Last 30 days', ms: 30 * 86_400_000 },
] as const;

/** Either a preset that moves with the clock, or fixed times (RFC 3339; `to` null means until now). */
export interface Range {
  readonly preset: (typeof RANGES)[number]['id'] | null;
  readonly from: string | null;
  readonly to: string | null;
}

/** `from` and `to` as the API takes them. A preset begins at a whole minute, so that a question can be cached. */
export function boundsOf(range: Range, now = Date.now()): { from: string; to?: string } {
  const preset = RANGES.find(({ id }) => id === range.preset);
  if (preset !== undefined)
    return { from: new Date(Math.floor((now - preset.ms) / 60_000) * 60_000).toISOString() };
  return {
    from: range.from ?? new Date(0).toISOString(),
    ...(range.to === null ? {} : { to: range.to }),
  };
}

/** The span in words. */
export function rangeLabel(range: Range): string {
  const preset = RANGES.find(({ id }) => id === range.preset);
  if (preset !== undefined) return preset.label;
  const text = (time: string | null): string =>
    time === null ? 'now' : new Date(time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  return `${text(range.from)} – ${text(range.to)}`;
}

/** The interval in which a chart of this span is readable: at most about 60 steps. */
export function intervalOf(range: Range, now = Date.now()): 'hour' | 'day' | 'week' | 'month' {
  const { from, to } = boundsOf(range, now);
  const days = ((to === undefined ? now : Date.parse(to)) - Date.parse(from)) / 86_400_000;
  if (days <= 2.5) return 'hour';
  if (days <= 62) return 'day';
  return days <= 420 ? 'week' : 'month';
}

/** The viewer's zone, as `tz` of the API. */
export function viewerZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
