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
    endpoint: z.string().nullable().describe('Where its packets come from.'),
    received_bytes: z.int(),
    sent_bytes: z.int(),
  })
  .openapi('Device');

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
      responses: { 200: json(listOf(DeviceSchema), 'Devices, in the order in which they were added.') },
    }),
    (c) => c.json({ items: (deps.devices?.list() ?? []).map(deviceView), next_cursor: null }, 200),
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
      const { name, public_key: publicKey } = c.req.valid('json');
      const action = { action: 'device.add', target: name, facts: { name, public_key: publicKey } };
      const added = await recordChange(deps, actor, action, () =>
        devices.add({ name, publicKey, createdBy: actor.principal }),
      );
      return c.json({ ...deviceView(added.device), configuration: added.configuration }, 201);
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

function deviceView(device: DeviceView): z.output<typeof DeviceSchema> {
  return {
    id: device.id,
    name: device.name,
    public_key: device.publicKey,
    principal: device.principal,
    addresses: [...device.addresses],
    created_at: timeText(device.createdAt),
    created_by: device.createdBy,
    last_handshake_at: nullableTimeText(device.lastHandshakeAt),
    endpoint: device.endpoint,
    received_bytes: device.receivedBytes,
    sent_bytes: device.sentBytes,
  };
}
