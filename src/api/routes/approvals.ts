/**
 * Approvals: what waits for a person, the decision, and asking for more. Reading decides nothing, and
 * a decision is a write with presence (DESIGN section 5), so that no link and no agent can make one.
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { ApprovalQuestion, ApprovalRecord, ApprovalSubject, Verdict } from '../../approvals/index.ts';
import type { Caller } from '../../identity/caller.ts';
import { CAPABILITY_NAMES, patternFault } from '../../policy/index.ts';
import type { JsonValue } from '../../wire/hujson.ts';
import { presenceRequired } from '../access.ts';
import type { Actor } from '../actor.ts';
import {
  ApprovalSchema,
  approvalView,
  asOf,
  approverOf,
  KINDS,
  maySeeApproval,
  SCOPES,
  STATES,
} from '../approval-view.ts';
import { recordAction, recordChange, recordWithdrawal } from '../audit-trail.ts';
import { amountOf, AmountSchema, budgetsOf } from '../budget-view.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, ApprovalsPort } from '../ports.ts';
import { type ApiRouter, ownOrigin } from '../router.ts';
import {
  CursorParam,
  IdText,
  json,
  jsonBody,
  LimitParam,
  listOf,
  NameText,
  parseTime,
  TimeParam,
} from '../schemas.ts';
import { pageOf } from './requests.ts';

const READ = { role: 'known', presence: false, scope: 'read' } as const;
/** For callers without a role, too: they ask for their first model here. */
const ASK = { role: 'known', presence: false, scope: 'use' } as const;
const DECIDE = { role: 'user', presence: true, scope: 'admin' } as const;
/** Presence is decided in the handler: taking one's own question back needs none. */
const WITHDRAW = { role: 'known', presence: false, scope: null } as const;

/** An edit may be as large as what it replaces. */
const DECISION_MAX_BYTES = 512 * 1024;
const ReasonText = z.string().max(1_000);

const DetailSchema = ApprovalSchema.extend({
  content: z
    .enum(['shown', 'presence_required', 'hidden', 'forgotten'])
    .describe(
      'Whether arguments and excerpt follow. Approvers are shown them with presence, and it is recorded.',
    ),
  arguments: z.string().nullable().describe('As they were written.'),
  arguments_cut: z.boolean().nullable(),
  excerpt: z.string().nullable().describe('What the user asked last, or why somebody asks for more.'),
  note: z.string().nullable().describe('What the hook that asks says to the approver.'),
  excerpt_withheld: z
    .string()
    .nullable()
    .describe('Why there is no excerpt, where the prompts of the caller are not kept.'),
  edited_arguments: z.unknown().optional().describe('What runs in their place; absent where nobody edited.'),
}).openapi('ApprovalDetail');

const DecisionBody = z
  .union([
    z.strictObject({
      verdict: z.literal('approve'),
      scope: z
        .enum(SCOPES)
        .optional()
        .describe(
          '`once`: the same call passes one time; `session`, `time`: as often as it comes. More budget is given `once`, a model for a `time`. Default: `once`, for a model `time`.',
        ),
      duration_sec: z.int().min(1).max(31_536_000).optional().describe('Of the scope `time`.'),
      edited: z
        .union([z.record(z.string(), z.unknown()), z.array(z.unknown()), z.string()])
        .optional()
        .describe('JSON that runs in place of the arguments.'),
      seen_edits: z.int().min(0).default(0).describe('`edits` of what the approver saw.'),
      reason: ReasonText.optional(),
    }),
    z.strictObject({ verdict: z.literal('deny'), reason: ReasonText.optional() }),
  ])
  .openapi('ApprovalDecision');

const AskBody = z
  .union([
    z.strictObject({
      kind: z.literal('model'),
      model: NameText.describe('`provider/model`.'),
      reason: ReasonText.min(1),
    }),
    z.strictObject({
      kind: z.literal('budget'),
      bucket: NameText,
      amount: AmountSchema,
      reason: ReasonText.min(1),
    }),
  ])
  .openapi('ApprovalRequest');

export function addApprovalRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addReading(router, deps);
  addDeciding(router, deps);
  addAsking(router, deps);
}

