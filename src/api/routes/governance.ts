/** Why may somebody use a model; grants that are not in the document. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Caller } from '../../identity/caller.ts';
import type { ToolQuestion } from '../../policy/governance.ts';
import type { StoredGrant } from '../../store/shapes.ts';
import type { JsonValue } from '../../wire/hujson.ts';
import { type Actor, seesAll } from '../actor.ts';
import { recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, PolicyView } from '../ports.ts';
import type { PresenceSessions } from '../presence/sessions.ts';
import type { ApiRouter } from '../router.ts';
import { snakeCase } from '../snake-case.ts';
import {
  IdText,
  json,
  jsonBody,
  listOf,
  NameText,
  NullableTime,
  nullableTimeText,
  TimeSchema,
  timeText,
} from '../schemas.ts';
import { DOCUMENT_MAX_BYTES, problemView } from './config.ts';

const EXPLAIN = { role: 'known', presence: false, scope: 'read' } as const;
const AUDIT = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;

const Subject = z
  .strictObject({
    principal: IdText.optional(),
    login: NameText.optional(),
    groups: z.array(NameText).max(100).default([]),
    tags: z.array(NameText).max(100).default([]),
    door: z.enum(['local', 'token', 'tailscaled', 'serve', 'node']).default('tailscaled'),
  })
  .describe('Somebody else, described; for auditors and admins. Default: yourself.');

const Call = z
  .strictObject({
    tool: NameText,
    arguments: z
      .string()
      .max(32_768)
      .optional()
      .describe('As a model would write them: the text of a JSON value. Default: unknown.'),
    agent: NameText.optional().describe('Label of the calling program.'),
  })
  .describe('A tool call: what would become of it.');

const GrantSchema = z
  .object({
    principal: z.string(),
    role: z.enum(['user', 'admin']),
    models: z.array(z.string()),
    created_at: TimeSchema,
    created_by: z.string(),
    expires_at: NullableTime.describe('It ends by itself then.'),
    approval: z.string().nullable().describe('The approval that it follows from.'),
  })
  .openapi('StoredGrant');

export function addGovernanceRoutes(
  router: ApiRouter,
  deps: ApiDependencies,
  sessions: PresenceSessions,
): void {
  addExplain(router, deps);
  addAdmins(router, deps, sessions);
}

function addExplain(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    EXPLAIN,
    createRoute({
      method: 'post',
      path: '/api/v1/explain',
      summary: 'Why may somebody use a model, or why not',
      request: {
        body: jsonBody(
          z.strictObject({
            model: NameText,
            format: NameText.optional(),
            subject: Subject.optional(),
            call: Call.optional(),
            draft: z
              .string()
              .max(DOCUMENT_MAX_BYTES)
              .optional()
              .describe('HuJSON: explain by this document, which is not in force. For auditors and admins.'),
          }),
        ),
      },
      responses: {
        200: json(
          z
            .looseObject({ allowed: z.boolean(), text: z.string() })
            .describe('Each step and rule, and who can change it.'),
          'The explanation.',
        ),
      },
    }),
    async (c) => {
      const { model, format, subject, call, draft } = c.req.valid('json');
      const who = subject === undefined ? c.get('actor').caller : describedCaller(c.get('actor'), subject);
      if (who === null)
        throw new ApiError('invalid_request', 'subject: the operator uses no models; say about whom you ask');
      const audience = seesAll(c.get('actor')) ? 'auditor' : 'self';
      const policy =
        draft === undefined ? deps.policy.current() : await compiledDraft(deps, c.get('actor'), draft);
      const explanation = policy.explain(who, model, format, audience, call && toQuestion(call));
      const steps = Object.entries(explanation).map(([name, step]) => [name, snakeCase(step)]);
      return c.json(
        { ...Object.fromEntries(steps), allowed: explanation.allowed, text: explanation.text },
        200,
      );
    },
    { bodyMaxBytes: 2 * DOCUMENT_MAX_BYTES },
  );
}

/** The policy that a draft would make. Throws `document_refused` where it cannot be read. */
async function compiledDraft(
  deps: ApiDependencies,
  actor: Actor,
  text: string,
): Promise<Pick<PolicyView, 'explain'>> {
  if (!seesAll(actor))
    throw new ApiError('role_missing', 'draft: explaining by a draft needs the role auditor or admin');
  if (deps.simulations === undefined) throw new ApiError('unavailable', 'this server reads no drafts');
  const { snapshot, problems } = await deps.simulations.compile(text);
  const [error] = problems.filter(({ severity }) => severity === 'error');
  if (error === undefined) return snapshot;
  throw new ApiError(
    'document_refused',
    `the draft has errors: line ${error.line}, column ${error.column}: ${error.message}`,
    { members: { problems: problems.map(problemView), test_failures: [] } },
  );
}

