/** Devices in the API v2. */
import { z } from '@hono/zod-openapi';
import { formatKeyText } from '../../tailnet/protocol/index.ts';
import type { ControlAdministration, NodeRecord, Tailnet } from '../../tailnet/control/index.ts';
import { listOf, readJson, timeText } from './body.ts';
import { notFound } from './failure.ts';
import type { Requester } from './requester.ts';
import type { V2Request, V2Route } from './routes.ts';

const Tags = z.object({ tags: listOf(z.string().max(100), 64) });
const Routes = z.object({ routes: listOf(z.string().max(64), 1000) });

export const DEVICE_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/devices',
    scope: 'devices:core:read',
    handle: ({ tailnet }) => ({
      body: { devices: tailnet.nodes().map((node) => deviceJson(tailnet, node)) },
    }),
  },
  {
    method: 'GET',
    path: '/device/{device}',
    scope: 'devices:core:read',
    handle(request, { admin }) {
      const { tailnet, node } = deviceOf(request, admin);
      return { body: deviceJson(tailnet, node) };
    },
  },
  {
    method: 'DELETE',
    path: '/device/{device}',
    scope: 'devices:core',
    async handle(request, { admin }) {
      const { tailnet, node } = deviceOf(request, admin);
      await request.change(actionOf('tailnet.device.remove', tailnet, node, {}), () =>
        admin.removeDevice(tailnet, node),
      );
      return {};
    },
  },
  changes('authorized', 'devices:core', z.object({ authorized: z.boolean() }), ({ authorized }) => ({
    isAuthorized: authorized,
  })),
  changes('tags', 'devices:core', Tags, ({ tags }) => ({ tags })),
  changes('name', 'devices:core', z.object({ name: z.string().max(253) }), ({ name }) => ({
    name: name.split('.', 1)[0] ?? '',
  })),
  changes(
    'key',
    'devices:core',
    z.object({ keyExpiryDisabled: z.boolean() }),
    ({ keyExpiryDisabled }, { tailnet, node, now }) => {
      const days = tailnet.record.keyExpiryDays;
      const later = days === 0 || node.tags.length > 0 ? null : now + days * 86_400_000;
      if (keyExpiryDisabled) return { keyExpiry: null };
      return { keyExpiry: node.keyExpiry ?? later };
    },
  ),
  changes('expire', 'devices:core', z.object({}), (_asked, { now }) => ({ keyExpiry: now })),
  {
    method: 'GET',
    path: '/device/{device}/routes',
    scope: 'devices:routes:read',
    handle(request, { admin }) {
      const { node } = deviceOf(request, admin);
      return { body: routesJson(node) };
    },
  },
  {
    method: 'POST',
    path: '/device/{device}/routes',
    scope: 'devices:routes',
    async handle(request, { admin }) {
      const { routes } = readJson(request.body, Routes);
      const { tailnet, node } = deviceOf(request, admin);
      await request.change(actionOf('tailnet.device.change', tailnet, node, { routes }), () =>
        admin.changeDevice(tailnet, node, { approvedRoutes: routes }),
      );
      return { body: routesJson(tailnet.node(node.id) ?? node) };
    },
  },
  {
    method: 'GET',
    path: '/device/{device}/attributes',
    scope: 'devices:core:read',
    handle(request, { admin }) {
      const { node } = deviceOf(request, admin);
      const { os, version } = node.facts;
      return { body: { attributes: { 'node:os': os, 'node:tsVersion': version }, expiries: {} } };
    },
  },
];

interface Changing {
  readonly tailnet: Tailnet;
  readonly node: NodeRecord;
  readonly now: number;
}

/** `POST /device/{device}/<what>`: one change of one device. */
function changes<Schema extends z.ZodType>(
  what: string,
  scope: 'devices:core',
  schema: Schema,
  changeOf: (
    asked: z.output<Schema>,
    device: Changing,
  ) => Parameters<ControlAdministration['changeDevice']>[2],
): V2Route {
  return {
    method: 'POST',
    path: `/device/{device}/${what}`,
    scope,
    async handle(request, { admin, deps }) {
      const asked = readJson(request.body, schema);
      const { tailnet, node } = deviceOf(request, admin);
      const change = changeOf(asked, { tailnet, node, now: deps.clock.now() });
      await request.change(actionOf('tailnet.device.change', tailnet, node, change), () =>
        admin.changeDevice(tailnet, node, change),
      );
      return {};
    },
  };
}

function actionOf(action: string, tailnet: Tailnet, node: NodeRecord, facts: object) {
  return { action, target: `${tailnet.record.name}/${node.name}`, facts: { ...facts, id: node.stableId } };
}

/** By stable id or number; those of tailnets that the requester may not name are as if they were not. */
function deviceOf(
  { requester, params }: V2Request,
  admin: ControlAdministration,
): { readonly tailnet: Tailnet; readonly node: NodeRecord } {
  const wanted = params['device'] ?? '';
  for (const tailnet of reachable(requester, admin))
    for (const node of tailnet.nodes())
      if (node.stableId === wanted || String(node.id) === wanted) return { tailnet, node };
  throw notFound();
}

/** Tailnets whose things the requester may name by id alone. */
export function reachable({ reachesAll, home }: Requester, admin: ControlAdministration): readonly Tailnet[] {
  return reachesAll ? admin.tailnets() : [home];
}

function routesJson({ facts, approvedRoutes }: NodeRecord) {
  return { advertisedRoutes: facts.offeredRoutes, enabledRoutes: approvedRoutes };
}

function deviceJson(tailnet: Tailnet, node: NodeRecord) {
  const { facts, keyExpiry } = node;
  const user = node.userId === null ? null : tailnet.user(node.userId);
  return {
    id: String(node.id),
    nodeId: node.stableId,
    name: tailnet.fullName(node),
    hostname: facts.hostname,
    addresses: [node.ipv4, node.ipv6],
    user: user?.login ?? 'tagged-devices',
    ...(node.tags.length === 0 ? {} : { tags: node.tags }),
    os: facts.os,
    clientVersion: facts.version,
    updateAvailable: false,
    created: timeText(node.createdAt),
    lastSeen: timeText(node.lastSeen),
    connectedToControl: tailnet.isOnline(node.id),
    expires: keyExpiry === null ? '0001-01-01T00:00:00Z' : timeText(keyExpiry),
    keyExpiryDisabled: keyExpiry === null,
    authorized: node.isAuthorized,
    isExternal: false,
    isEphemeral: node.isEphemeral,
    blocksIncomingConnections: false,
    machineKey: formatKeyText('mkey', node.machineKey),
    nodeKey: formatKeyText('nodekey', node.nodeKey),
    ...routesJson(node),
    clientConnectivity: { endpoints: node.reach.endpoints },
    tailnetLockError: '',
    tailnetLockKey: '',
  };
}
