/**
 * Whose records a caller sees: their own; leads, their groups' metadata; auditors and admins, all.
 */
import { z } from '@hono/zod-openapi';
import type { Outcome, RequestFilter, RequestRow, RowDecision } from '../store/shapes.ts';
import { type Actor, seesAll } from './actor.ts';
import { ApiError } from './errors.ts';
import type { ApiDependencies } from './ports.ts';
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

const DECIDED = [
  'tool_call',
  'tool',
  'guardrail',
  'hook',
  'cache',
  'attempt',
  'translation',
] as const satisfies readonly RowDecision['about'][];

/** Query parameters that narrow records. */
export const RecordFilterQuery = z.object({
  principal: IdText.optional().describe('Only this principal. Others than oneself need a role, or `group`.'),
  group: NameText.optional().describe('Only members of this group; for its leads, auditors and admins.'),
  provider: NameText.optional(),
  model: NameText.optional(),
  agent: NameText.optional(),
  session: IdText.optional(),
  device: IdText.optional(),
  token: IdText.optional().describe('Id of a Postern token.'),
  outcome: z.enum(OUTCOMES).optional(),
  reason: NameText.optional(),
  status: z
    .string()
    .regex(/^(?:[1-5]xx|[0-9]{1,3})$/, 'must be a status, or a class such as 4xx')
    .optional()
    .describe('HTTP status that the caller got: `404`, or a class: `4xx`.'),
  about: z.enum(DECIDED).optional().describe('Only with a decision about this.'),
  decision: NameText.optional().describe(
    'Only with a decision that was this: `allowed`, `rewritten`, `denied`, `pending`, `approved`, `flagged`, `redacted`, `blocked` …',
  ),
  min_cost_nano_usd: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  min_latency_ms: z.coerce.number().min(0).max(86_400_000).optional(),
  q: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .optional()
    .describe('Part of an id, user, model, agent, session, device, provider, path or reason.'),
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
    ...narrowFilter(query),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

/** What narrows further than by name and time. */
function narrowFilter(query: RecordFilterInput): Partial<RequestFilter> {
  const { status, about, decision: action } = query;
  const isClass = status?.endsWith('xx') === true;
  const first = isClass ? Number(status.charAt(0)) * 100 : Number(status);
  const decision = {
    ...(about === undefined ? {} : { about }),
    ...(action === undefined ? {} : { action }),
  };
  return {
    ...(query.token === undefined ? {} : { tokenId: query.token }),
    ...(status === undefined ? {} : { statusFrom: first, statusTo: isClass ? first + 99 : first }),
    ...(about === undefined && action === undefined ? {} : { decision }),
    ...(query.min_cost_nano_usd === undefined ? {} : { costMinNanoUsd: query.min_cost_nano_usd }),
    ...(query.min_latency_ms === undefined ? {} : { totalMinUs: Math.round(query.min_latency_ms * 1_000) }),
    ...(query.q === undefined ? {} : { text: query.q }),
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

/** A record that the actor may see; an unknown and a hidden one are the same 404. */
export async function visibleRow(
  deps: Pick<ApiDependencies, 'store'>,
  actor: Actor,
  id: string,
): Promise<RequestRow> {
  const row = await deps.store.getRequest(actor.tailnet, id);
  if (row === null || !maySeeRecord(actor, row)) throw new ApiError('not_found', 'no such request');
  return row;
}
