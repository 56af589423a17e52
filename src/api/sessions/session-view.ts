/** Sessions as lists and heads show them. */
import { z } from '@hono/zod-openapi';
import type { RequestRow, SessionRow } from '../../store/shapes.ts';
import { NanoUsd, TimeSchema, timeText } from '../schemas.ts';

/** A session whose last exchange ended less than this ago goes on: agents' own tools take that long. */
const RUNNING_MS = 120_000;
const NAMES_MAX = 50;

export const SessionSchema = z
  .object({
    id: z.string(),
    principal: z.string(),
    user_label: z.string(),
    agent: z.string().nullable(),
    first_at: TimeSchema,
    last_at: TimeSchema.describe('When the last exchange began.'),
    state: z
      .enum(['running', 'idle'])
      .describe('`running`: its last exchange ended less than two minutes ago.'),
    requests: z.int(),
    refused: z.int(),
    failed: z.int(),
    models: z.array(z.string()),
    input_tokens: z.int(),
    cache_read_tokens: z.int(),
    output_tokens: z.int(),
    cost_nano_usd: NanoUsd,
    saved_nano_usd: NanoUsd.describe('By answers of the response cache.'),
  })
  .openapi('Session');

export const SessionDetailSchema = SessionSchema.extend({
  devices: z.array(z.string()),
  providers: z.array(z.string()),
  formats: z.array(z.string()),
  tools: z.array(z.object({ name: z.string(), calls: z.int() })).describe('Called by the model, most first.'),
  decisions: z.array(z.object({ about: z.string(), action: z.string(), count: z.int() })),
  complete: z.boolean().describe('False: of a longer session the newest 2,000 requests are looked at.'),
  content: z
    .enum(['own', 'needs_reason_and_presence', 'not_yours'])
    .describe('Whether its words may be read, and with what.'),
}).openapi('SessionDetail');

export function sessionView(row: SessionRow, now: number): z.output<typeof SessionSchema> {
  return {
    id: row.id,
    principal: row.principal,
    user_label: row.userLabel,
    agent: row.agent,
    first_at: timeText(row.firstAt),
    last_at: timeText(row.lastAt),
    state: now - row.endedAt < RUNNING_MS ? 'running' : 'idle',
    requests: row.requests,
    refused: row.refused,
    failed: row.failed,
    models: [...row.models],
    input_tokens: row.inputTokens,
    cache_read_tokens: row.cacheReadTokens,
    output_tokens: row.outputTokens,
    cost_nano_usd: row.costNanoUsd,
    saved_nano_usd: row.savedNanoUsd,
  };
}

type Detail = Omit<z.output<typeof SessionDetailSchema>, keyof z.output<typeof SessionSchema>>;

/** What the rows of a session tell besides its sums. */
export function sessionDetail(rows: readonly RequestRow[]): Omit<Detail, 'content' | 'complete'> {
  const tools = new Map<string, number>();
  const decisions = new Map<string, { about: string; action: string; count: number }>();
  for (const row of rows) {
    for (const name of row.toolCalls) tools.set(name, (tools.get(name) ?? 0) + 1);
    for (const { about, action } of row.decisions) {
      const key = JSON.stringify([about, action]);
      const known = decisions.get(key) ?? { about, action, count: 0 };
      known.count += 1;
      decisions.set(key, known);
    }
  }
  return {
    devices: namesOf(rows, (row) => row.deviceName ?? row.deviceId),
    providers: namesOf(rows, (row) => row.provider),
    formats: namesOf(rows, (row) => row.format),
    tools: [...tools]
      .map(([name, calls]) => ({ name, calls }))
      .sort((a, b) => b.calls - a.calls)
      .slice(0, NAMES_MAX),
    decisions: [...decisions.values()].sort((a, b) => b.count - a.count).slice(0, NAMES_MAX),
  };
}

function namesOf(rows: readonly RequestRow[], nameOf: (row: RequestRow) => string | null): string[] {
  return [...new Set(rows.map(nameOf).filter((name) => name !== null))].slice(0, NAMES_MAX);
}
