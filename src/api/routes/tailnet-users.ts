/** People of a tailnet of Postern's own, and whom it admits by sign-in. */
import { createRoute, z } from '@hono/zod-openapi';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { GivenName, json, jsonBody, listOf, NameText, TimeSchema, timeText } from '../schemas.ts';
import type { SignInRuleView, TailnetUsersPort, TailnetUserView } from '../tailnet-users-port.ts';
import { READ, TailnetParams, WRITE } from './tailnets.ts';

const Role = z.enum(['owner', 'admin', 'member']);

const UserSchema = z
  .object({
    id: z.int(),
    login: z.string(),
    display_name: z.string(),
    role: Role,
    suspended: z.boolean(),
    provider: z.string().nullable().describe('By which the person signed in; null: never.'),
    groups: z.array(z.string()).describe('Of the last sign-in, as policies name them.'),
    devices: z.int(),
    created_at: TimeSchema,
  })
  .openapi('TailnetUser');

const UserBody = z.strictObject({
  login: z.string().max(255),
  display_name: GivenName.optional(),
  role: Role.default('member'),
});

const ChangeBody = z.strictObject({
  role: Role.optional(),
  suspended: z.boolean().optional().describe('True: loses devices and auth keys at once.'),
});

const UserParams = TailnetParams.extend({ user: z.string().min(1).max(255).describe('Login or id.') });

const Texts = z.array(z.string().max(300)).max(500).default([]);
const RuleSchema = z
  .strictObject({
    provider: NameText.describe("Id of one of the operator's sign-in providers."),
    domains: Texts.describe('Of verified mail addresses.'),
    emails: Texts.describe('Verified mail addresses.'),
    groups: Texts.describe("The provider's names of groups."),
    policy_groups: z
      .record(z.string().max(200), z.string().max(63))
      .default({})
      .describe("The provider's group to the policy's, without `group:`."),
  })
  .openapi('SignInRule');

const SignInSchema = z.object({
  providers: z.array(z.string()),
  rules: z.array(RuleSchema),
});
const SignInBody = z.strictObject({ rules: z.array(RuleSchema).max(50) });

function usersOf({ tailnetUsers }: ApiDependencies): TailnetUsersPort {
  if (tailnetUsers !== undefined) return tailnetUsers;
  throw new ApiError('conflict', 'this Postern carries no network of its own');
}

export function addTailnetUserRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addPeopleRoutes(router, deps);
  addChangeRoutes(router, deps);
  addSignInRoutes(router, deps);
}

function addPeopleRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/users',
      summary: 'People of a tailnet',
      request: { params: TailnetParams },
      responses: { 200: json(listOf(UserSchema), 'Users.') },
    }),
    (c) => {
      const items = usersOf(deps).list(c.req.valid('param').tailnet).map(userView);
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/tailnets/{tailnet}/users',
      summary: 'Add a person to a tailnet',
      request: { params: TailnetParams, body: jsonBody(UserBody) },
      responses: { 201: json(UserSchema, 'The user.') },
    }),
    async (c) => {
      const { tailnet } = c.req.valid('param');
      const { login, display_name: displayName = login, role } = c.req.valid('json');
      const action = { action: 'tailnet.user.add', target: tailnet, facts: { login, role } };
      const added = await recordChange(deps, c.get('actor'), action, () =>
        usersOf(deps).add(tailnet, { login, displayName, role }),
      );
      return c.json(userView(added), 201);
    },
  );
}

function addChangeRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    WRITE,
    createRoute({
      method: 'patch',
      path: '/api/v1/tailnets/{tailnet}/users/{user}',
      summary: 'Change the role of a person, suspend, or let back',
      request: { params: UserParams, body: jsonBody(ChangeBody) },
      responses: { 200: json(UserSchema, 'The user.') },
    }),
    async (c) => {
      const { tailnet, user } = c.req.valid('param');
      const { role, suspended } = c.req.valid('json');
      const action = { action: 'tailnet.user.change', target: tailnet, facts: { user, role, suspended } };
      const changed = await recordChange(deps, c.get('actor'), action, () =>
        usersOf(deps).change(tailnet, user, {
          ...(role === undefined ? {} : { role }),
          ...(suspended === undefined ? {} : { isSuspended: suspended }),
        }),
      );
      return c.json(userView(changed), 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/tailnets/{tailnet}/users/{user}',
      summary: 'Remove a person, with devices and auth keys',
      request: { params: UserParams },
      responses: { 204: { description: 'Removed; their devices are cut.' } },
    }),
    async (c) => {
      const { tailnet, user } = c.req.valid('param');
      const action = { action: 'tailnet.user.remove', target: tailnet, facts: { user } };
      await recordWithdrawal(deps, c.get('actor'), action, () => usersOf(deps).remove(tailnet, user));
      return c.body(null, 204);
    },
  );
}

function addSignInRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/sign-in',
      summary: 'Whom a tailnet admits by sign-in',
      request: { params: TailnetParams },
      responses: { 200: json(SignInSchema, 'The rules; without one nobody.') },
    }),
    (c) => {
      const users = usersOf(deps);
      const rules = users.signIn(c.req.valid('param').tailnet).map(ruleView);
      return c.json({ providers: [...users.providers()], rules }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'put',
      path: '/api/v1/tailnets/{tailnet}/sign-in',
      summary: 'Say whom a tailnet admits by sign-in',
      request: { params: TailnetParams, body: jsonBody(SignInBody) },
      responses: { 200: json(SignInSchema, 'The rules, in force from now on.') },
    }),
    async (c) => {
      const { tailnet } = c.req.valid('param');
      const { rules } = c.req.valid('json');
      const users = usersOf(deps);
      const action = {
        action: 'tailnet.sign_in.set',
        target: tailnet,
        facts: { providers: rules.map(({ provider }) => provider) },
      };
      const set = await recordChange(deps, c.get('actor'), action, () =>
        users.setSignIn(
          tailnet,
          rules.map(({ policy_groups: policyGroups, ...rule }) => ({ ...rule, policyGroups })),
        ),
      );
      return c.json({ providers: [...users.providers()], rules: set.map(ruleView) }, 200);
    },
  );
}

function userView(view: TailnetUserView): z.output<typeof UserSchema> {
  const { id, login, role, provider, groups, devices } = view;
  return {
    id,
    login,
    display_name: view.displayName,
    role,
    suspended: view.isSuspended,
    provider,
    groups: [...groups],
    devices,
    created_at: timeText(view.createdAt),
  };
}

function ruleView({
  provider,
  domains,
  emails,
  groups,
  policyGroups,
}: SignInRuleView): z.output<typeof RuleSchema> {
  return {
    provider,
    domains: [...domains],
    emails: [...emails],
    groups: [...groups],
    policy_groups: { ...policyGroups },
  };
}
