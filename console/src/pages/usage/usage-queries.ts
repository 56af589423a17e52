/** What the page of usage asks. Every question takes the same filter, so that all parts tell of the same requests. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, dataOf, type Item, type Schema } from '../../api/client.ts';
import { viewerZone } from '../../time-range.ts';
import type { Measure } from './usage-texts.ts';

/** What a breakdown may be by; the first is what people look for most. */
export const DIMENSIONS = [
  { id: 'model', label: 'Model' },
  { id: 'user', label: 'User' },
  { id: 'group', label: 'Team' },
  { id: 'provider', label: 'Provider' },
  { id: 'agent', label: 'Agent' },
  { id: 'device', label: 'Device' },
] as const;
export type Dimension = (typeof DIMENSIONS)[number]['id'];

export type Interval = 'hour' | 'day' | 'week' | 'month';

/** Record filters of the API that the page has. */
export interface UsageFilter {
  readonly principal?: string;
  readonly group?: string;
  /** Part of what names a request; here a user's label. */
  readonly q?: string;
  readonly model?: string;
  readonly provider?: string;
  readonly agent?: string;
  readonly device?: string;
}

export interface UsageSpan {
  readonly from: string;
  readonly to?: string;
}

export type UsageItem = Item<'/api/v1/usage'>;
export type ComparedItem = Item<'/api/v1/usage/compare'>;
export type Sums = NonNullable<Schema<'UsageSums'>>;

/** By dimension, or all together, and time. */
export function seriesQuery(
  filter: UsageFilter,
  span: UsageSpan,
  by: Dimension | 'total',
  interval: Interval,
) {
  const query = { ...filter, ...span, group_by: by, interval, tz: viewerZone() };
  return queryOptions({
    queryKey: ['usage', 'series', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/usage', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** All together, beside the period before of the same length. */
export function totalsQuery(filter: UsageFilter, span: UsageSpan) {
  return comparedQuery({ ...filter, ...span, group_by: 'total', tz: viewerZone() });
}

/** By dimension, beside the period before; the `limit` largest of a measure. */
export function compareQuery(
  filter: UsageFilter,
  span: UsageSpan,
  { by, sort, limit }: { readonly by: Dimension; readonly sort: Measure; readonly limit: number },
) {
  return comparedQuery({ ...filter, ...span, group_by: by, tz: viewerZone(), sort, limit });
}

function comparedQuery(
  query: UsageFilter & UsageSpan & { group_by: string; tz: string; sort?: Measure; limit?: number },
) {
  return queryOptions({
    queryKey: ['usage', 'compare', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/usage/compare', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function adoptionQuery(filter: UsageFilter, span: UsageSpan, interval: Interval) {
  const query = { ...filter, ...span, interval, tz: viewerZone() };
  return queryOptions({
    queryKey: ['usage', 'adoption', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/usage/adoption', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function savingsQuery(filter: UsageFilter, span: UsageSpan) {
  const query = { ...filter, ...span };
  return queryOptions({
    queryKey: ['usage', 'savings', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/usage/savings', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** Of the running month, whatever span is looked at. */
export function forecastQuery(filter: UsageFilter) {
  const query = { ...filter, tz: viewerZone() };
  return queryOptions({
    queryKey: ['usage', 'forecast', query],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/usage/forecast', { params: { query }, signal })),
    placeholderData: keepPreviousData,
  });
}

/** Where the same figures come as a table for a spreadsheet. */
export function csvHref(filter: UsageFilter, span: UsageSpan, by: Dimension, interval: Interval): string {
  const query = { ...filter, ...span, group_by: by, interval, tz: viewerZone(), format: 'csv' };
  return `/api/v1/usage?${new URLSearchParams(query).toString()}`;
}
