/** Auth keys and OAuth clients in the API v2, which calls both keys. */
import { z } from '@hono/zod-openapi';
import type {
  ApiClientRecord,
  AuthKeyRecord,
  ControlAdministration,
  Tailnet,
} from '../../tailnet/control/index.ts';
import { listOf, readJson, timeText } from './body.ts';
import { badRequest, notFound, V2Failure } from './failure.ts';
import type { Requester } from './requester.ts';
import type { V2Answer, V2Parts, V2Request, V2Route } from './routes.ts';
import { covers, isWithin, type NeededScope, readScopes } from './scopes.ts';

const LIFE_DEFAULT_SEC = 90 * 86_400;

const TagList = listOf(z.string().max(100), 64);
const NewKey = z.object({
  keyType: z.enum(['auth', 'client']).default('auth'),
  description: z.string().max(200).default(''),
  expirySeconds: z.int().min(0).default(0),
  scopes: listOf(z.string().max(100), 100).default([]),
  tags: TagList.default([]),
  capabilities: z
    .object({
      devices: z
        .object({
          create: z
            .object({
              reusable: z.boolean().default(false),
              ephemeral: z.boolean().default(false),
              preauthorized: z.boolean().default(false),
              tags: TagList.default([]),
            })
            .default({ reusable: false, ephemeral: false, preauthorized: false, tags: [] }),
        })
        .optional(),
    })
    .default({}),
});

export const KEY_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/keys',
    scope: 'auth_keys:read',
    handle({ tailnet, requester }, { admin, deps }) {
      const now = deps.clock.now();
      const clients = covers(requester.scopes, 'oauth_keys:read') ? admin.clients.list(tailnet.id) : [];
      return {
        body: {
          keys: [
            ...tailnet.keys().map((key) => keyJson(key, now)),
            ...clients.filter(({ revokedAt }) => revokedAt === null).map(clientJson),
          ],
        },
      };
    },
  },
  {
    method: 'POST',
    path: '/tailnet/{tailnet}/keys',
    /* Each kind asks for its own besides. */
    scope: 'auth_keys:read',
    handle(request, parts) {
      const asked = readJson(request.body, NewKey);
      return asked.keyType === 'client'
        ? createClient(request, parts, asked)
        : createKey(request, parts, asked);
    },
  },
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/keys/{key}',
    scope: 'auth_keys:read',
    handle({ tailnet, params, requester }, { admin, deps }) {
      const id = params['key'] ?? '';
      const key = tailnet.key(id);
      if (key !== null) return { body: keyJson(key, deps.clock.now()) };
      return { body: clientJson(clientOf(tailnet, id, { admin, requester, scope: 'oauth_keys:read' })) };
    },
  },
  {
    method: 'DELETE',
    path: '/tailnet/{tailnet}/keys/{key}',
    scope: 'auth_keys:read',
    async handle({ tailnet, params, requester, change }, { admin }) {
      const id = params['key'] ?? '';
      const target = `${tailnet.record.name}/${id}`;
      if (tailnet.key(id) !== null) {
        need(requester, 'auth_keys');
        await change({ action: 'tailnet.key.revoke', target }, () => admin.revokeAuthKey(tailnet, id));
        return {};
      }
      const client = clientOf(tailnet, id, { admin, requester, scope: 'oauth_keys' });
      await change({ action: 'tailnet.client.revoke', target }, () => admin.clients.revoke(client));
      return {};
    },
  },
  {
    method: 'POST',
    path: '/tailnet/{tailnet}/keys/{key}/rotate',
    scope: 'oauth_keys',
    async handle({ tailnet, params, requester, change }, { admin }) {
      const id = params['key'] ?? '';
      const client = clientOf(tailnet, id, { admin, requester, scope: 'oauth_keys' });
      const target = `${tailnet.record.name}/${id}`;
      const secret = await change({ action: 'tailnet.client.rotate', target }, () =>
        admin.clients.rotate(client),
      );
      return { body: { ...clientJson(client), key: secret.reveal() } };
    },
  },
];

