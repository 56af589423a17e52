/** A question as the row that is kept of it. */
import type { UnixMs } from '../base/clock.ts';
import type { ApprovalRow } from '../store/approval-shapes.ts';
import type { ApprovalQuestion } from './approval.ts';
import { subjectColumns } from './binding.ts';

/** What the engine knows of a new row besides the question. */
export interface NewRowFacts extends Pick<
  ApprovalRow,
  'id' | 'tailnet' | 'binding' | 'held' | 'sealedPreview' | 'sealedContent'
> {
  readonly now: UnixMs;
}

export function newApprovalRow(question: ApprovalQuestion, facts: NewRowFacts): ApprovalRow {
  const { requester, context, entry, subject } = question;
  const { now, ...given } = facts;
  return {
    ...given,
    state: 'pending',
    revision: 1,
    principal: requester.principal,
    label: requester.label,
    deviceId: requester.deviceId,
    tokenId: requester.tokenId,
    agent: requester.agent,
    sessionId: requester.sessionId,
    subjectKind: subject.kind,
    ...subjectColumns(subject),
    entry: entry.name,
    terms: {
      approvers: entry.approvers,
      quorum: entry.quorum,
      selfApprove: entry.selfApprove,
      holdMs: entry.holdMs,
      pendingMs: entry.pendingMs,
      scopes: entry.scopes,
      maxDurationMs: entry.maxDurationMs,
      allowEdit: entry.allowEdit,
    },
    rule: question.rule,
    requestId: context.requestId,
    provider: context.provider,
    model: context.model,
    sealedEdit: null,
    edits: 0,
    votes: [],
    createdAt: now,
    // A held question outlives its hold only if its process dies: then it waits as a pending one.
    expiresAt: now + Math.max(entry.pendingMs, facts.held ? entry.holdMs : 0),
    decidedAt: null,
    reason: null,
    once: false,
    sessionBound: false,
    validUntil: null,
    usedAt: null,
  };
}
