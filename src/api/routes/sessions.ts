/**
 * Sessions: lists, and one of them as a conversation that people read. Metadata follows the rules of
 * records; words are their owner's, and of others need role, reason and presence.
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { ReadAnswer, ReadBlock } from '../../llm/conversation/index.ts';
import type { RequestRow, SessionRow } from '../../store/shapes.ts';
import { type Actor, seesAll } from '../actor.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { allowReading } from '../read-others.ts';
import { type ApiContext, type ApiRouter, untyped } from '../router.ts';
import { CursorParam, IdText, json, LimitParam, listOf, nullableTimeText, ReasonParam } from '../schemas.ts';
import { toJsonLines, toMarkdown } from '../sessions/export-session.ts';
import { readTurns, type Turn } from '../sessions/read-session.ts';
import { findItem, searchTurns } from '../sessions/search-session.ts';
import { sessionDetail, SessionDetailSchema, SessionSchema, sessionView } from '../sessions/session-view.ts';
import {
  answerOf,
  BlockSchema,
  countRepeated,
  hiddenTurnView,
  TurnSchema,
  type TurnView,
  turnView,
} from '../sessions/turn-view.ts';
import { RecordFilterQuery, visibleFilter } from '../visibility.ts';
import { pageOf } from './requests.ts';

const OWN = { role: 'user', presence: false, scope: 'read' } as const;
/** Of a longer session the newest are shown. */
const TURNS_MAX = 2_000;
const PAGE_ROWS = 500;
/** Answers that are read at once. */
const ANSWERS_AT_ONCE = 200;
const APPROVALS_MAX = 20;
/** UTF-16 units of one item. */
const ITEM_MAX_CHARS = 4 * 1024 * 1024;

const SessionParam = z.object({ id: IdText });
const Whose = z.object({
  principal: IdText.optional().describe(
    'Whose session it is; default: yours, else the newest that you may see.',
  ),
});
const WhoseContent = Whose.extend({ reason: ReasonParam });

export function addSessionRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addLists(router, deps);
  addTurns(router, deps);
  addReading(router, deps);
}

function addLists(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions',
      summary: 'Sessions, newest first',
      description: 'Counts and sums cover the requests that the filter lets through.',
      request: { query: RecordFilterQuery.extend({ cursor: CursorParam, limit: LimitParam }) },
      responses: { 200: json(listOf(SessionSchema), 'Sessions.') },
    }),
    async (c) => {
      const query = c.req.valid('query');
      const page = await deps.store.listSessions(visibleFilter(c.get('actor'), query), pageOf(query));
      const now = deps.clock.now();
      const items = page.items.map((row) => sessionView(row, now));
      return c.json({ items, next_cursor: page.nextCursor }, 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions/{id}',
      summary: 'One session',
      request: { params: SessionParam, query: Whose },
      responses: { 200: json(SessionDetailSchema, 'Its sums, and what it used.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const session = await visibleSession(
        deps,
        actor,
        c.req.valid('param').id,
        c.req.valid('query').principal,
      );
      const rows = await rowsOf(deps, actor, session);
      const isOwn = session.principal === actor.principal;
      const content = isOwn ? 'own' : seesAll(actor) ? 'needs_reason_and_presence' : 'not_yours';
      const complete = rows.length >= session.requests;
      const view = sessionView(session, deps.clock.now());
      return c.json({ ...view, ...sessionDetail(rows), complete, content } as const, 200);
    },
  );
}

function addTurns(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions/{id}/turns',
      summary: 'The turns of a session, oldest first',
      description:
        'Each with what was new in it. Of a session of more than 2,000 requests the newest ones. With `content=false` metadata only.',
      request: {
        params: SessionParam,
        query: WhoseContent.extend({
          content: z.enum(['true', 'false']).default('true'),
          cursor: z
            .string()
            .regex(/^\d{1,6}$/)
            .optional(),
          limit: z.coerce.number().int().min(1).max(200).default(50),
        }),
      },
      responses: {
        200: json(
          z.object({
            items: z.array(TurnSchema),
            next_cursor: z.string().nullable(),
            total: z.int().describe('Turns that can be shown.'),
          }),
          'Turns.',
        ),
      },
    }),
    async (c) => {
      const actor = c.get('actor');
      const { principal, reason, content, cursor, limit } = c.req.valid('query');
      const session = await visibleSession(deps, actor, c.req.valid('param').id, principal);
      const rows = await rowsOf(deps, actor, session);
      const from = Number(cursor ?? 0);
      const to = Math.min(rows.length, from + limit);
      const next = to < rows.length ? String(to) : null;
      if (content === 'false' || !mayRead(actor, session)) {
        const items = rows.slice(from, to).map((row, i) => hiddenTurnView(row, from + i + 1, actor));
        return c.json({ items, next_cursor: next, total: rows.length }, 200);
      }
      await allowReading(c, deps, readingOf(session, reason, 'turns'));
      const turns = await readTurns(deps, actor.tailnet, rows.slice(0, to));
      const items = await turnViews(deps, actor, turns, from);
      return c.json({ items, next_cursor: next, total: rows.length }, 200);
    },
  );
}

