/** The gateway document: read, check, save with `If-Match`, versions, diff and rollback. */
import { createRoute, z } from '@hono/zod-openapi';
import { type AuditedAction, recordAction, recordChange } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, DocumentActor, DocumentProblem, DocumentText, SaveResult } from '../ports.ts';
import type { ApiContext, ApiRouter } from '../router.ts';
import { json, jsonBody, LimitParam, listOf, TimeSchema, timeText } from '../schemas.ts';
import { snakeCase } from '../snake-case.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const CHECK = { role: 'admin', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;
/** 4 MiB: about a hundred times the largest document seen. */
export const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;

export const ProblemItem = z
  .object({
    severity: z.enum(['error', 'warning', 'note']),
    path: z.string(),
    line: z.int(),
    column: z.int(),
    code: z.string(),
    message: z.string(),
    fix: z.string(),
  })
  .openapi('DocumentProblem');

const DocumentSchema = z
  .object({
    text: z.string().describe('HuJSON; secrets are replaced.'),
    etag: z.string().describe('Quoted, for `If-Match`.'),
    version: z.int(),
    source: z.enum(['store', 'file', 'none']).describe('A document that a file owns is not written here.'),
    error: z.string().nullable().describe('Why the last load failed; the last good one holds.'),
  })
  .openapi('Document');

const SavedSchema = z
  .object({ version: z.int(), etag: z.string(), problems: z.array(ProblemItem).describe('Notes only.') })
  .openapi('SavedDocument');

const VersionSchema = z
  .object({ version: z.int(), created_at: TimeSchema, created_by: z.string(), comment: z.string() })
  .openapi('DocumentVersion');

const Comment = z.string().max(500).default('');
const VersionNumber = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Versions of one page where nobody says how many. */
const VERSIONS_DEFAULT = 100;
const DocumentTextBody = z.string().max(DOCUMENT_MAX_BYTES);

export function addConfigRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/config',
      summary: 'The document in force',
      responses: { 200: json(DocumentSchema, 'The document; its tag is in `ETag` too.') },
    }),
    (c) => {
      const document = deps.documents.text();
      c.header('etag', document.etag);
      return c.json({ ...documentView(document), error: deps.documents.lastError()?.message ?? null }, 200);
    },
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/api/v1/config/validate',
      summary: 'Check a document without saving it',
      request: { body: jsonBody(z.strictObject({ text: DocumentTextBody })) },
      responses: {
        200: json(
          z.object({
            valid: z.boolean(),
            problems: z.array(ProblemItem),
            test_failures: z.array(z.unknown()),
          }),
          'What a save would say.',
        ),
      },
    }),
    async (c) => {
      const found = await deps.documents.validate(c.req.valid('json').text, documentActor(c));
      return c.json(
        {
          valid: found.ok,
          problems: found.problems.map(problemView),
          test_failures: found.testFailures.map(snakeCase),
        },
        200,
      );
    },
    { bodyMaxBytes: DOCUMENT_MAX_BYTES },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'put',
      path: '/api/v1/config',
      summary: 'Save a document',
      description:
        'Needs `If-Match` with the tag that was read. Errors, warnings, failing tests and a save that locks the saver out are refused with 422.',
      request: { body: jsonBody(z.strictObject({ text: DocumentTextBody, comment: Comment })) },
      responses: { 200: json(SavedSchema, 'The new version.') },
    }),
    async (c) => {
      const { text, comment } = c.req.valid('json');
      return c.json(await saveDocument(c, deps, { text, comment }), 200);
    },
    { bodyMaxBytes: 2 * DOCUMENT_MAX_BYTES },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/config/versions',
      summary: 'Versions, newest first',
      request: {
        query: z.object({
          cursor: VersionNumber.optional().describe('`next_cursor` of the page before.'),
          limit: LimitParam.default(VERSIONS_DEFAULT),
        }),
      },
      responses: { 200: json(listOf(VersionSchema), 'Versions.') },
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query');
      const versions = await deps.documents.versions({ limit, before: cursor ?? null });
      const items = versions.map((version) => ({
        version: version.version,
        created_at: timeText(version.createdAt),
        created_by: version.createdBy,
        comment: version.comment,
      }));
      const last = versions.at(-1)?.version ?? 1;
      // Versions are numbered from 1 without gaps.
      const next = versions.length < limit || last === 1 ? null : String(last);
      return c.json({ items, next_cursor: next }, 200);
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/config/diff',
      summary: 'Unified diff of two versions',
      request: { query: z.object({ from: VersionNumber, to: VersionNumber }) },
      responses: { 200: json(z.object({ from: z.int(), to: z.int(), diff: z.string() }), 'The diff.') },
    }),
    async (c) => {
      const { from, to } = c.req.valid('query');
      return c.json({ from, to, diff: await deps.documents.diff(from, to) }, 200);
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'post',
      path: '/api/v1/config/rollback',
      summary: 'Save an earlier version again',
      description: 'Needs `If-Match`, like a save.',
      request: { body: jsonBody(z.strictObject({ version: z.int().min(1), comment: Comment })) },
      responses: { 200: json(SavedSchema, 'The new version.') },
    }),
    async (c) => {
      const { version, comment } = c.req.valid('json');
      const expectedVersion = requireMatch(c, deps).version;
      const action = {
        action: 'config.rollback',
        target: `version ${expectedVersion + 1}`,
        facts: { to: version },
      };
      const saved = await recordChange(deps, c.get('actor'), action, () =>
        deps.documents.rollback({
          version,
          expectedVersion,
          actor: documentActor(c),
          comment: comment === '' ? `rollback to version ${version}` : comment,
        }),
      );
      return c.json(savedView(c, saved), 200);
    },
  );
}

