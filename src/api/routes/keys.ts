/** Provider keys: entered once, never shown again. */
import { createRoute, z } from '@hono/zod-openapi';
import { Secret } from '../../base/secret.ts';
import { recordAction } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, KeyView } from '../ports.ts';
import type { ApiContext, ApiRouter } from '../router.ts';
import {
  GivenName,
  IdText,
  json,
  jsonBody,
  listOf,
  NameText,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;
/** 32 KiB: a service-account key with its certificate chain. */
const SECRET_MAX = 32 * 1024;

const KeySchema = z
  .object({
    id: z.string(),
    provider: z.string(),
    name: z.string(),
    state: z.enum(['staged', 'active', 'retired', 'revoked']),
    origin: z.string().describe('The only origin that the key is sent to.'),
    header: z.string(),
    hint: z.string().describe('The last characters.'),
    source: z.string().describe('`store`, `environment`, or `unreadable`: sealed with another master key.'),
    created_at: TimeSchema,
    created_by: z.string(),
    last_used_at: NullableTime,
    uses: z.int(),
    failures: z.int(),
    last_error: z.string().nullable(),
    cooldown_until: NullableTime,
  })
  .openapi('ProviderKey');

export function addKeyRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/keys',
      summary: 'Provider keys, without their secrets',
      request: { query: z.object({ provider: NameText.optional() }) },
      responses: { 200: json(listOf(KeySchema), 'Keys.') },
    }),
    (c) => {
      const { provider } = c.req.valid('query');
      const keys = deps.vault.list().filter((key) => provider === undefined || key.provider === provider);
      return c.json({ items: keys.map(keyView), next_cursor: null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/keys',
      summary: 'Add a provider key',
      description:
        'The key is bound to the origin and header that the document gives its provider now; a changed address asks for it again.',
      request: {
        body: jsonBody(
          z.strictObject({
            provider: NameText,
            name: GivenName.default('default'),
            secret: z.string().min(1).max(SECRET_MAX),
            state: z.enum(['staged', 'active']).default('active'),
          }),
        ),
      },
      responses: { 201: json(KeySchema, 'The key, without its secret.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const body = c.req.valid('json');
      const provider = deps.policy.current().providers.get(body.provider);
      if (provider === undefined || provider.builtIn) {
        throw new ApiError(
          'unknown_provider',
          `the document has no provider "${body.provider}"; add it there first`,
        );
      }
      const key = await deps.vault.add({
        provider: provider.id,
        name: body.name,
        origin: provider.baseUrl.origin,
        header: provider.authorization,
        secret: new Secret(body.secret),
        state: body.state,
        createdBy: actor.principal,
      });
      await recordAction(deps, actor, {
        action: 'key.add',
        target: key.id,
        facts: { provider: key.provider, name: key.name, origin: key.origin, state: key.state },
      });
      return c.json(keyView(key), 201);
    },
    { bodyMaxBytes: 2 * SECRET_MAX },
  );

  addTransition(router, deps, 'retire', 'Use a key no more; requests under way finish with it');
  addTransition(router, deps, 'revoke', 'Withdraw a key at once; requests under way with it are cut');
  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/keys/{id}/promote',
      summary: 'Use a staged key from now on',
      request: {
        params: z.object({ id: IdText }),
        body: jsonBody(
          z.strictObject({
            alongside: z.boolean().default(false).describe('Keep the present keys active too.'),
          }),
        ),
      },
      responses: { 200: json(KeySchema, 'The key.') },
    }),
    async (c) => {
      const { alongside } = c.req.valid('json');
      const key = await deps.vault.promote(c.req.valid('param').id, { alongside });
      return c.json(await recorded(c, deps, 'promote', key, { alongside }), 200);
    },
  );
}

function addTransition(
  router: ApiRouter,
  deps: ApiDependencies,
  verb: 'retire' | 'revoke',
  summary: string,
): void {
  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: `/api/v1/keys/{id}/${verb}`,
      summary,
      request: { params: z.object({ id: IdText }) },
      responses: { 200: json(KeySchema, 'The key.') },
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const key = await deps.vault[verb](id);
      return c.json(await recorded(c, deps, verb, key), 200);
    },
  );
}

async function recorded(
  c: ApiContext,
  deps: ApiDependencies,
  verb: string,
  key: KeyView,
  facts: Record<string, unknown> = {},
): Promise<z.output<typeof KeySchema>> {
  await recordAction(deps, c.get('actor'), {
    action: `key.${verb}`,
    target: key.id,
    facts: { provider: key.provider, name: key.name, ...facts },
  });
  return keyView(key);
}

function keyView(key: KeyView): z.output<typeof KeySchema> {
  return {
    id: key.id,
    provider: key.provider,
    name: key.name,
    state: key.state,
    origin: key.origin,
    header: key.header,
    hint: key.hint,
    source: key.source,
    created_at: timeText(key.createdAt),
    created_by: key.createdBy,
    last_used_at: nullableTimeText(key.lastUsedAt),
    uses: key.uses,
    failures: key.failures,
    last_error: key.lastError,
    cooldown_until: nullableTimeText(key.cooldownUntil),
  };
}