/** Text that is no JSON is judged as a model's would be that wrote it. */
function toQuestion({ tool, arguments: text, agent }: z.output<typeof Call>): ToolQuestion {
  let value: JsonValue | undefined;
  try {
    value = text === undefined ? undefined : parseJson(text);
  } catch {
    value = undefined;
  }
  return { name: tool, argumentsText: text ?? '', arguments: value, agent: agent ?? null };
}

function parseJson(text: string): JsonValue {
  const value: JsonValue = JSON.parse(text);
  return value;
}

/** A caller to reason about. It is passed to `explain` only and can never make a request. */
function describedCaller(actor: Actor, subject: z.output<typeof Subject>): Caller {
  if (!seesAll(actor))
    throw new ApiError('role_missing', 'subject: asking about others needs the role auditor or admin');
  if (subject.principal === undefined && subject.login === undefined && subject.tags.length === 0) {
    throw new ApiError('invalid_request', 'subject: give a principal, a login or tags');
  }
  const id = subject.login ?? subject.principal ?? subject.tags.join(',');
  const isPerson = subject.tags.length === 0;
  return {
    principal: subject.principal ?? `described:${id}`,
    tailnet: actor.tailnet,
    door: subject.door,
    via: null,
    device: isPerson
      ? null
      : { stableId: 'described', name: 'described', addresses: [], tags: subject.tags, shared: false },
    user: isPerson ? { id, login: id, displayName: null } : null,
    groups: subject.groups,
    capabilities: new Map(),
    token: null,
  };
}

function addAdmins(router: ApiRouter, deps: ApiDependencies, sessions: PresenceSessions): void {
  router.add(
    AUDIT,
    createRoute({
      method: 'get',
      path: '/api/v1/admins',
      summary: 'Grants that are not in the document: the first admin, the starter, and approved ones',
      responses: { 200: json(listOf(GrantSchema), 'Stored grants.') },
    }),
    async (c) => {
      const grants = await deps.store.listGrants();
      const items = grants.map((grant) => ({
        principal: grant.principal,
        role: grant.role,
        models: [...grant.models],
        created_at: timeText(grant.createdAt),
        created_by: grant.createdBy,
        expires_at: nullableTimeText(grant.expiresAt),
        approval: grant.approvalId,
      }));
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/admins/{principal}',
      summary: 'Remove a stored grant',
      request: {
        params: z.object({ principal: IdText }),
        query: z.object({
          role: z.enum(['user', 'admin']).default('admin'),
          approval: IdText.optional().describe('The grant that follows from this approval.'),
        }),
      },
      responses: { 204: { description: 'Removed, with its presence.' } },
    }),
    async (c) => {
      const actor = c.get('actor');
      const { principal } = c.req.valid('param');
      const { role, approval = null } = c.req.valid('query');
      const grants = await deps.store.listGrants();
      const isMeant = (grant: StoredGrant): boolean =>
        grant.principal === principal && grant.role === role && grant.approvalId === approval;
      if (!grants.some(isMeant)) throw new ApiError('not_found', 'no such grant');
      const adminsLeft = grants.filter(
        (grant) => grant.role === 'admin' && grant.principal !== principal,
      ).length;
      if (role === 'admin' && adminsLeft === 0 && actor.door !== 'operator' && !deps.namesAdmin()) {
        throw new ApiError(
          'last_admin',
          'this is the last admin: make another first, or run `postern admin reset`',
        );
      }
      const action = { action: 'grant.remove', target: principal, facts: { role, approval } };
      await recordWithdrawal(deps, actor, action, async () => {
        if (approval === null) sessions.endAll(principal);
        // The approval ends with it, or the next start would grant it again.
        if (approval !== null)
          await deps.approvals?.withdrawOne(
            actor.tailnet,
            approval,
            `its grant was removed by ${actor.label}`,
          );
        await deps.store.deleteGrant(principal, role, approval);
        await deps.documents.reloadGrants();
      });
      return c.body(null, 204);
    },
  );
}
