/** Tailnets of the coordination server: made, changed, deleted, and who waits to join (issue 6 of the network). */
import { createRoute, z } from '@hono/zod-openapi';
import { sha256Hex } from '../../crypto/index.ts';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody, listOf, NameText, TimeSchema, timeText } from '../schemas.ts';
import type { TailnetsPort, TailnetView, WaitingDeviceView } from '../tailnets-port.ts';

export const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
export const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;

/** A policy of a million characters; JSON may take six bytes for one. */
const BODY_MAX_BYTES = 6 * 1024 * 1024;

export const TailnetParams = z.object({ tailnet: NameText.describe('Name or id.') });
const PolicyText = z
  .string()
  .max(1_000_000)
  .nullable()
  .describe("Tailscale's policy file (HuJSON); null: everybody reaches everything.");

const TailnetSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(['people', 'machines']),
    domain: z.string().describe("Of its devices' names."),
    key_expiry_days: z.int().describe('After which a person signs in again; 0: never.'),
    device_approval: z.boolean().describe('A new device waits for an admin.'),
    policy: PolicyText,
    policy_etag: z.string().describe('Of the policy in force; quoted, for `If-Match`.'),
    users: z.int(),
    devices: z.int(),
    online: z.int(),
    created_at: TimeSchema,
  })
  .openapi('Tailnet');

const WaitingSchema = z
  .object({
    code: z.string(),
    hostname: z.string(),
    os: z.string(),
    fingerprint: z.string().describe('The person at the device sees the same.'),
    tags: z.array(z.string()),
    since: TimeSchema,
  })
  .openapi('WaitingDevice');

const CreateBody = z.strictObject({
  name: z.string().max(63).describe('Lower-case letters, digits and inner hyphens.'),
  kind: z.enum(['people', 'machines']).default('people'),
  policy: PolicyText.default(null),
});

const ChangeBody = z.strictObject({
  key_expiry_days: z.int().min(0).max(3650).optional(),
  device_approval: z.boolean().optional(),
  policy: PolicyText.optional(),
});

const CodeParams = z.object({ code: z.string().regex(/^[0-9a-z]{1,40}$/) });
const ApproveBody = z.strictObject({
  tailnet: NameText,
  user: z.string().max(255).nullable().default(null).describe("Login; null: the tailnet's owner."),
});

/** The coordination server, or the refusal that says how to turn it on. */
export function tailnetsOf({ tailnets }: ApiDependencies): TailnetsPort {
  if (tailnets !== undefined) return tailnets;
  throw new ApiError(
    'conflict',
    'no device can join a network of this Postern: the operator opens it with --lan or --public-url',
  );
}

export function addTailnetRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addLifeRoutes(router, deps);
  addWaitingRoutes(router, deps);
}

function addLifeRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets',
      summary: "Postern's own tailnets",
      responses: {
        200: json(
          listOf(TailnetSchema).extend({
            login_server: z
              .string()
              .nullable()
              .describe('For `tailscale up --login-server`; null while off.'),
          }),
          'Tailnets, oldest first.',
        ),
      },
    }),
    (c) => {
      const items = (deps.tailnets?.list() ?? []).map(tailnetView);
      return c.json({ items, next_cursor: null, login_server: deps.tailnets?.loginServer() ?? null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/tailnets',
      summary: 'Make a tailnet',
      request: { body: jsonBody(CreateBody) },
      responses: { 201: json(TailnetSchema, 'The tailnet.') },
    }),
    async (c) => {
      const tailnets = tailnetsOf(deps);
      const body = c.req.valid('json');
      const action = { action: 'tailnet.create', target: body.name, facts: { kind: body.kind } };
      const made = await recordChange(deps, c.get('actor'), action, () => tailnets.create(body));
      return c.json(tailnetView(made), 201);
    },
    { bodyMaxBytes: BODY_MAX_BYTES },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}',
      summary: 'A tailnet',
      request: { params: TailnetParams },
      responses: { 200: json(TailnetSchema, 'The tailnet; the tag of its policy is in `ETag` too.') },
    }),
    (c) => {
      const view = tailnetsOf(deps).get(c.req.valid('param').tailnet);
      c.header('etag', view.policyTag);
      return c.json(tailnetView(view), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'patch',
      path: '/api/v1/tailnets/{tailnet}',
      summary: "Change a tailnet's settings or policy",
      description:
        'A policy whose own tests fail is refused with 422. With `If-Match`, the tag of the policy that was read, 412 where another is in force.',
      request: { params: TailnetParams, body: jsonBody(ChangeBody) },
      responses: { 200: json(TailnetSchema, 'The tailnet; its devices know within a second.') },
    }),
    async (c) => {
      const tailnets = tailnetsOf(deps);
      const { tailnet } = c.req.valid('param');
      const { key_expiry_days: days, device_approval: approval, policy } = c.req.valid('json');
      const stated = c.req.header('if-match');
      const action = {
        action: 'tailnet.change',
        target: tailnet,
        facts: { days, approval, ...(policy === undefined ? {} : { policy: policyFact(policy) }) },
      };
      const changed = await recordChange(deps, c.get('actor'), action, () =>
        tailnets.change(tailnet, {
          ...(days === undefined ? {} : { keyExpiryDays: days }),
          ...(approval === undefined ? {} : { deviceApproval: approval }),
          ...(policy === undefined ? {} : { policy }),
          ...(stated === undefined ? {} : { overPolicy: stated }),
        }),
      );
      c.header('etag', changed.policyTag);
      return c.json(tailnetView(changed), 200);
    },
    { bodyMaxBytes: BODY_MAX_BYTES },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/tailnets/{tailnet}',
      summary: 'Delete a tailnet with its devices, users and keys',
      request: { params: TailnetParams },
      responses: { 204: { description: 'Deleted; its devices are cut.' } },
    }),
    async (c) => {
      const { tailnet } = c.req.valid('param');
      const action = { action: 'tailnet.delete', target: tailnet };
      await recordChange(deps, c.get('actor'), action, () => tailnetsOf(deps).delete(tailnet));
      return c.body(null, 204);
    },
  );
}

/** The text may have a MiB: the log names it by its hash, as the API v2 does. */
function policyFact(policy: string | null): string {
  return policy === null ? 'default' : `sha256:${sha256Hex(policy)}`;
}

function addWaitingRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/waiting-devices',
      summary: 'Devices that wait for an admin to let them in',
      responses: { 200: json(listOf(WaitingSchema), 'Oldest first.') },
    }),
    (c) => c.json({ items: (deps.tailnets?.waiting() ?? []).map(waitingView), next_cursor: null }, 200),
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/waiting-devices/{code}/approve',
      summary: 'Let a waiting device in, as the device of a person',
      request: { params: CodeParams, body: jsonBody(ApproveBody) },
      responses: { 200: json(WaitingSchema, 'The device that was let in.') },
    }),
    async (c) => {
      const { code } = c.req.valid('param');
      const { tailnet, user } = c.req.valid('json');
      const action = { action: 'tailnet.device.approve', target: code, facts: { tailnet, user } };
      const approved = await recordChange(deps, c.get('actor'), action, () =>
        tailnetsOf(deps).approve(code, tailnet, user),
      );
      return c.json(waitingView(approved), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/waiting-devices/{code}/refuse',
      summary: 'Turn a waiting device away',
      request: { params: CodeParams },
      responses: { 200: json(WaitingSchema, 'The device that was turned away.') },
    }),
    async (c) => {
      const { code } = c.req.valid('param');
      const action = { action: 'tailnet.device.refuse', target: code };
      const refused = await recordWithdrawal(deps, c.get('actor'), action, () =>
        tailnetsOf(deps).refuse(code),
      );
      return c.json(waitingView(refused), 200);
    },
  );
}

function tailnetView(view: TailnetView): z.output<typeof TailnetSchema> {
  return {
    id: view.id,
    name: view.name,
    kind: view.kind,
    domain: view.domain,
    key_expiry_days: view.keyExpiryDays,
    device_approval: view.deviceApproval,
    policy: view.policy,
    policy_etag: view.policyTag,
    users: view.users,
    devices: view.devices,
    online: view.online,
    created_at: timeText(view.createdAt),
  };
}

function waitingView({ since, tags, ...view }: WaitingDeviceView): z.output<typeof WaitingSchema> {
  return { ...view, tags: [...tags], since: timeText(since) };
}
