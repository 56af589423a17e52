/** Work on a draft of the document: edits that keep its comments, its diff, and the schema for editors. Nothing is saved here. */
import { createRoute, z } from '@hono/zod-openapi';
import { diffDocuments } from '../../policy/index.ts';
import { HujsonError, type JsonValue } from '../../wire/hujson.ts';
import { type DocumentEdit, editDocument } from '../config-edit.ts';
import { DOCUMENT_SCHEMA } from '../document-schema.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody } from '../schemas.ts';
import { snakeCase } from '../snake-case.ts';
import { DOCUMENT_MAX_BYTES, documentActor, ProblemItem, problemView } from './config.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const CHECK = { role: 'admin', presence: false, scope: 'read' } as const;
const EDITS_MAX = 50;
const PATH_MAX = 32;

const Path = z
  .array(z.union([z.string().max(500), z.int().min(0).max(100_000)]))
  .min(1)
  .max(PATH_MAX)
  .describe('`["providers", "openai", "models", 0]`');
const Edit = z.union([
  z.strictObject({
    path: Path,
    value: z.unknown().describe('Any JSON; what is missing on the way is made.'),
  }),
  z.strictObject({ path: Path, remove: z.literal(true) }),
]);

const EditedSchema = z
  .object({
    text: z.string(),
    diff: z.string().describe('Unified, against the document in force.'),
    valid: z.boolean().describe('A save would be accepted.'),
    problems: z.array(ProblemItem),
    test_failures: z.array(z.unknown()),
  })
  .openapi('EditedDocument');

export function addConfigDraftRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/config/schema',
      summary: 'JSON Schema of the document, for editors',
      responses: { 200: json(z.looseObject({ $schema: z.string() }), 'JSON Schema 2020-12.') },
    }),
    (c) => c.json({ $schema: '', ...DOCUMENT_SCHEMA }, 200),
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/api/v1/config/diff',
      summary: 'Diff of the document in force and a draft',
      request: { body: jsonBody(z.strictObject({ text: z.string().max(DOCUMENT_MAX_BYTES) })) },
      responses: {
        200: json(z.object({ diff: z.string() }), 'Unified diff; empty where they are the same.'),
      },
    }),
    (c) => c.json({ diff: diffOf(deps, c.req.valid('json').text) }, 200),
    { bodyMaxBytes: 2 * DOCUMENT_MAX_BYTES },
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/api/v1/config/edit',
      summary: 'Edit a draft by path, keeping its comments',
      description:
        'Changes the document in force, or `text`, and says what a save would. Nothing is saved: save `text` with PUT /config.',
      request: {
        body: jsonBody(
          z.strictObject({
            base_version: z
              .int()
              .min(0)
              .optional()
              .describe('412 unless it is the version in force. Not needed with `text`.'),
            text: z.string().max(DOCUMENT_MAX_BYTES).optional().describe('The draft so far.'),
            edits: z.array(Edit).min(1).max(EDITS_MAX),
          }),
        ),
      },
      responses: { 200: json(EditedSchema, 'The new draft.') },
    }),
    async (c) => {
      const { base_version: baseVersion, text, edits } = c.req.valid('json');
      const current = deps.documents.text();
      if (text === undefined && baseVersion !== undefined && baseVersion !== current.version)
        throw new ApiError(
          'precondition_failed',
          `the document is at version ${current.version}, not ${baseVersion}: read it again and repeat your change`,
        );
      const edited = edits.reduce((draft, edit) => applyEdit(draft, toEdit(edit)), text ?? current.text);
      const found = await deps.documents.validate(edited, documentActor(c));
      return c.json(
        {
          text: edited,
          diff: diffOf(deps, edited),
          valid: found.ok,
          problems: found.problems.map(problemView),
          test_failures: found.testFailures.map(snakeCase),
        },
        200,
      );
    },
    { bodyMaxBytes: 2 * DOCUMENT_MAX_BYTES },
  );
}

function diffOf({ documents }: Pick<ApiDependencies, 'documents'>, draft: string): string {
  const { text, version } = documents.text();
  return diffDocuments(text, draft, { before: `version ${version}`, after: 'draft' });
}

function toEdit(edit: z.output<typeof Edit>): DocumentEdit {
  if ('remove' in edit) return { path: edit.path, remove: true };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the body came out of `JSON.parse`, which gives nothing else.
  return { path: edit.path, value: (edit.value ?? null) as JsonValue };
}

function applyEdit(text: string, edit: DocumentEdit): string {
  try {
    const edited = editDocument(text, edit);
    if ('fault' in edited) throw new ApiError('invalid_request', `edits: ${edited.fault}`);
    if (edited.text.length > DOCUMENT_MAX_BYTES)
      throw new ApiError('invalid_request', `edits: the document would be over ${DOCUMENT_MAX_BYTES} bytes`);
    return edited.text;
  } catch (error) {
    if (!(error instanceof HujsonError)) throw error;
    throw new ApiError('invalid_request', `text: ${error.message}`, { cause: error });
  }
}
