/** Sums of requests, tokens and cost: by group, against the time before, of people, saved, and to come. */
import { createRoute, z } from '@hono/zod-openapi';
import { Windows } from '../../quotas/windows.ts';
import { type RequestFilter, USAGE_ROWS_MAX, type UsageGroupBy, type UsageRow } from '../../store/shapes.ts';
import type { Actor } from '../actor.ts';
import { wantsCsv } from '../csv.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { json, listOf, NanoUsd, TimeSchema, timeText } from '../schemas.ts';
import {
  checkTimeZone,
  GroupByParam,
  INTERVALS,
  keyView,
  parseGroups,
  sumsView,
  TimeZoneParam,
  UsageKeySchema,
  usageCsv,
  UsageSchema,
  UsageSumsSchema,
} from '../usage-view.ts';
import { type RecordFilterInput, RecordFilterQuery, visibleFilter } from '../visibility.ts';

const OWN = { role: 'user', presence: false, scope: 'read' } as const;
const DAY_MS = 86_400_000;
/** Without `from`: the last 30 days. */
const DEFAULT_SPAN_MS = 30 * DAY_MS;
/** Models told one by one. */
const MODELS_MAX = 500;

const Truncated = z
  .boolean()
  .describe('There are more rows than were counted here: ask for less time or group by less.');

const UsageListSchema = listOf(UsageSchema).extend({ truncated: Truncated });

const PeriodSchema = z.object({ from: TimeSchema, to: TimeSchema });

const CompareSchema = z
  .object({
    current: PeriodSchema,
    previous: PeriodSchema.describe('As long, and right before.'),
    items: z
      .array(
        z.object({
          key: UsageKeySchema,
          current: z.union([UsageSumsSchema, z.null()]),
          previous: z.union([UsageSumsSchema, z.null()]),
        }),
      )
      .describe('In the order of `sort`, at most `limit`.'),
    rows: z.int().describe('How many there are, listed or not; at most 20,000 are known.'),
    truncated: Truncated,
  })
  .openapi('UsageComparison');

/** What a comparison is ordered by: the change of cost, or a sum of the period, the largest first. */
const SORTS = ['change', 'cost', 'requests', 'input', 'output'] as const;
type Sort = (typeof SORTS)[number];
/** As many as both periods can have. */
const COMPARED_MAX = 20_000;

const SeenShape = {
  users: z.int(),
  devices: z.int(),
  agents: z.int(),
  sessions: z.int(),
  requests: z.int(),
};
const AdoptionSchema = z
  .object({
    items: z.array(
      z.object({ at: z.string().describe('As in /usage: `2026-11-23`, `2026-W48` …'), ...SeenShape }),
    ),
    total: z.object(SeenShape).describe('Everybody once.'),
  })
  .openapi('Adoption');

const SavingsSchema = z
  .object({
    response_cache: z.object({ hits: z.int(), saved_nano_usd: NanoUsd }),
    prompt_cache: z.object({
      read_tokens: z.int(),
      write_tokens: z.int(),
      saved_nano_usd: NanoUsd.describe('Estimated: list price of fresh input less that of cached input.'),
      unpriced_tokens: z.int().describe('Read from a cache by models without known prices: not in the sum.'),
      models: z.array(
        z.object({
          provider: z.string().nullable(),
          model: z.string().nullable(),
          read_tokens: z.int(),
          saved_nano_usd: NanoUsd.nullable().describe('Null without known prices.'),
        }),
      ),
    }),
    truncated: Truncated,
  })
  .openapi('CacheSavings');

const ForecastSchema = z
  .object({
    from: TimeSchema,
    to: TimeSchema.describe('Of the running calendar month.'),
    now: TimeSchema,
    spent_nano_usd: NanoUsd,
    projected_nano_usd: NanoUsd.describe('At the end of the month, if the rest is like what was.'),
    per_day_nano_usd: NanoUsd,
  })
  .openapi('CostForecast');

export function addUsageRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addSums(router, deps);
  addComparison(router, deps);
  addReports(router, deps);
}