function addReading(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/approvals',
      summary: 'What waits for a person, or was decided, newest first',
      description:
        'Your own questions, those that you may decide, and as auditor or admin all. A page may hold fewer than `limit`; the last one has no `next_cursor`.',
      request: {
        query: z.object({
          state: z
            .enum([...STATES, 'decided'])
            .optional()
            .describe('`decided`: every state but `pending`.'),
          kind: z.enum(KINDS).optional(),
          of: z
            .enum(['mine', 'to_decide', 'all'])
            .default('all')
            .describe('`mine`: asked by me; `to_decide`: pending, and I am an approver.'),
          principal: IdText.optional().describe('Asked by this principal.'),
          subject: NameText.optional().describe('Tool, provider/model or bucket.'),
          session: IdText.optional(),
          request: IdText.optional(),
          from: TimeParam.describe('Asked then or later.'),
          to: TimeParam.describe('Asked before.'),
          cursor: CursorParam,
          limit: LimitParam,
        }),
      },
      responses: { 200: json(listOf(ApprovalSchema), 'Approvals, without arguments.') },
    }),
    async (c) => {
      const approvals = approvalsOf(deps);
      const actor = c.get('actor');
      const query = c.req.valid('query');
      const state = query.of === 'to_decide' ? (query.state ?? 'pending') : query.state;
      const filter = {
        tailnet: actor.tailnet,
        ...(state === undefined
          ? {}
          : { states: state === 'decided' ? STATES.filter((one) => one !== 'pending') : [state] }),
        ...(query.kind === undefined ? {} : { subjectKind: query.kind }),
        ...(query.of === 'mine'
          ? { principal: actor.principal }
          : query.principal === undefined
            ? {}
            : { principal: query.principal }),
      };
      const fits = fitsQuery(query);
      const shows = (record: ApprovalRecord): boolean =>
        fits(record) &&
        (query.of === 'to_decide'
          ? approvals.mayDecide(record, approverOf(actor))
          : maySeeApproval(deps, actor, record));
      const page = await approvals.list(filter, pageOf(query), shows);
      const now = deps.clock.now();
      const items = page.items
        .map((record) => approvalView(approvals, actor, asOf(now, record)))
        // What lapsed a moment ago may still be `pending` where it is kept.
        .filter((view) => state !== 'pending' || view.state === 'pending');
      return c.json({ items, next_cursor: page.nextCursor }, 200);
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/approvals/{id}',
      summary: 'One approval, with its arguments for those who may see them',
      description:
        'The requester sees their own arguments; an approver sees them with presence, which is recorded. Looking decides nothing.',
      request: { params: z.object({ id: IdText }) },
      responses: { 200: json(DetailSchema, 'The approval.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const record = await visible(deps, actor, c.req.valid('param').id);
      return c.json(await detailOf(deps, actor, record), 200);
    },
  );
}

function addDeciding(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    DECIDE,
    createRoute({
      method: 'post',
      path: '/api/v1/approvals/{id}/decision',
      summary: 'Approve or deny',
      description:
        'By an approver other than the requester, unless policy says `self_approve`. A denial ends it at once; an approval counts towards the quorum. With an edit, earlier approvals no longer count.',
      request: { params: z.object({ id: IdText }), body: jsonBody(DecisionBody) },
      responses: { 200: json(ApprovalSchema, 'The approval as it is now.') },
    }),
    async (c) => {
      const approvals = approvalsOf(deps);
      const actor = c.get('actor');
      const record = await visible(deps, actor, c.req.valid('param').id);
      const verdict = verdictOf(c.req.valid('json'), record);
      checkOffered(deps, record, verdict);
      const decided = await recordChange(
        deps,
        actor,
        {
          action: `approval.${verdict.verdict}`,
          target: record.id,
          reason: verdict.reason,
          facts: factsOf(record, verdict),
        },
        () => approvals.decide(record.id, approverOf(actor), verdict),
      );
      return c.json(approvalView(approvals, actor, decided), 200);
    },
    { bodyMaxBytes: DECISION_MAX_BYTES },
  );

  router.add(
    WITHDRAW,
    createRoute({
      method: 'delete',
      path: '/api/v1/approvals/{id}',
      summary: 'Take a question back, or an approval that is not used up',
      description:
        "One's own needs no presence, because it only takes away; others' need presence and the right to decide, or the role admin.",
      request: { params: z.object({ id: IdText }) },
      responses: { 204: { description: 'Withdrawn: what waits is denied.' } },
    }),
    async (c) => {
      const approvals = approvalsOf(deps);
      const actor = c.get('actor');
      const record = await visible(deps, actor, c.req.valid('param').id);
      const isOwn = record.principal === actor.principal;
      if (!isOwn) {
        if (!actor.roles.has('admin') && !approvals.mayDecide(record, approverOf(actor)))
          throw new ApiError(
            'approval_not_yours',
            'withdrawing what another asked needs its approver or an admin',
          );
        if (actor.presence === null)
          throw presenceRequired({ context: c.get('context'), ownOrigin: ownOrigin(c) }, deps);
      }
      const by = isOwn ? 'the requester took it back' : `withdrawn by ${actor.label}`;
      const withdrawn = await recordWithdrawal(
        deps,
        actor,
        { action: 'approval.withdraw', target: record.id, facts: factsOf(record, null) },
        () => approvals.withdrawOne(actor.tailnet, record.id, by),
      );
      if (withdrawn === null)
        throw new ApiError('approval_conflict', `${record.id} is ${record.state} and cannot be withdrawn`);
      return c.body(null, 204);
    },
  );
}

