/** Approvals as the API shows them, and to whom: the requester, those who may decide, auditors and admins. */
import { z } from '@hono/zod-openapi';
import type { UnixMs } from '../base/clock.ts';
import type { ApprovalEvents, ApprovalRecord, Approver, DecidableBy } from '../approvals/index.ts';
import { amountText } from '../policy/index.ts';
import { type Actor, seesAll } from './actor.ts';
import type { ApiDependencies, ApprovalsPort } from './ports.ts';
import { NullableTime, nullableTimeText, TimeSchema, timeText } from './schemas.ts';

export const SCOPES = ['once', 'session', 'time'] as const;
export const STATES = ['pending', 'approved', 'used', 'denied', 'expired', 'withdrawn'] as const;
export const KINDS = ['tool', 'model', 'budget', 'request'] as const;

const VoteSchema = z.object({
  by: z.string(),
  by_label: z.string(),
  presence: z.string().describe('How it was shown.'),
  at: TimeSchema,
  verdict: z.enum(['approve', 'deny']),
  scope: z.enum(SCOPES),
  duration_sec: z.number().nullable(),
  reason: z.string().nullable(),
  edited: z.boolean(),
});

export const ApprovalSchema = z
  .object({
    id: z.string(),
    state: z.enum(STATES),
    principal: z.string().describe('Who asked.'),
    label: z.string(),
    device_id: z.string().nullable(),
    token_id: z.string().nullable(),
    agent: z.string().nullable().describe('A label, said by the caller.'),
    session_id: z.string().nullable().describe('A label, said by the caller.'),
    kind: z.enum(KINDS),
    subject: z.string().describe('Tool, provider/model or bucket; empty for a whole request.'),
    amount: z.int().nullable().describe('Of a budget, in `unit`.'),
    unit: z
      .enum(['usd', 'tokens', 'requests', 'concurrency'])
      .nullable()
      .describe('What `amount` counts; `usd` is nano-dollars.'),
    amount_text: z.string().nullable().describe('The amount as people read it: `$5.00`, `1,000 tokens`.'),
    model: z.string().nullable(),
    provider: z.string().nullable(),
    request_id: z.string().nullable(),
    approval: z.string().describe('Name of the entry of `approvals`.'),
    rule: z.string().nullable(),
    preview: z.string().describe('One line, redacted.'),
    held: z.boolean().describe('Asked by a stream that waited for the answer.'),
    edits: z.int().describe('Send it as `seen_edits`.'),
    quorum: z.int(),
    scopes: z.array(z.enum(SCOPES)),
    max_duration_sec: z.number(),
    allow_edit: z.boolean(),
    votes: z.array(VoteSchema),
    created_at: TimeSchema,
    expires_at: TimeSchema.describe('A pending one can be decided before it.'),
    decided_at: NullableTime,
    valid_until: NullableTime.describe('What was approved can be used before it.'),
    used_at: NullableTime,
    reason: z.string().nullable(),
    may_decide: z.boolean().describe('The caller is one of its approvers; deciding needs presence.'),
  })
  .openapi('Approval');

/** Who acts, as approvals know them. Presence is checked elsewhere; without one `how` is empty. */
export function approverOf(actor: Actor): Approver {
  const { tailnet, principal, label, caller, presence } = actor;
  return { tailnet, principal, label, caller, how: presence?.how ?? '' };
}

/** Whether the actor may know of it at all. */
export function maySeeApproval(
  { approvals }: Pick<ApiDependencies, 'approvals'>,
  actor: Actor,
  record: DecidableBy,
): boolean {
  if (approvals === undefined || record.tailnet !== actor.tailnet) return false;
  return (
    seesAll(actor) || record.principal === actor.principal || approvals.mayDecide(record, approverOf(actor))
  );
}

/** The record as it is to be shown: a question whose time is over has expired, whenever that is written down. */
export function asOf(now: UnixMs, record: ApprovalRecord): ApprovalRecord {
  if (record.state !== 'pending' || record.expiresAt > now) return record;
  return { ...record, state: 'expired', decidedAt: record.expiresAt };
}

export function approvalView(
  approvals: ApprovalsPort,
  actor: Actor,
  record: ApprovalRecord,
): z.output<typeof ApprovalSchema> {
  return {
    id: record.id,
    state: record.state,
    principal: record.principal,
    label: record.label,
    device_id: record.deviceId,
    token_id: record.tokenId,
    agent: record.agent,
    session_id: record.sessionId,
    kind: record.subjectKind,
    subject: record.subject,
    ...amountView(record),
    model: record.model,
    provider: record.provider,
    request_id: record.requestId,
    approval: record.entry,
    rule: record.rule,
    preview: record.preview,
    held: record.held,
    edits: record.edits,
    quorum: record.terms.quorum,
    scopes: offeredScopes(record),
    max_duration_sec: record.terms.maxDurationMs / 1_000,
    allow_edit: record.terms.allowEdit,
    votes: record.votes.map((vote) => ({
      by: vote.principal,
      by_label: vote.label,
      presence: vote.how,
      at: timeText(vote.at),
      verdict: vote.verdict,
      scope: vote.scope,
      duration_sec: vote.durationMs === null ? null : vote.durationMs / 1_000,
      reason: vote.reason,
      edited: vote.edited,
    })),
    created_at: timeText(record.createdAt),
    expires_at: timeText(record.expiresAt),
    decided_at: nullableTimeText(record.decidedAt),
    valid_until: nullableTimeText(record.validUntil),
    used_at: nullableTimeText(record.usedAt),
    reason: record.reason,
    may_decide: approvals.mayDecide(record, approverOf(actor)),
  };
}

function amountView({ amount, unit }: Pick<ApprovalRecord, 'amount' | 'unit'>) {
  return { amount, unit, amount_text: amount === null ? null : amountText(amount, unit) };
}

/** A refill happens once; a model is granted for a time. */
function offeredScopes({ subjectKind, terms }: ApprovalRecord): (typeof SCOPES)[number][] {
  if (subjectKind === 'budget') return ['once'];
  return terms.scopes.filter((scope) => subjectKind !== 'model' || scope === 'time');
}

/** An event's data: what a list row has, as far as the event knows it. */
export function newsView(news: ApprovalEvents[keyof ApprovalEvents]): Record<string, unknown> {
  return {
    id: news.id,
    at: timeText(news.at),
    state: news.state,
    principal: news.principal,
    label: news.label,
    agent: news.agent,
    session_id: news.sessionId,
    kind: news.subjectKind,
    subject: news.subject,
    ...amountView(news),
    model: news.model,
    approval: news.entry,
    preview: news.preview,
    held: news.held,
    votes: news.votes,
    quorum: news.terms.quorum,
    expires_at: timeText(news.expiresAt),
    by: 'by' in news ? news.by : null,
    reason: 'reason' in news ? news.reason : null,
  };
}
