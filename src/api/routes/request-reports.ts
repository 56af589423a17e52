/** What lists of requests add up to, and one request in detail: how it was decided, and its conversation. */
import { createRoute, z } from '@hono/zod-openapi';
import { readAnswer, readRequest } from '../../llm/conversation/index.ts';
import type { LatencySummary, RequestSummary } from '../../store/shapes.ts';
import type { ApiDependencies } from '../ports.ts';
import { allowReading } from '../read-others.ts';
import type { ApiRouter } from '../router.ts';
import { IdText, json, NanoUsd, ReasonParam } from '../schemas.ts';
import { ConversationSchema, conversationView } from '../sessions/turn-view.ts';
import { trailOf, TrailSchema } from '../trail.ts';
import { RecordFilterQuery, visibleFilter, visibleRow } from '../visibility.ts';

const OWN = { role: 'user', presence: false, scope: 'read' } as const;
/** Without `from`. */
const DEFAULT_SPAN_MS = 86_400_000;

const Ms = z.number().nullable().describe('Milliseconds; null where nothing was sent.');
export const LatencySchema = z
  .object({
    p50_ms: Ms,
    p95_ms: Ms,
    first_byte_p50_ms: Ms,
    first_byte_p95_ms: Ms,
    sampled: z.int().describe('The newest requests, that were looked at.'),
  })
  .openapi('Latency');

const SummarySchema = z
  .object({
    requests: z.int(),
    refused: z.int(),
    failed: z.int(),
    outcomes: z.array(z.object({ outcome: z.string(), requests: z.int() })),
    reasons: z.array(z.object({ reason: z.string(), requests: z.int() })).describe('The 20 most frequent.'),
    input_tokens: z.int(),
    cache_read_tokens: z.int(),
    output_tokens: z.int(),
    cost_nano_usd: NanoUsd,
    saved_nano_usd: NanoUsd,
    latency: LatencySchema,
  })
  .openapi('RequestSummary');

/** Before `/requests/{id}`, which would take `summary` for an id. */
export function addRequestSummary(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests/summary',
      summary: 'Counts, sums and times of requests',
      description: 'Without `from` of the last 24 hours.',
      request: { query: RecordFilterQuery },
      responses: { 200: json(SummarySchema, 'The summary.') },
    }),
    async (c) => {
      const filter = visibleFilter(c.get('actor'), c.req.valid('query'));
      const from = filter.from ?? (filter.to ?? deps.clock.now()) - DEFAULT_SPAN_MS;
      return c.json(summaryView(await deps.store.summarizeRequests({ ...filter, from })), 200);
    },
  );
}

export function addRequestDetails(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests/{id}/trail',
      summary: 'How a request was decided, step by step',
      request: { params: z.object({ id: IdText }) },
      responses: { 200: json(TrailSchema, 'The steps in their order.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      return c.json(trailOf(await visibleRow(deps, actor, c.req.valid('param').id), actor), 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests/{id}/conversation',
      summary: 'What was asked and answered, as a conversation',
      description:
        "One's own freely. Another person's needs the role auditor or admin, a `reason` and presence, and is written to the audit log.",
      request: { params: z.object({ id: IdText }), query: z.object({ reason: ReasonParam }) },
      responses: { 200: json(ConversationSchema, 'The whole conversation, each text as a preview.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const row = await visibleRow(deps, actor, c.req.valid('param').id);
      const { reason } = c.req.valid('query');
      await allowReading(c, deps, {
        principal: row.principal,
        target: row.id,
        reason,
        facts: { what: 'conversation' },
      });
      const bodies = await deps.store.getBodies(actor.tailnet, row.id);
      if (bodies === null) return c.json(conversationView(row, 'not_kept', null, null), 200);
      const request = readRequest(row.format, bodies.request);
      const answer = readAnswer(row.format, bodies.response, {
        contentType: bodies.responseContentType,
        status: row.status,
        isTruncated: bodies.responseTruncated,
      });
      return c.json(conversationView(row, request === null ? 'unreadable' : 'kept', request, answer), 200);
    },
  );
}

export function latencyView(latency: LatencySummary): z.output<typeof LatencySchema> {
  const ms = (us: number | null): number | null => (us === null ? null : us / 1_000);
  return {
    p50_ms: ms(latency.p50Us),
    p95_ms: ms(latency.p95Us),
    first_byte_p50_ms: ms(latency.firstByteP50Us),
    first_byte_p95_ms: ms(latency.firstByteP95Us),
    sampled: latency.sampled,
  };
}

const FAILED: ReadonlySet<string> = new Set([
  'upstream_error',
  'upstream_failed',
  'truncated',
  'gateway_error',
]);

function summaryView(summary: RequestSummary): z.output<typeof SummarySchema> {
  const count = (matches: (outcome: string) => boolean): number =>
    summary.outcomes.reduce((sum, { name, requests }) => sum + (matches(name ?? '') ? requests : 0), 0);
  return {
    requests: summary.requests,
    refused: count((outcome) => outcome === 'refused'),
    failed: count((outcome) => FAILED.has(outcome)),
    outcomes: summary.outcomes.map(({ name, requests }) => ({ outcome: name ?? '', requests })),
    reasons: summary.reasons.map(({ name, requests }) => ({ reason: name ?? '', requests })),
    input_tokens: summary.inputTokens,
    cache_read_tokens: summary.cacheReadTokens,
    output_tokens: summary.outputTokens,
    cost_nano_usd: summary.costNanoUsd,
    saved_nano_usd: summary.savedNanoUsd,
    latency: latencyView(summary.latency),
  };
}
