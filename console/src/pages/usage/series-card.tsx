/** The chosen measure over time, stacked by name: the largest seven, and the rest together. */
import { useQuery } from '@tanstack/react-query';
import { ChartColumnStacked } from 'lucide-react';
import { type Series, type SeriesPoint, StackedTimeSeries } from '../../charts/index.tsx';
import { amount } from '../../format/index.ts';
import { Card, EmptyState, LinkButton, Loaded } from '../../ui/index.ts';
import { stepsOf } from './time-steps.ts';
import { TruncatedNotice } from './truncated-notice.tsx';
import {
  type Dimension,
  DIMENSIONS,
  type Interval,
  seriesQuery,
  type UsageFilter,
  type UsageItem,
  type UsageSpan,
} from './usage-queries.ts';
import { type Measure, measured, MEASURES, measureText, nameText, timeLabel } from './usage-texts.ts';

/** Colours that are told apart, less one for the rest. */
const SHOWN_MAX = 7;
/** Beyond, the largest seven are a sliver, and the answer would be cut. */
const NAMES_MAX = 1_000;
/** No name of a caller begins with a control character. */
const REST = '\u0000rest';

export function SeriesCard({
  filter,
  span,
  by,
  names,
  interval,
  measure,
}: {
  readonly filter: UsageFilter;
  readonly span: UsageSpan;
  readonly by: Dimension;
  /** How many names there are; undefined until that is known. */
  readonly names: number | undefined;
  readonly interval: Interval;
  readonly measure: Measure;
}) {
  const isTogether = names !== undefined && names > NAMES_MAX;
  const series = useQuery({
    ...seriesQuery(filter, span, isTogether ? 'total' : by, interval),
    enabled: names !== undefined,
  });
  const what = labelOf(MEASURES, measure);
  const title = isTogether ? `${what} of all` : `${what} by ${labelOf(DIMENSIONS, by).toLowerCase()}`;
  return (
    <Card
      title={title}
      hint={`Each column is one ${interval}, in your time zone.${isTogether ? ` ${amount(names)} names are too many to tell apart: choose one below.` : ''}`}
    >
      <Loaded query={series} what="The chart could not be loaded" lines={6}>
        {({ items, truncated }) =>
          items.length === 0 ? (
            <EmptyState
              title="Nothing was used in this time"
              icon={ChartColumnStacked}
              action={
                <LinkButton to="/" small>
                  Connect a client
                </LinkButton>
              }
            >
              Every request that goes through this server is counted here, by model, person, agent and device.
              Choose a longer time, or connect a client.
            </EmptyState>
          ) : (
            <>
              <TruncatedNotice isCut={truncated} />
              <StackedTimeSeries
                label={title}
                {...stackOf(items, { by: isTogether ? null : by, interval, measure, span })}
                format={(value) => measureText(measure, value)}
                timeLabel={timeLabel}
              />
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

interface Shown {
  /** Null for all together. */
  readonly by: Dimension | null;
  readonly interval: Interval;
  readonly measure: Measure;
  readonly span: UsageSpan;
}

function stackOf(
  items: readonly UsageItem[],
  { by, interval, measure, span }: Shown,
): { readonly series: readonly Series[]; readonly points: readonly SeriesPoint[] } {
  const nameOf = ({ key }: UsageItem): string => (by === null ? 'All together' : nameText(key[by]));
  const sums = new Map<string, number>();
  for (const item of items) {
    const name = nameOf(item);
    sums.set(name, (sums.get(name) ?? 0) + measured(measure, item));
  }
  const names = [...sums].toSorted(([, a], [, b]) => b - a).map(([name]) => name);
  // One more than fits would make a rest of one.
  const shown = new Set(names.length <= SHOWN_MAX + 1 ? names : names.slice(0, SHOWN_MAX));
  const points = new Map<string, Map<string, number>>();
  const known = [...new Set(items.map((item) => item.key[interval] ?? ''))];
  for (const at of stepsOf(span, interval, known, Date.now())) points.set(at, new Map());
  for (const item of items) {
    const name = nameOf(item);
    const values = points.get(item.key[interval] ?? '');
    const id = shown.has(name) ? name : REST;
    values?.set(id, (values.get(id) ?? 0) + measured(measure, item));
  }
  const rest = names.length - shown.size;
  return {
    series: [
      ...[...shown].map((name) => ({ id: name, label: name })),
      ...(rest === 0 ? [] : [{ id: REST, label: `${rest} more` }]),
    ],
    points: [...points].map(([at, values]) => ({ at, values: Object.fromEntries(values) })),
  };
}

function labelOf(choices: readonly { readonly id: string; readonly label: string }[], id: string): string {
  return choices.find((choice) => choice.id === id)?.label ?? id;
}
