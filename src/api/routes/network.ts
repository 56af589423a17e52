/** The network that this gateway joined by itself: `postern up` (DESIGN section 5, door `node`). */
import { createRoute, z } from '@hono/zod-openapi';
import { Secret } from '../../base/secret.ts';
import type { Actor } from '../actor.ts';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { NetworkPeerView, NetworkPort, NetworkView } from '../network-port.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody, NullableTime, nullableTimeText } from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;

const PeerSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    user: z.string().nullable().describe('Login; null for tagged devices.'),
    tags: z.array(z.string()),
    addresses: z.array(z.string()),
    path: z.enum(['direct', 'relay']).nullable().describe('How packets travel now; null while none has.'),
    endpoint: z.string().nullable().describe('Where its packets come from, directly.'),
    online: z.boolean().nullable().describe('As the control server says.'),
    last_handshake_at: NullableTime,
    received_bytes: z.int(),
    sent_bytes: z.int(),
    connections: z.int(),
  })
  .openapi('NetworkPeer');

const NetworkSchema = z
  .object({
    state: z
      .enum(['off', 'starting', 'needs_login', 'running', 'failed'])
      .describe('`running` also while the control server is away; `failed` for good, until the next `up`.'),
    login_server: z.string().nullable(),
    login_url: z
      .string()
      .nullable()
      .describe('Whoever visits it decides whose device the gateway is. Shown to admins.'),
    problem: z.string().nullable(),
    control: z.enum(['connecting', 'needs_login', 'running', 'offline', 'stopped']).nullable(),
    hostname: z.string().nullable(),
    domain: z.string(),
    dns_name: z.string(),
    addresses: z.array(z.string()),
    urls: z.array(z.string()),
    user: z.string().nullable().describe('Whose device the gateway is; null with tags.'),
    tags: z.array(z.string()),
    key_expires_at: NullableTime,
    health: z.array(z.string()).describe('What the control server finds wrong.'),
    home_relay: z.int().describe('Region of the relay through which it is reached; 0 for none.'),
    relays: z.array(z.object({ region: z.int(), state: z.string(), problem: z.string().nullable() })),
    endpoints: z.array(z.string()).describe('Where others are told that it is reached directly.'),
    peers: z.array(PeerSchema),
    allowed_login_servers: z.array(z.string()).describe('Control servers that any admin may name.'),
  })
  .openapi('Network');

const UpBody = z.strictObject({
  login_server: z
    .string()
    .max(300)
    .nullable()
    .default(null)
    .describe('Address of the control server. Null: the one of before.'),
  auth_key: z
    .string()
    .min(1)
    .max(1_000)
    .nullable()
    .default(null)
    .describe('Joins without a visit to `login_url`. Kept nowhere.'),
  hostname: z.string().min(1).max(63).nullable().default(null).describe('Null: as before, else `ai`.'),
  tags: z.array(z.string().max(70)).max(32).nullable().default(null).describe('`tag:x` to ask for.'),
});

export function addNetworkRoutes(router: ApiRouter, deps: ApiDependencies): void {
  const answer = { 200: json(NetworkSchema, 'The network as it stands.') };
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/network',
      summary: 'The network that this gateway joined',
      responses: answer,
    }),
    (c) => c.json(networkView(networkOf(deps).status(), c.get('actor')), 200),
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/network/up',
      summary: 'Join a network; follow the state until it runs',
      request: { body: jsonBody(UpBody) },
      responses: answer,
    }),
    async (c) => {
      const network = networkOf(deps);
      const actor = c.get('actor');
      const body = c.req.valid('json');
      const facts = { hostname: body.hostname, tags: body.tags, by_auth_key: body.auth_key !== null };
      const named = body.login_server === null ? network.status().loginServer : originOf(body.login_server);
      const target = named ?? '';
      const joined = await recordChange(deps, actor, { action: 'network.up', target, facts }, () =>
        network.up({
          loginServer: body.login_server,
          authKey: body.auth_key === null ? null : new Secret(body.auth_key),
          hostname: body.hostname,
          tags: body.tags,
          actor: { principal: actor.principal, door: actor.door },
        }),
      );
      return c.json(networkView(joined, actor), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/network/down',
      summary: 'Leave the network until the next `up`',
      request: {
        body: jsonBody(
          z.strictObject({
            logout: z.boolean().default(false).describe('For good: the control server ends the key.'),
          }),
        ),
      },
      responses: answer,
    }),
    async (c) => {
      const network = networkOf(deps);
      const { logout } = c.req.valid('json');
      const action = {
        action: logout ? 'network.logout' : 'network.down',
        target: network.status().loginServer ?? '',
      };
      const left = await recordWithdrawal(deps, c.get('actor'), action, () =>
        logout ? network.logout() : network.down(),
      );
      return c.json(networkView(left, c.get('actor')), 200);
    },
  );
}

/** Of an address that may hold a password, and is not checked yet; null for none. */
function originOf(text: string): string | null {
  return URL.parse(text)?.origin ?? null;
}

function networkOf({ network }: ApiDependencies): NetworkPort {
  if (network !== undefined) return network;
  throw new ApiError('not_found', 'this server joins no networks');
}

function networkView(network: NetworkView, actor: Actor): z.output<typeof NetworkSchema> {
  return {
    state: network.state,
    login_server: network.loginServer,
    login_url: actor.roles.has('admin') ? network.loginUrl : null,
    problem: network.problem,
    control: network.control,
    hostname: network.hostname,
    domain: network.domain,
    dns_name: network.dnsName,
    addresses: [...network.addresses],
    urls: [...network.urls],
    user: network.user,
    tags: [...network.tags],
    key_expires_at: nullableTimeText(network.keyExpiresAt),
    health: [...network.health],
    home_relay: network.homeRelay,
    relays: network.relays.map(({ region, state, problem }) => ({ region, state, problem })),
    endpoints: [...network.endpoints],
    peers: network.peers.map(peerView),
    allowed_login_servers: [...network.allowed],
  };
}

function peerView(peer: NetworkPeerView): z.output<typeof PeerSchema> {
  return {
    id: peer.id,
    name: peer.name,
    user: peer.user,
    tags: [...peer.tags],
    addresses: [...peer.addresses],
    path: peer.path,
    endpoint: peer.endpoint,
    online: peer.online,
    last_handshake_at: nullableTimeText(peer.lastHandshakeAt),
    received_bytes: peer.receivedBytes,
    sent_bytes: peer.sentBytes,
    connections: peer.connections,
  };
}
