/** Changes of an OAuth client in the API v2; making and revoking one is with the keys. */
import { z } from '@hono/zod-openapi';
import { listOf, readJson } from './body.ts';
import { badRequest, notFound } from './failure.ts';
import { clientJson } from './keys.ts';
import type { V2Route } from './routes.ts';
import { isWithin, readScopes } from './scopes.ts';

const Client = z.object({
  description: z.string().max(200).default(''),
  scopes: listOf(z.string().max(100), 100),
  tags: listOf(z.string().max(100), 64).default([]),
});

export const CLIENT_ROUTES: readonly V2Route[] = [
  {
    method: 'PUT',
    path: '/tailnet/{tailnet}/keys/{key}',
    scope: 'oauth_keys',
    async handle({ tailnet, params, requester, body, change }, { admin }) {
      const client = admin.clients.get(tailnet.id, params['key'] ?? '');
      if (client === null || client.revokedAt !== null) throw notFound();
      const { description, scopes: words, tags } = readJson(body, Client);
      const scopes = readScopes(words);
      if (scopes === null || scopes.length === 0) throw badRequest('scopes: one is missing or unknown');
      /* Neither may it become wider than who changes it, nor may a wider one be narrowed by them. */
      if (!isWithin(scopes, requester.scopes) || !isWithin(client.scopes, requester.scopes))
        throw badRequest('scopes: they are more than your own');
      if (requester.tags !== null && !tags.every((tag) => requester.tags?.includes(tag)))
        throw badRequest('tags: they are more than your own');
      const target = `${tailnet.record.name}/${client.id}`;
      const changed = await change({ action: 'tailnet.client.change', target, facts: { scopes, tags } }, () =>
        admin.clients.change(client, { description, scopes, tags }),
      );
      return { body: clientJson(changed) };
    },
  },
];
