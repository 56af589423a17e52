/** Claim and presence over HTTP. Every success is in the audit log; every secret is shown once. */
import { createRoute, z } from '@hono/zod-openapi';
import { deleteCookie, setCookie } from 'hono/cookie';
import type { Actor, Presence } from '../actor.ts';
import { consoleOrigin } from '../access.ts';
import { recordAction } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ApiContext, type ApiRouter, ownOrigin } from '../router.ts';
import {
  GivenName,
  IdText,
  json,
  jsonBody,
  listOf,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';
import type { ClaimDesk } from './claim.ts';
import { PRESENCE_COOKIE } from './names.ts';
import type { PasskeyDesk } from './passkeys.ts';
import { displayText, type PresenceDesk } from './requests.ts';
import { PRESENCE_TTL_MS, type PresenceSessions } from './sessions.ts';

const KNOWN = { role: 'known', presence: false, scope: 'admin' } as const;
const USER = { role: 'user', presence: false, scope: 'admin' } as const;
const PRESENT = { role: 'user', presence: true, scope: 'admin' } as const;

const Code = z.string().trim().min(8).max(200);

const BrowserPresence = z.object({
  presence: z.string(),
  presence_until: TimeSchema,
  proof: z
    .string()
    .describe('The half that the page keeps in its own storage and sends as X-Postern-Presence-Proof.'),
});

const PasskeySchema = z
  .object({ id: z.string(), name: z.string(), created_at: TimeSchema, last_used_at: NullableTime })
  .openapi('Passkey');

const RequestSchema = z
  .object({
    id: z.string(),
    principal: z.string(),
    user_label: z.string(),
    client: z.string(),
    user_code: z.string().describe('Compare it with what the command line shows.'),
    created_at: TimeSchema,
    expires_at: TimeSchema,
    approved: z.boolean().describe('What asked may collect its presence now.'),
  })
  .openapi('PresenceRequest');

export interface PresenceParts {
  readonly deps: ApiDependencies;
  readonly sessions: PresenceSessions;
  readonly claim: ClaimDesk;
  readonly desk: PresenceDesk;
  readonly passkeys: PasskeyDesk;
}

export function addPresenceRoutes(router: ApiRouter, parts: PresenceParts): void {
  addClaim(router, parts);
  addRequests(router, parts);
  addPasskeys(router, parts);
  addAssertion(router, parts);
}

function addClaim(router: ApiRouter, parts: PresenceParts): void {
  const { deps } = parts;
  router.add(
    KNOWN,
    createRoute({
      method: 'post',
      path: '/api/v1/claim',
      summary: 'Become the first admin, with the code of the claim link',
      request: { body: jsonBody(z.strictObject({ code: Code })) },
      responses: { 200: json(BrowserPresence, 'You are the admin; this browser has presence.') },
    }),
    async (c) => {
      const actor = requirePerson(c);
      requireSafeTransport(c);
      await parts.claim.claim(actor, c.req.valid('json').code);
      return c.json(openInBrowser(c, parts, actor, 'claim'), 200);
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'delete',
      path: '/api/v1/presence',
      summary: 'End your presence everywhere',
      responses: { 204: { description: 'Ended.' } },
    }),
    async (c) => {
      const actor = c.get('actor');
      parts.sessions.endAll(actor.principal);
      deleteCookie(c, PRESENCE_COOKIE, { path: '/' });
      await recordAction(deps, actor, { action: 'presence.end', target: actor.principal });
      return c.body(null, 204);
    },
  );
}

