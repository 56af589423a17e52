/** The devices of Postern's own network (DESIGN section 5, door `node`). */
import { createRoute, z } from '@hono/zod-openapi';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, DevicesPort, DeviceView } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import {
  IdText,
  json,
  jsonBody,
  listOf,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;

/** 180 s: what ends a WireGuard session that was not renewed (Reject-After-Time, the paper's section 6.1). */
const SESSION_MAX_MS = 180_000;

const DeviceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    public_key: z.string().describe('Base64: the identity of the device.'),
    principal: z.string().describe('As grants name it.'),
    addresses: z.array(z.string()),
    created_at: TimeSchema,
    created_by: z.string(),
    last_handshake_at: NullableTime,
    online: z.boolean().describe('Keys were agreed within the last three minutes.'),
    endpoint: z.string().nullable().describe('Where its packets come from.'),
    received_bytes: z.int().describe('Since the server started.'),
    sent_bytes: z.int().describe('Since the server started.'),
  })
  .openapi('Device');

const DeviceListSchema = listOf(DeviceSchema).extend({
  enabled: z.boolean().describe('Whether the operator turned this network on (setting doors.node.enabled).'),
});

const AddBody = z.strictObject({
  name: z.string().min(1).max(63).describe('Letters, digits and inner hyphens.'),
  public_key: z
    .string()
    .max(64)
    .nullable()
    .default(null)
    .describe('As `wg pubkey` prints it. Null: a key pair is made, and its private half is kept nowhere.'),
});

export function addDeviceRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/devices',
      summary: "Devices of Postern's own network",
      responses: { 200: json(DeviceListSchema, 'Devices, in the order in which they were added.') },
    }),
    (c) => {
      const now = deps.clock.now();
      const items = (deps.devices?.list() ?? []).map((device) => deviceView(device, now));
      return c.json({ items, next_cursor: null, enabled: deps.devices !== undefined }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/devices',
      summary: 'Add a device and get its WireGuard configuration, once',
      request: { body: jsonBody(AddBody) },
      responses: {
        201: json(
          DeviceSchema.extend({
            configuration: z.string().describe('For wg-quick and the WireGuard apps. Shown once.'),
          }),
          'The device.',
        ),
      },
    }),
    async (c) => {
      const devices = devicesOf(deps);
      const actor = c.get('actor');
      const { name, public_key: brought } = c.req.valid('json');
      // Before the row is written, which says whose key it is that gets in.
      const key = brought === null ? devices.newKey() : { publicKey: brought };
      const facts = { name, public_key: key.publicKey };
      const added = await recordChange(deps, actor, { action: 'device.add', target: name, facts }, () =>
        devices.add({ name, ...key, createdBy: actor.principal }),
      );
      const view = deviceView(added.device, deps.clock.now());
      return c.json({ ...view, configuration: added.configuration }, 201);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/devices/{id}',
      summary: 'Remove a device at once',
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Removed; its connections are cut.' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const devices = devicesOf(deps);
      const known = devices.list().find((device) => device.id === id);
      if (known === undefined) throw new ApiError('not_found', 'no such device');
      const facts = { name: known.name, public_key: known.publicKey };
      const action = { action: 'device.remove', target: id, facts };
      await recordWithdrawal(deps, c.get('actor'), action, () => devices.remove(id));
      return c.body(null, 204);
    },
  );
}

function devicesOf({ devices }: ApiDependencies): DevicesPort {
  if (devices !== undefined) return devices;
  throw new ApiError(
    'conflict',
    "Postern's own network is off: the operator starts it with --node (setting doors.node.enabled)",
  );
}

function deviceView(device: DeviceView, now: number): z.output<typeof DeviceSchema> {
  return {
    id: device.id,
    name: device.name,
    public_key: device.publicKey,
    principal: device.principal,
    addresses: [...device.addresses],
    created_at: timeText(device.createdAt),
    created_by: device.createdBy,
    last_handshake_at: nullableTimeText(device.lastHandshakeAt),
    online: device.lastHandshakeAt !== null && now - device.lastHandshakeAt < SESSION_MAX_MS,
    endpoint: device.endpoint,
    received_bytes: device.receivedBytes,
    sent_bytes: device.sentBytes,
  };
}
