/** Which providers, models and keys are in trouble, and what the response cache holds. */
import { createRoute, z } from '@hono/zod-openapi';
import type { ApiDependencies, RoutingPort } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, NullableTime, nullableTimeText } from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;

export const CircuitSchema = z
  .object({
    provider: z.string(),
    key_id: z.string().nullable().describe('Null: whatever the key.'),
    model: z.string().nullable().describe('Null: whatever the model.'),
    phase: z
      .enum(['closed', 'open', 'half_open'])
      .describe(
        '`open`: tried last until the pause ends; `half_open`: one attempt at a time; `closed`: failures that did not suffice.',
      ),
    failures_in_row: z.int(),
    fault: z.enum(['unreachable', 'failing', 'limited', 'key_rejected']),
    until: NullableTime.describe('End of the pause; null where none runs.'),
  })
  .openapi('Circuit');

const Cache = z
  .object({
    entries: z.int(),
    bytes: z.int(),
    filling_bytes: z.int().describe('Of answers that are arriving.'),
    hits: z.int(),
    misses: z.int(),
    stored: z.int(),
    evicted: z.int().describe('Dropped to make room.'),
  })
  .openapi('CacheStats');

/** Counts are since the start of the process. */
export function addHealthStateRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/providers/health',
      summary: 'Providers, models and keys in trouble',
      description: 'Nothing is listed of what is well. Counts are since the start of this process.',
      responses: { 200: json(z.object({ circuits: z.array(CircuitSchema), cache: Cache }), 'As of now.') },
    }),
    (c) => {
      const circuits = deps.routing.circuits().map(circuitView);
      const { fillingBytes, ...cache } = deps.routing.cache();
      return c.json({ circuits, cache: { ...cache, filling_bytes: fillingBytes } }, 200);
    },
  );
}

export function circuitView({
  keyId,
  failuresInRow,
  until,
  ...circuit
}: ReturnType<RoutingPort['circuits']>[number]): z.output<typeof CircuitSchema> {
  return {
    ...circuit,
    key_id: keyId,
    failures_in_row: failuresInRow,
    until: nullableTimeText(until),
  };
}
