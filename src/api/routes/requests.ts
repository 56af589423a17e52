/** Records of requests, and (own, or with role, reason and presence) their bodies. */
import { createRoute, z } from '@hono/zod-openapi';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { allowReading } from '../read-others.ts';
import { type ApiContext, type ApiRouter, untyped } from '../router.ts';
import { CursorParam, IdText, json, LimitParam, listOf, ReasonParam } from '../schemas.ts';
import { RequestSchema, requestView } from '../request-view.ts';
import { addRequestDetails, addRequestSummary } from './request-reports.ts';
import { RecordFilterQuery, visibleFilter, visibleRow } from '../visibility.ts';
import type { StoredBodies } from '../../store/shapes.ts';

const OWN = { role: 'user', presence: false, scope: 'read' } as const;
/** Text of each body shown inside JSON; `part` gives all of it. */
const PREVIEW_MAX_BYTES = 256 * 1024;

const BodyPart = z.object({
  content_type: z.string().nullable(),
  bytes: z.int(),
  encoding: z.enum(['utf8', 'base64']),
  data: z.string(),
  truncated: z.boolean().describe('More was kept than is shown here: fetch it with `part`.'),
});

export function addRequestRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addRequestSummary(router, deps);
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests',
      summary: 'Requests, newest first',
      request: { query: RecordFilterQuery.extend({ cursor: CursorParam, limit: LimitParam }) },
      responses: { 200: json(listOf(RequestSchema), 'Records without bodies.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const query = c.req.valid('query');
      const page = await deps.store.listRequests(visibleFilter(actor, query), pageOf(query));
      return c.json(
        { items: page.items.map((row) => requestView(row, actor)), next_cursor: page.nextCursor },
        200,
      );
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests/{id}',
      summary: 'One request',
      request: { params: z.object({ id: IdText }) },
      responses: { 200: json(RequestSchema, 'The record without bodies.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      return c.json(requestView(await visibleRow(deps, actor, c.req.valid('param').id), actor), 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/requests/{id}/body',
      summary: 'What was asked and answered',
      description:
        "One's own freely. Another person's needs the role auditor or admin, a `reason` and presence, and is written to the audit log.",
      request: {
        params: z.object({ id: IdText }),
        query: z.object({
          part: z
            .enum(['request', 'response'])
            .optional()
            .describe('All bytes of one part, as they were on the wire.'),
          reason: ReasonParam,
        }),
      },
      responses: {
        200: json(
          z.object({
            id: z.string(),
            request: BodyPart,
            response: BodyPart,
            response_truncated: z.boolean(),
          }),
          'Both bodies.',
        ),
      },
    }),
    async (c) => {
      const actor = c.get('actor');
      const { part, reason } = c.req.valid('query');
      const row = await visibleRow(deps, actor, c.req.valid('param').id);
      await allowReading(c, deps, { principal: row.principal, target: row.id, reason });
      const bodies = await deps.store.getBodies(actor.tailnet, row.id);
      if (bodies === null)
        throw new ApiError('not_found', `no bodies are kept of this request (capture ${row.capture})`);
      if (part !== undefined) return untyped(rawPart(c, bodies, part));
      return c.json(
        {
          id: row.id,
          request: preview(bodies.request, bodies.requestContentType),
          response: preview(bodies.response, bodies.responseContentType),
          response_truncated: bodies.responseTruncated,
        },
        200,
      );
    },
  );
  addRequestDetails(router, deps);
}

/** The page asked for, without members that were not given. */
export function pageOf(query: { readonly cursor?: string | undefined; readonly limit: number }): {
  cursor?: string;
  limit: number;
} {
  return query.cursor === undefined ? { limit: query.limit } : { cursor: query.cursor, limit: query.limit };
}

function preview(bytes: Uint8Array, contentType: string | null): z.output<typeof BodyPart> {
  const shown = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, PREVIEW_MAX_BYTES));
  const text = decode(shown, bytes.byteLength > shown.byteLength);
  return {
    content_type: contentType,
    bytes: bytes.byteLength,
    encoding: text === null ? 'base64' : 'utf8',
    data: text ?? shown.toString('base64'),
    truncated: bytes.byteLength > shown.byteLength,
  };
}

/** UTF-8 text, or null; a character that the cut split is left out. */
function decode(bytes: Uint8Array, cut: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}

/** Never as a page: strangers wrote these bytes. */
function rawPart(c: ApiContext, bodies: StoredBodies, part: 'request' | 'response'): Response {
  const bytes = part === 'request' ? bodies.request : bodies.response;
  return c.body(new Uint8Array(bytes), 200, {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${part}"`,
  });
}
