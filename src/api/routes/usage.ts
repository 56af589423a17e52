/** Sessions, and sums of requests, tokens and cost by group; as JSON or CSV. */
import { createRoute, z } from '@hono/zod-openapi';
import type { SessionRow, UsageGroupBy, UsageRow } from '../../store/shapes.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { CursorParam, json, LimitParam, listOf, NanoUsd, TimeSchema, timeText } from '../schemas.ts';
import { RecordFilterQuery, visibleFilter } from '../visibility.ts';
import { pageOf } from './requests.ts';

const OWN = { role: 'user', presence: false, scope: 'read' } as const;
/** Without `from`: the last 30 days. */
const DEFAULT_SPAN_MS = 30 * 86_400_000;
/** More would make rows that nobody reads. */
const GROUPS_MAX = 4;

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
const INTERVALS = ['hour', 'day', 'week', 'month'] as const;

const SessionSchema = z
  .object({
    id: z.string(),
    principal: z.string(),
    user_label: z.string(),
    agent: z.string().nullable(),
    first_at: TimeSchema,
    last_at: TimeSchema,
    requests: z.int(),
    models: z.array(z.string()),
    input_tokens: z.int(),
    output_tokens: z.int(),
    cost_nano_usd: NanoUsd,
  })
  .openapi('Session');

const UsageSchema = z
  .object({
    key: z
      .record(z.string(), z.string().nullable())
      .describe('One member for each group asked for; null where a request has none.'),
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
  })
  .openapi('Usage');

export function addUsageRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions',
      summary: 'Sessions, newest first',
      request: { query: RecordFilterQuery.extend({ cursor: CursorParam, limit: LimitParam }) },
      responses: { 200: json(listOf(SessionSchema), 'Sessions.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const page = await deps.store.listSessions(visibleFilter(c.get('actor'), query), pageOf(query));
      return c.json({ items: page.items.map(sessionView), next_cursor: page.nextCursor }, 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/usage',
      summary: 'Requests, tokens and cost by group',
      description:
        'Largest cost first, or by time where time is a group. At most 10,000 rows. With `Accept: text/csv` a table.',
      request: {
        query: RecordFilterQuery.extend({
          group_by: z
            .string()
            .max(200)
            .default('model')
            .describe(`Comma-separated: ${GROUPS.join(', ')}.`),
          interval: z.enum(INTERVALS).optional().describe('Adds this time to `group_by`.'),
          tz: z.string().max(64).default('UTC').describe('IANA time zone in which days begin.'),
        }),
      },
      responses: { 200: json(listOf(UsageSchema), 'Sums.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const groupBy = parseGroups(query.group_by, query.interval);
      const timeZone = checkTimeZone(query.tz);
      const filter = visibleFilter(c.get('actor'), query);
      const from = filter.from ?? (filter.to ?? deps.clock.now()) - DEFAULT_SPAN_MS;
      const rows = await deps.store.queryUsage({ ...filter, from }, groupBy, timeZone);
      const items = rows.map((row) => usageView(row, groupBy));
      if (wantsCsv(c.req.header('accept'))) {
        return untyped(
          c.body(toCsv(groupBy, items), 200, {
            'content-type': 'text/csv; charset=utf-8',
            'content-disposition': 'attachment; filename="usage.csv"',
          }),
        );
      }
      return c.json({ items, next_cursor: null }, 200);
    },
  );
}

function parseGroups(
  text: string,
  interval: (typeof INTERVALS)[number] | undefined,
): readonly UsageGroupBy[] {
  const names = text.split(',').map((name) => name.trim());
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

function checkTimeZone(name: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    throw new ApiError(
      'invalid_request',
      `tz: no time zone "${name}"; give an IANA name such as Europe/Berlin`,
    );
  }
}

function sessionView(row: SessionRow): z.output<typeof SessionSchema> {
  return {
    id: row.id,
    principal: row.principal,
    user_label: row.userLabel,
    agent: row.agent,
    first_at: timeText(row.firstAt),
    last_at: timeText(row.lastAt),
    requests: row.requests,
    models: [...row.models],
    input_tokens: row.inputTokens,
    output_tokens: row.outputTokens,
    cost_nano_usd: row.costNanoUsd,
  };
}

type UsageView = z.output<typeof UsageSchema>;

function usageView(row: UsageRow, groupBy: readonly UsageGroupBy[]): UsageView {
  return {
    key: Object.fromEntries(groupBy.map((group, i) => [group, row.key[i] ?? null])),
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
  };
}

function wantsCsv(accept: string | undefined): boolean {
  return accept !== undefined && /(?:^|,)\s*text\/csv\s*(?:;|,|$)/i.test(accept);
}

/** RFC 4180. */
function toCsv(groupBy: readonly UsageGroupBy[], items: readonly UsageView[]): string {
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
  ] as const;
  const lines = [[...groupBy, ...sums].join(',')];
  for (const item of items) {
    lines.push(
      [
        ...groupBy.map((group) => csvCell(item.key[group] ?? '')),
        ...sums.map((name) => String(item[name])),
      ].join(','),
    );
  }
  return `${lines.join('\r\n')}\r\n`;
}

/** Labels come from strangers: a leading `=`, `+`, `-` or `@` would be a formula in a spreadsheet. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
