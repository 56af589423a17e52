/** The audit log: what actors changed or looked at, whether its chain is whole, and as a file. */
import { createRoute, z } from '@hono/zod-openapi';
import type { AuditFilter, AuditRow } from '../../store/shapes.ts';
import { recordAction } from '../audit-trail.ts';
import { csvTable } from '../csv.ts';
import type { ApiDependencies } from '../ports.ts';
import { type ApiRouter, untyped } from '../router.ts';
import {
  CursorParam,
  IdText,
  json,
  LimitParam,
  listOf,
  NameText,
  parseTime,
  TimeParam,
  TimeSchema,
  timeText,
} from '../schemas.ts';
import { pageOf } from './requests.ts';

const AUDIT = { role: 'auditor', presence: false, scope: 'read' } as const;
/** Entries of one file. */
const EXPORT_MAX = 100_000;
const PAGE_ROWS = 500;

const AuditSchema = z
  .object({
    seq: z.int(),
    at: TimeSchema,
    actor: z.string(),
    actor_label: z.string(),
    door: z.string(),
    presence: z.string().nullable(),
    action: z.string(),
    target: z.string(),
    reason: z.string().nullable(),
    facts: z.record(z.string(), z.unknown()),
    hash: z.string(),
  })
  .openapi('AuditEntry');

const AuditQuery = z.object({
  actor: IdText.optional(),
  action: NameText.optional().describe('`key.revoke`, or all that begin so: `key.`'),
  target: IdText.optional(),
  q: z.string().trim().min(1).max(200).optional().describe('Part of actor, action, target, reason or facts.'),
  from: TimeParam.describe('Inclusive.'),
  to: TimeParam.describe('Exclusive.'),
});

export function addAuditRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    AUDIT,
    createRoute({
      method: 'get',
      path: '/api/v1/audit',
      summary: 'What actors changed or looked at, newest first',
      request: { query: AuditQuery.extend({ cursor: CursorParam, limit: LimitParam }) },
      responses: { 200: json(listOf(AuditSchema), 'Entries.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const page = await deps.store.listAudit(c.get('actor').tailnet, filterOf(query), pageOf(query));
      return c.json({ items: page.items.map(auditView), next_cursor: page.nextCursor }, 200);
    },
  );

  router.add(
    AUDIT,
    createRoute({
      method: 'get',
      path: '/api/v1/audit/verify',
      summary: 'Whether the chain of the audit log is whole',
      responses: {
        200: json(
          z.object({ rows: z.int(), broken_at: z.int().nullable() }),
          '`broken_at` is the first entry that does not fit.',
        ),
      },
    }),
    async (c) => {
      const { rows, brokenAt } = await deps.store.verifyAudit(c.get('actor').tailnet);
      return c.json({ rows, broken_at: brokenAt }, 200);
    },
  );

  router.add(
    AUDIT,
    createRoute({
      method: 'get',
      path: '/api/v1/audit/actions',
      summary: 'Every action that is in the log',
      responses: {
        200: json(listOf(z.object({ action: z.string(), entries: z.int() })), 'Actions, by name.'),
      },
    }),
    async (c) => {
      const items = await deps.store.countAuditActions(c.get('actor').tailnet);
      return c.json({ items: items.map((item) => ({ ...item })), next_cursor: null }, 200);
    },
  );

  router.add(
    AUDIT,
    createRoute({
      method: 'get',
      path: '/api/v1/audit/export',
      summary: 'The audit log as a file',
      description: `Newest first, at most ${EXPORT_MAX} entries; \`x-postern-warning: export_cut\` if there are more. It is itself recorded.`,
      request: { query: AuditQuery.extend({ format: z.enum(['jsonl', 'csv']).default('jsonl') }) },
      responses: {
        200: {
          description: 'JSON lines, or a table.',
          content: {
            'application/jsonl': { schema: { type: 'string' } },
            'text/csv': { schema: { type: 'string' } },
          },
        },
      },
    }),
    async (c) => {
      const { format, ...query } = c.req.valid('query');
      const actor = c.get('actor');
      await recordAction(deps, actor, { action: 'audit.export', target: format, facts: query });
      const { rows, isCut } = await allRows(deps, actor.tailnet, filterOf(query));
      const isTable = format === 'csv';
      if (isCut) c.header('x-postern-warning', 'export_cut');
      return untyped(
        c.body(isTable ? toTable(rows) : toLines(rows), 200, {
          'content-type': isTable ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8',
          'content-disposition': `attachment; filename="audit.${format}"`,
        }),
      );
    },
  );
}

function filterOf(query: z.output<typeof AuditQuery>): AuditFilter {
  const from = parseTime('from', query.from);
  const to = parseTime('to', query.to);
  return {
    ...(query.actor === undefined ? {} : { actor: query.actor }),
    ...(query.action === undefined ? {} : { action: query.action }),
    ...(query.target === undefined ? {} : { target: query.target }),
    ...(query.q === undefined ? {} : { text: query.q }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

async function allRows(
  { store }: Pick<ApiDependencies, 'store'>,
  tailnet: string,
  filter: AuditFilter,
): Promise<{ readonly rows: readonly AuditRow[]; readonly isCut: boolean }> {
  const rows: AuditRow[] = [];
  let cursor: string | undefined;
  while (rows.length < EXPORT_MAX) {
    const page = await store.listAudit(tailnet, filter, {
      limit: PAGE_ROWS,
      ...(cursor === undefined ? {} : { cursor }),
    });
    rows.push(...page.items);
    if (page.nextCursor === null) return { rows, isCut: false };
    cursor = page.nextCursor;
  }
  return { rows, isCut: true };
}

function toLines(rows: readonly AuditRow[]): string {
  return rows.map((row) => `${JSON.stringify(auditView(row))}\n`).join('');
}

function toTable(rows: readonly AuditRow[]): string {
  const head = [
    'seq',
    'at',
    'actor',
    'actor_label',
    'door',
    'presence',
    'action',
    'target',
    'reason',
  ] as const;
  return csvTable(
    [...head, 'facts', 'hash'],
    rows
      .map(auditView)
      .map((view) => [...head.map((name) => view[name] ?? ''), JSON.stringify(view.facts), view.hash]),
  );
}

function auditView(row: AuditRow): z.output<typeof AuditSchema> {
  return {
    seq: row.seq,
    at: timeText(row.at),
    actor: row.actor,
    actor_label: row.actorLabel,
    door: row.door,
    presence: row.presence,
    action: row.action,
    target: row.target,
    reason: row.reason,
    facts: { ...row.facts },
    hash: row.hash,
  };
}