/** Saves after `If-Match`; used by both faces of the document. */
export async function saveDocument(
  c: ApiContext,
  deps: ApiDependencies,
  save: { readonly text: string; readonly comment: string },
): Promise<z.output<typeof SavedSchema>> {
  const expectedVersion = requireMatch(c, deps).version;
  const actor = documentActor(c);
  const action: AuditedAction = { action: 'config.save', target: `version ${expectedVersion + 1}` };
  const change = (): Promise<SaveResult> =>
    deps.documents.save({ text: save.text, expectedVersion, actor, comment: save.comment });
  const { ok } = await deps.documents.validate(save.text, actor);
  if (ok) return savedView(c, await recordChange(deps, c.get('actor'), action, change));
  // What is refused changes nothing and is not recorded; a policy that changed meanwhile may let it pass.
  const saved = await change();
  await recordAction(deps, c.get('actor'), action);
  return savedView(c, saved);
}

/** Who acts on the document. */
export function documentActor(c: ApiContext): DocumentActor {
  const { principal, caller } = c.get('actor');
  return { principal, caller };
}

/** The document in force if `If-Match` names it; 428 without the header, 412 if it names another. */
function requireMatch(c: ApiContext, deps: ApiDependencies): DocumentText {
  const header = c.req.header('if-match');
  const current = deps.documents.text();
  if (current.source === 'file') {
    throw new ApiError(
      'config_is_file',
      'a file owns this document (--config): edit the file; it is watched and loaded at once',
    );
  }
  if (header === undefined)
    throw new ApiError(
      'precondition_required',
      'if-match is missing: send the etag of the document that you changed',
    );
  // Strong comparison, and no `*`: a save must name what it replaces (RFC 9110 section 13.1.1).
  if (!header.split(',').some((tag) => tag.trim() === current.etag)) {
    throw new ApiError(
      'precondition_failed',
      'the document changed since you read it: read it again and repeat your change',
      {
        headers: { etag: current.etag },
      },
    );
  }
  return current;
}

function savedView(c: ApiContext, saved: SaveResult): z.output<typeof SavedSchema> {
  c.header('etag', saved.etag);
  return { version: saved.version, etag: saved.etag, problems: saved.notes.map(problemView) };
}

export function problemView(problem: DocumentProblem): z.output<typeof ProblemItem> {
  const { severity, path, line, column, code, message, fix } = problem;
  return { severity, path, line, column, code, message, fix };
}

function documentView(document: DocumentText): Omit<z.output<typeof DocumentSchema>, 'error'> {
  return { text: document.text, etag: document.etag, version: document.version, source: document.source };
}
