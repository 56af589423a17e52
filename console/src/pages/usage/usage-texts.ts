/** Names, measures and times of the page of usage. */
import { amount, money, percent } from '../../format/index.ts';
import type { Sums } from './usage-queries.ts';

/** What a chart and a table may be read by. */
export const MEASURES = [
  { id: 'cost', label: 'Cost' },
  { id: 'requests', label: 'Requests' },
  { id: 'input', label: 'Tokens in' },
  { id: 'output', label: 'Tokens out' },
] as const;
export type Measure = (typeof MEASURES)[number]['id'];

const PICKS: Readonly<Record<Measure, (sums: Sums) => number>> = {
  cost: (sums) => sums.cost_nano_usd,
  requests: (sums) => sums.requests,
  input: (sums) => sums.input_tokens,
  output: (sums) => sums.output_tokens,
};

/** Nothing for a period in which nothing was. */
export function measured(measure: Measure, sums: Sums | null | undefined): number {
  return sums === null || sums === undefined ? 0 : PICKS[measure](sums);
}

export function measureText(measure: Measure, value: number): string {
  return measure === 'cost' ? money(value) : amount(Math.round(value));
}

/** Null where requests have none, such as those that were refused before a model was known. */
export function nameText(name: string | null | undefined): string {
  return name === null || name === undefined || name === '' ? '(none)' : name;
}

/** `+12 %`, `−40 %`, `new`, `same`: the change from the period before. */
export function changeText(current: number, previous: number): string {
  if (current === previous) return 'same';
  if (previous === 0) return 'new';
  const share = (current - previous) / previous;
  if (share > 10) return `× ${Math.round(current / previous)}`;
  const size = percent(Math.abs(share));
  return `${share < 0 ? '−' : '+'}${size}`;
}

/** A label of the API in words: `2026-11-23T14:00`, `2026-11-23`, `2026-W48`, `2026-11`. */
export function timeLabel(at: string): string {
  const [, year, month, day, hour] = /^(\d{4})-(\d\d)(?:-(\d\d))?(?:[T ](\d\d))?/.exec(at) ?? [];
  if (year === undefined || month === undefined) return at;
  if (day === undefined)
    return new Date(Number(year), Number(month) - 1, 1).toLocaleDateString([], {
      month: 'short',
      year: 'numeric',
    });
  const time = new Date(Number(year), Number(month) - 1, Number(day), Number(hour ?? 0));
  return hour === undefined
    ? time.toLocaleDateString([], { month: 'short', day: 'numeric' })
    : time.toLocaleString([], { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
}
