/** Charts, each with a table of the same figures. The library is loaded when the first one is shown. */
import { lazy, Suspense } from 'react';
import { Skeleton } from '../ui/states.tsx';
import type { BarsProps, SeriesProps } from './shapes.ts';
import { ChartTable } from './chart-table.tsx';

export { Sparkline } from './sparkline.tsx';
export type { BarsProps, Series, SeriesPoint, SeriesProps } from './shapes.ts';

const LazySeries = lazy(() =>
  import('./series-chart.tsx').then(({ SeriesChart }) => ({ default: SeriesChart })),
);
const LazyBars = lazy(() => import('./bars-chart.tsx').then(({ BarsChart }) => ({ default: BarsChart })));

/** Amounts over time, stacked by series: the largest seven and the rest together. */
export function StackedTimeSeries(props: SeriesProps) {
  const rows = props.points.map((point) => [
    props.timeLabel(point.at),
    ...props.series.map(({ id }) => props.format(point.values[id] ?? 0)),
  ]);
  return (
    <figure className="chart">
      <div aria-hidden className="chart-box">
        <Suspense fallback={<Skeleton lines={5} />}>
          <LazySeries {...props} />
        </Suspense>
      </div>
      <ChartTable
        label={props.label}
        heads={['Time', ...props.series.map(({ label }) => label)]}
        rows={rows}
      />
    </figure>
  );
}

/** One amount for each name, largest first. */
export function Bars(props: BarsProps) {
  return (
    <figure className="chart">
      <div aria-hidden className="chart-box">
        <Suspense fallback={<Skeleton lines={5} />}>
          <LazyBars {...props} />
        </Suspense>
      </div>
      <ChartTable
        label={props.label}
        heads={['Name', 'Amount']}
        rows={props.bars.map((bar) => [bar.label, props.format(bar.value)])}
      />
    </figure>
  );
}
