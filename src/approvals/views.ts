/** Rows as others see them: without hashes, sealed bytes and the names behind a voter. */
import { describeError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { ApprovalRow } from '../store/approval-shapes.ts';
import type { ApprovalRecord } from './approval.ts';
import type { ApprovalNews } from './events.ts';
import type { ContentSealer } from './sealed-content.ts';

export interface ViewParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sealer: ContentSealer;
}

export function recordOf(parts: ViewParts, row: ApprovalRow): ApprovalRecord {
  const { binding: _, sealedPreview: _preview, sealedContent: _content, sealedEdit: _edit, ...rest } = row;
  return {
    ...rest,
    votes: row.votes.map(({ people: _people, ...vote }) => vote),
    preview: previewText(parts, row),
  };
}

export function newsOf(parts: ViewParts, row: ApprovalRow): ApprovalNews {
  return {
    id: row.id,
    tailnet: row.tailnet,
    at: parts.clock.now(),
    state: row.state,
    principal: row.principal,
    label: row.label,
    deviceId: row.deviceId,
    tokenId: row.tokenId,
    agent: row.agent,
    sessionId: row.sessionId,
    subjectKind: row.subjectKind,
    subject: row.subject,
    amount: row.amount,
    unit: row.unit,
    model: row.model,
    entry: row.entry,
    terms: row.terms,
    preview: previewText(parts, row),
    expiresAt: row.expiresAt,
    held: row.held,
    votes: row.votes.length,
  };
}

/** A row that another master key sealed is listed all the same. */
function previewText({ sealer, logger }: ViewParts, row: ApprovalRow): string {
  try {
    return sealer.openPreview(row);
  } catch (error) {
    logger.error('an approval cannot be opened', { approval: row.id, error: describeError(error) });
    return '';
  }
}
