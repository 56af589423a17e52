/** Postern's own tokens: minted with presence, shown once, never wider than their minter. */
import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../base/ids.ts';
import type { TokenScope } from '../../identity/caller.ts';
import type { TokenRow } from '../../store/shapes.ts';
import { presenceRequired } from '../access.ts';
import { type Actor, seesAll } from '../actor.ts';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, NewToken } from '../ports.ts';
import { type ApiContext, type ApiRouter, ownOrigin } from '../router.ts';
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

const READ = { role: 'user', presence: false, scope: 'read' } as const;
/** Presence is decided in the handler, because of the one exception (`isRunToken`). */
const MINT = { role: 'user', presence: false, scope: 'admin' } as const;
const REVOKE = { role: 'user', presence: false, scope: 'admin' } as const;

const DAY_SEC = 86_400;
const TTL_MIN_SEC = 60;
/** A year: longer-lived tokens outlive those who remember them. */
const TTL_MAX_SEC = 365 * DAY_SEC;
/** 12 hours: one working day of an agent that `postern run` started. */
const RUN_TTL_MAX_SEC = DAY_SEC / 2;
const SCOPES = ['use', 'read', 'admin', 'metrics'] as const satisfies readonly TokenScope[];

const TokenSchema = z
  .object({
    id: z.string(),
    owner: z.string(),
    owner_label: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    models: z
      .array(z.string())
      .nullable()
      .describe('Globs over provider/model; null: all that the owner may use.'),
    created_at: TimeSchema,
    created_by: z.string(),
    expires_at: NullableTime,
    revoked_at: NullableTime,
    last_used_at: NullableTime,
  })
  .openapi('Token');

const MintBody = z.strictObject({
  name: GivenName,
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).default(['use']),
  models: z.array(NameText).min(1).max(100).nullable().default(null),
  expires_in_sec: z
    .int()
    .min(TTL_MIN_SEC)
    .max(TTL_MAX_SEC)
    .default(30 * DAY_SEC),
  owner: z
    .string()
    .regex(
      /^service:[a-z0-9][a-z0-9._-]{0,62}$/,
      'must be service:<name>: nobody mints a token that acts as another person',
    )
    .optional()
    .describe('For admins: a service principal that the document grants by this name. Default: yourself.'),
});

type Mint = z.output<typeof MintBody>;

export function addTokenRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tokens',
      summary: 'Tokens: your own, or all with the role auditor or admin',
      responses: { 200: json(listOf(TokenSchema), 'Tokens, without their secrets.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const rows = await deps.tokens.list();
      const items = rows.filter(
        (row) => row.tailnet === actor.tailnet && (seesAll(actor) || row.owner === actor.principal),
      );
      return c.json({ items: items.map(tokenView), next_cursor: null }, 200);
    },
  );

  router.add(
    MINT,
    createRoute({
      method: 'post',
      path: '/api/v1/tokens',
      summary: 'Mint a token',
      description:
        "Needs presence, except a `use` token of at most 12 hours for one's own programs over the socket where the system cannot tell who owns a loopback connection. " +
        'The scope `admin` needs the role admin; `metrics` and other owners too. An admin token mints no admin tokens and none that outlive it.',
      request: { body: jsonBody(MintBody) },
      responses: {
        201: json(TokenSchema.extend({ token: z.string().describe('Shown once.') }), 'The token.'),
      },
    }),
    async (c) => {
      const actor = c.get('actor');
      const body = c.req.valid('json');
      checkMint(c, deps, actor, body);
      const asked = newToken(deps, actor, body);
      const facts = {
        owner: asked.owner,
        name: asked.name,
        scopes: asked.scopes,
        models: asked.models,
        expires_at: timeText(deps.clock.now() + asked.ttlMs),
      };
      const { token, row } = await recordChange(
        deps,
        actor,
        { action: 'token.create', target: asked.id, facts },
        () => deps.tokens.mint(asked),
      );
      return c.json({ ...tokenView(row), token: token.reveal() }, 201);
    },
  );

  router.add(
    REVOKE,
    createRoute({
      method: 'delete',
      path: '/api/v1/tokens/{id}',
      summary: 'Revoke a token at once',
      description:
        "One's own needs no presence, because it only takes away; others' need the role admin and presence.",
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Revoked; its open streams are cut within a second.' } },
    }),
    async (c) => {
      const actor = c.get('actor');
      const { id } = c.req.valid('param');
      const row = (await deps.tokens.list()).find(
        (candidate) => candidate.id === id && candidate.tailnet === actor.tailnet,
      );
      const own = row?.owner === actor.principal;
      if (row === undefined || (!own && !seesAll(actor))) throw new ApiError('not_found', 'no such token');
      if (!own) requireAdminPresence(c, deps, actor, 'revoking the token of another');
      if (row.revokedAt !== null) throw new ApiError('not_found', 'no such token');
      const facts = { owner: row.owner, name: row.name };
      await recordWithdrawal(deps, actor, { action: 'token.revoke', target: id, facts }, () =>
        deps.tokens.revoke(id),
      );
      return c.body(null, 204);
    },
  );
}

