/**
 * Whose records a caller sees: their own; leads, their groups' metadata; auditors and admins, all.
 */
import { z } from '@hono/zod-openapi';
import type { Outcome, RequestFilter, RequestRow } from '../store/shapes.ts';
import { type Actor, seesAll } from './actor.ts';
import { ApiError } from './errors.ts';
import { IdText, NameText, parseTime, TimeParam } from './schemas.ts';

const OUTCOMES = [
  'ok',
  'refused',
  'upstream_error',
  'upstream_failed',
  'truncated',
  'client_abort',
  'gateway_error',
] as const satisfies readonly Outcome[];

/** Query parameters that narrow records. */
export const RecordFilterQuery = z.object({
  principal: IdText.optional().describe('Only this principal. Others than oneself need a role, or `group`.'),
  group: NameText.optional().describe('Only members of this group; for its leads, auditors and admins.'),
  provider: NameText.optional(),
  model: NameText.optional(),
  agent: NameText.optional(),
  session: IdText.optional(),
  device: IdText.optional(),
  outcome: z.enum(OUTCOMES).optional(),
  reason: NameText.optional(),
  from: TimeParam.describe('Inclusive.'),
  to: TimeParam.describe('Exclusive.'),
});

export type RecordFilterInput = z.output<typeof RecordFilterQuery>;

/**
 * The filter that shows this actor only what they may see. Throws `not_yours` for a group or
 * principal beyond that, rather than answering an empty list that would look like no use.
 */
export function visibleFilter(actor: Actor, query: RecordFilterInput): RequestFilter {
  const from = parseTime('from', query.from);
  const to = parseTime('to', query.to);
  return {
    tailnet: actor.tailnet,
    ...visibleScope(actor, query),
    ...(query.provider === undefined ? {} : { provider: query.provider }),
    ...(query.model === undefined ? {} : { model: query.model }),
    ...(query.agent === undefined ? {} : { agent: query.agent }),
    ...(query.session === undefined ? {} : { sessionId: query.session }),
    ...(query.device === undefined ? {} : { deviceId: query.device }),
    ...(query.outcome === undefined ? {} : { outcome: query.outcome }),
    ...(query.reason === undefined ? {} : { reason: query.reason }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

function visibleScope(actor: Actor, query: RecordFilterInput): Pick<RequestFilter, 'principals' | 'groups'> {
  const all = seesAll(actor);
  if (query.group !== undefined) {
    if (!all && !actor.leads.includes(query.group))
      throw new ApiError('not_yours', `you do not lead ${query.group}`);
    return {
      groups: [query.group],
      ...(query.principal === undefined ? {} : { principals: [query.principal] }),
    };
  }
  if (query.principal !== undefined) {
    if (!all && query.principal !== actor.principal) {
      throw new ApiError(
        'not_yours',
        'records of others need the role auditor or admin, or `group` for its lead',
      );
    }
    return { principals: [query.principal] };
  }
  return all ? {} : { principals: [actor.principal] };
}

/** Whether the metadata of this record may be shown. */
export function maySeeRecord(
  actor: Actor,
  record: Pick<RequestRow, 'tailnet' | 'principal' | 'groups'>,
): boolean {
  if (record.tailnet !== actor.tailnet) return false;
  return (
    seesAll(actor) ||
    record.principal === actor.principal ||
    record.groups.some((group) => actor.leads.includes(group))
  );
}
