/**
 * What a draft of the document would have made of recorded requests. Reads metadata only, changes
 * nothing, and takes no longer than the caller waits: what is not done by then is asked for again.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { REQUESTS_TOLD_MAX, SimulationError } from '../../gateway/simulate/index.ts';
import type { SimulationReport, SimulationView } from '../../gateway/simulate/index.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, SimulationsPort } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { IdText, json, jsonBody, NanoUsd, parseTime, TimeParam, TimeSchema, timeText } from '../schemas.ts';
import { snakeCase } from '../snake-case.ts';
import { DOCUMENT_MAX_BYTES, ProblemItem, problemView } from './config.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
/** Without `since`: the last seven days. */
const DEFAULT_SPAN_MS = 7 * 86_400_000;
/** Clients give up after 30 s. */
const WAIT_MAX_MS = 25_000;
const WAIT_DEFAULT_MS = 20_000;
const REQUESTS_DEFAULT = 100;

const WaitMs = z.coerce.number().int().min(0).max(WAIT_MAX_MS).default(WAIT_DEFAULT_MS);

const TotalsSchema = z
  .looseObject({
    version: z.string(),
    allowed: z.int(),
    denied: z.int(),
    over_budget: z.int(),
    unknown: z.int().describe('Opened by what the network carried, which is not recorded.'),
    cost_nano_usd: NanoUsd,
    unpriced: z.int().describe('Requests without a known price: not in the cost.'),
    without_usage: z.int(),
  })
  .describe('Sums under one policy, both judged in the same way.');

const ReportSchema = z
  .looseObject({
    from: TimeSchema,
    to: TimeSchema,
    rows: z.int(),
    changed_requests: z.int(),
    before: TotalsSchema.describe('The policy in force.'),
    after: TotalsSchema.describe('The draft.'),
    limits: z.array(z.string()).describe('What metadata cannot tell.'),
  })
  .openapi('SimulationReport');

const SimulationSchema = z
  .object({
    id: z.string(),
    state: z.enum(['running', 'done', 'failed']),
    rows: z.int().describe('Read so far.'),
    progress: z.number().min(0).max(1),
    report: ReportSchema.nullable().describe('Once it is done.'),
    problems: z.array(ProblemItem).describe('Warnings and notes of the draft; a save refuses warnings.'),
    test_failures: z.array(z.unknown()).describe("The draft's own tests that fail; a save refuses them."),
    error: z.string().nullable(),
  })
  .openapi('Simulation');

export function addSimulateRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'post',
      path: '/api/v1/simulate',
      summary: 'What a draft would have made of recorded requests',
      description:
        'Compares a draft with the document in force over recorded metadata. Answers when it is done, or after `wait_ms` with the state `running`: then ask for it by its id, within a minute, or it ends.',
      request: {
        body: jsonBody(
          z.strictObject({
            draft: z.string().max(DOCUMENT_MAX_BYTES).describe('HuJSON.'),
            since: TimeParam.describe('Default: seven days before `until`.'),
            until: TimeParam.describe('Exclusive. Default: now.'),
            requests: z
              .int()
              .min(0)
              .max(REQUESTS_TOLD_MAX)
              .default(REQUESTS_DEFAULT)
              .describe('Changed requests to tell one by one.'),
            wait_ms: WaitMs,
          }),
        ),
      },
      responses: { 200: json(SimulationSchema, 'The simulation.') },
    }),
    async (c) => {
      const body = c.req.valid('json');
      const to = parseTime('until', body.until) ?? deps.clock.now();
      const from = parseTime('since', body.since) ?? to - DEFAULT_SPAN_MS;
      const simulations = portOf(deps);
      const owner = c.get('actor').principal;
      const started = await asApiError(() =>
        simulations.start({ owner, draft: body.draft, from, to, requestsMax: body.requests }),
      );
      const view = await simulations.view(started.id, owner, body.wait_ms);
      return c.json(simulationView(view ?? started), 200);
    },
    { bodyMaxBytes: 2 * DOCUMENT_MAX_BYTES },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/simulate/{id}',
      summary: 'One of your simulations',
      request: { params: z.object({ id: IdText }), query: z.object({ wait_ms: WaitMs }) },
      responses: { 200: json(SimulationSchema, 'The simulation, after its end or `wait_ms`.') },
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const view = await portOf(deps).view(id, c.get('actor').principal, c.req.valid('query').wait_ms);
      if (view === null) throw noSuchSimulation();
      return c.json(simulationView(view), 200);
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'delete',
      path: '/api/v1/simulate/{id}',
      summary: 'End and forget one of your simulations',
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Ended.' } },
    }),
    (c) => {
      if (!portOf(deps).cancel(c.req.valid('param').id, c.get('actor').principal)) throw noSuchSimulation();
      return c.body(null, 204);
    },
  );
}

function portOf({ simulations }: ApiDependencies): SimulationsPort {
  if (simulations === undefined) throw new ApiError('unavailable', 'this server runs no simulations');
  return simulations;
}

function noSuchSimulation(): ApiError {
  return new ApiError('not_found', 'no such simulation of yours; a done one is kept for ten minutes');
}

async function asApiError<Value>(run: () => Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error;
    const { message, problems } = error;
    if (error.code === 'simulation_limit') throw new ApiError('too_many', message, { cause: error });
    if (error.code === 'simulation_draft')
      throw new ApiError('document_refused', message, {
        cause: error,
        members: { problems: problems.map(problemView), test_failures: [] },
      });
    throw new ApiError('invalid_request', message, { cause: error });
  }
}

function simulationView(view: SimulationView): z.output<typeof SimulationSchema> {
  return {
    id: view.id,
    state: view.state,
    rows: view.rows,
    progress: view.progress,
    report: view.report === null ? null : reportView(view.report),
    problems: view.problems.map(problemView),
    test_failures: view.testFailures.map(snakeCase),
    error: view.error,
  };
}

function reportView(report: SimulationReport): z.output<typeof ReportSchema> {
  const { before, after, from, to, rows, changedRequests, limits, requests, budgets, ...rest } = report;
  const members = Object.entries(rest).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    snakeCase(value),
  ]);
  return {
    from: timeText(from),
    to: timeText(to),
    rows,
    changed_requests: changedRequests,
    before: totalsView(before),
    after: totalsView(after),
    ...Object.fromEntries(members),
    budgets: budgets.map(({ firstRefusedAt, lastRefusedAt, refusedBefore, refusedAfter, bucket, quota }) => ({
      bucket,
      quota,
      refused_before: refusedBefore,
      refused_after: refusedAfter,
      first_refused_at: firstRefusedAt === null ? null : timeText(firstRefusedAt),
      last_refused_at: lastRefusedAt === null ? null : timeText(lastRefusedAt),
    })),
    requests: requests.map(({ startedAt, ...request }) =>
      Object.assign({ started_at: timeText(startedAt) }, snakeCase(request)),
    ),
    limits: [...limits],
  };
}

function totalsView(totals: SimulationReport['before']): z.output<typeof TotalsSchema> {
  const { toolCalls, translated, ...sums } = totals;
  return {
    version: sums.version,
    allowed: sums.allowed,
    denied: sums.denied,
    over_budget: sums.overBudget,
    unknown: sums.unknown,
    translated,
    cost_nano_usd: sums.costNanoUsd,
    unpriced: sums.unpriced,
    without_usage: sums.withoutUsage,
    tool_calls: snakeCase(toolCalls),
  };
}