/** Throws unless this actor may mint this token: a token is never wider than its minter. */
function checkMint(c: ApiContext, deps: ApiDependencies, actor: Actor, body: Mint): void {
  if (actor.caller?.device?.shared === true && actor.caller.token === null) {
    throw new ApiError('not_yours', 'a shared device stands for no person, so it mints no tokens');
  }
  const isAdmin = actor.roles.has('admin');
  if (body.owner === undefined && actor.caller === null) {
    throw new ApiError('invalid_request', 'owner: the operator is no principal; name a service:<name>');
  }
  const needsAdmin =
    body.owner !== undefined || body.scopes.some((scope) => scope === 'admin' || scope === 'metrics');
  if (needsAdmin && !isAdmin)
    throw new ApiError(
      'role_missing',
      'tokens with the scope admin or metrics, or of a service, are minted by admins',
    );
  const minter = actor.caller?.token ?? null;
  if (minter !== null && body.scopes.includes('admin')) {
    throw new ApiError('scope_missing', 'an admin token mints no admin tokens: show presence as yourself');
  }
  if (minter?.models && !(body.models ?? []).every((model) => minter.models?.includes(model) === true)) {
    throw new ApiError('scope_missing', 'models: your own token is limited to others');
  }
  if (actor.presence === null && !isRunToken(deps, actor, body)) {
    throw presenceRequired({ context: c.get('context'), ownOrigin: ownOrigin(c) }, deps);
  }
}

/** What `postern run` and `connect` mint where a loopback connection has no owner (INTERFACES). */
function isRunToken(deps: ApiDependencies, actor: Actor, body: Mint): boolean {
  return (
    actor.caller !== null &&
    actor.caller.token === null &&
    actor.caller.door === 'local' &&
    body.owner === undefined &&
    body.scopes.every((scope) => scope === 'use') &&
    body.expires_in_sec <= RUN_TTL_MAX_SEC &&
    deps.mayMintRunToken(actor.caller)
  );
}

function newToken(deps: ApiDependencies, actor: Actor, body: Mint): NewToken {
  const minter = actor.caller?.token ?? null;
  const left = minter?.expiresAt == null ? Infinity : minter.expiresAt - deps.clock.now();
  return {
    id: newId('tok', deps.clock, deps.random),
    owner: body.owner ?? actor.principal,
    ownerLabel: body.owner ?? actor.label,
    name: body.name,
    scopes: [...new Set(body.scopes)],
    models: body.models ?? minter?.models ?? null,
    ttlMs: Math.min(body.expires_in_sec * 1_000, left),
    createdBy: actor.principal,
  };
}

function requireAdminPresence(c: ApiContext, deps: ApiDependencies, actor: Actor, what: string): void {
  if (!actor.roles.has('admin')) throw new ApiError('role_missing', `${what} needs the role admin`);
  if (actor.presence === null)
    throw presenceRequired({ context: c.get('context'), ownOrigin: ownOrigin(c) }, deps);
}

function tokenView(row: TokenRow): z.output<typeof TokenSchema> {
  return {
    id: row.id,
    owner: row.owner,
    owner_label: row.ownerLabel,
    name: row.name,
    scopes: [...row.scopes],
    models: row.models === null ? null : [...row.models],
    created_at: timeText(row.createdAt),
    created_by: row.createdBy,
    expires_at: nullableTimeText(row.expiresAt),
    revoked_at: nullableTimeText(row.revokedAt),
    last_used_at: nullableTimeText(row.lastUsedAt),
  };
}
