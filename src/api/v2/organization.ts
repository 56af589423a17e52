/** Tailnets of the organization: made with a client of their own, listed, deleted. */
import { z } from '@hono/zod-openapi';
import type { Tailnet } from '../../tailnet/control/index.ts';
import { readJson, timeText } from './body.ts';
import { badRequest, V2Failure } from './failure.ts';
import type { V2Request, V2Route } from './routes.ts';

const PAGE_MAX = 100;
/** Ten years. */
const TTL_MAX_SEC = 315_360_000;
const ORGANIZATION_ID = 'oPOSTERN';

const NewTailnet = z.object({
  displayName: z
    .string()
    .max(63)
    .regex(/^[\p{L}\p{N} '-]+$/u, 'has letters, digits, spaces, apostrophes and hyphens'),
  /** Beyond Tailscale's: the policy that it begins with, HuJSON. */
  policy: z.string().max(1_000_000).optional(),
  /** And how long it lives, in seconds; then it is deleted with all that is in it. */
  ttl: z.int().min(60).max(TTL_MAX_SEC).optional(),
});

export const ORGANIZATION_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/organizations/{organization}/tailnets',
    scope: 'tailnets:read',
    handle(request, { admin }) {
      refuseChild(request);
      const all = admin.tailnets();
      const [asked, after] = [request.query.get('limit'), request.query.get('cursor')];
      /* Tailscale's own Go client asks for no page, and reads lists only in the answer: it gets them all. */
      if (asked === null && after === null) return { body: { tailnets: all.map(tailnetJson) } };
      const limit = pageSize(asked);
      const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1;
      if (after !== null && from === 0) throw badRequest('cursor: it is none of this list');
      const page = all.slice(from, from + limit);
      const isMore = from + limit < all.length;
      return {
        body: {
          tailnets: page.map(tailnetJson),
          totalCount: all.length,
          ...(isMore ? { cursor: page.at(-1)?.id } : {}),
        },
      };
    },
  },
  {
    method: 'POST',
    path: '/organizations/{organization}/tailnets',
    scope: 'tailnets',
    async handle(request, { admin, deps }) {
      refuseChild(request);
      const { displayName, policy, ttl } = readJson(request.body, NewTailnet);
      const name = labelOf(displayName);
      const { actor } = request.requester;
      const expiresAt = ttl === undefined ? null : deps.clock.now() + ttl * 1000;
      const action = { action: 'tailnet.create', target: name, facts: { ttl: ttl ?? null } };
      const made = await request.change(action, async () => {
        const tailnet = await admin.createTailnet({
          name,
          kind: 'machines',
          policy: policy ?? null,
          expiresAt,
        });
        const { client, secret } = await admin.clients.create(tailnet.id, {
          description: 'made with the tailnet',
          scopes: ['all'],
          tags: [],
          createdBy: actor.principal,
        });
        return { tailnet, client, secret };
      });
      return {
        body: {
          ...tailnetJson(made.tailnet),
          displayName,
          alreadyExists: false,
          oauthClient: { id: made.client.id, secret: made.secret.reveal() },
        },
      };
    },
  },
  {
    method: 'DELETE',
    path: '/tailnet/{tailnet}',
    scope: 'all',
    async handle({ tailnet, change, requester }, { admin, deps }) {
      if (tailnet.id === deps.tailnet)
        throw new V2Failure(409, 'this is the tailnet of the gateway itself; it cannot be deleted');
      const { name } = tailnet.record;
      const by = requester.home.record.name;
      await change({ action: 'tailnet.delete', target: name, facts: { by } }, () =>
        admin.deleteTailnet(tailnet),
      );
      return {};
    },
  },
];

/** One organization: `-`, and its id. A tailnet's own credential is not the organization's. */
function refuseChild({ requester, params }: V2Request): void {
  if (!['-', ORGANIZATION_ID].includes(params['organization'] ?? '')) throw new V2Failure(404, 'not found');
  if (!requester.isOrganization)
    throw new V2Failure(
      403,
      'this is the organization’s to do, with a credential of the gateway’s own tailnet',
    );
}

function pageSize(text: string | null): number {
  const size = text === null ? PAGE_MAX : Number(text);
  if (!Number.isInteger(size) || size < 1 || size > PAGE_MAX) throw badRequest(`limit: is 1 to ${PAGE_MAX}`);
  return size;
}

/** A DNS label of a display name; `coordination_exists` where it is taken. */
function labelOf(displayName: string): string {
  return displayName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
}

function tailnetJson(tailnet: Tailnet) {
  const { expiresAt = null } = tailnet.record;
  return {
    id: tailnet.id,
    displayName: tailnet.record.name,
    orgId: ORGANIZATION_ID,
    dnsName: tailnet.domain,
    createdAt: timeText(tailnet.record.createdAt),
    ...(expiresAt === null ? {} : { expiresAt: timeText(expiresAt) }),
  };
}