function addSums(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage',
      summary: 'Requests, tokens and cost by group',
      description:
        'Largest cost first, or by time where time is a group. At most 10,000 rows; where there are more, `truncated` says so, and `x-postern-warning: usage_cut`. With `Accept: text/csv` or `format=csv` a table.',
      request: {
        query: RecordFilterQuery.extend({
          group_by: GroupByParam,
          interval: z.enum(INTERVALS).optional().describe('Adds this time to `group_by`.'),
          tz: TimeZoneParam,
          format: z.enum(['json', 'csv']).optional(),
        }),
      },
      responses: {
        200: {
          description: 'Sums.',
          content: {
            'application/json': { schema: UsageListSchema },
            'text/csv': { schema: z.string() },
          },
        },
      },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const groupBy = parseGroups(query.group_by, query.interval);
      const timeZone = checkTimeZone(query.tz);
      const filter = filterOf(deps, c.get('actor'), query);
      const rows = await deps.store.queryUsage(filter, groupBy, timeZone);
      const truncated = isCut(rows);
      if (truncated) c.header('x-postern-warning', 'usage_cut');
      const items = counted(rows).map((row) => ({ key: keyView(row, groupBy), ...sumsView(row) }));
      const isTable = query.format === undefined ? wantsCsv(c.req.header('accept')) : query.format === 'csv';
      if (isTable) {
        return untyped(
          c.body(usageCsv(groupBy, items), 200, {
            'content-type': 'text/csv; charset=utf-8',
            'content-disposition': 'attachment; filename="usage.csv"',
          }),
        );
      }
      return c.json({ items, next_cursor: null, truncated }, 200);
    },
  );
}

function addComparison(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage/compare',
      summary: 'Sums by group, beside those of the time before',
      request: {
        query: RecordFilterQuery.extend({
          group_by: GroupByParam,
          tz: TimeZoneParam,
          sort: z.enum(SORTS).default('change').describe('The largest first.'),
          limit: z.coerce.number().int().min(1).max(COMPARED_MAX).default(COMPARED_MAX),
        }),
      },
      responses: { 200: json(CompareSchema, 'Both periods.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const groupBy = parseGroups(query.group_by, undefined);
      const timeZone = checkTimeZone(query.tz);
      const filter = filterOf(deps, c.get('actor'), query);
      const before = { ...filter, from: filter.from - (filter.to - filter.from), to: filter.from };
      const [current, previous] = await Promise.all([
        deps.store.queryUsage(filter, groupBy, timeZone),
        deps.store.queryUsage(before, groupBy, timeZone),
      ]);
      return c.json(
        {
          current: periodView(filter),
          previous: periodView(before),
          ...joinPeriods({ groupBy, current, previous, sort: query.sort, limit: query.limit }),
        },
        200,
      );
    },
  );
}

function addReports(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage/adoption',
      summary: 'How many people, devices and agents, by time',
      request: {
        query: RecordFilterQuery.extend({ interval: z.enum(INTERVALS).default('day'), tz: TimeZoneParam }),
      },
      responses: { 200: json(AdoptionSchema, 'By time, and together.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const filter = filterOf(deps, c.get('actor'), query);
      const rows = await deps.store.queryAdoption(filter, query.interval, checkTimeZone(query.tz));
      const last = rows.at(-1);
      const { label: _label, ...total } = last ?? NOBODY;
      const items = rows.slice(0, -1).map(({ label, ...seen }) => ({ at: label, ...seen }));
      return c.json({ items, total }, 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage/savings',
      summary: 'What caches saved',
      request: { query: RecordFilterQuery },
      responses: { 200: json(SavingsSchema, 'By the response cache, and by the caches of providers.') },
    }),
    async (c) => {
      const filter = filterOf(deps, c.get('actor'), c.req.valid('query'));
      return c.json(savingsOf(deps, await deps.store.queryUsage(filter, ['provider', 'model'], 'UTC')), 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage/forecast',
      summary: 'What the running month will cost',
      description:
        'A straight line through what was spent since the month began; `from` and `to` are not read.',
      request: { query: RecordFilterQuery.omit({ from: true, to: true }).extend({ tz: TimeZoneParam }) },
      responses: { 200: json(ForecastSchema, 'The forecast.') },
    }),
    async (c) => {
      const { tz, ...query } = c.req.valid('query');
      const now = deps.clock.now();
      const { start, end } = new Windows().at('month', checkTimeZone(tz), now);
      const filter = { ...visibleFilter(c.get('actor'), query), from: start, to: end };
      const [sums] = await deps.store.queryUsage(filter, [], 'UTC');
      const spent = sums?.costNanoUsd ?? 0;
      // In the first minutes of a month a line through one request would point at the sky.
      const passed = Math.max(now - start, 3_600_000);
      return c.json(
        {
          from: timeText(start),
          to: timeText(end),
          now: timeText(now),
          spent_nano_usd: spent,
          projected_nano_usd: Math.round((spent / passed) * (end - start)),
          per_day_nano_usd: Math.round((spent / passed) * DAY_MS),
        },
        200,
      );
    },
  );
}

/** The store gives one row more than are counted where there are others. */
function isCut(rows: readonly UsageRow[]): boolean {
  return rows.length > USAGE_ROWS_MAX;
}

