/** Provider keys: entered once, never shown again. */
import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../base/ids.ts';
import { Secret } from '../../base/secret.ts';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import { type KeyCaller, type KeyImpact, type KeyUse, readKeyImpact } from '../key-impact.ts';
import { SIGNING_SECRET_ORIGIN } from '../../vault/index.ts';
import type { ApiDependencies, KeyView, NewKey } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import {
  GivenName,
  IdText,
  json,
  jsonBody,
  listOf,
  NameText,
  NanoUsd,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;
/** 32 KiB: a service-account key with its certificate chain. */
const SECRET_MAX = 32 * 1024;

export const KeySchema = z
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

const KeyUseShape = {
  requests: z.int(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  cost_nano_usd: NanoUsd,
};

const KeyImpactSchema = z
  .object({
    key: KeySchema,
    from: TimeSchema,
    to: TimeSchema,
    ...KeyUseShape,
    callers: z
      .array(
        z.object({
          principal: z.string(),
          user_label: z.string(),
          devices: z.array(z.string()),
          agents: z.array(z.string()).describe('As the callers say.'),
          models: z.array(z.string()),
          last_at: TimeSchema,
          ...KeyUseShape,
        }),
      )
      .describe('Most requests first, at most 200.'),
    callers_more: z.int().describe('Callers beyond those listed.'),
    open: z
      .object({ exchanges: z.int(), principals: z.array(z.string()) })
      .nullable()
      .describe('Under way with the key now; a revocation cuts them. Null where nobody can tell.'),
    providers_without_key: z.array(z.string()).describe('Left without a key by a revocation.'),
    used_instead: z.array(z.string()).describe('Ids of the keys that would be used in its place.'),
    complete: z
      .boolean()
      .describe('False if there were more requests than are read: then the sums are too small.'),
  })
  .openapi('KeyImpact');

/** Without `days`: a month, in which monthly jobs ran once. */
const IMPACT_DAYS_DEFAULT = 30;
const DAY_MS = 86_400_000;

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
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/keys/{id}/impact',
      summary: 'Who uses a key, and what its revocation would touch',
      request: {
        params: z.object({ id: IdText }),
        query: z.object({ days: z.coerce.number().int().min(1).max(366).default(IMPACT_DAYS_DEFAULT) }),
      },
      responses: { 200: json(KeyImpactSchema, 'Use and impact.') },
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const key = deps.vault.list().find((candidate) => candidate.id === id);
      if (key === undefined) throw new ApiError('not_found', 'there is no such key');
      const to = deps.clock.now();
      const time = { from: to - c.req.valid('query').days * DAY_MS, to };
      return c.json(impactView(key, time, await readKeyImpact(deps, key, time)), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/keys',
      summary: 'Add a provider key',
      description:
        'The key is bound to the origin and header that the document gives its provider now; a changed address asks for it again. The provider `notify:<name>` is the secret that webhooks of this name are signed with; it is sent nowhere.',
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
      const bound = bindingOf(deps, body.provider);
      const asked = {
        id: newId('key', deps.clock, deps.random),
        ...bound,
        name: body.name,
        secret: new Secret(body.secret),
        state: body.state,
        createdBy: actor.principal,
      };
      const { name, origin, state } = asked;
      const key = await recordChange(
        deps,
        actor,
        { action: 'key.add', target: asked.id, facts: { provider: bound.provider, name, origin, state } },
        () => deps.vault.add(asked),
      );
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
      const key = findKey(deps, c.req.valid('param').id);
      const promoted = await recordChange(
        deps,
        c.get('actor'),
        { action: 'key.promote', target: key.id, facts: { ...factsOf(key), alongside } },
        () => deps.vault.promote(key.id, { alongside }),
      );
      return c.json(keyView(promoted), 200);
    },
  );
}

/** Where a new key may go. Throws `unknown_provider`. */
function bindingOf(deps: ApiDependencies, provider: string): Pick<NewKey, 'provider' | 'origin' | 'header'> {
  if (/^notify:[A-Za-z0-9_.-]{1,100}$/.test(provider))
    return { provider, origin: SIGNING_SECRET_ORIGIN, header: 'bearer' };
  const known = deps.policy.current().providers.get(provider);
  if (known === undefined || known.builtIn)
    throw new ApiError('unknown_provider', `the document has no provider "${provider}"; add it there first`);
  return { provider: known.id, origin: known.baseUrl.origin, header: known.authorization };
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
      const key = findKey(deps, c.req.valid('param').id);
      const action = { action: `key.${verb}`, target: key.id, facts: factsOf(key) };
      const changed = await recordWithdrawal(deps, c.get('actor'), action, () => deps.vault[verb](key.id));
      return c.json(keyView(changed), 200);
    },
  );
}

/** Throws for a key that cannot change any more: what is refused is not recorded. */
function findKey(deps: ApiDependencies, id: string): KeyView {
  const key = deps.vault.list().find((candidate) => candidate.id === id);
  if (key === undefined) throw new ApiError('not_found', 'there is no such key');
  if (key.state === 'revoked') throw new ApiError('conflict', `key ${id} is revoked; add it anew`);
  return key;
}

function factsOf({ provider, name }: KeyView): Record<string, unknown> {
  return { provider, name };
}

export function keyView(key: KeyView): z.output<typeof KeySchema> {
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

function impactView(
  key: KeyView,
  { from, to }: { readonly from: number; readonly to: number },
  impact: KeyImpact,
): z.output<typeof KeyImpactSchema> {
  return {
    key: keyView(key),
    from: timeText(from),
    to: timeText(to),
    ...useView(impact.total),
    callers: impact.callers.map(callerView),
    callers_more: impact.callersMore,
    open:
      impact.open === null
        ? null
        : { exchanges: impact.open.exchanges, principals: [...impact.open.principals] },
    providers_without_key: [...impact.withoutKey],
    used_instead: [...impact.instead],
    complete: impact.complete,
  };
}

function callerView(caller: KeyCaller): z.output<typeof KeyImpactSchema>['callers'][number] {
  return {
    principal: caller.principal,
    user_label: caller.userLabel,
    devices: [...caller.devices],
    agents: [...caller.agents],
    models: [...caller.models],
    last_at: timeText(caller.lastAt),
    ...useView(caller),
  };
}

function useView(use: KeyUse): {
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cost_nano_usd: number;
} {
  return {
    requests: use.requests,
    input_tokens: use.inputTokens,
    output_tokens: use.outputTokens,
    cost_nano_usd: use.costNanoUsd,
  };
}