function addReading(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions/{id}/items/{item}',
      summary: 'One text of a session, whole',
      request: { params: SessionParam.extend({ item: IdText }), query: WhoseContent },
      responses: {
        200: json(BlockSchema, 'The text, at most 4 Mi characters.'),
      },
    }),
    async (c) => {
      const { id, item } = c.req.valid('param');
      const { turns, answers } = await readContent(
        c,
        deps,
        { ...c.req.valid('query'), id, what: 'item' },
        (row) => item.startsWith(`${row.id}:`),
      );
      const block = findItem(item, turns, answers);
      if (block === null) throw new ApiError('not_found', 'the session has no such item');
      return c.json(wholeBlock(item, block), 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions/{id}/search',
      summary: 'Where a session says something',
      description: 'Whatever the case; at most 200 places, oldest first.',
      request: {
        params: SessionParam,
        query: WhoseContent.extend({ q: z.string().trim().min(1).max(200) }),
      },
      responses: {
        200: json(
          listOf(
            z.object({
              item: z.string(),
              request_id: z.string(),
              number: z.int(),
              role: z.string(),
              type: z.string(),
              snippet: z.string(),
              at: z.int().describe('Where the words begin in the snippet, in UTF-16 units.'),
            }),
          ),
          'Places.',
        ),
      },
    }),
    async (c) => {
      const { q, ...query } = c.req.valid('query');
      const { id } = c.req.valid('param');
      const { turns, answers } = await readContent(c, deps, { ...query, id, what: 'search' }, () => true);
      return c.json({ items: searchTurns(q, turns, answers), next_cursor: null }, 200);
    },
  );

  router.add(
    OWN,
    createRoute({
      method: 'get',
      path: '/api/v1/sessions/{id}/export',
      summary: 'A session as a file',
      request: {
        params: SessionParam,
        query: WhoseContent.extend({ format: z.enum(['jsonl', 'markdown']).default('jsonl') }),
      },
      responses: {
        200: {
          description: 'JSON lines or Markdown.',
          content: {
            'application/jsonl': { schema: { type: 'string' } },
            'text/markdown': { schema: { type: 'string' } },
          },
        },
      },
    }),
    async (c) => {
      const { format, ...query } = c.req.valid('query');
      const { id } = c.req.valid('param');
      const { turns, answers } = await readContent(c, deps, { ...query, id, what: 'export' }, () => true);
      const exported = turns.map((turn) => ({
        turn,
        answer: answers.get(turn.row.id) ?? null,
        repeated: repeatedIn(turn, answers),
      }));
      const isLines = format === 'jsonl';
      return untyped(
        c.body(isLines ? toJsonLines(exported) : toMarkdown(`Session ${id}`, exported), 200, {
          'content-type': isLines ? 'application/jsonl; charset=utf-8' : 'text/markdown; charset=utf-8',
          'content-disposition': `attachment; filename="session.${isLines ? 'jsonl' : 'md'}"`,
        }),
      );
    },
  );
}

/** The actor's own session of this name, or the newest that they may see; hidden and unknown are one 404. */
async function visibleSession(
  deps: ApiDependencies,
  actor: Actor,
  id: string,
  principal: string | undefined,
): Promise<SessionRow> {
  const base = { tailnet: actor.tailnet, sessionId: id };
  const scopes = [];
  if (principal === undefined || principal === actor.principal)
    scopes.push({ principals: [actor.principal] });
  const named = principal === undefined ? {} : { principals: [principal] };
  if (seesAll(actor)) scopes.push(named);
  else if (actor.leads.length > 0) scopes.push({ ...named, groups: actor.leads });
  for (const scope of scopes) {
    const { items } = await deps.store.listSessions({ ...base, ...scope }, { limit: 1 });
    const [session] = items;
    if (session !== undefined) return session;
  }
  throw new ApiError('not_found', 'no such session');
}

/** Oldest first; a lead is shown what was their group's. */
async function rowsOf(
  deps: ApiDependencies,
  actor: Actor,
  session: SessionRow,
): Promise<readonly RequestRow[]> {
  const isOwn = session.principal === actor.principal;
  const filter = {
    tailnet: actor.tailnet,
    sessionId: session.id,
    principals: [session.principal],
    ...(isOwn || seesAll(actor) ? {} : { groups: actor.leads }),
  };
  const rows: RequestRow[] = [];
  let cursor: string | undefined;
  while (rows.length < TURNS_MAX) {
    const page = await deps.store.listRequests(filter, {
      limit: PAGE_ROWS,
      ...(cursor === undefined ? {} : { cursor }),
    });
    rows.push(...page.items);
    if (page.nextCursor === null) break;
    cursor = page.nextCursor;
  }
  return rows.slice(0, TURNS_MAX).reverse();
}

