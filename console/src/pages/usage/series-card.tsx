/** The chosen measure over time, stacked by name: the largest seven, and the rest together. */
import { useQuery } from '@tanstack/react-query';
import { ChartColumnStacked } from 'lucide-react';
import { type Series, type SeriesPoint, StackedTimeSeries } from '../../charts/index.tsx';
import { Card, EmptyState, LinkButton, Loaded } from '../../ui/index.ts';
import { stepsOf } from './time-steps.ts';
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
/** No name of a caller begins with a control character. */
const REST = '\u0000rest';

export function SeriesCard({
  filter,
  span,
  by,
  interval,
  measure,
}: {
  readonly filter: UsageFilter;
  readonly span: UsageSpan;
  readonly by: Dimension;
  readonly interval: Interval;
  readonly measure: Measure;
}) {
  const series = useQuery(seriesQuery(filter, span, by, interval));
  const title = `${labelOf(MEASURES, measure)} by ${labelOf(DIMENSIONS, by).toLowerCase()}`;
  return (
    <Card title={title} hint={`Each column is one ${interval}, in your time zone.`}>
      <Loaded query={series} what="The chart could not be loaded" lines={6}>
        {({ items }) =>
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
            <StackedTimeSeries
              label={title}
              {...stackOf(items, { by, interval, measure, span })}
              format={(value) => measureText(measure, value)}
              timeLabel={timeLabel}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

interface Shown {
  readonly by: Dimension;
  readonly interval: Interval;
  readonly measure: Measure;
  readonly span: UsageSpan;
}

function stackOf(
  items: readonly UsageItem[],
  { by, interval, measure, span }: Shown,
): { readonly series: readonly Series[]; readonly points: readonly SeriesPoint[] } {
  const sums = new Map<string, number>();
  for (const item of items) {
    const name = nameText(item.key[by]);
    sums.set(name, (sums.get(name) ?? 0) + measured(measure, item));
  }
  const names = [...sums].toSorted(([, a], [, b]) => b - a).map(([name]) => name);
  // One more than fits would make a rest of one.
  const shown = new Set(names.length <= SHOWN_MAX + 1 ? names : names.slice(0, SHOWN_MAX));
  const points = new Map<string, Map<string, number>>();
  const known = [...new Set(items.map((item) => item.key[interval] ?? ''))];
  for (const at of stepsOf(span, interval, known, Date.now())) points.set(at, new Map());
  for (const item of items) {
    const name = nameText(item.key[by]);
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
