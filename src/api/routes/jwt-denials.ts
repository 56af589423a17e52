/** The deny-list of JWTs: what an issuer signed and cannot take back is refused here (DESIGN section 5). */
import { createRoute, z } from '@hono/zod-openapi';
import { recordChange, recordWithdrawal } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, DeniedJwt, JwtDenialView } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { IdText, json, jsonBody, listOf, parseTime, TimeSchema, timeText } from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;

const ISSUER = z.string().min(1).max(512).describe('`iss` of the JWTs: one that the settings name.');
const BeforeTime = z
  .string()
  .max(40)
  .optional()
  .describe('RFC 3339; JWTs issued before it are refused, those without `iat` too. Default: now.');

const DenyBody = z
  .union([
    z.strictObject({ issuer: ISSUER, jti: z.string().min(1).max(512) }),
    z.strictObject({ issuer: ISSUER, subject: z.string().min(1).max(512), issued_before: BeforeTime }),
    z.strictObject({ token_id: z.string().max(100).describe('`jwt_…`, as records and `whoami` show it.') }),
  ])
  .openapi('JwtDenialRequest');

const DenialSchema = z
  .object({
    id: z.string(),
    issuer: z.string().nullable(),
    jti: z.string().nullable(),
    subject: z.string().nullable(),
    issued_before: TimeSchema.nullable(),
    token_id: z.string().nullable(),
    created_at: TimeSchema,
    created_by: z.string(),
  })
  .openapi('JwtDenial');

export function addJwtDenialRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/jwt-denials',
      summary: 'JWTs that are refused though they are valid',
      responses: { 200: json(listOf(DenialSchema), 'Denials, newest first.') },
    }),
    (c) => c.json({ items: deps.jwtDenials.list().map(denialView), next_cursor: null }, 200),
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/jwt-denials',
      summary: 'Refuse a JWT, or those of a subject issued until now, at once',
      description:
        'By `jti`, by subject, or by the id that records show. Their open streams are cut within a second.',
      request: { body: jsonBody(DenyBody) },
      responses: { 201: json(DenialSchema, 'The denial.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const denied = deniedBy(c.req.valid('json'), deps.clock.now());
      const action = { action: 'jwt.deny', target: targetOf(denied), facts: { ...denied } };
      const denial = await recordWithdrawal(deps, actor, action, () =>
        deps.jwtDenials.add(denied, actor.principal),
      );
      return c.json(denialView(denial), 201);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'delete',
      path: '/api/v1/jwt-denials/{id}',
      summary: 'Accept again what was denied',
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Removed.' } },
    }),
    async (c) => {
      const { id } = c.req.valid('param');
      const known = deps.jwtDenials.list().find((denial) => denial.id === id);
      if (known === undefined) throw new ApiError('not_found', 'no such denial');
      const action = { action: 'jwt.allow', target: targetOf(known.denied), facts: { ...known.denied } };
      await recordChange(deps, c.get('actor'), action, () => deps.jwtDenials.remove(id));
      return c.body(null, 204);
    },
  );
}

function deniedBy(body: z.output<typeof DenyBody>, now: number): DeniedJwt {
  if ('token_id' in body) return { kind: 'token', tokenId: body.token_id };
  const { issuer } = body;
  if ('jti' in body) return { kind: 'jti', issuer, jti: body.jti };
  const issuedBefore = parseTime('issued_before', body.issued_before) ?? now;
  return { kind: 'subject', issuer, subject: body.subject, issuedBefore };
}

function targetOf(denied: DeniedJwt): string {
  if (denied.kind === 'token') return denied.tokenId;
  return denied.kind === 'jti' ? `jti ${denied.jti}` : `subject ${denied.subject}`;
}

function denialView({ id, denied, createdAt, createdBy }: JwtDenialView): z.output<typeof DenialSchema> {
  return {
    id,
    issuer: denied.kind === 'token' ? null : denied.issuer,
    jti: denied.kind === 'jti' ? denied.jti : null,
    subject: denied.kind === 'subject' ? denied.subject : null,
    issued_before: denied.kind === 'subject' ? timeText(denied.issuedBefore) : null,
    token_id: denied.kind === 'token' ? denied.tokenId : null,
    created_at: timeText(createdAt),
    created_by: createdBy,
  };
}
