/** Hooks: what the programs that are asked and told about requests said, and how fast. */
import { createRoute, z } from '@hono/zod-openapi';
import type { DeadLetter, HookView } from '../../guardrails/hooks/index.ts';
import { recordChange } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, HookFacts, HooksPort } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import {
  IdText,
  json,
  jsonBody,
  listOf,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const RETRY = { role: 'admin', presence: true, scope: 'admin' } as const;

const Ms = z.number().nullable();
const HookSchema = z
  .object({
    name: z.string(),
    url_origin: z.string().nullable().describe('Null: the document has it no more.'),
    mode: z.enum(['enforce', 'monitor']).nullable(),
    fail_policy: z.enum(['fail_open', 'fail_closed']).nullable(),
    disabled: z.boolean(),
    used: z.boolean().describe('It was called since the start of this process; counts are since then.'),
    circuit: z.enum(['closed', 'open', 'half_open']),
    retry_at: NullableTime.describe('When an open circuit lets a call through again.'),
    running: z.int(),
    waiting: z.int(),
    outcomes: z.record(z.string(), z.int()),
    faults: z.record(z.string(), z.int()),
    latency: z.object({ p50_ms: Ms, p95_ms: Ms, p99_ms: Ms }),
    recent: z
      .array(
        z.object({
          at: TimeSchema,
          event: z.string(),
          request_id: z.string(),
          outcome: z.string(),
          fault: z.string().nullable(),
          duration_ms: z.number(),
          monitor: z.boolean(),
        }),
      )
      .describe('Newest first.'),
  })
  .openapi('Hook');

const HooksSchema = z
  .object({
    hooks: z.array(HookSchema),
    queued: z.int().describe('Deliveries that wait, run or pause.'),
    queued_bytes: z.int(),
    dead_letter_count: z.int().describe('Since the start, those no longer listed included.'),
  })
  .openapi('Hooks');

const DeadLetterSchema = z
  .object({
    id: z.string(),
    hook: z.string(),
    event: z.string(),
    request_id: z.string(),
    login_name: z.string(),
    queued_at: TimeSchema,
    at: TimeSchema.describe('When it was given up.'),
    attempts: z.int(),
    fault: z.string(),
    message: z.string(),
    retryable: z.boolean().describe('What it held is kept.'),
  })
  .openapi('HookDeadLetter');

export function addHookRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/hooks',
      summary: 'Hooks: latency, failures, circuits and recent calls',
      responses: { 200: json(HooksSchema, 'Those of the document, and those that were called.') },
    }),
    (c) => {
      const hooks = portOf(deps);
      const stats = hooks.stats();
      const views = new Map(stats.hooks.map((view) => [view.hook, view]));
      const facts = new Map(hooks.entries().map((entry) => [entry.name, entry]));
      const names = [...new Set([...facts.keys(), ...views.keys()])].sort();
      return c.json(
        {
          hooks: names.map((name) => hookView(name, facts.get(name) ?? null, views.get(name) ?? null)),
          queued: stats.queued,
          queued_bytes: stats.queuedBytes,
          dead_letter_count: stats.deadLetterCount,
        },
        200,
      );
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/hooks/dead-letters',
      summary: 'Deliveries to hooks that were given up, newest first',
      responses: { 200: json(listOf(DeadLetterSchema), 'Dead letters, without bodies.') },
    }),
    (c) => c.json({ items: portOf(deps).stats().deadLetters.map(letterView), next_cursor: null }, 200),
  );

  router.add(
    RETRY,
    createRoute({
      method: 'post',
      path: '/api/v1/hooks/dead-letters/{id}/retry',
      summary: 'Deliver a dead letter once more',
      request: { params: z.object({ id: IdText }), body: jsonBody(z.strictObject({})) },
      responses: { 202: { description: 'It is queued again.' } },
    }),
    async (c) => {
      const hooks = portOf(deps);
      const { id } = c.req.valid('param');
      const letter = hooks.stats().deadLetters.find((one) => one.id === id);
      if (letter === undefined) throw new ApiError('not_found', 'there is no such dead letter');
      if (!letter.canRetry) throw new ApiError('conflict', REFUSALS.not_kept);
      const action = {
        action: 'hook.retry',
        target: letter.hook,
        facts: { letter: id, request: letter.requestId },
      };
      await recordChange(deps, c.get('actor'), action, async () => {
        const refusal = hooks.retry(id);
        if (refusal !== null) throw new ApiError('conflict', REFUSALS[refusal]);
      });
      return c.body(null, 202);
    },
  );
}

const REFUSALS = {
  unknown: 'there is no such dead letter any more',
  not_kept: 'what this letter held is not kept, so it cannot be sent again',
  hook_gone: 'the document has its hook no more',
} as const;

function portOf({ hooks }: Pick<ApiDependencies, 'hooks'>): HooksPort {
  if (hooks === undefined) throw new ApiError('not_found', 'this server calls no hooks');
  return hooks;
}

function hookView(name: string, entry: HookFacts | null, view: HookView | null): z.output<typeof HookSchema> {
  return {
    name,
    url_origin: entry?.origin ?? null,
    mode: entry?.mode ?? null,
    fail_policy: entry?.failPolicy ?? null,
    disabled: entry?.disabled ?? true,
    used: view !== null,
    circuit: view?.circuit ?? 'closed',
    retry_at: nullableTimeText(view?.retryAt ?? null),
    running: view?.running ?? 0,
    waiting: view?.waiting ?? 0,
    outcomes: { ...view?.outcomes },
    faults: { ...view?.faults },
    latency: {
      p50_ms: view?.latency.p50 ?? null,
      p95_ms: view?.latency.p95 ?? null,
      p99_ms: view?.latency.p99 ?? null,
    },
    recent: (view?.recent ?? []).map((call) => ({
      at: timeText(call.at),
      event: call.event,
      request_id: call.requestId,
      outcome: call.outcome,
      fault: call.fault,
      duration_ms: call.durationMs,
      monitor: call.monitor,
    })),
  };
}

function letterView(letter: DeadLetter): z.output<typeof DeadLetterSchema> {
  return {
    id: letter.id,
    hook: letter.hook,
    event: letter.event,
    request_id: letter.requestId,
    login_name: letter.loginName,
    queued_at: timeText(letter.queuedAt),
    at: timeText(letter.at),
    attempts: letter.attempts,
    fault: letter.fault,
    message: letter.message,
    retryable: letter.canRetry,
  };
}