function addAsking(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    ASK,
    createRoute({
      method: 'post',
      path: '/api/v1/approvals',
      summary: 'Ask for a model, or for more budget',
      description:
        'By the entry `model_access` or `more_budget` of `approvals`, else `default`. The same question asked again is the same approval.',
      request: { body: jsonBody(AskBody) },
      responses: { 202: json(ApprovalSchema, 'The question, or the approval that stands already.') },
    }),
    async (c) => {
      const approvals = approvalsOf(deps);
      const actor = c.get('actor');
      const body = c.req.valid('json');
      const caller = askerOf(actor);
      const subject = body.kind === 'model' ? modelOf(body.model) : await budgetOf(deps, caller, body);
      const answer = await approvals.request(
        questionOf(approvals, actor, caller, { subject, reason: body.reason }),
      );
      if (answer.state === 'refused')
        throw new ApiError(
          'too_many',
          'you have too many questions that wait: wait for answers, or withdraw some',
        );
      const record = await approvals.get(actor.tailnet, answer.id);
      if (record === null) throw new ApiError('not_found', 'no such approval');
      return c.json(approvalView(approvals, actor, record), 202);
    },
  );
}

interface ApprovalQuery {
  readonly subject?: string | undefined;
  readonly session?: string | undefined;
  readonly request?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** What the store does not look for: there are never so many approvals that it would matter. */
function fitsQuery(query: ApprovalQuery): (record: ApprovalRecord) => boolean {
  const from = parseTime('from', query.from) ?? Number.NEGATIVE_INFINITY;
  const to = parseTime('to', query.to) ?? Number.POSITIVE_INFINITY;
  return (record) =>
    (query.subject === undefined || record.subject === query.subject) &&
    (query.session === undefined || record.sessionId === query.session) &&
    (query.request === undefined || record.requestId === query.request) &&
    record.createdAt >= from &&
    record.createdAt < to;
}

/** The record, or the 404 that everybody else gets too. */
async function visible(deps: ApiDependencies, actor: Actor, id: string): Promise<ApprovalRecord> {
  const record = await approvalsOf(deps).get(actor.tailnet, id);
  if (record === null || !maySeeApproval(deps, actor, record))
    throw new ApiError('not_found', 'no such approval');
  return record;
}

async function detailOf(
  deps: ApiDependencies,
  actor: Actor,
  record: ApprovalRecord,
): Promise<z.output<typeof DetailSchema>> {
  const approvals = approvalsOf(deps);
  const view = approvalView(approvals, actor, asOf(deps.clock.now(), record));
  const nothing = { arguments: null, arguments_cut: null, excerpt: null, excerpt_withheld: null, note: null };
  const isOwn = record.principal === actor.principal;
  if (!isOwn && !view.may_decide) return { ...view, ...nothing, content: 'hidden' };
  // What somebody asked of a model is theirs: an approver's own agent does not get to read it.
  if (!isOwn && actor.presence === null) return { ...view, ...nothing, content: 'presence_required' };
  const content = await approvals.content(actor.tailnet, record.id);
  if (content === null) return { ...view, ...nothing, content: 'forgotten' };
  if (!isOwn)
    await recordAction(deps, actor, {
      action: 'approval.read',
      target: record.id,
      facts: { principal: record.principal },
    });
  return {
    ...view,
    content: 'shown',
    arguments: content.argumentsText,
    arguments_cut: content.argumentsCut,
    excerpt: content.excerpt,
    excerpt_withheld: content.excerptWithheld,
    note: content.note,
    ...(content.edited === undefined ? {} : { edited_arguments: content.edited }),
  };
}

function verdictOf(
  body: z.output<typeof DecisionBody>,
  { subjectKind }: Pick<ApprovalRecord, 'subjectKind'>,
): Verdict {
  const reason = body.reason ?? null;
  if (body.verdict === 'deny') return { verdict: 'deny', reason };
  const { duration_sec: durationSec, edited, seen_edits: seenEdits } = body;
  const scope = body.scope ?? (subjectKind === 'model' ? 'time' : 'once');
  return {
    verdict: 'approve',
    scope,
    seenEdits,
    reason,
    ...(durationSec === undefined ? {} : { durationMs: durationSec * 1_000 }),
    ...(edited === undefined ? {} : { edited: parsedJson(edited) }),
  };
}

/** What is done once it is granted sets how long it may hold: a refill is one, a grant has an end. */
function checkOffered(deps: ApiDependencies, record: ApprovalRecord, verdict: Verdict): void {
  if (verdict.verdict === 'deny') return;
  const { subjectKind, subject, principal } = record;
  if (subjectKind === 'budget' && verdict.scope !== 'once')
    throw new ApiError('invalid_request', 'scope: a budget is refilled once; write "once"');
  if (subjectKind !== 'model') return;
  if (verdict.scope !== 'time')
    throw new ApiError('invalid_request', 'scope: a model is granted for a time; write "time"');
  if (deps.documents.text().source !== 'file') return;
  const grant = { src: [principal], app: { [CAPABILITY_NAMES[1]]: [{ role: 'user', models: [subject] }] } };
  throw new ApiError(
    'config_is_file',
    `a file (--config) owns the document, so nothing else can grant a model: add to its "grants" ${JSON.stringify(grant)}, or deny this`,
    { members: { grant } },
  );
}

function parsedJson(value: unknown): JsonValue {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the body came out of `JSON.parse`, which gives nothing else.
  return value as JsonValue;
}

/** For the log; never what the call holds. */
function factsOf(record: ApprovalRecord, verdict: Verdict | null): Record<string, unknown> {
  const facts = {
    principal: record.principal,
    kind: record.subjectKind,
    subject: record.subject,
    amount: record.amount,
    unit: record.unit,
  };
  if (verdict?.verdict !== 'approve') return facts;
  return {
    ...facts,
    scope: verdict.scope,
    duration_sec: verdict.durationMs === undefined ? null : verdict.durationMs / 1_000,
    edited: verdict.edited !== undefined,
  };
}

/** One model, spelled out: an approver grants what they read, never a pattern. */
function modelOf(model: string): ApprovalSubject {
  if (patternFault(model) !== null || model.includes('*') || !/^[^/]+\/./.test(model))
    throw new ApiError('invalid_request', 'model: must be one model, written provider/model');
  return { kind: 'model', model };
}

/** One of the caller's own buckets, and no more than it can hold. */
async function budgetOf(
  deps: ApiDependencies,
  caller: Caller,
  { bucket, amount }: Extract<z.output<typeof AskBody>, { kind: 'budget' }>,
): Promise<ApprovalSubject> {
  const own = await budgetsOf(deps).ofCaller(caller);
  const view = own.find((candidate) => candidate.bucket === bucket);
  if (view === undefined)
    throw new ApiError('not_found', `you have no budget "${bucket}"; GET /api/v1/budgets lists yours`);
  const { unit, capacity } = view;
  if (unit === 'concurrency')
    throw new ApiError('invalid_request', `"${bucket}" counts open requests, which come back by themselves`);
  const asked = amountOf(amount, unit);
  if (asked > capacity)
    throw new ApiError(
      'invalid_request',
      `amount: "${bucket}" holds at most ${capacity} (${unit === 'usd' ? 'nano-dollars' : unit}); its capacity is the document's to change`,
    );
  return { kind: 'budget', bucket, amount: asked, unit };
}

/** Whoever asks for more must be somebody that uses models. */
function askerOf({ caller }: Actor): Caller {
  if (caller === null)
    throw new ApiError('invalid_request', 'the operator uses no models and has no budget; ask as a caller');
  if (caller.device?.shared === true && caller.token === null)
    throw new ApiError('not_yours', 'a shared device stands for no person, so it asks for nothing');
  return caller;
}

function questionOf(
  approvals: ApprovalsPort,
  actor: Actor,
  caller: Caller,
  { subject, reason }: { readonly subject: ApprovalSubject; readonly reason: string },
): ApprovalQuestion {
  return {
    tailnet: actor.tailnet,
    requester: {
      principal: actor.principal,
      label: actor.label,
      deviceId: caller.device?.stableId ?? null,
      tokenId: caller.token?.id ?? null,
      agent: null,
      sessionId: null,
    },
    subject,
    argumentsText: '',
    arguments: undefined,
    context: {
      requestId: null,
      provider: null,
      model: subject.kind === 'model' ? subject.model : null,
      excerpt: reason,
      excerptWithheld: null,
      note: null,
    },
    entry: approvals.entryFor(subject.kind === 'model' ? 'model' : 'budget'),
    rule: null,
    mode: 'pending',
  };
}

function approvalsOf({ approvals }: ApiDependencies): ApprovalsPort {
  if (approvals === undefined) throw new ApiError('not_found', 'this server keeps no approvals');
  return approvals;
}
