/** Liveness, readiness that tells the truth, and metrics. */
import { createRoute, z } from '@hono/zod-openapi';
import { describeError } from '../../base/errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { RequestMetrics } from '../request-metrics.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { json } from '../schemas.ts';

const PUBLIC = { role: 'public', presence: false, scope: null } as const;
const METRICS = { role: 'metrics', presence: false, scope: 'metrics' } as const;
/** 10 s: a hundred times the recorder's usual lag; beyond it rows may be lost soon. */
const RECORDER_LAG_MAX_MS = 10_000;
/** Asking the store costs; whoever asks more often gets the last answer. */
const READY_TTL_MS = 1_000;

const Ready = z
  .object({
    ready: z.boolean(),
    checks: z.object({ store: z.boolean(), recorder: z.boolean(), policy: z.boolean() }),
  })
  .openapi('Ready');

export function addHealthRoutes(router: ApiRouter, deps: ApiDependencies, metrics: RequestMetrics): void {
  const readiness = createReadiness(deps);
  router.add(
    PUBLIC,
    createRoute({
      method: 'get',
      path: '/healthz',
      summary: 'The process answers',
      responses: { 200: json(z.object({ status: z.literal('ok') }), 'Alive.') },
    }),
    (c) => c.json({ status: 'ok' as const }, 200),
  );

  router.add(
    PUBLIC,
    createRoute({
      method: 'get',
      path: '/readyz',
      summary: 'Requests can be served and recorded',
      description:
        '`store`: it can be written; `recorder`: it keeps up and has lost nothing; `policy`: the newest document is in force.',
      responses: { 200: json(Ready, 'Ready.'), 503: json(Ready, 'Not ready.') },
    }),
    async (c) => {
      const answer = await readiness();
      return answer.ready ? c.json(answer, 200) : c.json(answer, 503);
    },
  );

  router.add(
    METRICS,
    createRoute({
      method: 'get',
      path: '/metrics',
      summary: "Metrics in Prometheus' text format",
      responses: { 200: { description: 'Metrics.', content: { 'text/plain': { schema: z.string() } } } },
    }),
    (c) => {
      const text = metrics.render(deps.recorder.stats()) + (deps.moreMetrics?.() ?? '');
      return untyped(c.body(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }));
    },
  );
}

/** Says no more than yes or no, because nobody asked who wants to know; the reason goes to the log. */
function createReadiness(deps: ApiDependencies): () => Promise<z.output<typeof Ready>> {
  let last: { readonly at: number; readonly answer: Promise<z.output<typeof Ready>> } | null = null;
  const check = async (): Promise<z.output<typeof Ready>> => {
    const stats = deps.recorder.stats();
    const checks = {
      store: await isWritable(deps),
      recorder: stats.lagMs <= RECORDER_LAG_MAX_MS && stats.lastError === null,
      policy: deps.documents.lastError() === null,
    };
    return { ready: checks.store && checks.recorder && checks.policy, checks };
  };
  return () => {
    const now = deps.clock.monotonicMs();
    if (last === null || now - last.at >= READY_TTL_MS) last = { at: now, answer: check() };
    return last.answer;
  };
}

async function isWritable(deps: ApiDependencies): Promise<boolean> {
  try {
    await deps.store.health();
    return true;
  } catch (error) {
    deps.logger.warn('the store is not ready', { error: describeError(error) });
    return false;
  }
}
