/** What charts are given. Labels may come from strangers: they are drawn as text. */

export interface Series {
  readonly id: string;
  readonly label: string;
}

export interface SeriesPoint {
  /** Start of the interval, RFC 3339 or a date. */
  readonly at: string;
  /** By the id of the series; absent is 0. */
  readonly values: Readonly<Record<string, number>>;
}

export interface SeriesProps {
  /** What it shows: `Cost by model`. */
  readonly label: string;
  /** At most eight are told apart by colour. */
  readonly series: readonly Series[];
  readonly points: readonly SeriesPoint[];
  readonly format: (value: number) => string;
  readonly timeLabel: (at: string) => string;
}

export interface BarsProps {
  readonly label: string;
  readonly bars: readonly { readonly id: string; readonly label: string; readonly value: number }[];
  readonly format: (value: number) => string;
}

/** Colours of the style sheet for the n-th series. */
export function seriesColour(index: number): string {
  return `var(--series-${(index % 8) + 1})`;
}

/** Letters of a name that stand in a drawing; the table has all. */
const NAME_MAX = 24;

export function shortened(name: string): string {
  return name.length > NAME_MAX ? `${name.slice(0, NAME_MAX - 1)}…` : name;
}