async function createKey(
  { tailnet, requester, change }: V2Request,
  { admin, deps }: V2Parts,
  { description, expirySeconds, capabilities }: z.output<typeof NewKey>,
): Promise<V2Answer> {
  need(requester, 'auth_keys');
  const create = capabilities.devices?.create;
  if (create === undefined) throw badRequest('capabilities.devices.create: is missing');
  const { tags } = create;
  if (requester.tags !== null && (tags.length === 0 || !tags.every((tag) => requester.tags?.includes(tag))))
    throw badRequest('tags: an OAuth client makes auth keys with tags of its own only');
  const owner = tailnet.users().find(({ role }) => role === 'owner');
  if (tags.length === 0 && owner === undefined)
    throw badRequest('tags: a key of a tailnet without people needs a tag');
  const asked = {
    description,
    userId: tags.length === 0 ? (owner?.id ?? null) : null,
    tags,
    isReusable: create.reusable,
    isEphemeral: create.ephemeral,
    isPreauthorized: create.preauthorized,
    lifeMs: (expirySeconds === 0 ? LIFE_DEFAULT_SEC : expirySeconds) * 1000,
    createdBy: requester.actor.principal,
  };
  const action = {
    action: 'tailnet.key.create',
    target: tailnet.record.name,
    facts: { description, tags, reusable: create.reusable, ephemeral: create.ephemeral },
  };
  const { key, text } = await change(action, () => admin.createAuthKey(tailnet, asked));
  return { body: { ...keyJson(key, deps.clock.now()), key: text.reveal() } };
}

async function createClient(
  { tailnet, requester, change }: V2Request,
  { admin }: V2Parts,
  asked: z.output<typeof NewKey>,
): Promise<V2Answer> {
  need(requester, 'oauth_keys');
  const scopes = readScopes(asked.scopes);
  if (scopes === null || scopes.length === 0) throw badRequest('scopes: one is missing or unknown');
  if (!isWithin(scopes, requester.scopes)) throw badRequest('scopes: they are more than your own');
  const { description, tags } = asked;
  if (requester.tags !== null && !tags.every((tag) => requester.tags?.includes(tag)))
    throw badRequest('tags: they are more than your own');
  const action = { action: 'tailnet.client.create', target: tailnet.record.name, facts: { scopes, tags } };
  const { client, secret } = await change(action, () =>
    admin.clients.create(tailnet.id, {
      description,
      scopes,
      tags,
      createdBy: requester.actor.principal,
    }),
  );
  return { body: { ...clientJson(client), key: secret.reveal() } };
}

function clientOf(
  tailnet: Tailnet,
  id: string,
  needs: {
    readonly admin: ControlAdministration;
    readonly requester: Requester;
    readonly scope: NeededScope;
  },
): ApiClientRecord {
  const client = needs.admin.clients.get(tailnet.id, id);
  if (client === null || client.revokedAt !== null || !covers(needs.requester.scopes, needs.scope))
    throw notFound();
  return client;
}

function need({ scopes }: Requester, scope: NeededScope): void {
  if (!covers(scopes, scope)) throw new V2Failure(403, `this token lacks the scope ${scope}`);
}

function keyJson(key: AuthKeyRecord, now: number) {
  const { id, description, createdAt, expiresAt, revokedAt, isReusable, isEphemeral, isPreauthorized } = key;
  const isOver = revokedAt !== null || expiresAt <= now || (!isReusable && key.usedAt !== null);
  return {
    id,
    keyType: 'auth',
    description,
    created: timeText(createdAt),
    expires: timeText(expiresAt),
    expirySeconds: Math.round((expiresAt - createdAt) / 1000),
    ...(revokedAt === null ? {} : { revoked: timeText(revokedAt) }),
    invalid: isOver,
    ...(key.userId === null ? {} : { userId: String(key.userId) }),
    tags: key.tags,
    capabilities: {
      devices: {
        create: {
          reusable: isReusable,
          ephemeral: isEphemeral,
          preauthorized: isPreauthorized,
          tags: key.tags,
        },
      },
    },
  };
}

export function clientJson({ id, description, createdAt, scopes, tags }: ApiClientRecord) {
  return { id, keyType: 'client', description, created: timeText(createdAt), scopes, tags, invalid: false };
}