function counted(rows: readonly UsageRow[]): readonly UsageRow[] {
  return rows.slice(0, USAGE_ROWS_MAX);
}

const NOBODY = { label: '', users: 0, devices: 0, agents: 0, sessions: 0, requests: 0 };

type Period = RequestFilter & { readonly from: number; readonly to: number };

function filterOf(deps: ApiDependencies, actor: Actor, query: RecordFilterInput): Period {
  const filter = visibleFilter(actor, query);
  const to = filter.to ?? deps.clock.now();
  return { ...filter, from: filter.from ?? to - DEFAULT_SPAN_MS, to };
}

function periodView({ from, to }: Period): z.output<typeof PeriodSchema> {
  return { from: timeText(from), to: timeText(to) };
}

interface Compared {
  readonly key: UsageRow;
  readonly current: UsageRow | null;
  previous: UsageRow | null;
}

interface Periods {
  readonly groupBy: readonly UsageGroupBy[];
  readonly current: readonly UsageRow[];
  readonly previous: readonly UsageRow[];
  readonly sort: Sort;
  readonly limit: number;
}

const COLUMNS = {
  cost: 'costNanoUsd',
  requests: 'requests',
  input: 'inputTokens',
  output: 'outputTokens',
} as const satisfies Record<Exclude<Sort, 'change'>, keyof UsageRow>;

function largerFirst(sort: Sort): (a: Compared, b: Compared) => number {
  const sum = (row: UsageRow | null, column: (typeof COLUMNS)[keyof typeof COLUMNS]): number =>
    row?.[column] ?? 0;
  const change = ({ current, previous }: Compared): number =>
    Math.abs(sum(current, 'costNanoUsd') - sum(previous, 'costNanoUsd'));
  if (sort === 'change')
    return (a, b) => change(b) - change(a) || sum(b.current, 'requests') - sum(a.current, 'requests');
  const column = COLUMNS[sort];
  return (a, b) =>
    sum(b.current, column) - sum(a.current, column) || sum(b.previous, column) - sum(a.previous, column);
}

function joinPeriods(periods: Periods): Omit<z.output<typeof CompareSchema>, 'current' | 'previous'> {
  const { groupBy, sort, limit } = periods;
  const truncated = isCut(periods.current) || isCut(periods.previous);
  const [current, previous] = [counted(periods.current), counted(periods.previous)];
  const rows = new Map<string, Compared>();
  for (const row of current) rows.set(JSON.stringify(row.key), { key: row, current: row, previous: null });
  for (const row of previous) {
    const known = rows.get(JSON.stringify(row.key));
    if (known === undefined) rows.set(JSON.stringify(row.key), { key: row, current: null, previous: row });
    else known.previous = row;
  }
  const items = [...rows.values()]
    .sort(largerFirst(sort))
    .slice(0, limit)
    .map((row) => ({
      key: keyView(row.key, groupBy),
      current: row.current === null ? null : sumsView(row.current),
      previous: row.previous === null ? null : sumsView(row.previous),
    }));
  return { items, rows: rows.size, truncated };
}

function savingsOf(
  { cacheSaving }: Pick<ApiDependencies, 'cacheSaving'>,
  found: readonly UsageRow[],
): z.output<typeof SavingsSchema> {
  const rows = counted(found);
  const models = rows
    .filter(({ cacheReadTokens }) => cacheReadTokens > 0)
    .map(({ key: [provider = null, model = null], cacheReadTokens }) => {
      const isKnown = provider !== null && model !== null;
      const saved = isKnown ? (cacheSaving?.(provider, model, cacheReadTokens) ?? null) : null;
      return { provider, model, read_tokens: cacheReadTokens, saved_nano_usd: saved };
    })
    .sort((a, b) => (b.saved_nano_usd ?? 0) - (a.saved_nano_usd ?? 0) || b.read_tokens - a.read_tokens);
  const sum = (of: (row: UsageRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    response_cache: {
      hits: sum(({ cacheHits }) => cacheHits),
      saved_nano_usd: sum(({ savedNanoUsd }) => savedNanoUsd),
    },
    prompt_cache: {
      read_tokens: sum(({ cacheReadTokens }) => cacheReadTokens),
      write_tokens: sum(({ cacheWriteTokens }) => cacheWriteTokens),
      saved_nano_usd: models.reduce((total, model) => total + (model.saved_nano_usd ?? 0), 0),
      unpriced_tokens: models.reduce(
        (total, model) => total + (model.saved_nano_usd === null ? model.read_tokens : 0),
        0,
      ),
      models: models.slice(0, MODELS_MAX),
    },
    truncated: isCut(found),
  };
}