/** Leads see metadata; the others own it, or must say why. */
function mayRead(actor: Actor, session: SessionRow): boolean {
  return session.principal === actor.principal || seesAll(actor);
}

function readingOf(session: SessionRow, reason: string | undefined, what: string) {
  return { principal: session.principal, target: session.id, reason, facts: { session: true, what } };
}

interface ContentAsk {
  readonly id: string;
  readonly principal?: string | undefined;
  readonly reason?: string | undefined;
  readonly what: string;
}

interface SessionContent {
  readonly turns: readonly Turn[];
  /** By request id, of those asked for. */
  readonly answers: ReadonlyMap<string, ReadAnswer>;
}

/** All turns, and the answers of those that `wanted` picks. */
async function readContent(
  c: ApiContext,
  deps: ApiDependencies,
  ask: ContentAsk,
  wanted: (row: RequestRow) => boolean,
): Promise<SessionContent> {
  const actor = c.get('actor');
  const session = await visibleSession(deps, actor, ask.id, ask.principal);
  await allowReading(c, deps, readingOf(session, ask.reason, ask.what));
  const rows = await rowsOf(deps, actor, session);
  const picked = rows.filter(wanted);
  // One item is found in its own request alone; for the others the tree needs all that came before.
  const turns = await readTurns(deps, actor.tailnet, picked.length === rows.length ? rows : picked);
  return { turns, answers: await readAnswers(deps, actor.tailnet, picked) };
}

async function readAnswers(
  deps: ApiDependencies,
  tailnet: string,
  rows: readonly RequestRow[],
): Promise<ReadonlyMap<string, ReadAnswer>> {
  const kept = rows.filter(({ capture }) => capture === 'full');
  const answers = new Map<string, ReadAnswer>();
  for (let at = 0; at < kept.length; at += ANSWERS_AT_ONCE) {
    const asked = kept.slice(at, at + ANSWERS_AT_ONCE);
    const stored = await deps.store.getAnswers(
      tailnet,
      asked.map(({ id }) => id),
    );
    const byId = new Map(stored.map((answer) => [answer.requestId, answer]));
    for (const row of asked) {
      const answer = answerOf(row, byId.get(row.id));
      if (answer !== null) answers.set(row.id, answer);
    }
  }
  return answers;
}

async function turnViews(
  deps: ApiDependencies,
  actor: Actor,
  turns: readonly Turn[],
  from: number,
): Promise<TurnView[]> {
  const shown = turns.slice(from);
  const parents = new Set(shown.map(({ parent }) => parent));
  const needed = turns.filter(({ row }, i) => i >= from || parents.has(row.id)).map(({ row }) => row);
  const answers = await readAnswers(deps, actor.tailnet, needed);
  return Promise.all(
    shown.map(async (turn, i) =>
      turnView(turn, {
        number: from + i + 1,
        actor,
        answer: answers.get(turn.row.id) ?? null,
        parentAnswer: turn.parent === null ? null : (answers.get(turn.parent) ?? null),
        approvals: await approvalsOf(deps, turn.row),
      }),
    ),
  );
}

async function approvalsOf(deps: ApiDependencies, row: RequestRow): Promise<TurnView['approvals']> {
  const { approvals } = deps;
  if (approvals === undefined) return [];
  const ids = new Set(row.decisions.map(({ approvalId }) => approvalId).filter((id) => id !== null));
  const found = await Promise.all(
    [...ids].slice(0, APPROVALS_MAX).map((id) => approvals.get(row.tailnet, id)),
  );
  return found
    .filter((record) => record !== null)
    .map(({ id, state, subjectKind, subject, decidedAt }) => ({
      id,
      state,
      kind: subjectKind,
      subject,
      decided_at: nullableTimeText(decidedAt),
    }));
}

function repeatedIn(turn: Turn, answers: ReadonlyMap<string, ReadAnswer>): number {
  const answer = turn.parent === null ? null : (answers.get(turn.parent) ?? null);
  return countRepeated(turn.request?.messages.slice(turn.shared) ?? [], answer);
}

function wholeBlock(item: string, block: ReadBlock): z.output<typeof BlockSchema> {
  return {
    item,
    type: block.type,
    text: block.text.slice(0, ITEM_MAX_CHARS),
    cut: block.text.length > ITEM_MAX_CHARS,
    bytes: block.bytes,
    name: block.name,
    call_id: block.callId,
    is_error: block.isError,
  };
}
