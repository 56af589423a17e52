/** Sums of requests, tokens and cost as the API shows them, and what they may be grouped by. */
import { z } from '@hono/zod-openapi';
import type { UsageGroupBy, UsageRow } from '../store/shapes.ts';
import { csvTable } from './csv.ts';
import { ApiError } from './errors.ts';
import { NanoUsd } from './schemas.ts';

/** More would make rows that nobody reads. */
const GROUPS_MAX = 4;
/** In `group_by`: no group, one row. */
const TOTAL = 'total';

const GROUPS = [
  'user',
  'group',
  'model',
  'provider',
  'agent',
  'session',
  'device',
  'token',
  'format',
  'hour',
  'day',
  'week',
  'month',
] as const satisfies readonly UsageGroupBy[];
export const INTERVALS = ['hour', 'day', 'week', 'month'] as const;
export type Interval = (typeof INTERVALS)[number];

const SUMS_SHAPE = {
  requests: z.int(),
  refused: z.int(),
  failed: z.int(),
  estimated: z.int().describe('Requests whose usage is an estimate.'),
  unpriced: z.int().describe('Requests without a known price: not in the cost.'),
  input_tokens: z.int(),
  cache_read_tokens: z.int(),
  cache_write_tokens: z.int(),
  output_tokens: z.int(),
  reasoning_tokens: z.int(),
  cost_nano_usd: NanoUsd,
  cache_hits: z.int().describe('Answers of the response cache that saved something.'),
  saved_nano_usd: NanoUsd.describe('By answers of the response cache.'),
};

export const UsageSumsSchema = z.object(SUMS_SHAPE).openapi('UsageSums');

export const UsageKeySchema = z
  .record(z.string(), z.string().nullable())
  .describe('One member for each group asked for; null where a request has none.');

export const UsageSchema = z.object({ key: UsageKeySchema, ...SUMS_SHAPE }).openapi('Usage');

export const GroupByParam = z
  .string()
  .max(200)
  .default('model')
  .describe(`Comma-separated, at most ${GROUPS_MAX}: ${GROUPS.join(', ')}; or \`${TOTAL}\`.`);
export const TimeZoneParam = z
  .string()
  .max(64)
  .default('UTC')
  .describe('IANA time zone in which days begin.');

export type UsageSums = z.output<typeof UsageSumsSchema>;
export type UsageView = z.output<typeof UsageSchema>;

/** Throws `invalid_request` for a group that there is not, and for too many. */
export function parseGroups(text: string, interval: Interval | undefined): readonly UsageGroupBy[] {
  const names = text.trim() === TOTAL ? [] : text.split(',').map((name) => name.trim());
  const groups = new Set<UsageGroupBy>();
  for (const name of names) {
    const group = GROUPS.find((known) => known === name);
    if (group === undefined)
      throw new ApiError(
        'invalid_request',
        `group_by: no group "${name.slice(0, 40)}"; known: ${GROUPS.join(', ')}`,
      );
    groups.add(group);
  }
  if (interval !== undefined) groups.add(interval);
  if (groups.size > GROUPS_MAX)
    throw new ApiError('invalid_request', `group_by: at most ${GROUPS_MAX} groups`);
  return [...groups];
}

/** The zone's own name. Throws `invalid_request` for one that there is not. */
export function checkTimeZone(name: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    throw new ApiError(
      'invalid_request',
      `tz: no time zone "${name}"; give an IANA name such as Europe/Berlin`,
    );
  }
}

export function sumsView(row: UsageRow): UsageSums {
  return {
    requests: row.requests,
    refused: row.refused,
    failed: row.failed,
    estimated: row.estimated,
    unpriced: row.unpriced,
    input_tokens: row.inputTokens,
    cache_read_tokens: row.cacheReadTokens,
    cache_write_tokens: row.cacheWriteTokens,
    output_tokens: row.outputTokens,
    reasoning_tokens: row.reasoningTokens,
    cost_nano_usd: row.costNanoUsd,
    cache_hits: row.cacheHits,
    saved_nano_usd: row.savedNanoUsd,
  };
}

export function keyView(row: UsageRow, groupBy: readonly UsageGroupBy[]): UsageView['key'] {
  return Object.fromEntries(groupBy.map((group, i) => [group, row.key[i] ?? null]));
}

export function usageCsv(groupBy: readonly UsageGroupBy[], items: readonly UsageView[]): string {
  const sums = [
    'requests',
    'refused',
    'failed',
    'estimated',
    'unpriced',
    'input_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
    'output_tokens',
    'reasoning_tokens',
    'cost_nano_usd',
    'cache_hits',
    'saved_nano_usd',
  ] as const;
  return csvTable(
    [...groupBy, ...sums],
    items.map((item) => [
      ...groupBy.map((group) => item.key[group] ?? ''),
      ...sums.map((name) => item[name]),
    ]),
  );
}
