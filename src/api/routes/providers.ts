/** Providers: how they do, and whether one answers now. Keys have routes of their own (`keys.ts`). */
import { createRoute, z } from '@hono/zod-openapi';
import type { ProviderUse } from '../../store/shapes.ts';
import { recordChange } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, ProviderView } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import {
  IdText,
  json,
  jsonBody,
  listOf,
  NameText,
  NanoUsd,
  NullableTime,
  TimeSchema,
  timeText,
} from '../schemas.ts';
import { CircuitSchema, circuitView } from './health-states.ts';
import { KeySchema, keyView } from './keys.ts';
import { LatencySchema, latencyView } from './request-reports.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const TEST = { role: 'admin', presence: true, scope: 'admin' } as const;
const HOUR_MS = 3_600_000;
/** Share of failures from which a provider counts as degraded. */
const DEGRADED_SHARE = 0.05;

const ProviderSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.string(),
    description: z.string(),
    origin: z.string(),
    authorization: z.string(),
    formats: z.array(z.string()),
    models: z.array(z.string()),
    disabled: z.boolean(),
    test: z.boolean().describe("Postern's own test provider."),
    state: z
      .enum(['ok', 'degraded', 'down', 'disabled', 'unused', 'no_key'])
      .describe(
        '`down`: it cannot be reached; `degraded`: a circuit is open, or one in twenty fails; `no_key`: none is usable.',
      ),
    requests: z.int(),
    failed: z.int(),
    error_rate: z.number().describe('0 to 1.'),
    latency: z.union([LatencySchema, z.null()]),
    cost_nano_usd: NanoUsd,
    last_used_at: NullableTime,
    last_failure: z
      .object({
        at: TimeSchema,
        request_id: z.string(),
        outcome: z.string(),
        reason: z.string().nullable(),
        status: z.int(),
        model: z.string().nullable(),
      })
      .nullable(),
    keys: z.array(KeySchema),
    circuits: z.array(CircuitSchema),
  })
  .openapi('Provider');

const TestSchema = z
  .object({
    ok: z.boolean(),
    stage: z
      .enum(['credential', 'address', 'dns', 'connect', 'tls', 'http', 'auth', 'ok'])
      .describe('How far it came: the step that failed, or `ok`.'),
    status: z.int().nullable().describe('HTTP status; null where none came.'),
    message: z.string(),
    models: z.array(z.string()).describe('At most 200 that it lists.'),
    duration_ms: z.number(),
    key_id: z.string().nullable().describe('The key that was sent.'),
  })
  .openapi('ProviderTest');

export function addProviderRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/providers',
      // `/api/providers` has the name that would follow from the path.
      operationId: 'listProviders',
      summary: 'Providers, and how they did',
      request: {
        query: z.object({
          hours: z.coerce
            .number()
            .int()
            .min(1)
            .max(24 * 31)
            .default(24),
        }),
      },
      responses: { 200: json(listOf(ProviderSchema), 'All of the document, and those found at start.') },
    }),
    async (c) => {
      const to = deps.clock.now();
      const from = to - c.req.valid('query').hours * HOUR_MS;
      const uses = await deps.store.summarizeProviders({ tailnet: c.get('actor').tailnet, from, to });
      const byId = new Map(uses.map((use) => [use.provider, use]));
      const providers = [...deps.policy.current().providers.values()];
      const items = providers.map((provider) => providerView(deps, provider, byId.get(provider.id) ?? null));
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    TEST,
    createRoute({
      method: 'post',
      path: '/api/v1/providers/{name}/test',
      summary: 'Ask a provider for its models, now',
      description:
        'The cheapest real request, by the same way out and with the same key as everybody else’s. It is recorded in the audit log.',
      request: {
        params: z.object({ name: NameText }),
        body: jsonBody(
          z.strictObject({ key_id: IdText.optional().describe('Default: the key that would be used.') }),
        ),
      },
      responses: { 200: json(TestSchema, 'What came of it.') },
    }),
    async (c) => {
      const { name } = c.req.valid('param');
      const { key_id: keyId = null } = c.req.valid('json');
      const { testProvider } = deps;
      if (testProvider === undefined) throw new ApiError('not_found', 'this server tests no providers');
      if (!deps.policy.current().providers.has(name))
        throw new ApiError('unknown_provider', `the document has no provider "${name}"`);
      if (keyId !== null && !deps.vault.list().some(({ id, provider }) => id === keyId && provider === name))
        throw new ApiError('not_found', `provider "${name}" has no such key`);
      const action = { action: 'provider.test', target: name, facts: { key: keyId } };
      const found = await recordChange(deps, c.get('actor'), action, () => testProvider(name, keyId));
      return c.json(
        {
          ok: found.stage === 'ok',
          stage: found.stage,
          status: found.status,
          message: found.message,
          models: [...found.models],
          duration_ms: found.durationMs,
          key_id: found.keyId,
        },
        200,
      );
    },
  );
}

function providerView(
  deps: Pick<ApiDependencies, 'vault' | 'routing'>,
  provider: ProviderView,
  use: ProviderUse | null,
): z.output<typeof ProviderSchema> {
  const keys = deps.vault.list().filter((key) => key.provider === provider.id);
  const circuits = deps.routing.circuits().filter((circuit) => circuit.provider === provider.id);
  const rate = use === null || use.requests === 0 ? 0 : use.failed / use.requests;
  const failure = use?.lastFailure ?? null;
  return {
    id: provider.id,
    name: provider.name === '' ? provider.id : provider.name,
    kind: provider.kind,
    description: provider.description,
    origin: provider.baseUrl.origin,
    authorization: provider.authorization,
    formats: [...provider.formats],
    models: [...provider.models],
    disabled: provider.disabled,
    test: provider.builtIn,
    state: stateOf(provider, { keys, circuits, use, rate }),
    requests: use?.requests ?? 0,
    failed: use?.failed ?? 0,
    error_rate: rate,
    latency: use === null ? null : latencyView(use.latency),
    cost_nano_usd: use?.costNanoUsd ?? 0,
    last_used_at: use === null ? null : timeText(use.lastAt),
    last_failure:
      failure === null
        ? null
        : {
            at: timeText(failure.startedAt),
            request_id: failure.id,
            outcome: failure.outcome,
            reason: failure.reason,
            status: failure.status,
            model: failure.model,
          },
    keys: keys.map(keyView),
    circuits: circuits.map(circuitView),
  };
}

interface StateFacts {
  readonly keys: ReturnType<ApiDependencies['vault']['list']>;
  readonly circuits: ReturnType<ApiDependencies['routing']['circuits']>;
  readonly use: ProviderUse | null;
  readonly rate: number;
}

function stateOf(
  provider: ProviderView,
  { keys, circuits, use, rate }: StateFacts,
): z.output<typeof ProviderSchema>['state'] {
  if (provider.disabled) return 'disabled';
  const isOpen = ({ phase }: { readonly phase: string }): boolean => phase !== 'closed';
  if (circuits.some((circuit) => isOpen(circuit) && circuit.model === null && circuit.keyId === null))
    return 'down';
  const isUsable = keys.some(({ state, source }) => state === 'active' && source !== 'unreadable');
  // Kinds with credentials of the operator's own, and servers that ask for none, have no keys at all.
  if (keys.length > 0 && !isUsable) return 'no_key';
  if (circuits.some(isOpen) || rate >= DEGRADED_SHARE) return 'degraded';
  return use === null ? 'unused' : 'ok';
}
