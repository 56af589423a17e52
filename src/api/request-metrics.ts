/**
 * Counters over finished requests, in Prometheus' text exposition format 0.0.4. Label values come
 * from routes and policy, except the model, which a caller may choose: the number of label sets is
 * bounded, and what comes after that is counted under `other`.
 */
import type { RequestRow } from '../store/shapes.ts';
import type { RecorderStats } from './ports.ts';

/** Label sets; each costs about 1 kB. */
const SERIES_MAX = 1_000;
/** Characters of a label's value; longer ones are cut. */
const LABEL_MAX = 200;
/** Seconds; from a local model's first byte to an agent's longest answer. */
const DURATION_BUCKETS_SEC = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const;
/** Seconds of Postern's own time; the aim is 0.3 ms. */
const OWN_BUCKETS_SEC = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1] as const;

export interface RequestMetrics {
  observe(row: RequestRow): void;
  render(recorder: RecorderStats): string;
}

interface Series {
  readonly labels: string;
  requests: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  costNanoUsd: number;
}

interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum: number;
  count: number;
}

export function createRequestMetrics(): RequestMetrics {
  const series = new Map<string, Series>();
  const index = createSeriesIndex();
  const total = newHistogram(DURATION_BUCKETS_SEC);
  const firstByte = newHistogram(DURATION_BUCKETS_SEC);
  const own = newHistogram(OWN_BUCKETS_SEC);

  const seriesOf = (row: RequestRow): Series => {
    const provider = row.provider ?? 'none';
    const model = row.provider === null ? 'none' : (row.model ?? 'none');
    const known = index.find(provider, model, row.format, row.outcome);
    if (known !== null) return known;
    const labels = labelText(provider, model, row.format, row.outcome);
    const key =
      series.has(labels) || series.size < SERIES_MAX
        ? labels
        : labelText('other', 'other', 'other', row.outcome);
    const found = series.get(key) ?? newSeries(key);
    series.set(key, found);
    index.add([provider, model, row.format, row.outcome], found);
    return found;
  };

  return {
    observe(row) {
      const counted = seriesOf(row);
      counted.requests += 1;
      counted.inputTokens += row.inputTokens ?? 0;
      counted.outputTokens += row.outputTokens ?? 0;
      counted.cacheReadTokens += row.cacheReadTokens ?? 0;
      counted.costNanoUsd += row.costNanoUsd ?? 0;
      addToHistogram(total, row.totalUs / 1e6);
      addToHistogram(own, row.ownUs / 1e6);
      if (row.firstByteUs !== null) addToHistogram(firstByte, row.firstByteUs / 1e6);
    },

    render(recorder) {
      const all = [...series.values()];
      return [
        counter(
          'postern_requests_total',
          'Requests that ended.',
          all.map((one) => [one.labels, one.requests]),
        ),
        counter(
          'postern_input_tokens_total',
          'Input tokens.',
          all.map((one) => [one.labels, one.inputTokens]),
        ),
        counter(
          'postern_output_tokens_total',
          'Output tokens.',
          all.map((one) => [one.labels, one.outputTokens]),
        ),
        counter(
          'postern_cache_read_tokens_total',
          'Input tokens read from a cache.',
          all.map((one) => [one.labels, one.cacheReadTokens]),
        ),
        counter(
          'postern_cost_usd_total',
          'Known cost in dollars.',
          all.map((one) => [one.labels, one.costNanoUsd / 1e9]),
        ),
        histogramText(
          'postern_request_duration_seconds',
          'From the first byte in to the last byte out.',
          total,
        ),
        histogramText(
          'postern_first_byte_seconds',
          'From sending to the first byte of the provider.',
          firstByte,
        ),
        histogramText('postern_own_duration_seconds', "Postern's own part of a request.", own),
        gauge('postern_recorder_queued_rows', 'Rows that wait to be written.', recorder.queuedRows),
        gauge('postern_recorder_queued_bytes', 'Bytes that wait to be written.', recorder.queuedBytes),
        gauge('postern_recorder_lag_seconds', 'Age of the oldest row that waits.', recorder.lagMs / 1_000),
        counter('postern_recorder_written_rows_total', 'Rows written.', [['', recorder.written]]),
        counter('postern_recorder_dropped_bodies_total', 'Bodies left out because the queue was full.', [
          ['', recorder.droppedBodies],
        ]),
        counter('postern_recorder_lost_rows_total', 'Rows lost.', [['', recorder.lostRows]]),
      ].join('');
    },
  };
}

function newSeries(labels: string): Series {
  return { labels, requests: 0, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, costNanoUsd: 0 };
}

/** Provider, model, format, outcome, as they stand in the row. */
type LabelValues = readonly [provider: string, model: string, format: string, outcome: string];

type ByOutcome = Map<string, Series>;
type ByFormat = Map<string, ByOutcome>;
type ByModel = Map<string, ByFormat>;

/**
 * Finds a series by the values themselves, so that labels are written and escaped once a series and
 * not once a request. Remembers at most `SERIES_MAX` and no long names; the rest is found by its labels.
 */
function createSeriesIndex(): {
  find(...values: LabelValues): Series | null;
  add(values: LabelValues, series: Series): void;
} {
  const byProvider = new Map<string, ByModel>();
  let size = 0;
  return {
    find: (provider, model, format, outcome) =>
      byProvider.get(provider)?.get(model)?.get(format)?.get(outcome) ?? null,
    add([provider, model, format, outcome], series) {
      if (size >= SERIES_MAX || model.length > LABEL_MAX) return;
      const byModel: ByModel = byProvider.get(provider) ?? new Map();
      const byFormat: ByFormat = byModel.get(model) ?? new Map();
      const byOutcome: ByOutcome = byFormat.get(format) ?? new Map();
      byProvider.set(provider, byModel.set(model, byFormat.set(format, byOutcome.set(outcome, series))));
      size += 1;
    },
  };
}

function labelText(provider: string, model: string, format: string, outcome: string): string {
  return `{provider="${escapeLabel(provider)}",model="${escapeLabel(model)}",format="${escapeLabel(format)}",outcome="${outcome}"}`;
}

function escapeLabel(text: string): string {
  return text.slice(0, LABEL_MAX).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function newHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: Array.from({ length: bounds.length }, () => 0), sum: 0, count: 0 };
}

function addToHistogram(histogram: Histogram, value: number): void {
  histogram.sum += value;
  histogram.count += 1;
  const { bounds, counts } = histogram;
  for (let at = 0; at < bounds.length; at += 1) {
    if (value > (bounds[at] ?? 0)) continue;
    counts[at] = (counts[at] ?? 0) + 1;
    return;
  }
}

function counter(
  name: string,
  help: string,
  values: readonly (readonly [labels: string, value: number])[],
): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} counter\n${values.map(([labels, value]) => `${name}${labels} ${value}\n`).join('')}`;
}

function gauge(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}

function histogramText(name: string, help: string, histogram: Histogram): string {
  let below = 0;
  const lines = histogram.bounds.map((bound, i) => {
    below += histogram.counts[i] ?? 0;
    return `${name}_bucket{le="${bound}"} ${below}\n`;
  });
  lines.push(
    `${name}_bucket{le="+Inf"} ${histogram.count}\n`,
    `${name}_sum ${histogram.sum}\n`,
    `${name}_count ${histogram.count}\n`,
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${lines.join('')}`;
}
