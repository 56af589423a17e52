/** Auth keys and devices of one tailnet of the coordination server. */
import { createRoute, z } from '@hono/zod-openapi';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import {
  GivenName,
  IdText,
  json,
  jsonBody,
  listOf,
  NullableTime,
  nullableTimeText,
  parseTime,
  TimeSchema,
  timeText,
} from '../schemas.ts';
import type { TailnetDeviceView, TailnetKeyView } from '../tailnets-port.ts';
import { READ, TailnetParams, tailnetsOf, WRITE } from './tailnets.ts';

const DAY_SEC = 86_400;
const Tags = z.array(z.string().max(100)).max(64);
const ItemParams = TailnetParams.extend({ id: IdText });

const KeySchema = z
  .object({
    id: z.string(),
    description: z.string(),
    user: z.string().nullable().describe('Whose devices it makes; null with tags.'),
    tags: Tags,
    reusable: z.boolean(),
    ephemeral: z.boolean(),
    preauthorized: z.boolean(),
    expires_at: TimeSchema,
    used_at: NullableTime,
    revoked_at: NullableTime,
    created_at: TimeSchema,
    created_by: z.string(),
  })
  .openapi('TailnetKey');

const KeyBody = z.strictObject({
  description: GivenName.default('auth key'),
  user: z.string().max(255).nullable().default(null).describe('Login; not with tags.'),
  tags: Tags.default([]),
  reusable: z.boolean().default(false),
  ephemeral: z.boolean().default(false).describe('Its devices are forgotten once they are silent.'),
  preauthorized: z.boolean().default(true).describe('Its devices wait for no approval.'),
  expires_in_sec: z
    .int()
    .min(60)
    .max(90 * DAY_SEC)
    .default(DAY_SEC),
});

const DeviceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    dns_name: z.string(),
    hostname: z.string().describe('As it calls itself.'),
    os: z.string(),
    version: z.string(),
    user: z.string().nullable(),
    tags: Tags,
    addresses: z.array(z.string()),
    online: z.boolean(),
    authorized: z.boolean(),
    ephemeral: z.boolean(),
    key_expires_at: NullableTime,
    offered_routes: z.array(z.string()),
    approved_routes: z.array(z.string()),
    last_seen_at: TimeSchema,
    created_at: TimeSchema,
  })
  .openapi('TailnetDevice');

const DeviceBody = z.strictObject({
  name: z.string().max(63).optional(),
  tags: Tags.optional().describe('The device is nobody’s from then on.'),
  authorized: z.boolean().optional(),
  approved_routes: z.array(z.string().max(50)).max(256).optional(),
  key_expires_at: z.string().max(40).nullable().optional().describe('Null: never. In the past: now.'),
});

export function addTailnetDeviceRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addKeyRoutes(router, deps);
  addDeviceRoutes(router, deps);
}

function addKeyRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/keys',
      summary: 'Auth keys of a tailnet; never their text',
      request: { params: TailnetParams },
      responses: { 200: json(listOf(KeySchema), 'Auth keys, oldest first.') },
    }),
    (c) => {
      const items = tailnetsOf(deps).keys(c.req.valid('param').tailnet).map(keyView);
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/tailnets/{tailnet}/keys',
      summary: 'Make an auth key; its text is told once',
      request: { params: TailnetParams, body: jsonBody(KeyBody) },
      responses: {
        201: json(KeySchema.extend({ key: z.string(), login_server: z.string() }), 'The key.'),
      },
    }),
    async (c) => {
      const tailnets = tailnetsOf(deps);
      const { tailnet } = c.req.valid('param');
      const actor = c.get('actor');
      const { reusable, ephemeral, preauthorized, expires_in_sec: lifeSec, ...rest } = c.req.valid('json');
      const facts = { ...rest, reusable, ephemeral, preauthorized };
      const action = { action: 'tailnet.key.create', target: tailnet, facts };
      const made = await recordChange(deps, actor, action, () =>
        tailnets.createKey(tailnet, {
          ...rest,
          isReusable: reusable,
          isEphemeral: ephemeral,
          isPreauthorized: preauthorized,
          lifeMs: lifeSec * 1000,
          createdBy: actor.principal,
        }),
      );
      return c.json({ ...keyView(made.key), key: made.text, login_server: tailnets.loginServer() }, 201);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/tailnets/{tailnet}/keys/{id}',
      summary: 'Revoke an auth key; devices that joined by it stay',
      request: { params: ItemParams },
      responses: { 204: { description: 'Revoked.' } },
    }),
    async (c) => {
      const { tailnet, id } = c.req.valid('param');
      const action = { action: 'tailnet.key.revoke', target: id, facts: { tailnet } };
      await recordWithdrawal(deps, c.get('actor'), action, () => tailnetsOf(deps).revokeKey(tailnet, id));
      return c.body(null, 204);
    },
  );
}

function addDeviceRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/devices',
      summary: 'Devices of a tailnet',
      request: { params: TailnetParams },
      responses: { 200: json(listOf(DeviceSchema), 'Devices, oldest first.') },
    }),
    (c) => {
      const items = tailnetsOf(deps).devices(c.req.valid('param').tailnet).map(deviceView);
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'patch',
      path: '/api/v1/tailnets/{tailnet}/devices/{id}',
      summary: 'Rename, tag, authorize or expire a device, or approve its routes',
      request: { params: ItemParams, body: jsonBody(DeviceBody) },
      responses: { 200: json(DeviceSchema, 'The device; its peers know within a second.') },
    }),
    async (c) => {
      const { tailnet, id } = c.req.valid('param');
      const { authorized, approved_routes: routes, key_expires_at: expires, ...rest } = c.req.valid('json');
      const facts = { tailnet, authorized, routes, expires, ...rest };
      const action = { action: 'tailnet.device.change', target: id, facts };
      const changed = await recordChange(deps, c.get('actor'), action, () =>
        tailnetsOf(deps).changeDevice(tailnet, id, {
          ...(rest.name === undefined ? {} : { name: rest.name }),
          ...(rest.tags === undefined ? {} : { tags: rest.tags }),
          ...(authorized === undefined ? {} : { isAuthorized: authorized }),
          ...(routes === undefined ? {} : { approvedRoutes: routes }),
          ...(expires === undefined
            ? {}
            : { keyExpiry: expires === null ? null : parseTime('key_expires_at', expires) }),
        }),
      );
      return c.json(deviceView(changed), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/tailnets/{tailnet}/devices/{id}',
      summary: 'Remove a device at once; it has to join anew',
      request: { params: ItemParams },
      responses: { 204: { description: 'Removed; its peers and its relay connection end.' } },
    }),
    async (c) => {
      const { tailnet, id } = c.req.valid('param');
      const action = { action: 'tailnet.device.remove', target: id, facts: { tailnet } };
      await recordWithdrawal(deps, c.get('actor'), action, () => tailnetsOf(deps).removeDevice(tailnet, id));
      return c.body(null, 204);
    },
  );
}

function keyView(view: TailnetKeyView): z.output<typeof KeySchema> {
  return {
    id: view.id,
    description: view.description,
    user: view.user,
    tags: [...view.tags],
    reusable: view.isReusable,
    ephemeral: view.isEphemeral,
    preauthorized: view.isPreauthorized,
    expires_at: timeText(view.expiresAt),
    used_at: nullableTimeText(view.usedAt),
    revoked_at: nullableTimeText(view.revokedAt),
    created_at: timeText(view.createdAt),
    created_by: view.createdBy,
  };
}

function deviceView(view: TailnetDeviceView): z.output<typeof DeviceSchema> {
  return {
    id: view.id,
    name: view.name,
    dns_name: view.domainName,
    hostname: view.hostname,
    os: view.os,
    version: view.version,
    user: view.user,
    tags: [...view.tags],
    addresses: [...view.addresses],
    online: view.isOnline,
    authorized: view.isAuthorized,
    ephemeral: view.isEphemeral,
    key_expires_at: nullableTimeText(view.keyExpiry),
    offered_routes: [...view.offeredRoutes],
    approved_routes: [...view.approvedRoutes],
    last_seen_at: timeText(view.lastSeen),
    created_at: timeText(view.createdAt),
  };
}