function addRequests(router: ApiRouter, parts: PresenceParts): void {
  const { deps, desk } = parts;
  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/requests',
      summary: 'Ask a person to show presence',
      description:
        "Open `url` in a browser and use a passkey, or take the one-time code from the operator's terminal, where it is printed if you have no passkey or ask for it with `announce`.",
      request: {
        body: jsonBody(
          z.strictObject({ client: GivenName.default('command line'), announce: z.boolean().optional() }),
        ),
      },
      responses: {
        201: json(
          z.object({
            id: z.string(),
            url: z.string(),
            poll_secret: z.string(),
            user_code: z.string(),
            announced: z.boolean().describe("A code was printed on the operator's terminal."),
            expires_at: TimeSchema,
          }),
          'The request.',
        ),
      },
    }),
    async (c) => {
      const actor = requirePerson(c);
      requireSafeTransport(c);
      const { client, announce } = c.req.valid('json');
      const wanted = announce ?? (await parts.passkeys.list(actor)).length === 0;
      const origin = consoleOrigin({ context: c.get('context'), ownOrigin: ownOrigin(c) }, deps);
      const asked = desk.ask(actor, { client, announce: wanted, consoleOrigin: origin });
      return c.json(
        {
          id: asked.request.id,
          url: `${origin}/presence?request=${asked.request.id}`,
          poll_secret: asked.pollSecret.reveal(),
          user_code: asked.request.userCode,
          announced: asked.announced,
          expires_at: timeText(asked.request.expiresAt),
        },
        201,
      );
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'get',
      path: '/api/v1/presence/requests/{id}',
      summary: 'What asks for your presence',
      request: { params: z.object({ id: IdText }) },
      responses: { 200: json(RequestSchema, 'The request.') },
    }),
    (c) => {
      const request = desk.find(requirePerson(c), c.req.valid('param').id);
      return c.json(
        {
          id: request.id,
          principal: request.principal,
          user_label: request.label,
          client: request.client,
          user_code: request.userCode,
          created_at: timeText(request.createdAt),
          expires_at: timeText(request.expiresAt),
          approved: request.approvedBy !== null,
        },
        200,
      );
    },
  );

  router.add(
    PRESENT,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/requests/{id}/approve',
      summary: 'Give presence to the command line that asks',
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'It may collect its presence.' } },
    }),
    async (c) => {
      const actor = requirePerson(c);
      const { id } = c.req.valid('param');
      const request = desk.find(actor, id);
      await recordAction(deps, actor, {
        action: 'presence.approve',
        target: id,
        facts: { client: request.client },
      });
      if (actor.presence !== null) desk.approve(actor, id, actor.presence);
      return c.body(null, 204);
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/requests/{id}/confirm',
      summary: "Approve a request with the one-time code of the operator's terminal",
      request: { params: z.object({ id: IdText }), body: jsonBody(z.strictObject({ code: Code })) },
      responses: { 204: { description: 'Its presence may be collected.' } },
    }),
    (c) => {
      desk.confirm(requirePerson(c), c.req.valid('param').id, c.req.valid('json').code);
      return c.body(null, 204);
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/requests/{id}/poll',
      summary: 'Collect presence for a command line',
      request: { params: z.object({ id: IdText }), body: jsonBody(z.strictObject({ poll_secret: Code })) },
      responses: {
        200: json(
          z.object({
            state: z.enum(['pending', 'approved']),
            token: z.string().nullable(),
            expires_at: NullableTime,
          }),
          'The token goes into the header X-Postern-Presence.',
        ),
      },
    }),
    async (c) => {
      const actor = requirePerson(c);
      requireSafeTransport(c);
      const { id } = c.req.valid('param');
      const approved = desk.collect(actor, id, c.req.valid('json').poll_secret);
      if (approved === null) return c.json({ state: 'pending' as const, token: null, expires_at: null }, 200);
      const { how, until } = approved;
      const opened = parts.sessions.open({
        principal: actor.principal,
        how,
        binding: 'command',
        ...(until === null ? {} : { notAfter: until }),
      });
      await recordAction(deps, actor, {
        action: 'presence.show',
        target: actor.principal,
        presence: how,
        facts: { binding: 'command' },
      });
      return c.json(
        { state: 'approved' as const, token: opened.secret.reveal(), expires_at: timeText(opened.until) },
        200,
      );
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/redeem',
      summary: "Show presence with the one-time code of the operator's terminal",
      request: { body: jsonBody(z.strictObject({ code: Code })) },
      responses: {
        200: json(
          BrowserPresence,
          'This browser has presence, and what asked for the code may collect its own.',
        ),
      },
    }),
    async (c) => {
      const actor = requirePerson(c);
      requireSafeTransport(c);
      desk.redeem(actor, c.req.valid('json').code);
      const opened = openInBrowser(c, parts, actor, 'link');
      await recordAction(deps, actor, {
        action: 'presence.show',
        target: actor.principal,
        presence: 'link',
        facts: { binding: 'browser' },
      });
      return c.json(opened, 200);
    },
  );
}

