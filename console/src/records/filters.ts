/** Filters of records (requests and sessions) in the address, and as the API takes them. */
import type { paths } from '../api/schema.d.ts';
import { boundsOf } from '../time-range.ts';
import { optionalChoiceParam, rangeParam, textParam, type Param } from '../url-state.ts';

export const OUTCOMES = [
  'ok',
  'refused',
  'upstream_error',
  'upstream_failed',
  'truncated',
  'client_abort',
  'gateway_error',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** What somebody decided on the way, as the record words it. */
export const DECISIONS = [
  'allowed',
  'denied',
  'rewritten',
  'pending',
  'approved',
  'flagged',
  'redacted',
  'blocked',
] as const;

type Query = NonNullable<paths['/api/v1/requests']['get']['parameters']['query']>;
/** What `/requests`, `/requests/summary` and `/sessions` take alike. */
export type RecordQuery = Omit<Query, 'cursor' | 'limit'>;

/** Members of the address. `whose` is `mine`, `all` or `group:NAME`; null is what the viewer's role makes natural. */
export const FILTER_PARAMS = {
  range: rangeParam('7d'),
  whose: textParam(),
  q: textParam(),
  outcome: optionalChoiceParam(OUTCOMES),
  decision: optionalChoiceParam(DECISIONS),
  model: textParam(),
  provider: textParam(),
  agent: textParam(),
  principal: textParam(),
  session: textParam(),
  reason: textParam(),
  cursor: textParam(),
} as const;

type ValueOf<Each> = Each extends Param<infer Value> ? Value : never;
export type Filters = {
  readonly [Name in keyof typeof FILTER_PARAMS]: ValueOf<(typeof FILTER_PARAMS)[Name]>;
};

/** Every filter off but the span of time and whose. */
export const NO_FILTERS = {
  q: null,
  outcome: null,
  decision: null,
  model: null,
  provider: null,
  agent: null,
  principal: null,
  session: null,
  reason: null,
  cursor: null,
} as const satisfies Partial<Filters>;

const NARROWING = [
  'q',
  'outcome',
  'decision',
  'model',
  'provider',
  'agent',
  'principal',
  'session',
  'reason',
] as const;

/** Whether anything but time and person narrows the list. */
export function isNarrowed(filters: Filters): boolean {
  return NARROWING.some((name) => filters[name] !== null);
}

/** The question for the API; `me` is the viewer's principal. */
export function recordQuery(filters: Filters, me: string): RecordQuery {
  const narrowed: RecordQuery = {};
  const q = filters.q?.trim() ?? '';
  if (q !== '') narrowed.q = q.slice(0, 200);
  if (filters.outcome !== null) narrowed.outcome = filters.outcome;
  if (filters.decision !== null) narrowed.decision = filters.decision;
  for (const name of ['model', 'provider', 'agent', 'session', 'reason', 'principal'] as const) {
    const value = filters[name];
    if (value !== null) narrowed[name] = value;
  }
  if (filters.whose === 'mine') narrowed.principal = me;
  else if (filters.whose !== null && filters.whose !== 'all') narrowed.group = filters.whose;
  return { ...narrowed, ...boundsOf(filters.range) };
}