function addPasskeys(router: ApiRouter, { deps, passkeys }: PresenceParts): void {
  router.add(
    { role: 'user', presence: false, scope: 'admin' },
    createRoute({
      method: 'get',
      path: '/api/v1/presence/passkeys',
      summary: 'Your passkeys',
      responses: { 200: json(listOf(PasskeySchema), 'Passkeys.') },
    }),
    async (c) =>
      c.json({ items: (await passkeys.list(requirePerson(c))).map(passkeyView), next_cursor: null }, 200),
  );

  router.add(
    PRESENT,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/passkeys/options',
      summary: 'Begin to register a passkey',
      responses: {
        200: json(
          z.looseObject({ challenge: z.string() }),
          'PublicKeyCredentialCreationOptionsJSON of Web Authentication.',
        ),
      },
    }),
    async (c) => c.json({ ...(await passkeys.registrationOptions(requirePerson(c), passkeyOrigin(c))) }, 200),
  );

  router.add(
    PRESENT,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/passkeys',
      summary: 'Register a passkey',
      request: {
        body: jsonBody(
          z.strictObject({ name: GivenName.default('passkey'), response: z.looseObject({ id: z.string() }) }),
        ),
      },
      responses: { 201: json(PasskeySchema, 'The passkey.') },
    }),
    async (c) => {
      const actor = requirePerson(c);
      const passkey = await passkeys.register(actor, passkeyOrigin(c), c.req.valid('json'));
      await recordAction(deps, actor, {
        action: 'passkey.add',
        target: passkey.credentialId,
        facts: { name: passkey.name },
      });
      deps.announce(
        `a passkey was added for ${displayText(actor.label, 80)} (${displayText(actor.principal, 80)})`,
      );
      return c.json(passkeyView(passkey), 201);
    },
  );

  router.add(
    PRESENT,
    createRoute({
      method: 'delete',
      path: '/api/v1/presence/passkeys/{id}',
      summary: 'Remove a passkey',
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Removed.' } },
    }),
    async (c) => {
      const actor = requirePerson(c);
      const { id } = c.req.valid('param');
      const isOwn = (await passkeys.list(actor)).some((passkey) => passkey.credentialId === id);
      if (!isOwn || !(await deps.store.deletePasskey(actor.tailnet, id)))
        throw new ApiError('not_found', 'you have no such passkey');
      await recordAction(deps, actor, { action: 'passkey.remove', target: id });
      return c.body(null, 204);
    },
  );
}

function addAssertion(router: ApiRouter, parts: PresenceParts): void {
  const { deps, passkeys } = parts;
  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/assertion/options',
      summary: 'Begin to show presence with a passkey',
      responses: {
        200: json(
          z.looseObject({ challenge: z.string() }),
          'PublicKeyCredentialRequestOptionsJSON of Web Authentication.',
        ),
      },
    }),
    async (c) => c.json({ ...(await passkeys.assertionOptions(requirePerson(c), passkeyOrigin(c))) }, 200),
  );

  router.add(
    USER,
    createRoute({
      method: 'post',
      path: '/api/v1/presence/assertion',
      summary: 'Show presence with a passkey',
      request: { body: jsonBody(z.strictObject({ response: z.looseObject({ id: z.string() }) })) },
      responses: { 200: json(BrowserPresence, 'This browser has presence.') },
    }),
    async (c) => {
      const actor = requirePerson(c);
      const passkey = await passkeys.assert(actor, passkeyOrigin(c), c.req.valid('json').response);
      const opened = openInBrowser(c, parts, actor, 'passkey');
      await recordAction(deps, actor, {
        action: 'presence.show',
        target: actor.principal,
        presence: 'passkey',
        facts: { binding: 'browser', passkey: passkey.credentialId },
      });
      return c.json(opened, 200);
    },
  );
}

/** Somebody who can be present: not a program with a token, not a shared or tagged device, not the operator's token. */
function requirePerson(c: ApiContext): Actor {
  const actor = c.get('actor');
  if (actor.caller === null || actor.caller.token !== null || actor.caller.door === 'token') {
    throw new ApiError(
      'presence_refused',
      'presence is shown by a person over the network or on this machine, not with a token',
    );
  }
  if (actor.caller.user === null || actor.caller.device?.shared === true) {
    throw new ApiError('presence_refused', 'this device stands for no person');
  }
  return actor;
}

/** Presence crosses this machine only, or an encrypted connection (INTERFACES, identity on requests). */
function requireSafeTransport(c: ApiContext): void {
  const { secure, listener } = c.get('context');
  if (!secure && listener !== 'loopback' && listener !== 'socket') {
    throw new ApiError(
      'presence_needs_https',
      'presence over the network needs HTTPS: open the https:// address of this server',
    );
  }
}

function passkeyOrigin(c: ApiContext): string {
  requireSafeTransport(c);
  return ownOrigin(c);
}

/** Gives presence to the browser that asks: a cookie that its scripts cannot read, and the half that only they have. */
function openInBrowser(
  c: ApiContext,
  { sessions }: PresenceParts,
  actor: Actor,
  how: Presence['how'],
): z.output<typeof BrowserPresence> {
  const opened = sessions.open({ principal: actor.principal, how, binding: 'browser' });
  setCookie(c, PRESENCE_COOKIE, opened.secret.reveal(), {
    httpOnly: true,
    sameSite: 'Strict',
    path: '/',
    secure: c.get('context').secure,
    maxAge: PRESENCE_TTL_MS / 1_000,
  });
  return { presence: how, presence_until: timeText(opened.until), proof: opened.proof?.reveal() ?? '' };
}

function passkeyView(passkey: {
  credentialId: string;
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
}): z.output<typeof PasskeySchema> {
  return {
    id: passkey.credentialId,
    name: passkey.name,
    created_at: timeText(passkey.createdAt),
    last_used_at: nullableTimeText(passkey.lastUsedAt),
  };
}
